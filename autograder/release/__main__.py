"""``python -m autograder.release [X ...] [--no-bank]``: build stub, notebook, handout and public example bank in place."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autograder import exercises, paths
from autograder.cases.store import BankError, save
from autograder.release import SourceError, release
from autograder.spec import Assignment


def main(argv: list[str] | None = None) -> int:
    """Build all assignments that have a source, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m autograder.release", description=main.__doc__)
    parser.add_argument("assignments", nargs="*", metavar="X", help="names of assignments; all by default")
    parser.add_argument("--no-bank", action="store_true", help="leave the example banks as they are (needs no torch)")
    asked = parser.parse_args(argv)
    root = paths.course()
    if root is None:
        parser.error("there is no folder 'assignments' here or above. Run this in the course's folder, or set HANDGRAD_COURSE.")
    if unknown := set(asked.assignments) - set(exercises.names()):
        parser.error(f"no such assignment: {', '.join(sorted(unknown))}. There are: {', '.join(exercises.names())}.")
    try:
        for name in asked.assignments or [name for name in exercises.names() if paths.solution(name)]:
            _release_one(exercises.load(name), root, bank=not asked.no_bank)
    except ImportError as error:
        print(f"building an example bank needs {error.name}: run make install, or leave the banks as they are with --no-bank", file=sys.stderr)
        return 2
    except (SourceError, BankError, OSError) as error:
        print(error, file=sys.stderr)
        return 3
    return 0


def _release_one(assignment: Assignment, root: Path, *, bank: bool):
    out = root / "assignments" / assignment.name
    written = release(assignment, root / "solutions" / assignment.name / f"{assignment.name}.py", out)
    written += [_release_bank(assignment, out)] if bank else []
    print(f"{assignment.name}: {', '.join(path.name for path in written)}", flush=True)


def _release_bank(assignment: Assignment, out: Path) -> Path:
    from autograder.cases.build import PUBLIC_SEED
    from autograder.judge.banks import make

    path = out / f"{assignment.name}.bank.npz"
    save(make(assignment.name, PUBLIC_SEED, public=True), path)
    return path


if __name__ == "__main__":
    sys.exit(main())
