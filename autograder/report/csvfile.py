"""The grades of a class as a table that a spreadsheet opens safely."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from autograder.report.jsonfile import atomic
from autograder.report.text import cell, sentence_of


def write(path: Path, names: Iterable[str], results: Iterable[Mapping]) -> None:
    """Write one row per student: a column per entry of the assignment, the total, and what concerns the whole submission.

    Parameters
    ----------
    names : iterable of str
        The entries, in order.
    results : iterable of mapping
        Results as plain data. Where the kit failed the points are empty, never 0.
    """
    names = list(names)
    with atomic(path) as file:
        writer = csv.writer(file)
        writer.writerow(["student", *map(cell, names), "total", "note"])
        for result in sorted(results, key=lambda r: r["student"]):
            points = {entry["name"]: entry["score"] for entry in result["functions"]}
            note = sentence_of(" ".join(result.get("messages", [])))
            row = [result["student"], *(points.get(name) for name in names), result["score"], note]
            writer.writerow(["" if value is None else cell(value) for value in row])
