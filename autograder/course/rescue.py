"""A script that cannot be loaded as it is: an import of something else, a forgotten experiment at the end.

Its functions may be right all the same. What they need is taken out of it, as it is from a notebook, and judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from autograder.course.cells import NotebookError
from autograder.course.notebook import extract_script
from autograder.course.submissions import Submission
from autograder.judge.submission import Graded
from autograder.spec import Assignment

NOTE = "What the graded functions need was taken out of it and judged."
_LINE = re.compile(r"\(line (\d+)\)")


@dataclass(frozen=True)
class Cut:
    """A submission whose script was cut down to what the graded functions need.

    Parameters
    ----------
    files : mapping of module name to source
    lines : list of int
        For each line of the cut script the line of the whole.
    """

    files: Mapping[str, str]
    lines: list[int]

    def back(self, text: str) -> str:
        """Return what is said about a line with its number in the whole script."""
        return _LINE.sub(lambda match: f"(line {self.lines[int(match[1]) - 1]})" if 0 < int(match[1]) <= len(self.lines) else match[0], text)


def cut(submission: Submission, assignment: Assignment) -> Cut | None:
    """Return what the graded functions need of a script, or None where nothing can be taken out of it."""
    name = assignment.name
    if name in submission.cells:  # it came from a notebook, and has been cut down already
        return None
    try:
        found = extract_script(submission.files[name], [exercise.function for exercise in assignment.everything])
    except NotebookError:
        return None
    if found.notes or not found.source.strip():
        return None
    return Cut({**submission.files, name: found.source}, [line for _, line in found.lines])


def rescued(submission: Submission, assignment: Assignment, failed: Graded, grade: Callable) -> Graded:
    """Return what comes of the graded functions alone, or ``failed`` where they cannot be loaded either.

    Parameters
    ----------
    failed : Graded
        What came of the whole.
    grade : callable
        ``grade(files) -> Graded``.
    """
    if (found := cut(submission, assignment)) is None:
        return failed
    graded = grade(found.files)
    if not graded.loaded:
        return failed
    functions = [entry.with_sentences(found.back) for entry in graded.functions]
    return replace(graded, functions=functions, messages=[*failed.messages, NOTE, *graded.messages])
