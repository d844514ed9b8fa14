"""Submissions that hide something in a notebook, a folder or a name: one class run over all of them, looked at from outside.

``tests/hostile/hiding.toml`` holds them, each with why it is tried and either the ``points`` that are due (of the 2 for one
function) or words of the ``problem`` that is to be said. RIGHT and WRONG stand for code, TOUCH for code that leaves a trace,
MARK for the path of that trace; ``X_JSON`` is X as a JSON text.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from autograder.course.grading import open_grader
from autograder.course.run import Order, run
from autograder.report.jsonfile import validate

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = tomllib.loads((ROOT / "tests" / "hostile" / "hiding.toml").read_text(encoding="utf-8"))
RIGHT = "def affine_forward(h, W, b):\n    return h @ W + b, (h, W)\n"
WRONG = "def affine_forward(h, W, b):\n    return h @ W - b, (h, W)\n"
ISOLATION = {"level": "filtered", "layers": [], "canary": {}}
GRADED = [name for name, entry in ENTRIES.items() if "points" in entry]
REFUSED = [name for name, entry in ENTRIES.items() if "problem" in entry]


class Writer:
    """Writes submissions."""

    def __init__(self, folder: Path, mark: Path):
        self.folder, self.mark = folder, mark

    def filled(self, text: str) -> str:
        values = {
            "TOUCH": f"open({str(self.mark)!r}, 'w')", "RIGHT": RIGHT, "WRONG": WRONG, "MARKNAME": self.mark.name, "MARK": str(self.mark),
            "NESTED": "[" * 100_000, "DIGITS": "1" * 10_000,
        }  # fmt: skip
        for name, value in values.items():
            text = text.replace(f"{name}_JSON", json.dumps(value)).replace(name, value)
        return text

    def write(self, name: str, entry: dict) -> None:
        own = self.folder / entry.get("student", name)
        own.mkdir()
        if "cells" in entry:
            (own / "rnn.ipynb").write_text(json.dumps({"cells": [self.cell(**cell) for cell in entry["cells"]], "nbformat": 4, "metadata": {}}))
        if "text" in entry:
            (own / "rnn.ipynb").write_text(self.filled(entry["text"]))
        for path, text in entry.get("files", {}).items():
            (own / path).parent.mkdir(parents=True, exist_ok=True)
            (own / path).write_text(self.filled(text), encoding="utf-8")
        for path, target in entry.get("links", {}).items():
            (own / path).symlink_to(self.filled(target))
        for path, names in entry.get("zip", {}).items():
            (own / path).write_bytes(self.archive(names))
        if "pipe" in entry:
            os.mkfifo(own / entry["pipe"])

    def cell(self, code: str, **fields) -> dict:
        return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": self.filled(code), **self.deep(fields)}

    def deep(self, node):
        if isinstance(node, dict):
            return {key: self.deep(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self.deep(value) for value in node]
        return self.filled(node) if isinstance(node, str) else node

    def archive(self, names) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(self.filled(name), RIGHT)
        return file.getvalue()


def listing(folder: Path) -> dict:
    """Return everything below a folder, with sizes and times."""
    return {str(path): (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Grade all of them in one run; give (results by place in the file, the folder of results)."""
    base = tmp_path_factory.mktemp("hiding")
    folder, out, mark = base / "class", base / "out", base / "mark"
    folder.mkdir()
    writer = Writer(folder, mark)
    for name, entry in ENTRIES.items():
        writer.write(name, entry)
    before = listing(folder)
    outcome = run(Order(folder, "rnn", ROOT / "assignments" / "rnn" / "rnn.bank.npz", out, 2), open_grader, lambda: ISOLATION)
    assert listing(folder) == before
    assert {path.name for path in base.iterdir()} == {"class", "out"}, "something was written beside"
    return outcome.results, out


def of(results, name):
    """Return the result of an entry; the student may have another name, with escapes in it."""
    student = ENTRIES[name].get("student", name)
    (found,) = [result for result in results if result["student"] == shown(student)]
    return found


def shown(text):
    from autograder.report.text import shown

    return shown(text)


def test_there_are_many_and_each_says_why():
    assert len(ENTRIES) >= 45
    assert all(entry["why"] and ("points" in entry) != ("problem" in entry) for entry in ENTRIES.values())


@pytest.mark.parametrize("name", GRADED)
def test_what_is_hidden_counts_for_nothing_and_what_is_there_counts(name, graded):
    result = of(graded[0], name)
    assert result["score"] == ENTRIES[name]["points"], [(entry["name"], entry["checks"]) for entry in result["functions"] if entry["name"] == "affine_forward"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_submission_gets_one_clear_line(name, graded):
    result = of(graded[0], name)
    assert result["score"] == 0
    (line,) = result["messages"]
    assert ENTRIES[name]["problem"] in line
    assert "\n" not in line


def test_every_result_is_whole_and_printable(graded):
    results, out = graded
    assert len(results) == len(ENTRIES) == len(list((out / "results").glob("*.json")))
    for result in results:
        validate(result)
        texts = [result["student"], *result["messages"], *(check["sentence"] for entry in result["functions"] for check in entry["checks"])]
        assert all(text.replace("\n", "").isprintable() for text in texts), texts


def test_no_cell_of_the_table_is_a_formula(graded):
    with open(graded[1] / "grades.csv", newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "-"))]


def test_no_page_runs_what_was_handed_in(graded):
    from autograder.course import pages

    results, out = graded
    pages.write(out, results, None)
    found = sorted(out.rglob("*.html"))
    assert len(found) > len(ENTRIES)
    for page in found:
        text = page.read_text(encoding="utf-8")
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "\u202e" not in text
