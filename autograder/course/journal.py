"""The journal of a class run: what is done, kept in SQLite. One process writes it; everything else is a view of it.

A task is (assignment, what was handed in, bank, engine version), addressed by the hash of all four, so that what is done
is not done again, and what has changed is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from autograder.report.jsonfile import ResultError, load

NAME = "journal.sqlite"
VERSION = 1

_TABLE = """
CREATE TABLE IF NOT EXISTS done (
    student TEXT NOT NULL,
    task TEXT NOT NULL,
    result TEXT NOT NULL,
    finished REAL NOT NULL,
    PRIMARY KEY (student, task)
) WITHOUT ROWID
"""


class JournalError(Exception):
    """The journal cannot be written; the message says what to do."""


def task(assignment: str, submission_sha256: str, bank: str, engine: str) -> str:
    """Return the address of a task."""
    return hashlib.sha256("\0".join((assignment, submission_sha256, bank, engine)).encode()).hexdigest()


def task_of(result: Mapping) -> str:
    """Return the address of the task that a result is of."""
    return task(result["assignment"], result["submission_sha256"], result["bank"], result["engine"])


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
            self._base, is_new = self._opened()
        except sqlite3.DatabaseError as error:
            self._base, is_new = self._anew(error)
        if is_new:
            self._rebuild(folder / "results")

    def _opened(self) -> tuple[sqlite3.Connection, bool]:
        """Open the file, look all of it over (a journal is small), and say whether it is a new one."""
        base = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        try:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=FULL")
            (verdict,) = base.execute("PRAGMA integrity_check(1)").fetchone()
            (version,) = base.execute("PRAGMA user_version").fetchone()
            if verdict != "ok" or version not in (0, VERSION):
                raise sqlite3.DatabaseError(verdict if verdict != "ok" else f"it has version {version}")
            base.execute(_TABLE)
            base.execute("SELECT student, task, result, finished FROM done LIMIT 1")
            base.execute(f"PRAGMA user_version={VERSION}")
        except BaseException:
            base.close()
            raise
        return base, version == 0

    def _anew(self, error) -> tuple[sqlite3.Connection, bool]:
        """Set a journal that cannot be read aside, never delete it, and begin a new one."""
        if _name(error).startswith(("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_READONLY")):
            raise self._unwritable(error) from None
        number = next(n for n in range(1, 10_000) if not self.path.with_name(f"{NAME}.broken-{n}").exists())
        aside = self.path.with_name(f"{NAME}.broken-{number}")
        try:
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{self.path}{suffix}", f"{aside}{suffix}")
            opened = self._opened()
        except (sqlite3.Error, OSError) as again:
            raise self._unwritable(again) from None
        self.trouble = f"The journal could not be read ({error}). It is kept as {aside.name}, and a new one was made from the result files."
        return opened

    def _rebuild(self, results: Path) -> None:
        for path in sorted(results.glob("*.json")):
            with contextlib.suppress(ResultError):
                result = load(path)
                if result["score"] is not None:
                    self.add(result)

    def get(self, student: str, address: str) -> dict | None:
        """Return the result of a task that is done, else None."""
        row = self._base.execute("SELECT result FROM done WHERE student = ? AND task = ?", (student, address)).fetchone()
        try:
            return json.loads(row[0]) if row else None
        except ValueError:
            return None

    def add(self, result: Mapping) -> None:
        """Keep a result; when this returns it is on the disk.

        Raises
        ------
        JournalError
            The disk is full, or the journal cannot be written.
        """
        row = (result["student"], task_of(result), json.dumps(result, ensure_ascii=False), time.time())
        try:
            self._base.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error) -> JournalError:
        if _name(error).startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE")):
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

    def __iter__(self) -> Iterator[dict]:
        """All results, also those of other assignments and of earlier files."""
        return (json.loads(text) for (text,) in self._base.execute("SELECT result FROM done ORDER BY finished"))


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


def _name(error) -> str:
    return getattr(error, "sqlite_errorname", "")
