"""A class run: all submissions of a folder, graded by local processes, interrupted at any time and resumed."""

from __future__ import annotations

import errno
import os
import queue
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from autograder.cases import store
from autograder.course import cluster, results, submissions, task
from autograder.course.engine import engine
from autograder.course.journal import Journal
from autograder.course.journal import task as address
from autograder.course.submissions import Submission
from autograder.exercises import load as load_assignment
from autograder.judge.verdicts import PASSED
from autograder.report import csvfile, jsonfile
from autograder.report.text import file_name, listed, sentence_of

#: A task that a worker has not finished after this many seconds has hung: far more than any budget.
HUNG_S = 1800.0

#: A fault of the kit may be a passing one; a second one is not.
TRIES = 2


class RunError(Exception):
    """The run cannot go on; the message says why and what to do."""


class OrderError(RunError):
    """What is asked for makes no sense."""


@dataclass(frozen=True)
class Order:
    """What is to be graded, and how.

    Parameters
    ----------
    folder : Path
        The submissions.
    assignment : str
    bank : Path
    out : Path
        Where results go; made if it is not there.
    jobs : int
        Number of processes.
    force : bool
        Grade again what is done.
    functions : tuple of str
        With ``force``: only submissions in which one of these entries has not passed. A submission is graded as a whole, since
        its functions use one another.
    students : tuple of str
        Only these; nothing means all.
    scheduler, level : str
        A dask scheduler whose workers do the grading, and the isolation that is required of everything, what is done included.
    """

    folder: Path
    assignment: str
    bank: Path
    out: Path
    jobs: int = 1
    force: bool = False
    students: tuple[str, ...] = ()
    scheduler: str = ""
    level: str = "filtered"
    functions: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What came of a run.

    Parameters
    ----------
    results : list of dict
        One per student, by name.
    reused : int
        How many were done before.
    ignored : list of str
        Entries of the folder that are no submissions.
    notes : list of str
        What the instructor should know.
    """

    results: list[dict] = field(default_factory=list)
    reused: int = 0
    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all graded; 3 something could not be read; 4 the kit failed on something."""
        if any(result["score"] is None for result in self.results):
            return 4
        return 3 if any(map(results.is_ungradable, self.results)) else 0


class Silent:
    """Shows nothing; what a display has to offer."""

    def begin(self, total: int) -> None:
        """So many submissions are to be looked at."""

    def student(self, result: Mapping) -> None:
        """One more is done."""


def run(order: Order, opener: Callable, isolation: Callable[[], Mapping], display=None) -> Outcome:
    """Grade a class.

    Parameters
    ----------
    opener : callable
        ``opener(bank)``: a context manager that gives a grader; picklable, since every process opens its own.
    isolation : callable
        Returns what is observed of the sandbox, or raises; called only when there is something to run.
    display : Silent

    Raises
    ------
    SubmissionError, BankError, JournalError, RunError
        Nothing, or not everything, could be graded; the message says what to do.

    Notes
    -----
    After KeyboardInterrupt, as after any kill, the same call goes on where this one stopped.
    """
    assignment = load_assignment(order.assignment)
    bank = store.load(order.bank)
    if bank.assignment != assignment.name:
        raise OrderError(f"{order.bank} is a bank of {bank.assignment}, not of {assignment.name}. Choose another --bank.")
    _check_functions(order, assignment)
    found = submissions.find(order.folder, assignment)
    with _writable(order) as folder, Journal(order.out) as journal:
        class_run = _Run(order, assignment, bank, journal, folder, display or Silent())
        outcome = class_run.whole(found.submissions, opener, isolation)
        outcome.ignored = found.ignored
        csvfile.write(order.out / "grades.csv", [name for name, _ in assignment.points_table()], outcome.results)
        return outcome


def _check_functions(order, assignment):
    names = [name for name, _ in assignment.points_table()]
    if unknown := sorted(set(order.functions) - set(names)):
        raise OrderError(f"{assignment.name} has no {', '.join(unknown)}. There are: {', '.join(names)}.")
    if order.functions and not order.force:
        raise OrderError("--function says what to grade again: use it with --force.")


@contextmanager
def _writable(order) -> Iterator[Path]:
    """Make the output folder; say a full disk or a folder without permission in one line."""
    if order.out.resolve().is_relative_to(order.folder.resolve()):
        raise OrderError(f"--out {order.out} lies among the submissions, and would be taken for one. Choose a folder outside {order.folder}.")
    try:
        results_folder = order.out / "results"
        results_folder.mkdir(parents=True, exist_ok=True)
        jsonfile.remove_unfinished(results_folder)
        jsonfile.remove_unfinished(order.out)
        yield results_folder
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"The disk of {order.out} is full. Make room and run the same command again: what is done is kept.") from None
        if error.filename is None or not str(error.filename).startswith(str(order.out)):
            raise
        raise RunError(f"{error.filename} cannot be written: {error.strerror}. Mend that and run the same command again: what is done is kept.") from None


class _Run:
    """One run in the making."""

    def __init__(self, order, assignment, bank, journal, folder, display):
        self.order, self.assignment, self.bank, self.journal, self.folder, self.display = order, assignment, bank, journal, folder, display
        self.outcome = Outcome(notes=[journal.trouble] if journal.trouble else [])
        self.earlier: list[str] = []

    def whole(self, found: list[Submission], opener, isolation) -> Outcome:
        """Grade what is not done, and return all results."""
        chosen = self._chosen(found)
        self.display.begin(len(found))
        todo = [submission for submission in found if not self._settled(submission, submission.student in chosen)]
        self.display.begin(len(self.outcome.results) + len(todo))
        if todo:
            for submission, result, why in self._graded(todo, opener, isolation):
                self._finished(submission, result, why)
        self.outcome.results.sort(key=lambda result: result["student"])
        self._say_earlier()
        if not self.order.students:
            self._put_away()
        return self.outcome

    def _graded(self, todo, opener, isolation):
        if self.order.scheduler:
            return cluster.graded(todo, self.order.bank, self.order.level, self.order.scheduler)
        setting = task.Setting(self.order.bank, isolation(), opener, os.getpid())
        return graded(todo, setting, min(self.order.jobs, len(todo)))

    def _chosen(self, found):
        students = set(self.order.students)
        if unknown := students - {submission.student for submission in found}:
            raise OrderError(f"There is no submission of {', '.join(sorted(unknown))}.")
        return students or {submission.student for submission in found}

    def _settled(self, submission, chosen) -> bool:
        """Tell whether nothing has to be run: it is done, or not asked for, or there is nothing to run."""
        if submission.problem:
            self._keep(results.ungradable(submission, self.assignment, self.bank.sha256).to_json())
            return True
        done = self.journal.get(submission.student, address(self.assignment.name, submission.sha256, self.bank.sha256, engine()))
        if chosen and not (done and self._is_enough(done)):
            return False
        if done:
            self.outcome.reused += 1
            self._keep(done)
        else:
            self._keep_earlier(submission.student)
        return True

    def _is_enough(self, result) -> bool:
        """Tell whether a result need not be made again: it was run behind the walls that are required, and no --force is about it."""
        return results.is_isolated(result, self.order.level) and (not self.order.force or self._is_fine(result))

    def _is_fine(self, result) -> bool:
        """Tell whether the functions that were named, if any were, have passed."""
        named = [entry for entry in result["functions"] if entry["name"] in self.order.functions]
        return bool(named) and all(entry["verdict"] == PASSED for entry in named)

    def _keep_earlier(self, student):
        """Who was left out by --student stays in the table with the last result that there is."""
        with suppress(jsonfile.ResultError):
            result = jsonfile.load(self.folder / f"{file_name(student)}.json")
            if (result["student"], result["assignment"]) == (student, self.assignment.name):
                self.earlier.append(student)
                self._keep(result)

    def _say_earlier(self):
        if self.earlier:
            names = listed(self.earlier[:5]) + (f" and {len(self.earlier) - 5} more" if len(self.earlier) > 5 else "")
            self.outcome.notes.append(
                f"--student leaves out {names}, of whom the table has an earlier result: what they handed in, the bank or the kit has changed since."
            )

    def _put_away(self):
        """What is in results/ is exported: the results of students who are not in the folder of submissions any more do not stay there."""
        current = {f"{file_name(result['student'])}.json" for result in self.outcome.results}
        gone = [path for path in sorted(self.folder.glob("*.json")) if path.name not in current]
        if gone:
            aside = self.order.out / "earlier"
            aside.mkdir(exist_ok=True)
            for path in gone:
                os.replace(path, aside / path.name)
            names = ", ".join(path.name for path in gone[:5]) + (" ..." if len(gone) > 5 else "")
            self.outcome.notes.append(f"Of {len(gone)} results there is no submission any more; they are in {aside} now: {names}.")

    def _finished(self, submission, result, why):
        if result is None:
            with open(self.order.out / "faults.log", "a", encoding="utf-8") as file:
                file.write(f"--- {submission.student}\n{why}\n")
            result = results.undecided(submission, self.assignment, self.bank.sha256, sentence_of(why.strip().splitlines()[-1], 200)).to_json()
        else:
            self.journal.add(result)
        self._keep(result)

    def _keep(self, result):
        """Write the result file, unless it stands there already."""
        path = self.folder / f"{file_name(result['student'])}.json"
        text = jsonfile.dumps(result)
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            with jsonfile.atomic(path) as file:
                file.write(text)
        self.outcome.results.append(result)
        self.display.student(result)


def graded(todo: Iterable[Submission], setting: task.Setting, jobs: int) -> Iterator[tuple[Submission, dict | None, str]]:
    """Yield ``(submission, result, "")`` in the order in which they are done, or ``(submission, None, why)`` where the kit failed twice.

    A worker that dies takes only its own submission with it, and that is tried again.
    """
    import multiprocessing

    from pebble import ProcessPool

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes share the cores among themselves
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    done: queue.SimpleQueue = queue.SimpleQueue()
    pool = ProcessPool(jobs, initializer=task.begin, initargs=(setting,), context=multiprocessing.get_context("spawn"))

    def schedule(submission, tries):
        future = pool.schedule(task.grade, args=[submission], timeout=HUNG_S)
        future.add_done_callback(lambda future: done.put((submission, tries, future)))

    try:
        waiting = 0
        with _uninterrupted():  # the pool starts with its first task
            for submission in todo:
                schedule(submission, 1)
                waiting += 1
        while waiting:
            submission, tries, future = done.get()
            result, why = _outcome(future)
            if result is None and tries < TRIES:
                schedule(submission, tries + 1)
                continue
            waiting -= 1
            yield submission, result, why
        pool.close()
    finally:
        pool.stop()
        pool.join()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C goes to the whole group of processes; those that start here do not hear it, not even while they start."""
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else it is started later, and lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _outcome(future) -> tuple[dict | None, str]:
    try:
        return future.result(), ""
    except (Exception, CancelledError) as error:  # noqa: BLE001  whatever a job raised is that job's outcome
        return None, "".join(traceback.format_exception(error))
