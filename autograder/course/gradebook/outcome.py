"""The result of one submission: from the journal where the class has been graded already, else made on the spot."""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from pathlib import Path

from autograder import paths
from autograder.cases import store
from autograder.course import isolation, results, submissions, task
from autograder.course.engine import engine
from autograder.course.grading import open_grader
from autograder.course.journal import Journal, JournalError, known
from autograder.course.journal import task as address
from autograder.exercises import load as load_assignment

#: Where a course keeps its results: ``handgrad grade submitted --assignment X --out graded/X``.
FOLDER = "graded"

#: Seconds to wait for another process that writes to the journal; it writes one row at a time.
PATIENCE_S = 10.0


class Outcomes:
    """Results of one assignment of one course.

    Parameters
    ----------
    course : Path
        nbgrader's course folder.
    assignment : str
    banks : Path
        Folder with private banks, ``X.bank.npz``; the public one is used where there is none.
    level : str
        The isolation that is required.
    """

    def __init__(self, course: Path, assignment: str, banks: Path, level: str = "filtered"):
        self.assignment = load_assignment(assignment)
        self.submitted = course / "submitted"
        self.out = course / FOLDER / assignment
        self.bank_path = bank_path(banks, assignment)
        self.bank = store.load(self.bank_path)
        self.level = level
        self._worker: task.Worker | None = None

    def get(self, student: str) -> dict:
        """Return a student's result as plain data."""
        submission = submissions.of_student(self.submitted, student, self.assignment)
        if submission.problem:
            return results.ungradable(submission, self.assignment, self.bank.sha256).to_json()
        key = address(self.assignment.name, submission.sha256, self.bank.sha256, engine())
        found = known(self.out, submission.student, key)
        if found is None or not results.is_isolated(found, self.level):
            found = self._grade(submission)
            self._add(found)
        return found

    def _add(self, result) -> None:
        """Write a result down as soon as nobody else is writing; if that takes too long, a later pass judges it again."""
        self.out.mkdir(parents=True, exist_ok=True)
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            with contextlib.suppress(JournalError), Journal(self.out) as journal:
                journal.add(result)
                return
            time.sleep(0.05)

    def _grade(self, submission) -> dict:
        if self._worker is None:
            setting = task.Setting(self.bank_path, isolation.required(self.level), open_grader, os.getpid())
            self._worker = task.Worker(setting)
            atexit.register(self.close)
        return self._worker.grade(submission)

    def close(self) -> None:
        """End the grader, if there is one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def bank_path(banks: Path, assignment: str) -> Path:
    """Return the bank that grades an assignment."""
    private = banks / f"{assignment}.bank.npz"
    path = private if private.is_file() else paths.public_bank(assignment)
    if path is None:
        raise store.BankError(f"there is no example bank of {assignment}. Build one: handgrad bank build {assignment} --out {private}")
    return path
