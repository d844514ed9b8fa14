"""Run student code in this very process: for a student's check of their own work, never for somebody else's."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType

from .arrays import Copier, Unsendable
from .messages import Prepared
from .perform import perform
from .sources import StandIns, importable, load, names
from .steps import Answer, Fault, Step

CPU_S = 10.0
_WALL = 6  # the wall clock may take this many times longer before it counts


class Local:
    """A runner without any isolation; the same calls as `sandbox.Worker`.

    Parameters
    ----------
    files : mapping of module name to source text
        The last one is the main module.
    cpu_s : float
        CPU seconds that loading may take.

    Raises
    ------
    LoadError
        The source does not compile or raises.
    Fault
        Loading took too long.

    Notes
    -----
    Time is limited only where this is called from the main thread of a POSIX process, and only between bytecodes.
    """

    level = "none"

    def __init__(self, files: Mapping[str, str], *, cpu_s: float = CPU_S) -> None:
        with _limit(cpu_s):
            self._modules = load(files, _LET_THROUGH)
        self._server: Callable[[str, tuple], object] | None = None
        self._stand_ins = StandIns(self._modules, self._ask)

    @classmethod
    def from_paths(cls, *paths: str | Path, cpu_s: float = CPU_S) -> Local:
        """Load source files by path; the last one is the main module."""
        return cls({Path(path).stem: Path(path).read_text(encoding="utf-8") for path in paths}, cpu_s=cpu_s)

    def names(self) -> list[str]:
        """List the public callables of the modules."""
        return names(self._modules)

    def prepare(self, batch: list[list[Step]]) -> Prepared:
        """Make a batch ready to be run by any runner."""
        return Prepared(batch)

    def serve(self, served: Iterable[str]) -> None:
        """Have exactly these functions computed by the `serve` argument of `run` from now on."""
        self._stand_ins.put(served)

    def run(
        self,
        batch: list[list[Step]] | Prepared,
        *,
        cap_bytes: int | None = None,
        cpu_s: float = CPU_S,
        wall_s: float | None = None,
        serve: Callable[[str, tuple], object] | None = None,
    ) -> list[list[Answer]]:
        """Run a batch of scripts; see `sandbox.Worker.run`.

        Raises
        ------
        Fault
            ``kind="timeout"``, where the time can be limited at all.
        """
        if isinstance(batch, Prepared):
            batch = batch.batch
        self._server = serve
        try:
            with _limit(cpu_s, wall_s), importable(self._modules):
                return perform(batch, self._modules, room=cap_bytes, through=_LET_THROUGH)
        finally:
            self._server = None

    def _ask(self, name: str, args: tuple) -> object:
        if self._server is None:
            raise RuntimeError(f"{name} is served by the grader, and only while a call is being graded")
        try:
            args = Copier()(args)
        except Unsendable as why:
            raise TypeError(f"an argument of {name} is {why}") from None
        return self._server(name, args)

    def close(self) -> None:
        """Do nothing; a worker needs it."""

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _TooLong(BaseException):
    """Raised into student code by a timer; no Exception, so that ``except Exception`` does not swallow it."""


_LET_THROUGH = (_TooLong, KeyboardInterrupt)


@contextlib.contextmanager
def _limit(cpu_s: float, wall_s: float | None = None) -> Iterator[None]:
    """Raise `Fault` when the block takes too long, as far as signals can tell."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    timers = [
        (signal.ITIMER_PROF, signal.SIGPROF, cpu_s),
        (signal.ITIMER_REAL, signal.SIGALRM, wall_s or _WALL * cpu_s),
    ]
    try:
        with contextlib.ExitStack() as stack:
            for which, signum, seconds in timers:
                stack.enter_context(_timer(which, signum, seconds))
            yield
    except _TooLong:
        raise Fault("timeout", f"did not finish within {cpu_s:g} seconds") from None


@contextlib.contextmanager
def _timer(which: int, signum: int, seconds: float) -> Iterator[None]:
    def ring(signum: int, frame: FrameType | None) -> None:
        raise _TooLong

    handler = signal.signal(signum, ring)
    # It rings again and again: a bare "except:" in a loop may catch the first one.
    before = signal.setitimer(which, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(which, 0)
        signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
        if before[0]:
            signal.setitimer(which, *before)
