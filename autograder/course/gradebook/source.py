"""The notebook that nbgrader releases: the course's own, with a cell for the points behind every function."""

from __future__ import annotations

from collections.abc import Iterator

from autograder.course.gradebook import cells
from autograder.release.notebook import notebook_of
from autograder.release.percent import BEGIN, END, NOTEBOOK_ONLY, Cell
from autograder.spec import Assignment

#: nbgrader's Validate runs the whole notebook while the student's server waits. Cells with this tag are left out there (by
#: nbclient; an ordinary run knows no such tag): training, plots, and checks that the cell for the points does again.
NOT_IN_VALIDATE = "skip-execution"


def source_notebook(parts: list[Cell], assignment: Assignment, *, question_points: float = 0) -> dict:
    """Return nbgrader's source notebook of an assignment; nbgrader cuts the solutions out when it releases.

    Parameters
    ----------
    parts : list of Cell
        The source in percent format, read.
    assignment : Assignment
    question_points : float
        Points of a question at the end that a human grades; 0 for none.
    """
    made = _Maker(parts, assignment)
    found = list(made.cells(notebook_of(parts)["cells"]))
    found += [cells.points_cell(entry, made.points[entry]) for entry in (cells.PERFORMANCE, cells.MILESTONE) if entry in made.points]
    found += [cells.points_cell(cells.BONUS, 0)] if assignment.bonus else []
    found += cells.question_cells(question_points) if question_points else []
    return {**notebook_of(parts), "cells": found}


class _Maker:
    """Makes nbgrader's cells out of the course's own."""

    def __init__(self, parts, assignment):
        self.points = dict(assignment.points_table())
        self.bonus = {e.function for part in assignment.bonus for e in part.exercises}
        self.solved = {cell["id"]: "".join(cell["source"]) for cell in notebook_of(parts, solved=True)["cells"]}
        self.can_check = any(_makes_checker("".join(cell["source"])) for cell in notebook_of(parts)["cells"])

    def cells(self, released) -> Iterator[dict]:
        """Yield what stands for the cells: each function's own, its check, and then the cell for its points."""
        waiting = []
        for cell in released:
            if "check" not in _tags(cell):
                yield from waiting
                waiting = []
            if cell["cell_type"] == "code" and (name := cell["id"]) in self.points.keys() | self.bonus:
                yield cells.solution_cell(name, _marked("".join(cell["source"]), self.solved[name]))
                waiting = [cells.points_cell(name, self.points[name], checked=self.can_check)] if name in self.points else []
            elif NOTEBOOK_ONLY & _tags(cell) and not _makes_checker("".join(cell["source"])):
                yield {**cell, "metadata": {**cell["metadata"], "tags": [*cell["metadata"]["tags"], NOT_IN_VALIDATE]}}
            else:
                yield cell
        yield from waiting


def _tags(cell) -> set[str]:
    return set(cell["metadata"].get("tags", ()))


def _makes_checker(source) -> bool:
    return "checker(" in source


def _marked(stub: str, solved: str) -> str:
    """Return a solved cell with nbgrader's markers around what the stub does not have."""
    before, placeholder, after = _split(stub)
    body = solved.removeprefix(before).removesuffix(after)
    indent = placeholder[: len(placeholder) - len(placeholder.lstrip())]
    return f"{before}{indent}{BEGIN}\n{body.rstrip()}\n{indent}{END}\n{after}".rstrip("\n")


def _split(stub):
    lines = stub.splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if "# YOUR CODE HERE" in line)
    return "".join(lines[:at]), lines[at].rstrip("\n"), "".join(lines[at + 1 :])
