"""A sixth assignment is five new paths of the same name, nothing edited: the example of docs/adding-an-assignment.md, added and graded."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

REFERENCE = '''"""A mean over real tokens."""

import torch


def mean_forward(x, mask):
    """Return the mean ``(N, D)`` of ``x (N, T, D)`` over the steps where ``mask (N, T)`` is True, 0 where there is none."""
    real = torch.where(mask[..., None], x, torch.zeros_like(x))
    return (real.sum(1) / mask.sum(1).clamp(min=1)[:, None].to(x.dtype),)
'''

SOLUTION = '''# %% [markdown]
# # A masked mean
# Add up what is real, divide by how much of it there is.

# %%
import numpy as np


# %%
def mean_forward(x, mask):
    """Return ``y (N, D)``, the mean of ``x (N, T, D)`` where ``mask (N, T)`` is True, and a cache."""
    ### BEGIN SOLUTION
    count = np.maximum(mask.sum(axis=1), 1)[:, None].astype(x.dtype)
    x = np.where(mask[..., None], x, 0)
    return x.sum(axis=1) / count, (mask, count)
    ### END SOLUTION


# %% tags=["check"]
#| check("mean_forward")


# %%
def mean_backward(dy, cache):
    """Return ``dx (N, T, D)`` for the upstream gradient ``dy (N, D)``."""
    ### BEGIN SOLUTION
    mask, count = cache
    return np.where(mask[..., None], (dy / count)[:, None], 0)
    ### END SOLUTION


# %% tags=["check"]
#| check("mean_backward")
'''

GRADE = """
import json
from autograder import answers, exercises, paths
from autograder.cases import store
from autograder.course.grading import open_grader
from pathlib import Path

root = paths.course()
assert "mean" in exercises.names()
solution = paths.solution("mean")
sources = {a.name: a.source for a in answers.right(root / "tests/bank/mean", solution) + answers.wrong(root / "tests/bank/mean", solution)}
sources["stub"] = (root / "assignments/mean/mean.py").read_text()
with open_grader(store.load(paths.public_bank("mean")), shrink=False) as grader:
    print(json.dumps({name: {f.name: f.score for f in grader.grade({"mean": source}).functions} for name, source in sources.items()}))
"""


def blocks(language: str) -> list[str]:
    page = (ROOT / "docs" / "adding-an-assignment.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the kit with nothing but new files in it."""
    root = tmp_path_factory.mktemp("course")
    for package in ("autograder", "reference"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    new = {
        "reference/mean.py": REFERENCE,
        "autograder/exercises/mean.py": blocks("python")[0],
        "solutions/mean/mean.py": SOLUTION,
        "tests/bank/mean/right/own_style.py": SOLUTION.replace("x.sum(axis=1) / count", 'np.einsum("ntd,nk->nd", x, 1 / count)'),
        "tests/bank/mean/wrong.toml": blocks("toml")[0],
    }
    for path, text in new.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        assert not file.exists()
        file.write_text(text)
    (root / "assignments").mkdir()
    run(root, "-m", "autograder.release", "mean")
    return root


def run(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root), "HANDGRAD_COURSE": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=root, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_handout_is_built_from_the_source_alone(course):
    assert {path.name for path in (course / "assignments" / "mean").iterdir()} == {"mean.py", "mean.ipynb", "mean.bank.npz", "README.md"}
    assert "| `mean_forward` | 40 | What stands behind the mask changes nothing. |" in (course / "assignments" / "mean" / "README.md").read_text()


def test_it_is_graded(course):
    scores = json.loads(run(course, "-c", GRADE))
    full, nothing = {"mean_forward": 40, "mean_backward": 60}, {"mean_forward": 0, "mean_backward": 0}
    assert scores == {
        "solution": full,
        "own_style": full,
        "mean over padding too": {"mean_forward": 0, "mean_backward": 60},
        "stub": nothing,
    }
