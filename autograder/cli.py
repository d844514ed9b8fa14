"""The command ``handgrad``. Each command imports what it needs when it runs: a student's check starts without torch, at once.

Exit codes: 0 done; 1 some check failed (``check`` only); 2 wrong usage; 3 input that cannot be graded; 4 a fault of the
kit; 5 isolation below what is required; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from autograder import __version__

OK, FAILED, USAGE, UNGRADABLE, INTERNAL, NOT_ISOLATED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

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
bank_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Make and verify example banks.")
app.add_typer(bank_app, name="bank")
course_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Courses for nbgrader: make one, collect into it, record grades in it.")
app.add_typer(course_app, name="course")

JobsOption = Annotated[int | None, typer.Option("--jobs", "-j", min=1, max=256, help="Processes; by default one per core.", show_default=False)]
IsolationOption = Annotated[str, typer.Option("--require-isolation", help="none, process, limits, filtered or namespaced.")]
BankOption = Annotated[Path | None, typer.Option("--bank", help="The example bank; by default the public one.", show_default=False)]


class UsageError(Exception):
    """Called in a way that makes no sense; the message says how to call it."""


def main() -> None:
    """Run the command and end the process with its exit code; every error a user can cause is one line."""
    sys.exit(_run())


def _run() -> int:
    try:
        return app(standalone_mode=False) or OK
    except KeyboardInterrupt:
        return _fail("interrupted.", INTERRUPTED)
    except BrokenPipeError:
        # The reader, e.g. head, has gone; nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:  # noqa: BLE001  the last one to see it says it in one line
        if hasattr(error, "format_message"):
            return _usage(error)
        code = KNOWN.get(type(error).__name__)
        if code is None:
            return _internal(error)
        return _fail(str(error), code)


def _usage(error) -> int:
    """Say in one line what was wrong with the command line; without any words show the help."""
    message = " ".join(error.format_message().split())
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return USAGE
    path = getattr(getattr(error, "ctx", None), "command_path", "handgrad")
    return _fail(f"{message} See: {path} --help", USAGE)


def _internal(error) -> int:
    if os.environ.get("HANDGRAD_TRACEBACK"):
        raise error
    return _fail(f"a fault of the kit: {type(error).__name__}: {error}. Set HANDGRAD_TRACEBACK=1 and run it again to see where.", INTERNAL)


def _fail(message: str, code: int) -> int:
    print(f"handgrad: {message}", file=sys.stderr)
    return code


def _assignment(name: str):
    from autograder import exercises

    if name not in exercises.names():
        raise UsageError(f"there is no assignment {name!r}. There are: {', '.join(exercises.names())}.")
    return exercises.load(name)


def _bank_path(given: Path | None, name: str) -> Path:
    from autograder import paths

    path = given or paths.public_bank(name)
    if path is None:
        raise UsageError(f"the public examples of {name} are not here. Run handgrad in the course's folder, or name a file with --bank.")
    return path


def _console():
    """A pipe gets lines as long as they are."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, **({} if sys.stdout.isatty() else {"width": 160}))


# ------------------------------------------------------------------------------------------------------ students


@app.command()
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
    declared, examples = _assignment(target.assignment), _bank_path(bank, target.assignment)

    def once() -> int:
        if target.remark:
            print(target.remark)
        return _shown(selfcheck.results(declared, target.path, examples, tuple(function or ())), declared)

    return _watched(once, selfcheck.files(declared, target.path)) if watch else once()


def _watched(once, files) -> int:
    """Check on every save. A file that cannot be read right now is no reason to stop; a wrong call is, the first time."""
    from autograder.course.files import SubmissionError
    from autograder.course.watch import watch

    console = _console()

    def act() -> None:
        console.clear()  # does nothing in a pipe
        try:
            once()
        except SubmissionError as error:
            _fail(str(error), UNGRADABLE)
        print("\nwatching; Ctrl-C ends", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        watch(files, act)
    return OK


@app.command()
def trace(
    function: Annotated[str, typer.Argument(help="Which function.", show_default=False)],
    assignment: Annotated[str | None, typer.Option("--assignment", "-a", help="By default the one whose file is here.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Your .py or .ipynb file.", show_default=False)] = None,
) -> int:
    """Compare the variables of your function with ours of the same name, on a small public example."""
    from autograder.course import selfcheck
    from autograder.course.tracing import traced

    target = selfcheck.target(assignment, file, Path.cwd())
    declared = _assignment(target.assignment)
    lines = traced(declared, target.path, _bank_path(None, declared.name), function)
    print("\n".join(lines))
    return FAILED if any(line.startswith("  no ") for line in lines) else OK


def _shown(results, declared) -> int:
    from dataclasses import asdict

    from autograder.report import terminal

    console, entries = _console(), []
    for result in results:
        if isinstance(result, str):
            console.print(result, soft_wrap=True, markup=False, highlight=False)
            continue
        entries.append(asdict(result))
        console.print(terminal.entry_text(entries[-1], console.encoding), soft_wrap=True)
    console.print(f"{declared.name}: {terminal.summary(entries)}")
    return OK if all(entry["verdict"] == "passed" for entry in entries) else FAILED


# --------------------------------------------------------------------------------------------------- instructors


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="The folder of submissions.", show_default=False)],
    assignment: Annotated[str, typer.Option("--assignment", "-a", help="Which assignment it is.", show_default=False)],
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

    declared = _assignment(assignment)
    order = Order(
        submissions, declared.name, _bank_path(bank, declared.name), out or Path("graded") / declared.name, jobs or _cores(), force, tuple(student or ()),
        scheduler, require_isolation, tuple(function or ()),
    )  # fmt: skip
    return _graded(order, require_isolation, public=bank is None, pages=pages)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _graded(order, level: str, *, public: bool, pages: bool = True) -> int:
    """Grade a class with everything shown; used by ``grade`` and ``demo``."""
    from functools import partial

    from autograder import ours
    from autograder.course import isolation
    from autograder.course.grading import open_grader
    from autograder.course.run import run
    from autograder.report import terminal
    from autograder.sandbox import LEVELS

    if level not in LEVELS:
        raise UsageError(f"there is no isolation level {level!r}. There are: {', '.join(LEVELS)}.")
    ours.solution(_assignment(order.assignment))  # says at once where it is missing
    console = _console()
    if public:
        console.print("These are the public examples, which students have too. For grades draw a private bank: handgrad bank build", soft_wrap=True)
    signal.signal(signal.SIGTERM, _interrupt)
    display = terminal.ClassDisplay(console)
    try:
        with display:
            outcome = run(order, open_grader, partial(isolation.required, level), display)
    except KeyboardInterrupt:
        return _fail(f"stopped. {display.count} of {display.total} are graded and kept in {order.out}. Run the same command again to go on.", INTERRUPTED)
    terminal.print_class(console, outcome, order.out)
    if pages and outcome.results:
        _print_pages(order.out, outcome.results, order.folder)
    return outcome.exit_code


def _print_pages(out: Path, results, handed_in: Path | None) -> None:
    """Write the pages, and say where they are or what they need."""
    try:
        from autograder.course import pages
    except ImportError as error:
        print(f"pages:   none, since they need {error.name}. Install the instructor's packages: pip install 'handgrad[instructor]'")
    else:
        print(f"pages:   {pages.write(out, results, handed_in)}")


@app.command()
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


@app.command()
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
    count = gradescope.write_kit(_assignment(assignment), bank, level, out)
    print(f"{out}: {count} files. Upload it as the autograder of a programming assignment in Gradescope.")
    return OK


def _interrupt(*_):
    raise KeyboardInterrupt


@app.command()
def isolation() -> int:
    """Say how strong the walls around student code are on this machine, as seen by a program that tries to get out."""
    from autograder.course.isolation import observed

    seen = observed()
    print(f"isolation: {seen['level']}")
    if seen.get("trouble"):
        return _fail(f"student code {seen['trouble']}.", NOT_ISOLATED)
    print(f"layers: {', '.join(seen['layers'])}")
    for what, came in seen["canary"].items():
        print(f"  {came:9s} {what}")
    return OK


@app.command()
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
    order = Order(out / "submitted", "rnn", _bank_path(None, "rnn"), out / "graded", jobs or _cores())
    code = _graded(order, require_isolation, public=False)
    # Some of them cannot be read; that is what they are for.
    return OK if code == UNGRADABLE else code


# --------------------------------------------------------------------------------------------------------- banks


@bank_app.command("build")
def bank_build(
    assignment: Annotated[str, typer.Argument(help="rnn, lstm, ...", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The file to write.", show_default=False)],
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Keep it secret; by default a new one.", show_default=False)] = None,
) -> int:
    """Draw a private example bank. Needs the instructor's packages (torch, Hypothesis)."""
    import secrets

    from autograder.cases import store

    declared = _assignment(assignment)
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}. Make it first.")
    seed = secrets.randbits(48) if seed is None else seed
    try:
        from autograder.judge.banks import make

        made = make(declared.name, seed, progress=lambda name: print(f"  {name}", flush=True))
    except ImportError as error:
        raise UsageError(f"building a bank needs {error.name}. Install the instructor's packages: pip install 'handgrad[instructor]'") from None
    unfinished = out.with_name(f".{out.name}.unfinished")
    digest = store.save(made, unfinished)
    os.replace(unfinished, out)
    print(f"{out}: {declared.name}, {_examples(made)} examples, seed {seed}, sha256 {digest}")
    return OK


@bank_app.command("verify")
def bank_verify(file: Annotated[Path, typer.Argument(help="The bank.", show_default=False)]) -> int:
    """Verify that a bank is whole, has examples for every function, and agrees with the reference (needs torch)."""
    from autograder.cases import store
    from autograder.spec import groups

    bank = store.load(file)
    declared = _assignment(bank.assignment)
    if missing := [group[0].function for group in groups(declared.everything) if not bank.groups.get(group[0].function)]:
        raise store.BankError(f"{file} has no examples for {', '.join(missing)}. Build it again with this version: handgrad bank build {bank.assignment}")
    print(f"{file}: whole. {bank.assignment}, {'public' if bank.public else 'private'}, {_examples(bank)} examples, sha256 {bank.sha256}")
    return _same_as_reference(bank, declared)


def _same_as_reference(bank, declared) -> int:
    """Compute everything again where torch is installed."""
    try:
        from autograder.cases.build import verify
    except ImportError:
        print("It was not compared with the reference, which needs torch and Hypothesis: pip install 'handgrad[instructor]'")
        return OK
    if changed := verify(bank, declared):
        print("\n".join(f"  {sentence}" for sentence in changed[:20]))
        return _fail(f"{len(changed)} stored results are not the reference's any more. Build the bank again: handgrad bank build {declared.name}", UNGRADABLE)
    print("Every stored result is the reference's.")
    return OK


def _examples(bank) -> int:
    return sum(map(len, bank.groups.values()))


# ------------------------------------------------------------------------------------------------------ nbgrader

CourseArgument = Annotated[Path, typer.Argument(help="The course's folder.", show_default=False)]
AssignmentOption = Annotated[str, typer.Option("--assignment", "-a", help="Which assignment it is.", show_default=False)]


@course_app.command("new")
def course_new(
    folder: CourseArgument,
    assignments: Annotated[str, typer.Option("--assignments", help="Which ones, with commas in between; by default all.", show_default=False)] = "",
    course_id: Annotated[str, typer.Option("--course-id", help="By default the folder's name.", show_default=False)] = "",
    db_url: Annotated[str, typer.Option("--db-url", help="The gradebook, e.g. postgresql://...; by default SQLite in the folder.", show_default=False)] = "",
    exchange: Annotated[str, typer.Option("--exchange", help="nbgrader's exchange folder; by default none.", show_default=False)] = "",
    question_points: Annotated[float, typer.Option("--question-points", min=0, help="Points of a question that a human grades.")] = 0,
) -> int:
    """Make a course for nbgrader: source notebooks and settings with which it never runs student code."""
    from autograder.course.gradebook.new import make_course

    names = [_assignment(name.strip()).name for name in assignments.split(",") if name.strip()]
    made = make_course(folder, names, course_id=course_id, db_url=db_url, exchange=exchange, question_points=question_points)
    print(f"{folder}: {', '.join(made)}. Next: cd {folder} && nbgrader generate_assignment {made[0]}")
    return OK


@course_app.command("collect")
def course_collect(folder: CourseArgument, assignment: AssignmentOption) -> int:
    """Collect submissions out of nbgrader's exchange, safely: owners checked, no link followed, sizes limited."""
    from autograder.course.gradebook.collect import collect
    from autograder.course.gradebook.record import settings

    exchange = settings(folder)
    inbound = Path(exchange["root"]) / exchange["course_id"] / "inbound"
    found = list(collect(inbound, folder / "submitted", _assignment(assignment).name))
    for one in found:
        print(f"{one.student}: {' '.join([one.problem or 'collected.', *one.notes])}")
    print(f"{sum(not one.problem for one in found)} of {len(found)} collected.")
    return UNGRADABLE if any(one.problem for one in found) else OK


@course_app.command("grade")
def course_grade(
    folder: CourseArgument,
    assignment: AssignmentOption,
    jobs: JobsOption = None,
    require_isolation: IsolationOption = "filtered",
    force: Annotated[bool, typer.Option("--force", help="Grade again what is done.")] = False,
) -> int:
    """Grade what was collected, in parallel, and record it in nbgrader's gradebook."""
    from autograder.course.gradebook.outcome import FOLDER, bank_path
    from autograder.course.run import Order

    name = _assignment(assignment).name
    bank = bank_path(folder / "banks", name)
    order = Order(folder / "submitted", name, bank, folder / FOLDER / name, jobs or _cores(), force)
    code = _graded(order, require_isolation, public=bank.parent != folder / "banks")
    return course_record(folder, name) or code if code in (OK, UNGRADABLE) else code


@course_app.command("record")
def course_record(folder: CourseArgument, assignment: AssignmentOption) -> int:
    """Record grades in nbgrader's gradebook; what has been graded into FOLDER/graded/ASSIGNMENT is not run again."""
    from autograder.course.gradebook.record import record

    recorded = record(folder, _assignment(assignment).name)
    for line in recorded.trouble:
        print(line, file=sys.stderr)
    print(f"{len(recorded.students)} recorded in the gradebook. nbgrader's own words: {recorded.log}")
    return INTERNAL if recorded.trouble else OK


# ----------------------------------------------------------------------------------------------------------------


def _version(wanted: bool) -> None:
    if wanted:
        print(f"handgrad {__version__}")
        raise typer.Exit


@app.callback()
def handgrad(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")] = False) -> None:
    """Sequence models by hand, graded against PyTorch."""


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
