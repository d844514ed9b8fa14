"""Which walls really stand on this machine, and whether they are enough."""

from __future__ import annotations

from collections.abc import Mapping

from autograder.sandbox import LEVELS, Fault, Sandbox, at_least, observe


class IsolationError(Exception):
    """The sandbox is weaker than required; the message says what to do."""


def observed() -> Mapping:
    """Return level, layers and what a hostile canary could do, as plain data; level ``none`` where nothing can be started."""
    try:
        with Sandbox() as sandbox:
            seen = observe(sandbox)
    except Fault as fault:
        return {"level": "none", "layers": [], "canary": {}, "trouble": fault.detail}
    return {"level": seen.level, "layers": list(seen.layers), "canary": dict(seen.canary)}


def required(level: str) -> Mapping:
    """Return what is observed, if it is at least ``level``.

    Raises
    ------
    IsolationError
        It is less.
    """
    seen = observed()
    if trouble := seen.get("trouble"):
        raise IsolationError(f"Student code {trouble}.")
    if not at_least(seen["level"], level):
        advice = "Install bubblewrap, or " if level == LEVELS[-1] else "Use a newer Linux kernel or a less restricted container, or "
        open_doors = ", ".join(what for what, came in seen["canary"].items() if came != "blocked")
        raise IsolationError(
            f"The isolation here is {seen['level']!r}, but {level!r} is required; student code could: {open_doors}. "
            f"{advice}accept the risk with --require-isolation {seen['level']}."
        )
    return seen
