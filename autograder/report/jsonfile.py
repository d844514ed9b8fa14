"""Results as JSON files: written whole or not at all, and checked against the schema of this package."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TextIO

#: What every result has; enough to tell a result from any other JSON without the package jsonschema.
REQUIRED = ("student", "assignment", "score", "max_score", "functions", "isolation", "engine", "bank", "submission_sha256")

#: The end of the names of files that are being written.
UNFINISHED = ".unfinished"


class ResultError(ValueError):
    """A file that holds no result; the message says what is wrong."""


@cache
def schema() -> Mapping:
    """Return the JSON Schema of a result."""
    return json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))


def validate(result: Mapping) -> None:
    """Check a result against the schema (needs the package jsonschema).

    Raises
    ------
    ResultError
        It does not fit.
    """
    import jsonschema

    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema()).iter_errors(result))
    if error:
        raise ResultError(f"the result does not fit the schema: {error.json_path}: {error.message}")


def dumps(result: Mapping) -> str:
    """Return a result as text; the same result gives the same text."""
    return json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False)


def load(path: Path) -> dict:
    """Return the result in a file.

    Raises
    ------
    ResultError
        There is none in it.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path} cannot be read as a result: {error}") from None
    if not isinstance(result, dict) or any(name not in result for name in REQUIRED):
        raise ResultError(f"{path} is not a result.")
    return result


def results_in(folder: Path) -> list[dict]:
    """Return the results of a class run, each checked against the schema (needs the package jsonschema).

    Parameters
    ----------
    folder : Path
        What the run was told with ``--out``; or the folder ``results`` in it.

    Raises
    ------
    ResultError
        A file there is no result, there are none, or they are of several assignments.
    """
    where = folder / "results" if (folder / "results").is_dir() else folder
    found = [load(path) for path in sorted(where.glob("*.json"))]
    if not found:
        raise ResultError(f"{folder} holds no results. Name the folder that handgrad grade wrote to.")
    for result in found:
        validate(result)
    names = sorted({result["assignment"] for result in found})
    if len(names) > 1:
        raise ResultError(f"{folder} holds results of {' and '.join(names)}. Grade each assignment into a folder of its own.")
    return found


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[TextIO]:
    """Write a text file so that there is always either the old or the new one, whole, even after a power cut."""
    name = None
    try:
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=UNFINISHED)
        with open(fd, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException as error:
        if name:
            with contextlib.suppress(OSError):
                os.unlink(name)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None  # the name that the caller knows
        raise


@cache
def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed run was writing."""
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)
