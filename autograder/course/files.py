"""Open files and folders that nobody trusts: no link is followed, no pipe waited for, nothing read beyond a cap."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator

from autograder.report.text import quoted

#: Bytes that a file may have. Notebooks carry pictures in their outputs.
CAPS = {".py": 1 << 20, ".ipynb": 20 << 20}

FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# O_NONBLOCK: opening a named pipe must not wait for somebody to write into it.
FILE = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class SubmissionError(Exception):
    """Something that cannot be graded; the message is one line that says what to do."""


@contextlib.contextmanager
def open_folder(parent: int, name: str) -> Iterator[int]:
    """Open a folder inside another one, never through a link."""
    try:
        fd = os.open(name, FOLDER, dir_fd=parent)
    except OSError as error:
        raise SubmissionError(_why(error, name, parent)) from None
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def open_top(path: str | os.PathLike) -> Iterator[int]:
    """Open a folder of the instructor's own by its path; here links are followed."""
    try:
        fd = os.open(path, FOLDER & ~getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise SubmissionError(f"{quoted(os.fspath(path))} cannot be read: {error.strerror}.") from None
    try:
        yield fd
    finally:
        os.close(fd)


def exists(folder: int, name: str) -> bool:
    """Tell whether there is something of this name that is no folder; a link counts. SubmissionError where that is not ours to know."""
    try:
        return not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except PermissionError as error:
        raise SubmissionError(_why(error, name, folder)) from None
    except OSError:
        return False


def _why(error: OSError, name: str, parent: int | None) -> str:
    if error.errno in (errno.ELOOP, errno.EMLINK) or _is_link(name, parent):
        return f"{quoted(os.path.basename(name))} is a symbolic link. Links are not followed: hand in the file itself."
    return f"{quoted(os.path.basename(name))} cannot be read: {error.strerror}."


def _is_link(name, parent):
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def read_bytes(folder: int | None, name: str, cap: int | None = None) -> bytes:
    """Return the contents of a regular file within a cap, by default that of its kind; SubmissionError says why not.

    Without a folder the name is a path: not every system can open a file relative to an open folder.
    """
    cap = cap or CAPS[os.path.splitext(name)[1]]
    try:
        fd = os.open(name, FILE, dir_fd=folder)
    except OSError as error:
        raise SubmissionError(_why(error, name, folder)) from None
    with open(fd, "rb") as file:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise SubmissionError(f"{quoted(os.path.basename(name))} is not a regular file.")
        # The size is looked at before reading and after: a file can grow, or be sparse.
        raw = b"" if about.st_size > cap else file.read(cap + 1)
    if about.st_size > cap or len(raw) > cap:
        size = max(about.st_size, len(raw)) / 2**20
        raise SubmissionError(f"{quoted(os.path.basename(name))} has {size:.1f} MB; more than {cap >> 20} MB are not read. Clear its outputs, or leave data out.")
    return raw


#: What a script may declare to be written in (PEP 263): encodings that cannot unpack or run anything.
_ENCODINGS = {"latin-1", "latin1", "iso-8859-1", "iso-8859-15", "cp1252", "windows-1252"}
_DECLARED = re.compile(rb"^(?:[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*([-\w.]+)")


def script_text(raw: bytes, name: str) -> str:
    """Return the source of a script, which may declare its encoding; SubmissionError as for :func:`decoded`."""
    try:
        return decoded(raw, name)
    except SubmissionError:
        declared = _DECLARED.match(raw)
        encoding = declared[1].decode("ascii", "replace").lower().replace("_", "-") if declared else ""
        if encoding not in _ENCODINGS:
            raise
    return decoded(raw.decode(encoding, "replace").encode(), name)


def decoded(raw: bytes, name: str) -> str:
    """Return bytes as text; SubmissionError where they are no UTF-8."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SubmissionError(f"{quoted(os.path.basename(name))} is encoded as UTF-16. Save it as UTF-8.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SubmissionError(f"{quoted(os.path.basename(name))} is not UTF-8 text (line {line}). Save it as UTF-8.") from None
    if "\0" in text:
        raise SubmissionError(f"{quoted(os.path.basename(name))} holds NUL bytes: it is not a text file.")
    return text
