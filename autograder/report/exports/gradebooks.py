"""Canvas and Moodle: the table that an instructor downloaded, with the grades filled in and everything else left as it was.

Canvas: the export of the gradebook (Student, ID, SIS User ID, SIS Login ID, Section, ASSIGNMENT (id), ...; a row "Points
Possible"). Its importer (``lib/gradebook_importer.rb``) tells the delimiter from the first three lines, takes a column by the id
in its name, and leaves blank cells alone. Moodle: the offline grading worksheet of an assignment. Its importer
(``mod/assign/feedback/offline``) wants Identifier, Grade and Last modified (grade), and skips grades above the maximum.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from autograder.report.exports.words import entry_text, message
from autograder.report.jsonfile import atomic
from autograder.report.text import cell, shown


class RosterError(ValueError):
    """A table that cannot be filled in; the message says why and what to do."""


@dataclass(frozen=True)
class Kind:
    """How a system's table is read.

    Parameters
    ----------
    name : str
    keys : tuple of str
        Columns that tell who a row is; any of them may be missing.
    grade : str
        The column for the grade; "" where it is named after the assignment.
    feedback : str
        The column for words, if there is one.
    maximum : str
        The column that holds the highest grade, if there is one.
    download : pattern
        What the system calls a submission that is downloaded from it; the first group is found in a key column.
    """

    name: str
    keys: tuple[str, ...]
    grade: str
    feedback: str
    maximum: str
    download: re.Pattern


CANVAS = Kind("Canvas", ("ID", "SIS User ID", "SIS Login ID"), "", "", "", re.compile(r"[^_]+_(?:LATE_)?(\d+)_\d+(?:_.*)?"))
MOODLE = Kind(
    "Moodle", ("Identifier", "ID number", "Username", "Email address"), "Grade", "Feedback comments", "Maximum grade",
    re.compile(r".*_(\d+)_assignsubmission_file(?:_.*)?"),
)  # fmt: skip

#: In the first columns of a row of Canvas that is no student's.
_NO_STUDENT = re.compile(r"\s*(points possible|manual posting|muted)", re.IGNORECASE)


@dataclass
class _Table:
    """A table as it was read."""

    rows: list[list[str]]
    delimiter: str
    bom: bool
    newline: str

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return self.rows[0]


def fill(kind: Kind, roster: Path | None, out: Path, results: Sequence[Mapping], column: str = "") -> list[str]:
    """Write the table with grades in it, and return what the instructor should know.

    Raises
    ------
    RosterError
        There is no table, or no column for the grade.
    """
    table = _read(kind, roster)
    at = _grade_column(kind, table.header, column, results[0]["assignment"])
    maximum = _maximum(kind, table, at)
    rows = [row for row in table.rows[1:] if not _NO_STUDENT.match(row[0])]
    notes, found = [], _matched(kind, table.header, rows, results)
    for result in results:
        row = found.get(result["student"])
        if row is None:
            notes.append(f"{result['student']} is in no row, or in several: not filled in.")
        elif result["score"] is None:
            notes.append(f"{result['student']} has no score, since the grader failed: left as it was.")
        else:
            _put(kind, table.header, row, at, result)
            if maximum is not None and result["score"] > maximum:
                notes.append(f"{result['student']} has {result['score']:g} points, more than the {maximum:g} of the column.")
    if maximum is not None and maximum != results[0]["max_score"]:
        notes.append(f"The column is worth {maximum:g} points, the assignment {results[0]['max_score']:g}. Nothing was scaled.")
    _write(table, out)
    return notes


def _read(kind, roster) -> _Table:
    if roster is None:
        raise RosterError(f"name the table that you downloaded from {kind.name} with --roster.")
    try:
        text = roster.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RosterError(f"{roster} cannot be read: {error}. Save it as CSV in UTF-8.") from None
    body = text.removeprefix("\ufeff")
    delimiter = _delimiter(body)
    rows = [row for row in csv.reader(io.StringIO(body, newline=""), delimiter=delimiter) if row]
    if len(rows) < 2 or not set(kind.keys) & set(map(str.strip, rows[0])):
        raise RosterError(f"{roster} is no table of {kind.name}: it has none of the columns {', '.join(kind.keys)}.")
    width = len(rows[0])
    return _Table([row + [""] * (width - len(row)) for row in rows], delimiter, body != text, "\r\n" if "\r\n" in body else "\n")


def _delimiter(text) -> str:
    first = text.splitlines()[0] if text else ""
    return max(",;\t", key=lambda sign: len(next(csv.reader([first], delimiter=sign), [])))


def _grade_column(kind, header, wanted, assignment) -> int:
    names = [name.strip() for name in header]
    wanted = wanted or kind.grade
    if wanted:
        found = [n for n, name in enumerate(names) if name == wanted]
    else:
        found = [n for n, name in enumerate(names) if re.sub(r"\s*\(\d+\)$", "", name).casefold() == assignment.casefold()]
    if len(found) != 1:
        what = f"{'no column' if not found else f'{len(found)} columns'} {wanted or assignment!r}"
        raise RosterError(f"the table of {kind.name} has {what}. Name one with --column; there are: {', '.join(map(shown, names))}.")
    return found[0]


def _maximum(kind, table, at) -> float | None:
    """Return the highest grade that the column is for, where the table says so."""
    if (column := _column(table.header, kind.maximum)) is not None:
        return _number(table.rows[1][column])
    points = next((row for row in table.rows[1:] if "points possible" in row[0].lower()), None)
    if points is None:
        return None
    if "read only" in points[at].lower():
        raise RosterError(f"the column {table.header[at]!r} is read only in {kind.name}. Name another one with --column.")
    return _number(points[at])


def _column(header, name) -> int | None:
    """Return where the column of a name is; its capitals differ between versions."""
    return next((n for n, text in enumerate(header) if name and text.strip().casefold() == name.casefold()), None)


def _number(text) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _matched(kind, header, rows, results) -> dict[str, list[str]]:
    """Return student -> row, where exactly one row and one student belong together."""
    columns = [n for n, name in enumerate(header) if name.strip() in kind.keys]
    exact, loose = _index((row, _keys(row, columns)) for row in rows), _index((row, _local_parts(row, columns)) for row in rows)
    found = {}
    for result in results:
        for index, names in ((exact, _names(kind, result["student"])), (loose, [result["student"].casefold()])):
            hits = [index[name] for name in names if name in index]
            if hits and all(hit is hits[0] for hit in hits):
                found[result["student"]] = hits[0]
                break
    twice = Counter(id(row) for row in found.values())
    return {student: row for student, row in found.items() if twice[id(row)] == 1}


def _index(rows: Iterable) -> dict:
    """Return key -> row for the keys that only one row has."""
    pairs = [(key, row) for row, keys in rows for key in keys]
    count = Counter(key for key, _ in pairs)
    return {key: row for key, row in pairs if count[key] == 1}


def _keys(row, columns) -> set[str]:
    texts = {row[n].strip().casefold() for n in columns} - {""}
    return texts | {text.removeprefix("participant ") for text in texts}


def _local_parts(row, columns) -> set[str]:
    """Return what stands before the @ of an address; folders are often named so."""
    return {row[n].split("@")[0].strip().casefold() for n in columns if "@" in row[n]}


def _names(kind, student) -> list[str]:
    match = kind.download.fullmatch(student)
    return [student.casefold(), *([match[1]] if match else [])]


def _put(kind, header, row, at, result) -> None:
    row[at] = str(result["score"])
    if (words := _column(header, kind.feedback)) is not None:
        row[words] = cell(_feedback(result))


def _feedback(result) -> str:
    lost = [entry for entry in result["functions"] if entry["score"] != entry["max_score"] and not entry["name"].startswith("bonus: ")]
    items = "".join(f"<li><b>{escape(entry['name'])}</b> {_points(entry)}: {_lines(entry_text(entry))}</li>" for entry in lost)
    said = f"<p>{_lines(message(result))}</p>" if result["messages"] else ""
    return said + (f"<ul>{items}</ul>" if items else "<p>Everything passed.</p>")


def _points(entry) -> str:
    return f"{entry['score']:g} of {entry['max_score']:g}"


def _lines(text) -> str:
    return "<br>".join(escape(line) for line in text.splitlines())


def _write(table, out) -> None:
    with atomic(out) as file:
        file.write("\ufeff" if table.bom else "")
        csv.writer(file, delimiter=table.delimiter, lineterminator=table.newline).writerows(table.rows)
