"""Collect submissions out of nbgrader's exchange: owners checked, no link followed, sizes limited.

nbgrader's own ``collect`` follows symbolic links with the instructor's rights, and only warns when a folder named for one
student belongs to another.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.course.files import SubmissionError, open_folder, open_top, read_bytes
from autograder.report.text import file_name, quoted

#: ``alice+rnn+2026-11-25 09:00:00.000000 UTC`` with an optional random part; a user name may hold ``+``.
_ENTRY = re.compile(r"(?P<user>.+)\+(?P<assignment>[^+]+)\+(?P<time>(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)(?: [\w/]+)?)(?:\+(?P<random>[\w-]+))?")

#: Files of one submission that are looked at.
MOST_FILES = 50

#: What is taken over: the work itself, and the word by which nbgrader gives feedback back to the right student.
TAKEN = (".py", ".ipynb")
STAMP, SECRET = "timestamp.txt", "submission_secret.txt"

#: Seconds that a submission may be younger than its name says; nbgrader writes both in the same moment.
LEEWAY = 600


@dataclass(frozen=True)
class Wanted:
    """Which submissions to collect.

    Parameters
    ----------
    student : str
        Only this one's; of everybody by default.
    update : bool
        Replace what was collected before by something newer.
    due : datetime in UTC
        Take the last one before this time, where there is one.
    check_owner : bool
        Leave out a folder that its student does not own. Switch it off only where all files have one owner anyway.
    """

    student: str = ""
    update: bool = True
    due: dt.datetime | None = None
    check_owner: bool = True


@dataclass(frozen=True)
class Collected:
    """What came of one student's submissions: why nothing was taken, if so, and what else should be known."""

    student: str
    problem: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, order=True)
class _Entry:
    """One folder in the exchange."""

    at: dt.datetime
    name: str
    time: str


def collect(inbound: Path, submitted: Path, assignment: str, wanted: Wanted | None = None, owner: Callable[[int], str] | None = None) -> Iterator[Collected]:
    """Copy the latest submission of every student.

    Parameters
    ----------
    inbound : Path
        The exchange's folder, ``EXCHANGE/COURSE/inbound``.
    submitted : Path
        The course's folder of submissions.
    assignment : str
    wanted : Wanted
    owner : callable
        ``owner(uid) -> user name``; by default the system's.

    Raises
    ------
    SubmissionError
        The exchange cannot be read.
    """
    wanted = wanted or Wanted()
    with open_top(inbound) as top:
        for student, entries in sorted(_entries(top, assignment).items()):
            if wanted.student in ("", student):
                yield _collected(top, student, _ordered(entries, wanted.due), submitted / student / assignment, wanted, owner or _system_owner)


def _entries(top, assignment) -> dict[str, list[_Entry]]:
    """Return student -> what was handed in under this name."""
    found = defaultdict(list)
    for name in os.listdir(top):
        match = _ENTRY.fullmatch(name)
        if match and match["assignment"] == assignment and file_name(match["user"]) == match["user"]:
            at = _time(match["at"])
            if at:
                found[match["user"]].append(_Entry(at, name, match["time"]))
    return found


def _time(text) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None


def _ordered(entries, due) -> list[_Entry]:
    """Return the one to take first, then those that stand in where it turns out to be somebody else's."""
    latest = sorted(entries, reverse=True)
    in_time = [entry for entry in latest if due and entry.at <= due]
    return in_time + [entry for entry in latest if entry not in in_time]


def _system_owner(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _collected(top, student, entries, target, wanted, owner) -> Collected:
    notes = []
    for entry in entries:
        try:
            with open_folder(top, entry.name) as folder:
                if wanted.check_owner and (owned := owner(os.fstat(folder).st_uid)) != student:
                    # Named for one, handed in by another: it must not hide what the student really handed in.
                    notes.append(f"{quoted(entry.name)} belongs to {quoted(owned)}; it was left out.")
                    continue
                return _taken(folder, student, entry, target, wanted, notes)
        except SubmissionError as error:
            return Collected(student, str(error), tuple(notes))
    return Collected(student, "Nothing was collected.", tuple(notes))


def _taken(folder, student, entry, target, wanted, notes) -> Collected:
    if target.is_dir() and (reason := _keeps(target, entry, wanted)):
        return Collected(student, notes=(reason, *notes))
    about = os.fstat(folder)
    if about.st_ctime - entry.at.replace(tzinfo=dt.UTC).timestamp() > LEEWAY and entry.time.endswith("UTC"):
        changed = dt.datetime.fromtimestamp(about.st_ctime, dt.UTC)
        notes.append(f"Its name says {entry.time}, but it was last changed at {changed:%Y-%m-%d %H:%M} UTC.")
    files = _files(folder, about.st_uid, notes)
    _replace(target, {**files, STAMP: entry.time.encode()})
    return Collected(student, notes=tuple(notes))


def _keeps(target, entry, wanted) -> str:
    """Say why what was collected before stays."""
    try:
        before = (target / STAMP).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        before = ""
    if before == entry.time:
        return "This one was collected before."
    return "" if wanted.update or wanted.due else "Another one was collected before; --update takes this one."


def _files(folder, uid, notes) -> dict[str, bytes]:
    """Return name -> content of the regular files on the top level; what else there is becomes a note."""
    names = sorted(os.listdir(folder))
    if len(names) > MOST_FILES:
        raise SubmissionError(f"It holds {len(names)} files; more than {MOST_FILES} are not looked at.")
    files = {}
    for name in names:
        if name != SECRET and not name.endswith(TAKEN):
            continue
        try:
            about = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(about.st_mode) or file_name(name) != name:
                raise SubmissionError(f"{quoted(name)} is no ordinary file.")
            if about.st_uid != uid:  # a second name for somebody else's file
                raise SubmissionError(f"{quoted(name)} belongs to somebody else.")
            files[name] = read_bytes(folder, name, 1000 if name == SECRET else None)
        except SubmissionError as error:
            notes.append(f"{error} It was left out.")
    return files


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
