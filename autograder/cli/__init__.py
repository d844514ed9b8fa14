"""The command ``handgrad``. Each command imports what it needs when it runs: a student's check starts without torch, at once.

Exit codes: 0 done; 1 some check failed (``check`` only); 2 wrong usage; 3 input that cannot be graded; 4 a fault of the
kit; 5 isolation below what is required; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from autograder import __version__
from autograder.cli.banks import bank_app
from autograder.cli.common import INTERNAL, INTERRUPTED, NOT_ISOLATED, OK, UNGRADABLE, USAGE, fail
from autograder.cli.courses import course_app
from autograder.cli.instructors import demo, export, grade, isolation, report
from autograder.cli.output import prepare
from autograder.cli.students import check, trace

#: Names of exceptions with a message for people -> exit code. Names, since importing the classes would cost a second.
KNOWN = {
    "UsageError": USAGE, "OrderError": USAGE, "BankError": USAGE, "CourseError": USAGE, "AnswerError": USAGE, "RosterError": USAGE,
    "SubmissionError": UNGRADABLE, "_Missing": UNGRADABLE, "ResultError": UNGRADABLE,
    "RunError": INTERNAL, "JournalError": INTERNAL, "KitError": INTERNAL, "PageError": INTERNAL, "ClusterError": USAGE,
    "IsolationError": NOT_ISOLATED,
}  # fmt: skip

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, no_args_is_help=True, help="Sequence models by hand, graded against PyTorch."
)
for command in (check, trace, grade, report, export, isolation, demo):
    app.command()(command)
app.add_typer(bank_app, name="bank")
app.add_typer(course_app, name="course")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"handgrad {__version__}")
        raise typer.Exit


@app.callback()
def handgrad(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")] = False) -> None:
    """Sequence models by hand, graded against PyTorch."""


def main() -> None:
    """Run the command and end the process with its exit code; every error a user can cause is one line."""
    prepare()
    sys.exit(_run())


def _run() -> int:
    try:
        return app(standalone_mode=False) or OK
    except KeyboardInterrupt:
        return fail("interrupted.", INTERRUPTED)
    except Exception as error:  # noqa: BLE001  the last one to see it says it in one line
        if hasattr(error, "format_message"):
            return _usage(error)
        code = KNOWN.get(type(error).__name__)
        if code is None:
            return _internal(error)
        return fail(str(error), code)


def _usage(error) -> int:
    """Say in one line what was wrong with the command line; without any words show the help."""
    message = " ".join(error.format_message().split())
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return USAGE
    path = getattr(getattr(error, "ctx", None), "command_path", "handgrad")
    return fail(f"{message} See: {path} --help", USAGE)


def _internal(error) -> int:
    if os.environ.get("HANDGRAD_TRACEBACK"):
        raise error
    return fail(f"a fault of the kit: {type(error).__name__}: {error}. Set HANDGRAD_TRACEBACK=1 and run it again to see where.", INTERNAL)
