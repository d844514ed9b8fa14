"""Grading by dask workers: processes of their own, real sandboxes, JSON back."""

from __future__ import annotations

import json

import pytest

from autograder import paths
from autograder.course import cluster
from autograder.course.engine import engine
from autograder.course.submissions import Submission

distributed = pytest.importorskip("distributed", reason="handgrad[cluster] is not installed")
BANK = paths.public_bank("rnn")


def submission(student: str, source: str) -> Submission:
    return Submission(student, {"rnn": source}, sha256=student)


@pytest.mark.filterwarnings("ignore")  # distributed warns about ports and about its own deprecations
def test_workers_of_a_cluster_grade():
    right = paths.solution("rnn").read_text(encoding="utf-8")
    todo = [submission("ada", right), submission("bob", "x = 1"), submission("eve", "import os\nos._exit(3)")]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local:
        found = {one.student: result for one, result, why in cluster.graded(todo, BANK, "process", local.scheduler_address)}
    assert {student: result["score"] for student, result in found.items()} == {"ada": 100, "bob": 0, "eve": 0}
    assert found["ada"]["isolation"]["level"] in ("limits", "filtered", "namespaced", "process")


def test_the_result_is_bytes_of_json():
    raw = cluster.grade(submission("bob", "x = 1"), BANK.read_bytes(), "process", engine())
    assert json.loads(raw)["student"] == "bob"


def test_another_version_of_the_kit_is_refused():
    with pytest.raises(RuntimeError, match="but 0.0.0 is asked for"):
        cluster.grade(submission("bob", ""), b"", "process", "0.0.0")


@pytest.mark.filterwarnings("ignore")
def test_no_scheduler_is_said():
    with pytest.raises(cluster.ClusterError, match="no scheduler"):
        list(cluster.graded([], BANK, "process", "tcp://127.0.0.1:9"))
