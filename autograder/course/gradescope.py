"""A kit with which Gradescope grades by itself: a ZIP with ``setup.sh``, ``run_autograder``, this package and the course.

Format: https://gradescope-autograders.readthedocs.io/en/latest/specs/ ("File hierarchy").
"""

from __future__ import annotations

import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path

from autograder import paths
from autograder.cases import store
from autograder.ours import CourseError
from autograder.spec import Assignment

SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
here=/autograder/source/handgrad

apt-get update -qq
apt-get install -qqy bubblewrap || echo "bubblewrap is not there; the inner walls stand without it"

recent() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python=""
for candidate in python3 python3.13 python3.12 python3.11; do
    if recent "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    apt-get install -qqy python3.11 python3.11-venv
    python=python3.11
fi

"$python" -m venv /autograder/venv
pip=(/autograder/venv/bin/python -m pip install --quiet --constraint "$here/constraints.txt")
# On Linux the usual builds of torch bring CUDA along, gigabytes that nothing here needs.
"${pip[@]}" --extra-index-url https://download.pytorch.org/whl/cpu torch
"${pip[@]}" hypothesis jsonschema pebble
"${pip[@]}" --editable "$here"
"""

RUN = """#!/usr/bin/env bash
# Gradescope runs this for every submission. Student code runs in the sandbox only; without one nothing is graded.
set -euo pipefail
root=${{AUTOGRADER_ROOT:-/autograder}}
handgrad=${{HANDGRAD:-$root/venv/bin/handgrad}}
export HANDGRAD_COURSE=$root/source/handgrad

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/submitted" "$root/results"
# -P: a link stays a link, and the grader follows none.
cp -rP "$root/submission" "$work/submitted/student"

# 3: there was something that cannot be graded; the result says what.
"$handgrad" grade "$work/submitted" --assignment {name} --bank "$HANDGRAD_COURSE/{bank}" --out "$work/graded" \\
    --jobs 1 --no-pages --require-isolation {level} || [ $? = 3 ]
"$handgrad" export "$work/graded" --format gradescope --out "$root/results/results.json"
"""

#: What of a checkout the package is built from.
BUILD = ("pyproject.toml", "README.md", "LICENSE", "constraints.txt")


def write_kit(assignment: Assignment, bank: Path | None, level: str, out: Path) -> int:
    """Write the ZIP and return how many files are in it.

    Parameters
    ----------
    assignment : Assignment
    bank : Path
        The example bank to grade with; by default the public one.
    level : str
        The isolation that grading requires there.
    out : Path
        The ZIP.

    Raises
    ------
    CourseError
        This is no checkout of the course.
    BankError
        The bank is none of this assignment.
    """
    bank = bank or paths.public_bank(assignment.name)
    if bank is None:
        raise CourseError("the public examples are not here. Run handgrad in the course's folder, or name a file with --bank.")
    if (found := store.load(bank).assignment) != assignment.name:
        raise store.BankError(f"{bank} is a bank of {found}, not of {assignment.name}.")
    files = dict(_files(assignment))
    inside = f"banks/{assignment.name}.bank.npz"
    run = RUN.format(name=shlex.quote(assignment.name), bank=inside, level=shlex.quote(level))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as kit:
        _add(kit, "setup.sh", SETUP.encode(), 0o755)
        _add(kit, "run_autograder", run.encode(), 0o755)
        _add(kit, f"handgrad/{inside}", bank.read_bytes())
        for name, path in files.items():
            _add(kit, f"handgrad/{name}", path.read_bytes())
    return len(files) + 3


def _files(assignment) -> Iterator[tuple[str, Path]]:
    """Yield name -> path of what grading needs: the package, and of the course this assignment and those that it builds on."""
    root = paths.course()
    if root is None or not all((root / name).is_file() for name in BUILD):
        raise CourseError("the kit is made out of a checkout of the course. Run handgrad there, or set HANDGRAD_COURSE to its path.")
    names = (*assignment.requires, assignment.name)
    folders = ["autograder", "reference", *(f"{part}/{name}" for part in ("solutions", "assignments") for name in names)]
    for path in [root / name for name in BUILD] + [path for folder in folders for path in sorted((root / folder).rglob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(root).as_posix(), path


def _add(kit, name, content, mode=0o644) -> None:
    about = zipfile.ZipInfo(name)
    about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, mode << 16
    kit.writestr(about, content)
