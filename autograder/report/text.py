"""Names and text of students on their way to a terminal, a table or a file name."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

#: Control, format (bidi, zero width), surrogate, private and unassigned characters, line and paragraph separators.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

#: The end of a file name that was made harmless; some file systems do not tell small letters from capitals.
_HASHED = re.compile(r"-[0-9a-f]{16}\Z", re.IGNORECASE)

#: Characters at the start of a cell that a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")


def shown(text: str, longest: int = 200) -> str:
    """Return text in which nothing is hidden: invisible and direction-changing characters become escapes."""
    text = "".join(_escape(char) if unicodedata.category(char) in _HIDDEN else char for char in text[: longest + 1])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def quoted(name: str) -> str:
    """Return a file's name for a message."""
    return f"‘{shown(name)}’"


def listed(names: Iterable[str]) -> str:
    """``a``, ``b`` and ``c``."""
    *first, last = [quoted(name) for name in names]
    return f"{', '.join(first)} and {last}" if first else last


def sentence_of(text: str, longest: int = 500) -> str:
    """Return text from a student's program as one line that can be shown anywhere."""
    return shown(" ".join(text.split()), longest)


def file_name(student: str) -> str:
    """Return a file name without suffix for a student: the name itself where it is harmless, else with a hash.

    A name that looks as if it had a hash gets one too, so that nobody can choose the file of somebody else.
    """
    safe = re.sub(r"[^\w.@+,= -]", "_", student)
    if safe == student and not _HASHED.search(safe) and len(safe.encode()) <= 200 and not safe.startswith((".", "-", " ")) and not safe.endswith((".", " ")):
        return safe
    return f"{safe.strip('.- ')[:60] or 'student'}-{hashlib.sha256(student.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def cell(value: object) -> object:
    """Return a value for a CSV cell that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
