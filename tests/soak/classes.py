"""Classes to grade again and again, runs of ``handgrad grade`` in processes of their own, and what is left of them."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from autograder import answers, paths
from autograder.report.jsonfile import load

ROOT = Path(__file__).resolve().parents[2]
PR_SET_CHILD_SUBREAPER = 36

#: What a result says about the run and not about the submission.
ABOUT_THE_RUN = ("timing",)
#: How slow something is that is too slow differs from one measurement to the next.
MEASURED = re.compile(r"takes \d+ times")


def write_class(folder: Path, size: int) -> None:
    """Write a class of right and wrong answers to rnn, and of one that has just begun."""
    bank, solution = ROOT / "tests" / "bank" / "rnn", paths.solution("rnn")
    right, wrong = answers.right(bank, solution), answers.wrong(bank, solution)
    stub = (ROOT / "assignments" / "rnn" / "rnn.py").read_text(encoding="utf-8")
    folder.mkdir(parents=True)
    for i in range(size):
        kind = i % 6
        source = stub if kind == 5 else right[i % len(right)].source if kind % 2 else wrong[i * 7 % len(wrong)].source
        (folder / f"student{i:03d}.py").write_text(source, encoding="utf-8")


def adopt(yes: bool) -> None:
    """Become the parent of every process below whose parent dies: none can be left behind unseen. Or stop it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


class Run:
    """One ``handgrad grade`` in a process of its own.

    Parameters
    ----------
    out : Path
        Where results go.
    temporary : Path
        Its folder for temporary files.
    """

    def __init__(self, submissions: Path, out: Path, temporary: Path, jobs: int = 2):
        temporary.mkdir(exist_ok=True)
        self.started = time.monotonic()
        command = [sys.executable, "-m", "autograder", "grade", str(submissions), "-a", "rnn", "--out", str(out), "-j", str(jobs), "--no-pages"]
        environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finished(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self.process.poll()

    def end(self, seconds: float = 600.0) -> tuple[int, str]:
        """Wait for it; return its exit code and what it said."""
        said, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, said


def table() -> dict[int, tuple[int, str, list[str]]]:
    """Return process id -> (parent, state, command line) of all processes."""
    found = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            command = Path(f"/proc/{name}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            found[int(name)] = (int(parent), state, command)
    return found


def parts(run: Run) -> dict[str, list[int]]:
    """Return the processes of a run: the grader itself, those of its pool, zygotes (and the wall around them), workers."""
    everything = table()
    found: dict[str, list[int]] = {"grader": [run.process.pid], "pool": [], "zygote": [], "worker": []}
    for pid in _below(everything, run.process.pid):
        parent, state, command = everything[pid]
        if state in "ZX":
            continue
        is_zygote = any("zygote.main" in word for word in command)
        if "--multiprocessing-fork" in command:
            found["pool"].append(pid)
        elif is_zygote:
            above = everything.get(parent, (0, "", []))[2]
            # A worker is a fork of a zygote and has its command line; bubblewrap's is "bwrap ...".
            is_fork = command[0] == above[0] and any("zygote.main" in word for word in above)
            found["worker" if is_fork else "zygote"].append(pid)
    return found


def _below(everything, pid) -> Iterator[int]:
    for child, (parent, _, _) in everything.items():
        if parent == pid:
            yield child
            yield from _below(everything, child)


def left_behind(seconds: float = 15.0) -> list[str]:
    """Wait until this process has no children any more; return the command lines of those that stay."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        everything = table()
        alive = [pid for pid in _below(everything, os.getpid()) if everything[pid][1] not in "ZX"]
        if not alive or time.monotonic() > end:
            return [" ".join(everything[pid][2])[:120] for pid in alive]
        time.sleep(0.05)


def kill(pid: int) -> bool:
    """Kill a process that may have ended meanwhile."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def results(out: Path) -> dict[str, dict]:
    """Return student -> what was found, without what is about the run itself."""
    found = {}
    for path in sorted((out / "results").glob("*.json")):
        result = load(path)
        assert result["student"] not in found
        found[result["student"]] = json.loads(MEASURED.sub("takes # times", json.dumps({key: result[key] for key in result if key not in ABOUT_THE_RUN})))
    return found


def differences(found: dict, expected: dict) -> list[str]:
    """Say whose result is lost, too much, or another, and where."""
    return [f"{student}: {_difference(found.get(student), expected.get(student))}" for student in sorted({*found, *expected}) if found.get(student) != expected.get(student)]


def _difference(found, expected) -> str:
    if found is None or expected is None:
        return "lost" if found is None else "too much"
    parts = [key for key in expected if found.get(key) != expected[key] and key != "functions"]
    for mine, other in zip(found["functions"], expected["functions"], strict=True):
        parts += [f"{mine['name']}.{key}: {mine[key]} != {other[key]}" for key in mine if mine[key] != other[key]]
    return "; ".join(parts)
