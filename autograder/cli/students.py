"""The commands for students: check and trace."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli.common import FAILED, OK, UNGRADABLE, BankOption, assignment_of, bank_path, fail, make_console


def check(
    assignment: Annotated[str | None, typer.Argument(help="rnn, lstm, ...; by default the one whose file is here.", show_default=False)] = None,
    function: Annotated[list[str] | None, typer.Option("--function", "-f", help="Check this function only; may be repeated.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Your .py or .ipynb file.", show_default=False)] = None,
    bank: BankOption = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Check again whenever you save; Ctrl-C ends it.")] = False,
) -> int:
    """Check your own work against stored examples, in this process."""
    from autograder.course import selfcheck

    target = selfcheck.target(assignment, file, Path.cwd())
    declared, examples = assignment_of(target.assignment), bank_path(bank, target.assignment)

    def once() -> int:
        if target.remark:
            print(target.remark)
        return _shown(selfcheck.results(declared, target.path, examples, tuple(function or ())), declared)

    return _watched(once, selfcheck.files(declared, target.path)) if watch else once()


def _watched(once, files) -> int:
    """Check on every save. A file that cannot be read right now is no reason to stop; a wrong call is, the first time."""
    from autograder.course.files import SubmissionError
    from autograder.course.watch import watch

    console = make_console()

    def act() -> None:
        console.clear()  # does nothing in a pipe
        try:
            once()
        except SubmissionError as error:
            fail(str(error), UNGRADABLE)
        print("\nwatching; Ctrl-C ends", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        watch(files, act)
    return OK


def trace(
    function: Annotated[str, typer.Argument(help="Which function.", show_default=False)],
    assignment: Annotated[str | None, typer.Option("--assignment", "-a", help="By default the one whose file is here.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Your .py or .ipynb file.", show_default=False)] = None,
) -> int:
    """Compare the variables of your function with ours of the same name, on a small public example."""
    from autograder.course import selfcheck
    from autograder.course.tracing import traced

    target = selfcheck.target(assignment, file, Path.cwd())
    declared = assignment_of(target.assignment)
    lines = traced(declared, target.path, bank_path(None, declared.name), function)
    print("\n".join(lines))
    return FAILED if any(line.startswith("  no ") for line in lines) else OK


def _shown(results, declared) -> int:
    from dataclasses import asdict

    from autograder.report import terminal

    console, entries = make_console(), []
    for result in results:
        if isinstance(result, str):
            console.print(result, soft_wrap=True)
            continue
        entries.append(asdict(result))
        console.print(terminal.entry_text(entries[-1], console.encoding), soft_wrap=True)
    console.print(f"{declared.name}: {terminal.summary(entries)}")
    return OK if all(entry["verdict"] == "passed" for entry in entries) else FAILED
