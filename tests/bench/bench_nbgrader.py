"""What a class costs nbgrader, and what it costs us: the same machine, the same run, 30 submissions each, all of them right.

Plain nbgrader executes every notebook in a kernel of its own, here with four test cells that import NumPy and nothing else, then with
torch too, as tests of gradients do. We grade the whole `rnn` assignment in the sandbox, then let nbgrader record it. `make bench`; nothing is asserted about time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import exercises, paths
from autograder.course.gradebook import cells, new
from autograder.release.notebook import notebook_of
from autograder.release.percent import read

COPIES = int(os.environ.get("HANDGRAD_COPIES", "30"))
CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "plain"\nc.CourseDirectory.root = {root!r}\n'

#: One check per function, as a busy instructor writes them.
TESTS = {
    "embedding_forward": "assert embedding_forward(np.array([[0, 2]]), np.eye(3))[0].tolist() == [[[1, 0, 0], [0, 0, 1]]]",
    "affine_forward": "assert np.allclose(affine_forward(np.ones((1, 2, 3)), np.ones((3, 4)), np.ones(4))[0], 4)",
    "rnn_step_forward": "assert np.allclose(rnn_step_forward(np.ones((2, 3)), np.zeros((2, 4)), np.ones((3, 4)), np.eye(4), np.zeros(4))[0], np.tanh(3))",
    "rnn_forward": "h = rnn_forward(np.ones((2, 5, 3)), np.zeros((2, 4)), np.ones((3, 4)), np.eye(4), np.zeros(4), np.ones((2, 5), bool))[0]\nassert h.shape == (2, 5, 4)",
}


def run(*command, cwd):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}", "HANDGRAD_COURSE": str(paths.course())}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def solved():
    parts = read(paths.solution("rnn").read_text(encoding="utf-8"), "rnn")
    return {cell["id"]: "".join(cell["source"]) for cell in notebook_of(parts, solved=True)["cells"] if cell["cell_type"] == "code"}


def plain_course(root, imports):
    """A course as nbgrader knows it: functions, and locked cells that test them."""
    made = [{**cells.solution_cell("imports", "import numpy as np")}]
    for name, source in solved().items():
        if source.startswith("def ") and name in {exercise.function for exercise in exercises.load("rnn").everything}:
            made.append(cells.solution_cell(name, source))
    for name, test in TESTS.items():
        made.append({**cells.points_cell(name, 1), "source": f"{imports}\n\n{test}"})
    book = {"cells": made, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    folder = root / "source" / "rnn"
    folder.mkdir(parents=True)
    (folder / "rnn.ipynb").write_text(json.dumps(book))
    (root / "nbgrader_config.py").write_text(CONFIG.format(root=str(root)))


def fill(root, count):
    """Hand in what was released with our solution in it."""
    book = json.loads((root / "release" / "rnn" / "rnn.ipynb").read_text())
    sources = solved() | {"imports": "import numpy as np"}
    for cell in book["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if about.get("solution") and cell["cell_type"] == "code":
            cell["source"] = sources[about["grade_id"]]
    for n in range(count):
        folder = root / "submitted" / f"s{n:02}" / "rnn"
        folder.mkdir(parents=True)
        (folder / "rnn.ipynb").write_text(json.dumps({**book, "cells": [*book["cells"], {**book["cells"][0], "id": "copy", "metadata": {}, "source": f"# copy {n}"}]}))


def scores(root):
    run("nbgrader", "export", "--to", "grades.csv", cwd=root)
    return {line.split(",")[9] for line in (root / "grades.csv").read_text().splitlines()[1:]}


def plain(tmp_path, count, imports="import numpy as np"):
    root = tmp_path / f"{imports.split()[-1]}{count}"
    plain_course(root, imports)
    run("nbgrader", "generate_assignment", "rnn", cwd=root)
    fill(root, count)
    cost = run("nbgrader", "autograde", "rnn", cwd=root)
    assert scores(root) == {"4.0"}
    return cost


def ours(tmp_path, count):
    root = tmp_path / f"ours{count}"
    new.make_course(root, ["rnn"])
    run("nbgrader", "generate_assignment", "rnn", cwd=root)
    fill(root, count)
    run(sys.executable, "-m", "autograder", "grade", "submitted", "-a", "rnn", "--out", "graded/rnn", "--jobs", "2", "--no-pages", cwd=root)
    record = run(sys.executable, "-m", "autograder", "course", "record", ".", "-a", "rnn", cwd=root)
    assert scores(root) == {"100.0"}
    timing = [json.loads(path.read_text())["timing"] for path in (root / "graded" / "rnn" / "results").iterdir()]
    # As the grader measures itself, process by process: the kernel does not pass on what the sandbox's last processes used.
    return sum(sum(one.values()) - one["milestone"] for one in timing), record, sum(one["milestone"] for one in timing)


def bench_a_class_in_nbgrader_and_in_ours(tmp_path, capsys, monkeypatch):
    pytest.importorskip("nbgrader")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(paths.course()), os.environ.get("PYTHONPATH", "")]))
    one, many = plain(tmp_path, 1), plain(tmp_path, COPIES)
    with_torch = "import torch, numpy as np"
    torch_one, torch_many = plain(tmp_path / "torch", 1, with_torch), plain(tmp_path / "torch", COPIES, with_torch)
    _, record_one, _ = ours(tmp_path, 1)
    grade, record, milestone = ours(tmp_path, COPIES)
    rows = {
        "plain nbgrader autograde, 4 tests": (many, (many - one) / (COPIES - 1)),
        "the same, importing torch": (torch_many, (torch_many - torch_one) / (COPIES - 1)),
        "ours: grade": (grade, grade / COPIES),
        "ours: record": (record, (record - record_one) / (COPIES - 1)),
        "of grading, the training run": (milestone, milestone / COPIES),
    }
    with capsys.disabled():
        print(f"\nCPU seconds: {COPIES} submissions; one more")
        for name, (whole, more) in rows.items():
            print(f"{name:35s} {whole:7.1f} {more:7.3f}")
