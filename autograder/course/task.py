"""The worker's side of a class run: one process, one grader, one submission after the other, results as JSON."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autograder.cases import store
from autograder.course import results
from autograder.course.rescue import rescued
from autograder.course.submissions import Submission
from autograder.exercises import load as load_assignment


@dataclass(frozen=True)
class Setting:
    """What all tasks of a run share.

    Parameters
    ----------
    bank : Path
    isolation : mapping
        What was observed of the sandbox.
    opener : callable
        ``opener(bank)``: a context manager that gives something with ``grade(files) -> Graded``.
    parent : int
        The process to end with.
    """

    bank: Path
    isolation: Mapping
    opener: Callable
    parent: int = 0


class Worker:
    """Grades submissions with one grader, and with a new one after a fault."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self.bank = store.load(setting.bank)
        self.assignment = load_assignment(self.bank.assignment)
        self._stack = contextlib.ExitStack()
        self._grader = None

    def grade(self, submission: Submission) -> dict:
        """Return the result as plain data."""
        try:
            if self._grader is None:
                self._grader = self._stack.enter_context(self.setting.opener(self.bank))
            graded = self._grader.grade(dict(submission.files))
            if not graded.loaded:
                graded = rescued(submission, self.assignment, graded, self._grader.grade)
        except BaseException:
            self.close()
            raise
        return results.judged(submission, graded, self.assignment, self.bank.sha256, self.setting.isolation).to_json()

    def close(self) -> None:
        """End the grader; a fault while doing so says nothing about a submission."""
        self._grader = None
        with contextlib.suppress(Exception):
            self._stack.close()


_worker: Worker | None = None
_setting: Setting | None = None


def begin(setting: Setting) -> None:
    """Prepare a process of the pool. The grader is opened with the first task, where a fault can be reported."""
    global _setting
    _setting = setting
    # Ctrl-C goes to the whole group of processes; only the parent is to decide what it means. It was blocked while this one started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if setting.parent:
        threading.Thread(target=_end_with, args=(setting.parent,), daemon=True).start()


def grade(submission: Submission) -> dict:
    """Grade one submission in a process that was begun."""
    global _worker
    if _worker is None:
        _worker = Worker(_setting)
    return _worker.grade(submission)


def _end_with(parent: int) -> None:
    """A parent that is killed cannot say goodbye."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
