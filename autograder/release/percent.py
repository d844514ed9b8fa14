"""The source of an assignment: one Python file in percent format that holds text, code and solution.

========================  ==========================================================================================
``# %% [markdown]``       a text cell; every line is a comment
``# %%``                  a code cell
``# %% tags=["check"]``   a code cell of the notebook only (``"notebook"`` likewise): every line starts with ``#| ``,
                          so that the file itself stays a module that NumPy alone can import
``### BEGIN SOLUTION``    up to ``### END SOLUTION``: what students write. Inside a function it becomes one line that
                          raises; at column 0 it goes without a trace
========================  ==========================================================================================

jupytext opens such a file as a notebook.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
NOTEBOOK_ONLY = {"check", "notebook"}
MARKER = re.compile(r"# %%(?P<text> \[markdown\])?.*?(?:tags=(?P<tags>\[[^\]]*\]))?\s*$")


class SourceError(ValueError):
    """A source that cannot be released; the message names file and line, and says what to do."""


@dataclass(frozen=True)
class Cell:
    """One cell: its kind (``"text"`` or ``"code"``), its lines as they stand in the file, the number of the first, its tags."""

    kind: str
    lines: tuple[str, ...]
    first: int
    tags: tuple[str, ...] = ()

    @property
    def notebook_only(self) -> bool:
        """Whether the cell is no part of the module."""
        return bool(NOTEBOOK_ONLY & set(self.tags))

    @property
    def markdown(self) -> str:
        """A text cell without its comment signs."""
        return "\n".join(line[1:].removeprefix(" ").rstrip() for line in self.lines).strip()


def read(source: str, name: str) -> list[Cell]:
    """Split a source into cells, and check it.

    Parameters
    ----------
    source : str
    name : str
        How error messages call the file.

    Raises
    ------
    SourceError
        It is not valid Python, its solution markers do not match, or a cell breaks the rules above.
    """
    try:
        ast.parse(source)
    except SyntaxError as error:
        raise SourceError(f"{name}, line {error.lineno}: {error.msg}. Make it run as a Python file first.") from None
    cells = [cell for cell in _cells(source.splitlines(), name) if any(line.strip() for line in cell.lines)]
    for cell in cells:
        _check(cell, name)
        for _ in _regions(cell, name):
            pass
    return cells


def module_code(cell: Cell, solved: bool) -> str:
    """Return a code cell as students get it, or with the solution but without its markers."""
    inside, kept = False, []
    for line in cell.lines:
        marker = line.strip()
        if marker == BEGIN:
            inside = True
            if not solved and line[0] == " ":
                kept.append(_placeholder(kept, line))
        elif marker == END:
            inside = False
        elif solved or not inside:
            kept.append(line.rstrip())
    return "\n".join(kept).strip("\n")


def notebook_code(cell: Cell) -> str:
    """Return the code of a cell that only the notebook has."""
    return "\n".join(line[2:].removeprefix(" ").rstrip() for line in cell.lines if line.strip()).strip("\n")


def definitions(code: str) -> list[tuple[str | None, str]]:
    """Split code at its top-level functions and classes: ``(name, code)``, in order; what stands before has the name None."""
    lines, starts = code.splitlines(), [(0, None)]
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min(part.lineno for part in (node, *node.decorator_list)) - 1
            while first and lines[first - 1].startswith("#"):
                first -= 1
            starts.append((first, node.name))
    ends = [first for first, _ in starts[1:]] + [len(lines)]
    parts = [(name, "\n".join(lines[first:end]).strip("\n")) for (first, name), end in zip(starts, ends, strict=True)]
    return [(name, part) for name, part in parts if part]


def without_docstring(code: str) -> str:
    """Drop the source's own module docstring: the stub has another, the notebook its text."""
    body = ast.parse(code).body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
        return "\n".join(code.splitlines()[body[0].end_lineno :]).strip("\n")
    return code


def _cells(lines: list[str], name: str) -> Iterator[Cell]:
    marks = [n for n, line in enumerate(lines) if line.startswith("# %%")]
    yield Cell("code", tuple(lines[: marks[0] if marks else None]), 1)
    for start, end in zip(marks, [*marks[1:], len(lines)], strict=True):
        match = MARKER.match(lines[start])
        try:
            tags = tuple(json.loads(match["tags"] or "[]"))
        except json.JSONDecodeError:
            raise SourceError(f'{name}, line {start + 1}: cannot read the tags. Write them as tags=["check"].') from None
        yield Cell("text" if match["text"] else "code", tuple(lines[start + 1 : end]), start + 2, tags)


def _check(cell: Cell, name: str):
    sign, what = ("#", "a text cell") if cell.kind == "text" else ("#|", f"a cell tagged {', '.join(cell.tags)}")
    if cell.kind == "text" or cell.notebook_only:
        for n, line in enumerate(cell.lines, cell.first):
            if line.strip() and not line.startswith(sign):
                raise SourceError(f"{name}, line {n}: every line of {what} starts with {sign!r}, but this one is {line.strip()[:40]!r}.")


def _regions(cell: Cell, name: str) -> Iterator[tuple[int, int]]:
    """Yield the positions of the markers in pairs."""
    begin = None
    for n, line in enumerate(cell.lines):
        marker, where = line.strip(), f"{name}, line {cell.first + n}"
        if marker == BEGIN:
            if begin is not None:
                raise SourceError(f"{where}: {BEGIN} inside the solution that begins in line {cell.first + begin}. Put {END} before it.")
            begin = n
        elif marker == END:
            if begin is None:
                raise SourceError(f"{where}: {END} without {BEGIN}. Put {BEGIN} before it, in the same cell.")
            if _indent(line) != _indent(cell.lines[begin]):
                raise SourceError(f"{where}: {END} is indented differently from its {BEGIN} in line {cell.first + begin}.")
            yield begin, n
            begin = None
        elif BEGIN.lower().lstrip("# ") in marker.lower() or END.lower().lstrip("# ") in marker.lower():
            raise SourceError(f"{where}: this looks like a solution marker, but is none. Write {BEGIN} or {END} alone on the line.")
    if begin is not None:
        raise SourceError(f"{name}, line {cell.first + begin}: {BEGIN} without {END}. Put {END} behind the solution, in the same cell.")


def _placeholder(before: list[str], marker: str) -> str:
    """Return the line that stands for a solution; it names the function that the marker is in."""
    indent = _indent(marker)
    outer = (re.match(r" *(?:def|class) (\w+)", line) for line in reversed(before) if line.strip() and _indent(line) < indent)
    name = next(match[1] for match in outer if match)
    return f'{" " * indent}raise NotImplementedError("{name} is not written yet")  # YOUR CODE HERE'


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
