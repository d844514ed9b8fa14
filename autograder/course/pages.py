"""The pages of a class beside its results: ``index.html``, and ``pages/STUDENT.html`` for each student. Needs jinja2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from autograder import exercises, paths
from autograder.course import submissions
from autograder.report import jsonfile, pages
from autograder.report.similarity import Pair, similar
from autograder.report.text import file_name
from autograder.spec import Assignment

FOLDER, INDEX = "pages", "index.html"


class PageError(Exception):
    """Pages cannot be written; the message says why."""


def write(out: Path, found: Sequence[Mapping], handed_in: Path | None = None) -> Path:
    """Write the page of the class and one per student, each whole or not at all; return the path of the first.

    Parameters
    ----------
    out : Path
        Made if it is not there.
    found : sequence of mapping
        Results of one assignment, as plain data.
    handed_in : Path
        The folder of submissions, to say which look alike.

    Raises
    ------
    PageError
        A file cannot be written.
    """
    name = found[0]["assignment"] if found else ""
    declared = exercises.load(name) if name in exercises.names() else None
    pairs = alike(handed_in, declared) if handed_in and declared else None
    try:
        (out / FOLDER).mkdir(parents=True, exist_ok=True)
        jsonfile.remove_unfinished(out / FOLDER)
        for result in found:
            _write(out / FOLDER / f"{file_name(result['student'])}.html", pages.student_page(result))
        _write(out / INDEX, pages.class_page(found, pairs, declared.title if declared else ""))
    except OSError as error:
        raise PageError(f"the pages cannot be written: {error.filename or out}: {error.strerror}.") from None
    return out / INDEX


def _write(path, text):
    """What stands there already is not written again: a second run of a large class is quick."""
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
        with jsonfile.atomic(path) as file:
            file.write(text)


def alike(folder: Path, assignment: Assignment) -> list[Pair]:
    """Return the pairs of submissions in a folder that look alike.

    Raises
    ------
    SubmissionError
        The folder cannot be read.
    """
    found = submissions.find(folder, assignment).submissions
    sources = {submission.student: submission.files[assignment.name] for submission in found if not submission.problem}
    bank = paths.public_bank(assignment.name)
    stub = bank.with_name(f"{assignment.name}.py") if bank else None
    return similar(sources, stub.read_text(encoding="utf-8") if stub and stub.is_file() else "")
