"""The commands for instructors: grade, report, export, isolation, demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli.common import (
    NOT_ISOLATED,
    OK,
    UNGRADABLE,
    AssignmentOption,
    BankOption,
    IsolationOption,
    JobsOption,
    UsageError,
    assignment_of,
    bank_path,
    fail,
)
from autograder.cli.grading import cores, graded


def grade(
    submissions: Annotated[Path, typer.Argument(help="The folder of submissions.", show_default=False)],
    assignment: AssignmentOption,
    out: Annotated[Path | None, typer.Option("--out", help="Where results go; by default graded/ASSIGNMENT.", show_default=False)] = None,
    jobs: JobsOption = None,
    bank: BankOption = None,
    require_isolation: IsolationOption = "filtered",
    force: Annotated[bool, typer.Option("--force", help="Grade again what is done.")] = False,
    student: Annotated[list[str] | None, typer.Option("--student", help="Grade this student only; may be repeated.", show_default=False)] = None,
    function: Annotated[list[str] | None, typer.Option("--function", "-f", help="With --force: only where this entry has not passed; may be repeated.", show_default=False)] = None,
    scheduler: Annotated[str, typer.Option("--scheduler", help="A dask scheduler, tcp://HOST:PORT, whose workers grade.", show_default=False)] = "",
    pages: Annotated[bool, typer.Option("--pages/--no-pages", help="Write a page per student and one for the class.")] = True,
) -> int:
    """Grade a class in the sandbox. The same command goes on where an interrupted run stopped."""
    from autograder.course.run import Order

    declared = assignment_of(assignment)
    order = Order(
        submissions, declared.name, bank_path(bank, declared.name), out or Path("graded") / declared.name, jobs or cores(), force, tuple(student or ()),
        scheduler, require_isolation, tuple(function or ()),
    )  # fmt: skip
    return graded(order, public=bank is None, pages=pages)


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where handgrad grade wrote to.", show_default=False)],
    submissions: Annotated[Path | None, typer.Option("--submissions", help="The folder of submissions, to say which look alike.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where pages go; by default DIR.", show_default=False)] = None,
) -> int:
    """Write a page per student and one for the class, from the results of a run."""
    from autograder.report.jsonfile import results_in

    try:
        from autograder.course import pages

        found = results_in(folder)
    except ImportError as error:
        raise UsageError(f"pages need {error.name}. Install the instructor's packages: pip install 'handgrad[instructor]'") from None
    print(f"pages: {pages.write(out or folder, found, submissions)}")
    return OK


def export(
    results: Annotated[Path | None, typer.Argument(metavar="RESULTS", help="Where handgrad grade wrote to, or one result.", show_default=False)] = None,
    form: Annotated[str, typer.Option("--format", help="csv, canvas, moodle, junit, gradescope, prairielearn or github.", show_default=False)] = "",
    out: Annotated[Path | None, typer.Option("--out", help="The file or folder to write.", show_default=False)] = None,
    roster: Annotated[Path | None, typer.Option("--roster", help="The table that you downloaded from Canvas or Moodle.", show_default=False)] = None,
    column: Annotated[str, typer.Option("--column", help="Its column for the grade; by default the one named like the assignment.", show_default=False)] = "",
    kit: Annotated[str, typer.Option("--kit", help="gradescope: write the ZIP that Gradescope runs, in place of results.", show_default=False)] = "",
    assignment: Annotated[str, typer.Option("--assignment", "-a", help="Of the kit.", show_default=False)] = "",
    bank: BankOption = None,
    require_isolation: IsolationOption = "filtered",
) -> int:
    """Write results in the form of another system, or a kit with which that system grades by itself."""
    if out is None:
        raise UsageError("say with --out what to write.")
    if kit:
        return _kit(kit, assignment, bank, require_isolation, out)
    from autograder.report.exports import FORMATS
    from autograder.report.exports import export as write
    from autograder.report.jsonfile import load, results_in

    if results is None or form not in FORMATS:
        raise UsageError(f"say what to export and how: handgrad export RESULTS --format FORMAT. There are: {', '.join(FORMATS)}.")
    found = [load(results)] if results.is_file() else results_in(results)
    notes = write(found, form, out, roster, column)
    for note in notes:
        print(note, file=sys.stderr)
    print(f"{form}: {len(found)} results, {out}")
    return UNGRADABLE if notes else OK


def _kit(kind: str, assignment: str, bank: Path | None, level: str, out: Path) -> int:
    from autograder.course import gradescope

    if kind != "gradescope":
        raise UsageError(f"there is no kit {kind!r}. There is: gradescope.")
    count = gradescope.write_kit(assignment_of(assignment), bank, level, out)
    print(f"{out}: {count} files. Upload it as the autograder of a programming assignment in Gradescope.")
    return OK


def isolation() -> int:
    """Say how strong the walls around student code are on this machine, as seen by a program that tries to get out."""
    from autograder.course.isolation import observed

    seen = observed()
    print(f"isolation: {seen['level']}")
    if seen.get("trouble"):
        return fail(f"student code {seen['trouble']}.", NOT_ISOLATED)
    print(f"layers: {', '.join(seen['layers'])}")
    for what, came in seen["canary"].items():
        print(f"  {came:9s} {what}")
    return OK


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where submissions and results go.")] = Path("demo"),
    jobs: JobsOption = None,
    require_isolation: IsolationOption = "filtered",
) -> int:
    """Make a class of 30 rnn submissions, right, wrong, broken and hostile, and grade it."""
    from autograder.course.demo import make_class
    from autograder.course.run import Order

    count = make_class(out / "submitted")
    print(f"{count} submissions are in {out / 'submitted'}.")
    order = Order(out / "submitted", "rnn", bank_path(None, "rnn"), out / "graded", jobs or cores(), level=require_isolation)
    code = graded(order, public=False)
    # Some of them cannot be read; that is what they are for.
    return OK if code == UNGRADABLE else code
