"""Notebook cells as nbgrader knows them: which metadata they carry, and by which names they are found again."""

from __future__ import annotations

from collections.abc import Mapping

from autograder.release.percent import BEGIN, END

SCHEMA = 3
PERFORMANCE, MILESTONE, BONUS = "performance", "milestone", "bonus"
QUESTION = "question"


def solution_id(function: str) -> str:
    """Return the grade_id of the cell in which a function is written."""
    return function


def points_id(entry: str) -> str:
    """Return the grade_id of the locked cell that carries the points of an entry."""
    return f"points-{entry}"


def solution_cell(function: str, source: str) -> dict:
    """Return a cell that students fill in and that carries no points itself."""
    return _code(solution_id(function), source, solution=True)


def points_cell(entry: str, points: float, *, checked: bool = False) -> dict:
    """Return the locked cell that shows the verdict on an entry.

    Parameters
    ----------
    entry : str
    points : float
    checked : bool
        The cell runs the self-check. Its value is then what nbgrader's Validate button takes for the points.
    """
    worth = f"worth {points:g} points" if entry != BONUS else "on top of the 100 points"
    check = f'\ncheck("{entry}").score' if checked else ""
    return _code(points_id(entry), f"# {entry}: {worth}. The verdict appears here after grading.{check}", grade=True, points=points)


def question_cells(points: float) -> list[dict]:
    """Return a question and the cell for its answer, which a human grades."""
    text = "Describe one mistake that you made in this assignment: how did you notice it, and what did it do to the gradient?"
    metadata = {"nbgrader": _metadata(QUESTION, grade=True, solution=True, points=points)}
    return [
        {"cell_type": "markdown", "id": "the-question", "metadata": {}, "source": f"**In your own words.** {text}"},
        {"cell_type": "markdown", "id": QUESTION, "metadata": metadata, "source": f"{BEGIN}\n(an answer)\n{END}"},
    ]


def _code(identity, source, **kind) -> dict:
    return {
        "cell_type": "code", "id": identity, "metadata": {"nbgrader": _metadata(identity, **kind)}, "source": source,
        "execution_count": None, "outputs": [],
    }  # fmt: skip


def _metadata(identity, *, grade=False, solution=False, points=None) -> Mapping:
    found = {"grade": grade, "grade_id": identity, "locked": grade and not solution, "schema_version": SCHEMA, "solution": solution, "task": False}
    return found | ({"points": points} if grade else {})
