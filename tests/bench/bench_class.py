"""What a class of 100 right submissions costs in CPU seconds, and where they go. `make bench`; nothing is asserted about time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import mean

import pytest

from autograder import exercises, paths

COPIES = int(os.environ.get("HANDGRAD_COPIES", "100"))


@pytest.mark.parametrize("name", exercises.names())
def bench_a_class_of_right_submissions(name, tmp_path, capsys):
    assignment = exercises.load(name)
    for number in range(COPIES):
        folder = tmp_path / "class" / f"student{number:03}"
        folder.mkdir(parents=True)
        for module in (*assignment.requires, name):
            source = paths.solution(module).read_text(encoding="utf-8")
            (folder / f"{module}.py").write_text(f"{source}\n# copy {number}\n", encoding="utf-8")
    command = [sys.executable, "-m", "autograder", "grade", tmp_path / "class", "--assignment", name, "--out", tmp_path / "out", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    timing = [json.loads(path.read_text())["timing"] for path in (tmp_path / "out" / "results").iterdir()]
    parts = {part: mean(one[part] for one in timing) for part in timing[0]}
    with capsys.disabled():
        split = ", ".join(f"{part} {seconds:.3f}" for part, seconds in parts.items() if part != "milestone")
        whole = sum(seconds for part, seconds in parts.items() if part != "milestone")
        print(f"\n{name}: {whole:.3f} CPU s per submission ({split}); of that the milestone {parts['milestone']:.3f}, the rest {whole - parts['milestone']:.3f}")
