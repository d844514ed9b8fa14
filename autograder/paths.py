"""Where things of the course lie: in a checkout, or in the folder that ``HANDGRAD_COURSE`` names. Read by path, never imported."""

from __future__ import annotations

import os
from pathlib import Path


def course() -> Path | None:
    """Return the course's root, the folder with ``assignments``; None when there is none here.

    Looked for in this order: ``HANDGRAD_COURSE``, the checkout that this package is in, the current folder and those above it.
    """
    named = os.environ.get("HANDGRAD_COURSE")
    here = Path.cwd()
    for folder in (*([Path(named)] if named else []), Path(__file__).resolve().parent.parent, here, *here.parents):
        if (folder / "assignments").is_dir():
            return folder
    return None


def solution(assignment: str) -> Path | None:
    """Return the path of our own solution, or None where it is not shipped."""
    return _existing("solutions", assignment, f"{assignment}.py")


def public_bank(assignment: str) -> Path | None:
    """Return the path of the public example bank, or None."""
    return _existing("assignments", assignment, f"{assignment}.bank.npz")


def _existing(*parts: str) -> Path | None:
    root = course()
    path = root.joinpath(*parts) if root else None
    return path if path and path.is_file() else None
