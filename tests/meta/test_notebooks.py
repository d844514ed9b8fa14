"""The notebooks run from top to bottom with our solution in them: text, checks, plots and training, each within two CPU minutes."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import nbformat
import pytest

from autograder import exercises, paths
from autograder.release import notebook_of, read, to_json

pytestmark = pytest.mark.soak

LIMIT = 120  # CPU seconds


@pytest.mark.filterwarnings("default")  # the kernel's own libraries warn as they please
@pytest.mark.parametrize("name", exercises.names())
def test_the_solved_notebook_runs(name, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    for required in exercises.load(name).requires:
        (tmp_path / f"{required}.py").write_text(paths.solution(required).read_text())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # threads that wait for each other on a busy machine cost many times the work
    monkeypatch.setenv("HANDGRAD_COURSE", str(paths.course()))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).resolve().parents[2]), str(tmp_path)]))
    book = nbformat.reads(to_json(notebook_of(read(paths.solution(name).read_text(), name), solved=True)), as_version=4)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < LIMIT, f"{spent:.0f} CPU seconds"
    assert not [out for cell in book.cells for out in cell.get("outputs", []) if out.output_type == "error"]
