"""Which isolation is really in force: a hostile canary tries things, and what came of it is seen from outside.

Neither the configuration nor the names of layers nor the canary's own word decide; a level is reached when everything
that it promises was seen to be blocked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .attempts import ATTEMPTS, CANARY, laid_out
from .box import Sandbox

LEVELS = ("none", "process", "limits", "filtered", "namespaced")

#: What must have been seen to be blocked, on top of what the level before needs.
NEEDS = {
    "none": (),
    "process": ("run for ever", "end the grader"),
    "limits": ("take more memory than allowed", "fill the disk with output"),
    "filtered": (
        "read files", "write files", "use the network", "start processes", "start threads", "signal other processes",
        "read the memory or environment of others",
    ),
    "namespaced": ("see that files exist", "share the kernel's namespaces"),
}  # fmt: skip


@dataclass(frozen=True)
class Isolation:
    """What was observed.

    Attributes
    ----------
    level : str
        One of `LEVELS`.
    layers : tuple of str
        What the workers report to have done to themselves; for people, no level depends on it.
    canary : dict of str to str
        Each attempt and "blocked" or "POSSIBLE".
    """

    level: str
    layers: tuple[str, ...] = ()
    canary: dict[str, str] = field(default_factory=dict)


def at_least(level: str, wanted: str) -> bool:
    """Tell whether `level` is `wanted` or higher."""
    return LEVELS.index(level) >= LEVELS.index(wanted)


def observe(sandbox: Sandbox) -> Isolation:
    """Let a canary loose in workers of `sandbox`; takes about a second.

    Raises
    ------
    Fault
        ``kind="zygote"``: no worker can be had.
    """
    with laid_out() as bait:
        canary = {}
        layers: tuple[str, ...] = ()
        for what, attempt in ATTEMPTS.items():
            with sandbox.spawn({"canary": CANARY}) as worker:
                layers = tuple(worker.layers)
                canary[what] = "POSSIBLE" if attempt(worker, bait, sandbox) else "blocked"
    return Isolation(_level({what for what, seen in canary.items() if seen == "blocked"}), layers, canary)


def _level(blocked: set[str]) -> str:
    reached = "none"
    for level in LEVELS:
        if not blocked.issuperset(NEEDS[level]):
            break
        reached = level
    return reached
