"""A script that cannot be loaded as it is: an import of something else, a forgotten experiment at the end.

Its functions may be right all the same. What they need is taken out of it, as it is from a notebook, and judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from autograder.course.notebook import NotebookError, extract_script
from autograder.course.submissions import Submission
from autograder.judge.submission import Graded
from autograder.spec import Assignment

NOTE = "What the graded functions need was taken out of it and judged."
_LINE = re.compile(r"\(line (\d+)\)")


def rescued(submission: Submission, assignment: Assignment, failed: Graded, grade: Callable) -> Graded:
    """Return what comes of the graded functions alone, or ``failed`` where they cannot be loaded either.

    Parameters
    ----------
    failed : Graded
        What came of the whole.
    grade : callable
        ``grade(files) -> Graded``.
    """
    name = assignment.name
    if name in submission.cells:  # it came from a notebook, and has been cut down already
        return failed
    try:
        cut = extract_script(submission.files[name], [exercise.function for exercise in assignment.everything])
    except NotebookError:
        return failed
    if cut.notes or not cut.source.strip():
        return failed
    graded = grade({**submission.files, name: cut.source})
    if not graded.loaded:
        return failed

    def back(text: str) -> str:
        return _LINE.sub(lambda match: f"(line {cut.lines[int(match[1]) - 1][1]})" if 0 < int(match[1]) <= len(cut.lines) else match[0], text)

    functions = [replace(entry, checks=tuple(replace(check, sentence=back(check.sentence)) for check in entry.checks)) for entry in graded.functions]
    return replace(graded, functions=functions, messages=[*failed.messages, NOTE, *graded.messages])
