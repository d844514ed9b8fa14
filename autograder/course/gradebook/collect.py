"""Collect submissions out of nbgrader's exchange: owners checked, no link followed, sizes limited.

nbgrader's own ``collect`` follows symbolic links with the instructor's rights, and only warns when a folder named for one
student belongs to another.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.course.files import FOLDER, SubmissionError, open_folder, read_bytes
from autograder.report.text import file_name, quoted

#: ``alice+rnn+2026-11-25 09:00:00.000000 UTC`` with an optional random part; a user name may hold ``+``.
_ENTRY = re.compile(r"(?P<user>.+)\+(?P<assignment>[^+]+)\+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? ?\S*?)(?:\+(?P<random>[\w-]+))?")

#: Files of one submission that are looked at.
MOST_FILES = 50

#: What is taken over: the work itself, and nbgrader's time stamp.
TAKEN = (".py", ".ipynb")
STAMP = "timestamp.txt"


@dataclass(frozen=True)
class Collected:
    """What came of one submission: its student, and why it was left out, if it was."""

    student: str
    problem: str = ""
    notes: tuple[str, ...] = ()


def collect(inbound: Path, submitted: Path, assignment: str, owner: Callable[[int], str] | None = None) -> Iterator[Collected]:
    """Copy the latest submission of every student.

    Parameters
    ----------
    inbound : Path
        The exchange's folder, ``EXCHANGE/COURSE/inbound``.
    submitted : Path
        The course's folder of submissions; a newer submission replaces an older one there.
    assignment : str
    owner : callable
        ``owner(uid) -> user name``; by default the system's. A folder that its student does not own is left out.

    Raises
    ------
    SubmissionError
        The exchange cannot be read.
    """
    try:
        top = os.open(inbound, FOLDER)
    except OSError as error:
        raise SubmissionError(f"{quoted(str(inbound))} cannot be read: {error.strerror}.") from None
    try:
        for student, name in sorted(_latest(top, assignment).items()):
            yield _collected(top, name, student, submitted / student / assignment, owner or _system_owner)
    finally:
        os.close(top)


def _latest(top, assignment) -> dict[str, str]:
    """Return student -> name of the last folder handed in; the time in the name sorts as text."""
    found: dict[str, tuple[str, str]] = {}
    for name in os.listdir(top):
        match = _ENTRY.fullmatch(name)
        if match and match["assignment"] == assignment and file_name(match["user"]) == match["user"]:
            found[match["user"]] = max(found.get(match["user"], ("", "")), (match["time"], name))
    return {student: name for student, (_, name) in found.items()}


def _system_owner(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _collected(top, name, student, target, owner) -> Collected:
    try:
        with open_folder(top, name) as folder:
            owned = owner(os.fstat(folder).st_uid)
            if owned != student:
                raise SubmissionError(f"The submission in the name of {quoted(student)} belongs to {quoted(owned)}; it was left out.")
            files, notes = _files(folder)
    except SubmissionError as error:
        return Collected(student, str(error))
    _replace(target, files)
    return Collected(student, notes=tuple(notes))


def _files(folder) -> tuple[dict[str, bytes], list[str]]:
    """Return name -> content of the regular files on the top level; what else there is becomes a note."""
    names = sorted(os.listdir(folder))
    if len(names) > MOST_FILES:
        raise SubmissionError(f"It holds {len(names)} files; more than {MOST_FILES} are not looked at.")
    files, notes = {}, []
    for name in names:
        if name != STAMP and not name.endswith(TAKEN):
            continue
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        try:
            if not stat.S_ISREG(about.st_mode) or file_name(name) != name:
                raise SubmissionError(f"{quoted(name)} is no ordinary file.")
            if about.st_uid != os.fstat(folder).st_uid:  # a second name for somebody else's file
                raise SubmissionError(f"{quoted(name)} belongs to somebody else.")
            files[name] = _stamp(folder) if name == STAMP else read_bytes(folder, name)
        except SubmissionError as error:
            notes.append(f"{error} It was left out.")
    return files, notes


def _stamp(folder) -> bytes:
    fd = os.open(STAMP, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        return os.read(fd, 200)
    finally:
        os.close(fd)


def _replace(target, files):
    """Put the files where the old ones were; a kill in between leaves the old or the new ones."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    for rest in (fresh, old):
        shutil.rmtree(rest, ignore_errors=True)
    fresh.mkdir()
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    if target.exists():
        os.replace(target, old)
    os.replace(fresh, target)
    shutil.rmtree(old, ignore_errors=True)
