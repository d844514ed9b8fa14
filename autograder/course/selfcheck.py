"""A student's own check: which file is meant, and what comes of it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder import exercises
from autograder.cases import store
from autograder.course.rescue import NOTE, cut
from autograder.course.submissions import SubmissionError, in_cells, read
from autograder.judge.loading import unloadable
from autograder.judge.selfcheck import check
from autograder.report.model import FunctionResult
from autograder.report.text import quoted
from autograder.sandbox.steps import Fault, LoadError
from autograder.spec import Assignment

SUFFIXES = (".py", ".ipynb")


class UsageError(ValueError):
    """It is not clear what to check; the message says how to say it."""


@dataclass(frozen=True)
class Target:
    """What is to be checked.

    Parameters
    ----------
    assignment : str
    path : Path
    remark : str
        Said before, where a choice was made.
    """

    assignment: str
    path: Path
    remark: str = ""


def target(assignment: str | None, file: Path | None, here: Path) -> Target:
    """Return what is meant by the words of a command.

    Raises
    ------
    UsageError
        That cannot be told.
    SubmissionError
        There is no file.
    """
    known = exercises.names()
    if assignment is None:
        assignment = _guess(known, here) if file is None else file.stem
        if assignment not in known:
            raise UsageError(f"say which assignment it is, for example: handgrad check {known[0]} --file {file}. There are: {', '.join(known)}.")
    if assignment not in known:
        raise UsageError(f"there is no assignment {assignment!r}. There are: {', '.join(known)}.")
    if file is not None:
        if not file.is_file():
            raise SubmissionError(f"there is no file {quoted(str(file))}.")
        return Target(assignment, file)
    found = _files(assignment, here)
    if not found:
        raise SubmissionError(f"there is no {assignment}.py or {assignment}.ipynb here. Go to its folder, or name it with --file.")
    newest = max(found, key=lambda path: path.stat().st_mtime)
    others = [path.name for path in found if path != newest]
    return Target(assignment, newest, f"Checking {newest.name}, which is newer than {others[0]}." if others else "")


def _guess(known, here) -> str:
    """Return the assignment whose file is here; one that another one here needs is not the one that is worked on."""
    found = [name for name in known if any((here / f"{name}{suffix}").is_file() for suffix in SUFFIXES)]
    if len(found) > 1:
        needed = {name for other in found for name in exercises.load(other).requires}
        found = [name for name in found if name not in needed]
    if len(found) != 1:
        what = f"here are files of {' and '.join(found)}" if found else "there is no file of an assignment here"
        raise UsageError(f"{what}. Say which one to check: handgrad check {found[0] if found else known[0]}. There are: {', '.join(known)}.")
    return found[0]


def _files(assignment, here) -> list[Path]:
    for folder in (here, here / assignment, here / "assignments" / assignment):
        if found := [path for suffix in SUFFIXES if (path := folder / f"{assignment}{suffix}").is_file()]:
            return found
    return []


def files(assignment: Assignment, path: Path) -> list[Path]:
    """Return all files that a check of ``path`` may read: it, and the modules that it requires, in either form."""
    return [path, *(path.with_name(name + suffix) for name in assignment.requires for suffix in SUFFIXES)]


def results(assignment: Assignment, path: Path, bank: Path, functions: tuple[str, ...] = ()) -> Iterator[FunctionResult | str]:
    """Return what there is to say before, as text, and the results of a file's functions, one after the other as they are ready.

    Raises
    ------
    UsageError
        A function is not one of the assignment's, or the bank is one of another assignment.
    SubmissionError
        The file cannot be read or loaded, and its functions alone cannot be either.
    """
    known = [e.function for e in (*assignment.exercises, *(e for part in assignment.bonus for e in part.exercises))]
    if unknown := [name for name in functions if name not in known]:
        raise UsageError(f"{assignment.name} has no function {unknown[0]!r}. It has: {', '.join(known)}.")
    examples = store.load(bank)
    if examples.assignment != assignment.name:
        raise UsageError(f"{bank} is a bank of {examples.assignment}, not of {assignment.name}.")
    submission = read(path, assignment)
    return _results(assignment, submission, examples, functions)


def _results(assignment, submission, bank, functions):
    """As in grading: where a script as a whole cannot be loaded, what the functions need is taken out of it."""
    yield from submission.notes
    trouble = yield from _checked(assignment, submission.files, bank, functions, in_cells(submission, assignment.name))
    if not trouble:
        return
    trouble = in_cells(submission, trouble.partition(".py ")[0])(trouble)
    found = cut(submission, assignment)
    if found is None or (yield from _checked(assignment, found.files, bank, functions, found.back, (trouble, NOTE))):
        raise SubmissionError(trouble)


def _checked(assignment, files, bank, functions, rewrite, before=()) -> Generator[FunctionResult | str, None, str]:
    """Yield what is to be said before, once there are results, and these; return why the files cannot be loaded, or ""."""
    try:
        for result in check(assignment, files, bank, functions):
            yield from before
            before = ()
            yield result.with_sentences(rewrite)
    except LoadError as error:
        return unloadable(error)
    except Fault as fault:
        return f"{assignment.name}.py could not be loaded: it {fault.detail}."
    return ""
