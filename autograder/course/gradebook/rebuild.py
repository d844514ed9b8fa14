"""The notebook that nbgrader records and shows: what was released, with the sources of the student's cells in it."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from nbformat.corpus.words import generate_corpus_id
from nbformat.notebooknode import NotebookNode, from_dict
from nbformat.v4 import new_notebook

from autograder.course.files import SubmissionError, decoded, open_folder, open_top, read_bytes
from autograder.course.gradebook.safe import safe_markdown

#: What is shown of a student's own cells: so many of them, and so many characters of each.
MOST_CELLS, MOST_TEXT = 300, 100_000


def read(path: Path) -> NotebookNode:
    """Return the cells of ``submitted/STUDENT/ASSIGNMENT/NOTEBOOK``, bare; none of them where it cannot be read.

    No link is followed: what it leads to would be shown to the student as part of the work.
    """
    _, student, assignment = (parent.name for parent in reversed(path.parents[:3]))
    try:
        with open_top(path.parents[2]) as top, open_folder(top, student) as own, open_folder(own, assignment) as folder:
            found = json.loads(decoded(read_bytes(folder, path.name), path.name))
        cells = [_bare(cell) for cell in found["cells"] if isinstance(cell, dict)]
    except (SubmissionError, ValueError, TypeError, KeyError, RecursionError):
        cells = []
    made = new_notebook()
    made.cells = [cell for cell in cells if cell]
    return made


def _bare(cell: dict) -> NotebookNode | None:
    """Return a cell with its source and its name in nbgrader, and nothing else."""
    source = cell.get("source")
    text = "".join(part for part in source if isinstance(part, str)) if isinstance(source, list) else source
    if not isinstance(text, str):
        return None
    made = _cell("code" if cell.get("cell_type") == "code" else "markdown", text[:MOST_TEXT])
    if name := identity(cell):
        made.metadata["nbgrader"] = {"grade_id": name}
    return made


def _cell(kind: str, source: str) -> NotebookNode:
    """Make a cell; unlike nbformat's own makers, leave it to the whole notebook to be validated, once, when it is written."""
    more = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return from_dict({"cell_type": kind, "id": generate_corpus_id(), "metadata": {}, "source": source, **more})


def identity(cell: dict) -> str | None:
    """Return a cell's grade_id, or None."""
    found = cell.get("metadata")
    found = found.get("nbgrader") if isinstance(found, dict) else None
    name = found.get("grade_id") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None


def rebuilt(submitted: NotebookNode, released: NotebookNode) -> NotebookNode:
    """Put the student's answers into the released notebook, and the student's own cells where they stood.

    Of two cells with the same name the first is the answer. The second is a copy, and stays as an ordinary cell in which
    nbgrader sees nothing: two named cells would stop the whole class.
    """
    answers, own = _taken(submitted, released)
    cells = list(own[None])
    for cell in released.cells:
        name = identity(cell)
        if name in answers and cell.metadata.nbgrader.get("solution"):
            cell.source = answers[name] if cell.cell_type == "code" else _text(answers[name], cell.source)
        cells += [cell, *(own[name] if name else ())]
    released.cells = cells
    return released


def _taken(submitted, released) -> tuple[dict[str, str], dict]:
    """Return the answers by name, and the student's own cells by the name of the cell that they follow."""
    names = {identity(cell) for cell in released.cells} - {None}
    ours = {cell.source for cell in released.cells}
    answers, own, last, count = {}, defaultdict(list), None, 0
    for cell in submitted.cells:
        name = identity(cell)
        if name in names and name not in answers:
            answers[name] = cell.source
            last = name
        elif cell.source.strip() and cell.source not in ours and count < MOST_CELLS:
            count += 1
            own[last].append(_cell(cell.cell_type, cell.source if cell.cell_type == "code" else safe_markdown(cell.source)))
    return answers, own


def _text(answer, released):
    """An answer that was not touched must stay what it was: nbgrader tells by its checksum that there is none."""
    return answer if answer == released else safe_markdown(answer)
