"""One module per assignment; each defines ``assignment``. Adding a module is enough to be found."""

from __future__ import annotations

import importlib
import pkgutil

from autograder.spec import Assignment


def names() -> list[str]:
    """Return the names of all assignments."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Assignment:
    """Return one assignment by name; KeyError when there is none."""
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}").assignment
