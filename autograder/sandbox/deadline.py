"""How long a request may take: CPU time by the kernel's clock, and wall time for what waits instead of computing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from . import wire


class Wall:
    """A deadline by the wall clock."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left; raise `Late` when there are none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise wire.Late
        return left


class Deadline(Wall):
    """A deadline by the worker's CPU clock, with the wall clock behind it for code that waits instead of computing."""

    def __init__(self, cpu_ns: Callable[[], int], cpu_s: float, wall_s: float) -> None:
        super().__init__(wall_s)
        self.cpu_s, self.wall_s, self.serving_s = cpu_s, wall_s, wall_s
        self.cpu_ns = cpu_ns
        self.cpu_end = cpu_ns() + int(1e9 * cpu_s)

    def left(self) -> float:
        """Return how long it may run before another look: a worker has one thread, its CPU clock is never faster."""
        cpu = (self.cpu_end - self.cpu_ns()) / 1e9
        if cpu <= 0:
            raise wire.Late
        return min(cpu, super().left())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the grader's own work, as long as it is no more than the worker's whole time."""
        started = time.monotonic()
        try:
            yield
        finally:
            spent = min(time.monotonic() - started, self.serving_s)
            self.serving_s -= spent
            self.end += spent

    def passed(self) -> str:
        """Say what happened, in the same words on an idle and on a busy machine."""
        return f"did not finish within {min(self.cpu_s, self.wall_s):g} seconds"
