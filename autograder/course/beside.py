"""A module of an earlier assignment for a notebook: a student's ``lstm`` for ``seq2seq``, out of a file or out of a notebook."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from autograder import exercises
from autograder.course.submissions import SubmissionError, read

SUFFIXES = (".py", ".ipynb")


def find(module: str, here: Path | None = None) -> ModuleType:
    """Import a module from this folder or from the folder of its own assignment beside it.

    Parameters
    ----------
    module : str
        The name of its assignment.
    here : Path
        By default the current folder, a notebook's own.

    Raises
    ------
    ImportError
        It is not there, or cannot be read; the message says where it was looked for.
    """
    here = here or Path.cwd()
    places = (here, here / module, here.parent / module)
    path = next((path for place in places for suffix in SUFFIXES if (path := place / f"{module}{suffix}").is_file()), None)
    if path is None:
        raise ImportError(f"There is no {module}.py or {module}.ipynb in this folder or in the folder {module} beside it. Put a copy of yours here.")
    try:
        files = read(path, exercises.load(module)).files
    except SubmissionError as error:
        raise ImportError(str(error)) from None
    found = ModuleType(module)
    found.__file__ = str(path)
    exec(compile(files[module], str(path), "exec"), vars(found))  # noqa: S102  a student's own file, in the student's own notebook
    sys.modules[module] = found
    return found
