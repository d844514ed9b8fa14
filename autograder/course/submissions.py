"""Find the submissions in a folder. Nothing in it is trusted: names, links, sizes and contents come from students.

Two layouts are understood, also mixed::

    SUBMISSIONS/STUDENT/rnn.py          or rnn.ipynb, or in a sub-folder rnn/ as nbgrader's ``submitted`` has it
    SUBMISSIONS/STUDENT.py              or STUDENT.ipynb
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autograder.course.cells import NotebookError
from autograder.course.files import CAPS, FOLDER, SubmissionError, decoded, exists, open_folder, read_bytes, script_text
from autograder.course.notebook import extract, where
from autograder.report.text import listed, quoted, shown
from autograder.spec import Assignment

#: More entries than this are no class.
MOST_ENTRIES = 20_000

#: Characters of the longest name, each written as an escape: no two names become one by being cut.
LONGEST = 10 * 255

#: Folders that tools leave behind.
SKIPPED = {"__pycache__", "lost+found"}

_LINE = re.compile(r"\(line (\d+)\)")


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    Parameters
    ----------
    student : str
        The name of the folder or file, with control characters written as escapes.
    files : mapping of str to str
        Module name -> source; the assignment's own module is the last. Empty where there is a problem.
    problem : str
        Why it cannot be graded, in one line; empty when it can.
    missing : bool
        The problem is that nothing was handed in.
    notes : tuple of str
        What the student should know and what costs nothing by itself.
    sha256 : str
        Of the bytes handed in; of one file it is what ``sha256sum`` says.
    cells : mapping of str to list
        For a module made from a notebook: for each of its lines the cell and the line in it.
    """

    student: str
    files: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    missing: bool = False
    notes: tuple[str, ...] = ()
    sha256: str = ""
    cells: Mapping[str, list[tuple[int, int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """The submissions of a folder, by student, and the names of entries that are none."""

    submissions: list[Submission]
    ignored: list[str]


class _Missing(SubmissionError):
    """There is no file of the right name."""


@dataclass(frozen=True)
class _Module:
    """One file read."""

    source: str
    sha256: str
    notes: tuple[str, ...] = ()
    cells: list | None = None


def find(folder: Path, assignment: Assignment) -> Found:
    """Return everything that students handed in, ungradable submissions included.

    Raises
    ------
    SubmissionError
        The folder cannot be read, or holds nothing that looks like a submission.
    """
    entries, ignored = {}, []
    for name in _listing(folder):
        if (student := _student(folder, name, assignment)) is None:
            ignored.append(shown(name))
        else:
            entries.setdefault(student.lower(), []).append((student, name))
    if not entries:
        raise SubmissionError(_nothing(folder, assignment))
    top = os.open(folder, FOLDER & ~getattr(os, "O_NOFOLLOW", 0))
    try:
        found = [_submission(top, names, assignment) for _, names in sorted(entries.items())]
    finally:
        os.close(top)
    return Found(found, [name for name in ignored if not name.startswith(".")])


def of_student(folder: Path, name: str, assignment: Assignment) -> Submission:
    """Return what one student handed in: the entry ``name`` of a folder of submissions.

    Raises
    ------
    SubmissionError
        The folder cannot be read.
    """
    try:
        top = os.open(folder, FOLDER & ~getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise SubmissionError(f"{quoted(str(folder))} cannot be read: {error.strerror}.") from None
    try:
        return _submission(top, [(_normal(name), name)], assignment)
    finally:
        os.close(top)


def read(path: Path, assignment: Assignment) -> Submission:
    """Return the one file that a student names for a check of their own; links are followed, it is their own machine.

    Raises
    ------
    SubmissionError
        It cannot be graded.
    """
    if path.suffix not in CAPS:
        raise SubmissionError(f"{quoted(path.name)} is neither a .py nor an .ipynb file.")
    path = path.resolve()
    beside = {name: path.with_name(name + suffix) for name in assignment.requires for suffix in CAPS if path.with_name(name + suffix).is_file()}
    modules = {name: _read(None, str(beside[name]), assignment) for name in assignment.requires if name in beside}
    return _whole("", {**modules, assignment.name: _read(None, str(path), assignment)})


def in_cells(submission: Submission, module: str) -> Callable[[str], str]:
    """Return a function that says cell and line, in place of the line, in what is said about a module made from a notebook."""
    if module not in submission.cells:
        return lambda text: text
    lines = submission.cells[module]
    return lambda text: _LINE.sub(lambda match: f"({where(lines, int(match[1]))})", text)


# -------------------------------------------------------------------------------------------------- the class


def _listing(folder):
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(MOST_ENTRIES + 1), strict=False)]
    except FileNotFoundError:
        raise SubmissionError(f"There is no folder {quoted(str(folder))}.") from None
    except NotADirectoryError:
        raise SubmissionError(f"{quoted(str(folder))} is a file. Name the folder that holds the submissions.") from None
    except OSError as error:
        raise SubmissionError(f"{quoted(str(folder))} cannot be read: {error.strerror}.") from None
    if len(names) > MOST_ENTRIES:
        raise SubmissionError(f"{quoted(str(folder))} has more than {MOST_ENTRIES} entries. Is this the folder of submissions?")
    return sorted(names)


def _student(folder, name, assignment) -> str | None:
    """Return the student an entry belongs to, or None when it is no submission."""
    if name.startswith(".") or name in SKIPPED:
        return None
    stem, suffix = os.path.splitext(name)
    try:
        mode = os.lstat(os.path.join(folder, name)).st_mode
    except FileNotFoundError:
        return None  # somebody has just removed it
    except OSError as error:
        raise SubmissionError(f"{quoted(str(folder))} cannot be read: {error.strerror}.") from None
    if suffix in CAPS:
        # A file rnn.py here means that this is the folder of one student.
        own = stem in (assignment.name, *assignment.requires) and not stat.S_ISDIR(mode)
        return None if own or stat.S_ISDIR(mode) else _normal(stem)
    return _normal(name) if stat.S_ISDIR(mode) or stat.S_ISLNK(mode) else None


def _normal(name):
    """Two spellings of one name that look alike are one student."""
    return shown(unicodedata.normalize("NFC", name), LONGEST) or "(no name)"


def _nothing(folder, assignment):
    own = [assignment.name + suffix for suffix in CAPS if os.path.lexists(os.path.join(folder, assignment.name + suffix))]
    if own:
        return f"{quoted(str(folder))} holds {own[0]} itself. Name the folder above it, which has one folder per student."
    return f"{quoted(str(folder))} holds no submissions: one folder per student with {assignment.name}.py or {assignment.name}.ipynb in it, or one STUDENT.py or STUDENT.ipynb each."


def _submission(top, entries, assignment) -> Submission:
    student = entries[0][0]
    try:
        if len(entries) > 1:
            raise SubmissionError(f"There are {len(entries)} submissions of this student: {listed(name for _, name in entries)}. Keep one.")
        name = entries[0][1]
        if os.path.splitext(name)[1] in CAPS:
            return _whole(student, {assignment.name: _read(top, name, assignment)})
        with open_folder(top, name) as own:
            return _from_folder(student, own, assignment)
    except SubmissionError as error:
        return Submission(student, problem=str(error), missing=isinstance(error, _Missing))


def _from_folder(student, own, assignment) -> Submission:
    with contextlib.ExitStack() as stack:
        places = {"": own}
        for name in (assignment.name, *assignment.requires):
            if (place := _subfolder(stack, own, name)) is not None:
                places[name] = place
        main_places = {path: places[path] for path in ("", assignment.name) if path in places}
        place, name = _only(main_places, assignment.name, own)
        modules, notes = {}, set()
        for required in assignment.requires:
            near = [places[p] for p in dict.fromkeys((place, assignment.name, "", required)) if p in places]
            if module := _beside(near, required, assignment, notes):
                modules[required] = module
        modules[assignment.name] = _read(places[place], name, assignment)
        return _whole(student, modules, notes)


def _subfolder(stack, own, name):
    """Return an open sub-folder, or None when there is none of this name."""
    try:
        mode = os.lstat(name, dir_fd=own).st_mode if os.lstat in os.supports_dir_fd else os.stat(name, dir_fd=own, follow_symlinks=False).st_mode
    except OSError:
        return None
    if not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
        return None
    return stack.enter_context(open_folder(own, name))


def _only(places, module, own) -> tuple[str, str]:
    """Return the one place and name of the main file."""
    candidates = [(place, module + suffix) for place, fd in places.items() for suffix in CAPS if exists(fd, module + suffix)]
    if not candidates:
        raise _Missing(_no_file(own, module))
    if len(candidates) > 1:
        names = listed("/".join(filter(None, pair)) for pair in candidates)
        raise SubmissionError(f"There are {len(candidates)} files, {names}, and only one can be graded. Keep one.")
    return candidates[0]


def _no_file(own, module):
    """Say that the file is missing, and which other file may have been meant."""
    with os.scandir(own) as entries:
        names = [entry.name for entry, _ in zip(entries, range(1000), strict=False)]
    other = sorted(name for name in names if os.path.splitext(name)[1].lower() in CAPS and not name.startswith(".") and os.path.splitext(name)[0] != module)
    hint = f" There is {listed(other[:3])}: was that meant? Then rename it." if other else ""
    return f"There is no {module}.py and no {module}.ipynb.{hint}"


def _beside(places, module, assignment, notes) -> _Module | None:
    """Return a required module from the nearest place that has it; trouble with it is a note, since the grader serves what is missing."""
    for place in places:
        names = [module + suffix for suffix in CAPS if exists(place, module + suffix)]
        if not names:
            continue
        try:
            if len(names) > 1:
                raise SubmissionError(f"There are {listed(names)}, and only one can be used.")
            return _read(place, names[0], assignment)
        except SubmissionError as error:
            notes.add(f"{error} It was left out.")
            return None
    return None


def _whole(student, modules: Mapping[str, _Module], notes=()) -> Submission:
    digests = sorted((name, module.sha256) for name, module in modules.items())
    sha = digests[0][1] if len(digests) == 1 else hashlib.sha256(repr(digests).encode()).hexdigest()
    notes = (*sorted(notes), *(note for module in modules.values() for note in module.notes))
    cells = {name: module.cells for name, module in modules.items() if module.cells is not None}
    return Submission(student, {name: module.source for name, module in modules.items()}, notes=notes, sha256=sha, cells=cells)


def _read(folder: int | None, name: str, assignment: Assignment) -> _Module:
    """Return one file as a module's source."""
    raw = read_bytes(folder, name)
    digest = hashlib.sha256(raw).hexdigest()
    if name.endswith(".py"):
        return _Module(script_text(raw, name), digest)
    functions = [e.function for e in assignment.everything]
    try:
        notebook = extract(decoded(raw, name), functions, name=os.path.basename(name))
    except NotebookError as error:
        raise SubmissionError(str(error)) from None
    return _Module(notebook.source, digest, notebook.notes, notebook.lines)
