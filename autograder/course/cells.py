"""The code cells of a notebook, of any version of the format, read from its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

from autograder.release.percent import NOTEBOOK_ONLY
from autograder.report.text import quoted

#: Characters of code, and cells, that are looked at.
MOST_CODE, MOST_CELLS = 1 << 20, 2_000

#: Containers in the JSON. Each takes some 60 bytes of memory however short its text.
MOST_NODES = 500_000


class NotebookError(Exception):
    """A file that is no notebook; the message is one line."""


def code_cells(text: str, name: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the number and the source of every code cell, and whether the handout shows something in it.

    For :func:`autograder.course.notebook.extract`, which says what the arguments and the errors are.
    """
    if text.count("{") + text.count("[") > MOST_NODES:
        raise NotebookError(f"{quoted(name)} has too many parts to be a notebook. Clear its outputs and hand it in again.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotebookError(f"{quoted(name)} is not a notebook: {_json_trouble(error)}") from None
    cells = _cells(data)
    if cells is None:
        raise NotebookError(f"{quoted(name)} is not a notebook: it holds no list of cells. Save it again from Jupyter.")
    if len(cells) > MOST_CELLS:
        raise NotebookError(f"{quoted(name)} has {len(cells)} cells; more than {MOST_CELLS} are not read.")
    size = 0
    for number, cell in enumerate(cells, 1):
        source = _source(cell)
        size += len(source)
        if size > MOST_CODE:
            raise NotebookError(f"{quoted(name)} has more than {MOST_CODE >> 20} MB of code. Keep data in files, not in cells.")
        if source.strip():
            yield number, source, _is_shown(cell)


def _json_trouble(error):
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON (line {error.lineno}: {error.msg}). Save it again from Jupyter."
    return "its JSON is nested too deeply or holds numbers that are too long."


def _cells(data) -> list | None:
    """Return the cells, of a notebook of today or of the time before 2014 (worksheets)."""
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("cells"), list):
        return data["cells"]
    sheets = data.get("worksheets")
    if not isinstance(sheets, list):
        return None
    return [cell for sheet in sheets if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list) for cell in sheet["cells"]]


def _is_shown(cell) -> bool:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return isinstance(tags, list) and any(tag in NOTEBOOK_ONLY for tag in tags if isinstance(tag, str))


def _source(cell) -> str:
    """Return the code of a cell, or nothing when it is no code cell."""
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return ""
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return plain_lines(source) if isinstance(source, str) else ""


def plain_lines(source: str) -> str:
    """Return code with the one line end that is not for the compiler alone; a carriage return is one for it, nothing else is."""
    # Surrogates can be written in JSON, but not in a source file.
    return source.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
