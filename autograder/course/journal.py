"""The journal of a class run: what is done, kept in SQLite. One process writes it; everything else is a view of it.

A task is (assignment, what was handed in, bank, engine), addressed by the hash of all four, so that what is done
is not done again, and what has changed is. Every row has a hash of its own: SQLite looks after its pages, not after what
is written in them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from autograder.report.jsonfile import ResultError, load, validate
from autograder.report.text import file_name

NAME = "journal.sqlite"
VERSION = 2

#: What SQLite says of a file that is no journal, or not any more. All else (no room, no permission) says nothing about the file.
BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_IOERR_SHORT_READ")

#: With less room than this on the disk, trouble is trouble of the disk.
ROOM = 64 << 10

_TABLE = """
CREATE TABLE IF NOT EXISTS done (
    student TEXT NOT NULL,
    task TEXT NOT NULL,
    result TEXT NOT NULL,
    digest TEXT NOT NULL,
    finished REAL NOT NULL,
    PRIMARY KEY (student, task)
) WITHOUT ROWID
"""


class JournalError(Exception):
    """The journal cannot be written; the message says what to do."""


class _Broken(sqlite3.DatabaseError):
    """This is no journal, or not any more."""


def task(assignment: str, submission_sha256: str, bank: str, engine: str) -> str:
    """Return the address of a task."""
    return hashlib.sha256("\0".join((assignment, submission_sha256, bank, engine)).encode()).hexdigest()


def task_of(result: Mapping) -> str:
    """Return the address of the task that a result is of."""
    return task(result["assignment"], result["submission_sha256"], result["bank"], result["engine"])


def known(folder: Path, student: str, address: str) -> dict | None:
    """Look into the journal of a folder without holding it; None where the task is not done, or the journal cannot be read."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(folder / NAME))}?mode=ro", uri=True, timeout=10)) as base:
            return _found(base, student, address)
    except sqlite3.Error:
        return None


class Journal:
    """What is done in one output folder; a context manager.

    Parameters
    ----------
    folder : Path
        The output folder. Its ``results`` are read when the journal has to be rebuilt.

    Attributes
    ----------
    trouble : str
        What was found wrong with the journal and mended, or nothing.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self.trouble = ""
        self._lock = _locked(folder)
        try:
            self._base = self._opened_or_anew()
            if not _version(self._base):
                self._rebuild(folder / "results")
        except BaseException:
            os.close(self._lock)
            raise

    def _opened_or_anew(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise self._unwritable(error) from None
            return self._anew(error)

    def _opened(self) -> sqlite3.Connection:
        """Open the file and look all of it over (a journal is small); a new one has version 0."""
        for path in self._files(self.path):
            if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
                raise _Broken(f"{path.name} is no regular file")
        base = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        base.text_factory = lambda raw: raw.decode(errors="replace")  # what is damaged has another hash then, and is no error of Python's
        try:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=FULL")
            _look_over(base)
            base.execute(_TABLE)
        except BaseException:
            base.close()
            raise
        return base

    @staticmethod
    def _files(path: Path) -> list[Path]:
        return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]

    def _anew(self, error) -> sqlite3.Connection:
        """Set a journal that cannot be read aside, never delete it, and begin a new one."""
        number = next(n for n in range(1, 10_000) if not os.path.lexists(self.path.with_name(f"{NAME}.broken-{n}")))
        aside = self.path.with_name(f"{NAME}.broken-{number}")
        try:
            for old, new in zip(self._files(self.path), self._files(aside), strict=True):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(old, new)
            opened = self._opened()
        except (sqlite3.Error, OSError) as again:
            raise self._unwritable(again) from None
        self.trouble = f"The journal could not be read ({error}). It is kept as {aside.name}, and a new one was made from the result files."
        return opened

    def _rebuild(self, results: Path) -> None:
        """Take over the result files. The version is set at the end: whoever is interrupted here begins here again."""
        for path in sorted(results.glob("*.json")):
            with contextlib.suppress(ResultError):
                result = load(path)
                validate(result)
                if _is_credible(result, path):
                    self.add(result)
        try:
            self._base.execute(f"PRAGMA user_version={VERSION}")
        except sqlite3.Error as error:
            raise self._unwritable(error) from None

    def get(self, student: str, address: str) -> dict | None:
        """Return the result of a task that is done, else None."""
        return _found(self._base, student, address)

    def add(self, result: Mapping) -> None:
        """Keep a result; when this returns it is on the disk.

        Raises
        ------
        JournalError
            The disk is full, or the journal cannot be written.
        """
        row = (result["student"], task_of(result), json.dumps(result, ensure_ascii=False))
        try:
            self._base.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?)", (*row, _digest(*row), time.time()))
        except sqlite3.Error as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error) -> JournalError:
        if _name(error).startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE")) or _is_full(self.path.parent):
            return JournalError(f"The disk of {self.path.parent} is full. Make room and run the same command again: what is done is kept.")
        return JournalError(f"The journal {self.path} cannot be written: {error}. Mend that and run the same command again.")

    def close(self) -> None:
        """Put everything into one file and let go of the folder."""
        with contextlib.suppress(sqlite3.Error):
            self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._base.close()
        os.close(self._lock)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _locked(folder: Path) -> int:
    """Hold the folder for this run; the lock ends with the process, however it ends."""
    import fcntl

    try:
        fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise JournalError(f"{folder} cannot be written: {error.strerror}.") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise JournalError(f"Another run is writing to {folder}. Wait for it, or choose another --out.") from None
    return fd


def _found(base, student, address) -> dict | None:
    row = base.execute("SELECT student, task, result, digest FROM done WHERE student = ? AND task = ?", (student, address)).fetchone()
    return json.loads(row[2]) if row and _is_whole(row) else None


def _digest(student, address, result) -> str:
    return hashlib.sha256(f"{student}\0{address}\0{result}".encode()).hexdigest()


def _is_whole(row) -> bool:
    return _digest(*row[:3]) == row[3]


def _look_over(base) -> None:
    """Raise what is wrong with a journal: with its pages, its form, or any of its rows."""
    (verdict,) = base.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise _Broken(verdict)
    tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
    if (version := _version(base)) not in (0, VERSION):
        raise _Broken(f"it has version {version}")
    if tables - {"done"}:
        raise _Broken("it is the database of another program")
    if "done" in tables and not all(map(_is_whole, base.execute("SELECT student, task, result, digest, finished FROM done"))):
        raise _Broken("what is written in it has been damaged")


def _version(base) -> int:
    (version,) = base.execute("PRAGMA user_version").fetchone()
    return version


def _is_credible(result, path) -> bool:
    """Tell whether a result file can be what a run has written: nobody's else, and no points but those of its entries."""
    scores = [entry["score"] for entry in result["functions"]]
    return None not in (result["score"], *scores) and result["score"] == sum(scores) and path.stem == file_name(result["student"])


def _is_broken(error) -> bool:
    return not _name(error) or _name(error).startswith(BROKEN)


def _name(error) -> str:
    """SQLite's name of an error; none where the file was understood and refused, here or by Python."""
    return getattr(error, "sqlite_errorname", "")


def _is_full(folder: Path) -> bool:
    """Tell whether a disk has no room, or no room for one more file; SQLite has many words for that."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM or (disk.f_files > 0 and disk.f_favail == 0)
