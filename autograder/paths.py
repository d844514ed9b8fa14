"""Where things of the course lie: in a checkout, or in the folder that ``HANDGRAD_COURSE`` names. Read by path, never imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def course() -> Path | None:
    """Return the course's root, the folder with ``assignments``; None when there is none here.

    Looked for in this order: ``HANDGRAD_COURSE``, the checkout that this package is in, the current folder and those above it,
    and what was installed with the package (the public part only).
    """
    return next(_roots(), None)


def solution(assignment: str) -> Path | None:
    """Return the path of our own solution, or None where it is not shipped."""
    return _existing("solutions", assignment, f"{assignment}.py")


def public_bank(assignment: str) -> Path | None:
    """Return the path of the public example bank, or None."""
    return _existing("assignments", assignment, f"{assignment}.bank.npz")


def _roots() -> Iterator[Path]:
    named, here, package = os.environ.get("HANDGRAD_COURSE"), Path.cwd(), Path(__file__).resolve().parent
    for folder in (*([Path(named)] if named else []), package.parent, here, *here.parents, package / "_course"):
        if (folder / "assignments").is_dir():
            yield folder


def _existing(*parts: str) -> Path | None:
    """Return the first such file: a student's own folder may be called ``assignments`` too."""
    return next((path for root in _roots() if (path := root.joinpath(*parts)).is_file()), None)
