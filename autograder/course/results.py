"""From what the judge says, or from why there was nothing to judge, to the result that is stored."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from autograder.course.engine import engine
from autograder.course.submissions import Submission, in_cells
from autograder.judge.submission import Graded
from autograder.judge.verdicts import FAILED, NOT_WRITTEN, UNDECIDED
from autograder.report.model import Check, FunctionResult, SubmissionResult, total
from autograder.sandbox import at_least
from autograder.spec import Assignment

#: Versions that a result depends on.
PACKAGES = ("numpy", "torch", "hypothesis")


def judged(submission: Submission, graded: Graded, assignment: Assignment, bank: str, isolation: Mapping) -> SubmissionResult:
    """Return the result of a submission that ran."""
    functions = tuple(entry.with_sentences(in_cells(submission, assignment.name)) for entry in graded.functions)
    messages = [*submission.notes, *(in_cells(submission, text.partition(".py ")[0])(text) for text in graded.messages), *_says_nothing(functions, assignment)]
    return replace(
        _result(submission, assignment, bank, functions, messages),
        score=total(functions),
        isolation=isolation,
        timing=graded.timing,
    )


def ungradable(submission: Submission, assignment: Assignment, bank: str) -> SubmissionResult:
    """Return the result of a submission that cannot be read: no points, and the one line that says why."""
    verdict, name = (NOT_WRITTEN, "exists") if submission.missing else (FAILED, "runs")
    check = Check(name, False, submission.problem, None)
    functions = tuple(FunctionResult(entry, 0, points, verdict, False, (check,)) for entry, points in assignment.points_table())
    return _result(submission, assignment, bank, functions, [submission.problem])


def undecided(submission: Submission, assignment: Assignment, bank: str, why: str) -> SubmissionResult:
    """Return the result of a submission on which the kit failed: no score at all, so that nobody loses or gains by it."""
    functions = tuple(FunctionResult(entry, None, points, UNDECIDED, False, ()) for entry, points in assignment.points_table())
    message = f"The grader itself failed ({why}). This is not the student's fault: run the same command again, or grade by hand."
    return replace(_result(submission, assignment, bank, functions, [*submission.notes, message]), score=None)


def is_ungradable(result: Mapping) -> bool:
    """Tell whether a stored result says that nothing could be read."""
    return not result["submission_sha256"]


def is_isolated(result: Mapping, level: str) -> bool:
    """Tell whether a stored result was made behind the walls that are required."""
    return at_least(result["isolation"].get("level", "none"), level)


def _result(submission, assignment, bank, functions, messages) -> SubmissionResult:
    return SubmissionResult(
        submission.student,
        assignment.name,
        0,
        assignment.max_score,
        functions,
        tuple(messages),
        engine=engine(),
        bank=bank,
        submission_sha256=submission.sha256,
        environment=environment(),
    )


@cache
def environment() -> Mapping[str, str | None]:
    """Return the versions that a result depends on."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    return found | {name: _version(name) for name in PACKAGES}


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _says_nothing(functions, assignment) -> list[str]:
    """A module that defines nothing is most likely the wrong file."""
    names = {exercise.function for exercise in assignment.exercises}
    found = [entry for entry in functions if entry.name in names]
    if any(check.name != "exists" for entry in found for check in entry.problems) or not all(any(e.problems) for e in found):
        return []
    return [f"{assignment.name}.py defines none of the functions that are graded. Is it the right file?"]
