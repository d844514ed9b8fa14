"""What all commands share: exit codes, options, and how an error is said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

OK, FAILED, USAGE, UNGRADABLE, INTERNAL, NOT_ISOLATED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

JobsOption = Annotated[int | None, typer.Option("--jobs", "-j", min=1, max=256, help="Processes; by default one per core.", show_default=False)]
IsolationOption = Annotated[str, typer.Option("--require-isolation", help="none, process, limits, filtered or namespaced.")]
BankOption = Annotated[Path | None, typer.Option("--bank", help="The example bank; by default the public one.", show_default=False)]
AssignmentOption = Annotated[str, typer.Option("--assignment", "-a", help="Which assignment it is.", show_default=False)]


class UsageError(Exception):
    """Called in a way that makes no sense; the message says how to call it."""


def fail(message: str, code: int) -> int:
    """Say what is wrong, and return the exit code."""
    print(f"handgrad: {message}", file=sys.stderr)
    return code


def assignment_of(name: str):
    """Return the assignment of a name; UsageError where there is none."""
    from autograder import exercises

    if name not in exercises.names():
        raise UsageError(f"there is no assignment {name!r}. There are: {', '.join(exercises.names())}.")
    return exercises.load(name)


def bank_path(given: Path | None, name: str) -> Path:
    """Return the bank that is meant; UsageError where none is given and the public one is not here."""
    from autograder import paths

    path = given or paths.public_bank(name)
    if path is None:
        raise UsageError(f"the public examples of {name} are not here. Run handgrad in the course's folder, or name a file with --bank.")
    return path


def make_console():
    """Return a rich console; a pipe gets lines as long as they are."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, **({} if sys.stdout.isatty() else {"width": 160}))
