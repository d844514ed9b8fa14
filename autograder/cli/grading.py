"""Grade a class with everything shown: what the commands grade, demo and course grade have in common."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from autograder.cli.common import INTERRUPTED, UsageError, assignment_of, fail, make_console


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def graded(order, *, public: bool, pages: bool = True) -> int:
    """Grade a class, and return the exit code."""
    from functools import partial

    from autograder import ours
    from autograder.course import isolation
    from autograder.course.grading import open_grader
    from autograder.course.run import run
    from autograder.report import terminal
    from autograder.sandbox import LEVELS

    if order.level not in LEVELS:
        raise UsageError(f"there is no isolation level {order.level!r}. There are: {', '.join(LEVELS)}.")
    ours.solution(assignment_of(order.assignment))  # says at once where it is missing
    console = make_console()
    if public:
        console.print("These are the public examples, which students have too. For grades draw a private bank: handgrad bank build", soft_wrap=True)
    signal.signal(signal.SIGTERM, _interrupt)
    display = terminal.ClassDisplay(console)
    try:
        with display:
            outcome = run(order, open_grader, partial(isolation.required, order.level), display)
    except KeyboardInterrupt:
        again = "With --force the same command begins anew; without it what is kept is not graded again" if order.force else "Run the same command again to go on"
        return fail(f"stopped. {display.count} of {display.total} are graded and kept in {order.out}. {again}.", INTERRUPTED)
    terminal.print_class(console, outcome, order.out)
    if pages and outcome.results:
        _print_pages(order.out, outcome.results, order.folder if order.folder.is_dir() else None)
    return outcome.exit_code


def _print_pages(out: Path, results, handed_in: Path | None) -> None:
    """Write the pages, and say where they are or what they need."""
    try:
        from autograder.course import pages
    except ImportError as error:
        print(f"pages:   none, since they need {error.name}. Install the instructor's packages: pip install 'handgrad[instructor]'")
    else:
        print(f"pages:   {pages.write(out, results, handed_in)}")


def _interrupt(*_):
    raise KeyboardInterrupt
