"""The notebook that nbgrader releases: the course's own, with a cell for the points behind every function."""

from __future__ import annotations

from collections.abc import Iterator

from autograder.course.gradebook import cells
from autograder.release.notebook import notebook_of
from autograder.release.percent import BEGIN, END, Cell
from autograder.spec import Assignment


def source_notebook(parts: list[Cell], assignment: Assignment, *, question_points: float = 0) -> dict:
    """Return nbgrader's source notebook of an assignment; nbgrader cuts the solutions out when it releases.

    Parameters
    ----------
    parts : list of Cell
        The source in percent format, read.
    question_points : float
        Points of a question at the end that a human grades; 0 for none.
    """
    released = notebook_of(parts)["cells"]
    solved = {cell["id"]: cell["source"] for cell in notebook_of(parts, solved=True)["cells"]}
    points = dict(assignment.points_table())
    bonus = {e.function for part in assignment.bonus for e in part.exercises}
    found = [made for cell in released for made in _cells(cell, solved, points, bonus)]
    found += [cells.points_cell(entry, points[entry]) for entry in (cells.PERFORMANCE, cells.MILESTONE) if entry in points]
    found += [cells.points_cell(cells.BONUS, 0)] if assignment.bonus else []
    found += [cells.question_cell(question_points)] if question_points else []
    return {**notebook_of(parts), "cells": found}


def _cells(cell, solved, points, bonus) -> Iterator[dict]:
    name = cell["id"]
    if cell["cell_type"] != "code" or name not in points.keys() | bonus:
        yield cell
        return
    yield cells.solution_cell(name, _marked("".join(cell["source"]), "".join(solved[name])))
    if name in points:
        yield cells.points_cell(name, points[name])


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
