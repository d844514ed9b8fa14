"""Results in a terminal. All text goes through `Text`, so that nothing a student writes is taken for markup or for control codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autograder.report.said import said
from autograder.report.text import shown

MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "not written yet": ("–", "dim"), "could not judge": ("?", "yellow")}
STYLES = {"problem": "", "diagnosis": "yellow", "hint": "yellow", "remark": "dim"}
PLAIN_MARKS = {"✓": "ok", "✗": "x", "–": "-", "?": "?"}


def number(value: float | None) -> str:
    """Return points as they are written in the contract: 8, not 8.0; nothing where there are none."""
    return "" if value is None else f"{value:g}"


def entry_text(entry: Mapping, encoding: str = "utf-8") -> Text:
    """Return the lines about one function: verdict, points, and one sentence per failed check.

    Parameters
    ----------
    entry : mapping
        One of a result's ``functions``, as plain data.
    encoding : str
        Of the terminal: marks that it cannot show become letters.
    """
    mark, style = MARKS[entry["verdict"]]
    text = Text()
    text.append(f"{_able(mark, encoding):2s} ", style)
    text.append(f"{shown(entry['name']):28s} ", "bold")
    text.append(f"{number(entry['score']):>3s} of {number(entry['max_score']):3s} ")
    text.append(_verdict(entry), style)
    for kind, sentence in said(entry):
        text.append("\n     ")
        text.append(shown(sentence, 2000), STYLES[kind])
    return text


def _verdict(entry) -> str:
    return f"{entry['verdict']} (judged with ours in place of what it uses)" if entry["carried_forward"] else entry["verdict"]


def _able(mark, encoding):
    try:
        mark.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_MARKS[mark]
    return mark


def summary(entries: Iterable[Mapping]) -> str:
    """Return how many functions passed and how many points they bring, in one line."""
    entries = list(entries)
    passed = sum(entry["verdict"] == "passed" for entry in entries)
    points = sum(entry["score"] or 0 for entry in entries)
    return f"{passed} of {len(entries)} passed, {number(points)} of {number(sum(entry['max_score'] for entry in entries))} points here"


def student_line(result: Mapping) -> Text:
    """Return the one line about a student of a class."""
    text = Text(f"{result['student']:24s} ", "bold")
    if result["score"] is None:
        return text.append("could not be judged: ", "yellow").append(_message(result))
    text.append(f"{number(result['score']):>5s} of {number(result['max_score'])}", "green" if result["score"] >= result["max_score"] else "")
    if result["messages"]:
        text.append("  ").append(_message(result), "red")
    elif failed := [entry["name"] for entry in result["functions"] if entry["verdict"] == "failed"]:
        more = f" and {len(failed) - 3} more" if len(failed) > 4 else ""
        text.append(f"  fails {', '.join(failed[:3] if more else failed)}{more}")
    return text


def _message(result):
    return shown(" ".join(result["messages"]), 300)


def class_table(results: Iterable[Mapping], width: int = 100) -> Table:
    """Return the table of a class: a row per student, a column per entry, as far as columns fit; else only the totals."""
    results = list(results)
    names = [entry["name"] for entry in results[0]["functions"]] if results else []
    columns = names if 26 + 4 * len(names) <= width else []
    table = Table(title="Grades", title_justify="left", show_lines=False, pad_edge=False)
    table.add_column("student", no_wrap=True, overflow="ellipsis", min_width=10)
    for position, _ in enumerate(columns, 1):
        table.add_column(str(position), justify="right", no_wrap=True)
    table.add_column("total", justify="right", no_wrap=True)
    for result in results:
        table.add_row(Text(result["student"]), *(_cell(entry) for entry in result["functions"][: len(columns)]), _total(result))
    return table


def _legend(results) -> Text:
    """Say which column is which, each pair kept together on its line."""
    return Text("  ".join(f"{position}\u00a0{entry['name']}" for position, entry in enumerate(results[0]["functions"], 1)))


def _cell(entry) -> Text:
    return Text(number(entry["score"]) or "?", MARKS[entry["verdict"]][1] if entry["verdict"] != "passed" else "")


def _total(result) -> Text:
    return Text(number(result["score"]) or "?", "bold")


class ClassDisplay:
    """A progress bar with the time that is left, and one line per finished student above it."""

    def __init__(self, console: Console):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.console, self.count, self.total = console, 0, 0
        times = (TextColumn("elapsed"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn(), *times)
        # Redrawn with each student and twice a second; a pipe gets the lines only.
        self.progress = Progress(*columns, console=console, refresh_per_second=2, transient=True, disable=not console.is_terminal)
        self.bar = self.progress.add_task("grading", total=None)

    def __enter__(self) -> ClassDisplay:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begin(self, total: int) -> None:
        """So many submissions are to be looked at."""
        self.total = total
        self.progress.update(self.bar, total=total)

    def student(self, result: Mapping) -> None:
        """One more is done."""
        self.console.print(student_line(result), soft_wrap=True)
        self.count += 1
        self.progress.advance(self.bar)


def print_class(console: Console, outcome, out: Path) -> None:
    """Print the table of a class, what the instructor should know, and where the files are."""
    table = class_table(outcome.results, console.width)
    console.print(table)
    if len(table.columns) > 2:
        console.print(_legend(outcome.results))
    notes = list(outcome.notes)
    if outcome.reused:
        notes.append(f"{outcome.reused} of {len(outcome.results)} were done before and not graded again (--force does).")
    if outcome.ignored:
        notes.append(f"No submissions, and left out: {', '.join(outcome.ignored[:10])}{' ...' if len(outcome.ignored) > 10 else ''}.")
    if failed := sum(result["score"] is None for result in outcome.results):
        notes.append(f"The kit failed on {failed}: nobody loses points by that. Run the same command again; {out / 'faults.log'} says more.")
    for line in (*notes, f"grades:  {out / 'grades.csv'}", f"results: {out / 'results'}"):
        console.print(Text(line), soft_wrap=True)
