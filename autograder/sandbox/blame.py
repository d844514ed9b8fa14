"""From an exception in student code to an `Error`: what, where, and only the student's own frames."""

from __future__ import annotations

import linecache
from collections.abc import Collection
from types import TracebackType

from .steps import Error

MAX_MESSAGE = 500
MAX_FRAMES = 4
MAX_TRACEBACK = 2_000


def describe(exc: BaseException, files: Collection[str]) -> Error:
    """Describe `exc`; `files` are the file names of the student's modules.

    Never raises: an exception may be of a class of the student's own, whose ``__str__`` raises in turn.
    """
    frames = _frames(exc.__traceback__, files)
    where, line = (frames[-1][1], frames[-1][2]) if frames else ("", 0)
    if isinstance(exc, SyntaxError) and exc.filename in files:
        line = exc.lineno or line
    return Error(_type_name(exc), _message(exc), where, line, _text(frames))


def _type_name(exc: BaseException) -> str:
    if isinstance(exc, MemoryError):
        return "MemoryError"  # NumPy's own kind has a private name
    return str(type.__dict__["__name__"].__get__(type(exc)))[:100]  # a metaclass cannot get in between


def _message(exc: BaseException) -> str:
    try:
        text = exc.msg if isinstance(exc, SyntaxError) and isinstance(exc.msg, str) else str(exc)
    except BaseException:  # noqa: BLE001  the student's own __str__
        text = "(the exception cannot be turned into text)"
    return text[:MAX_MESSAGE]


def _frames(traceback: TracebackType | None, files: Collection[str]) -> list[tuple[str, str, int]]:
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename in files:
            found.append((code.co_filename, code.co_name, traceback.tb_lineno))
        traceback = traceback.tb_next
    return found


def _text(frames: list[tuple[str, str, int]]) -> str:
    lines = []
    for file, function, line in frames[-MAX_FRAMES:]:
        lines.append(f"{file}, line {line}, in {function}")
        source = linecache.getline(file, line).strip()
        if source:
            lines.append(f"    {source[:200]}")
    return "\n".join(lines)[:MAX_TRACEBACK]
