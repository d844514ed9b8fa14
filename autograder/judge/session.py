"""One submission under judgement: its worker, fresh workers when one died or may remember, and its budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from autograder.sandbox.steps import Answer, Error, LoadError, Ref, Step

#: CPU seconds allowed for one call, for one batch of calls, and for everything a submission does.
CALL_CPU, BATCH_CPU, BUDGET_CPU = 1.5, 3.0, 60.0

#: A wall-clock limit this many times the CPU limit stops what sleeps; a busy machine never comes near it.
WALL = 8.0

#: Bytes of a reply beyond what the reference's own results take.
SPARE = 1 << 20


#: CPU seconds that loading may take before it counts against the budget.
FREE_LOADING = 0.5


class KitError(Exception):
    """The kit itself failed; this never costs points."""


class Disturbed(KitError):
    """Somebody else ended the process: whatever it was, it says nothing about the submission, which has to be judged again."""


class Exhausted(Exception):
    """The submission has used up its budget; what is left is not judged."""


class Stopped(Exception):
    """A batch did not come back: the worker was stopped or died. ``detail`` says why, in words for the student."""

    def __init__(self, kind: str, detail: str):
        super().__init__(detail)
        self.kind, self.detail = kind, detail


@dataclass
class Clock:
    """Where the time of one grading went, in CPU seconds: calls of the student's functions, forking and loading."""

    student: float = 0.0
    loading: float = 0.0

    def loaded(self, worker) -> None:
        """Count what a fresh worker has used so far."""
        self.loading += worker.cpu_ns() / 1e9


@dataclass
class Session:
    """Runs batches of calls in a worker that is replaced whenever it is stopped.

    Parameters
    ----------
    spawn : callable
        ``spawn() -> runner``: a fresh worker with the submission loaded.
    faults : tuple of exception types
        What a runner raises when its worker had to be stopped (``kind`` and ``detail`` on it).
    serve : callable
        ``serve(name, args) -> value`` for the functions that the grader serves.
    served : frozenset of str
        Names of those functions.
    first : runner
        A worker that is loaded already.
    wall : float
        Seconds by the clock on the wall for each second of computing that is allowed.
    """

    spawn: Callable
    faults: tuple
    served: frozenset[str] = frozenset()
    serve: Callable | None = None
    clock: Clock = field(default_factory=Clock)
    spent: float = 0.0
    first: object = None
    wall: float = WALL

    def __post_init__(self):
        self._worker = self.first
        self.stops = 0

    def refill(self) -> None:
        """Begin a new budget: our own solution has one for each submission that it is compared with."""
        self.spent = 0.0

    def names(self) -> list[str]:
        """Return the public functions that the submission defines."""
        return self.worker().names()

    def worker(self):
        """Return the worker in use; a new one when the last was stopped."""
        if self._worker is None:
            started, used = time.monotonic(), 0.0
            try:
                self._worker = self.spawn()
                self.clock.loaded(self._worker)
                used = self._worker.cpu_ns() / 1e9
                if self.served:
                    self._worker.serve(self.served)
            except self.faults as fault:
                raise self._stopped(fault) from None
            except LoadError as error:  # it could be loaded before, and now it cannot
                raise Stopped("load", f"could not be loaded again: {error.type}: {error.message}") from None
            finally:
                # What waits or fails while it loads is charged by the wall clock, as gently as a call.
                took = time.monotonic() - started
                self._charge(max(min(used, took), took / self.wall, FREE_LOADING) - FREE_LOADING)
        return self._worker

    def _stopped(self, fault) -> Stopped:
        """Return what to raise for a fault; one of the kit's own is not the submission's."""
        self.renew()
        self.stops += 1
        if fault.kind == "zygote":
            raise KitError(fault.detail) from fault
        if fault.kind == "killed":
            raise Disturbed(fault.detail) from fault
        return Stopped(fault.kind, fault.detail)

    def renew(self) -> None:
        """Forget the worker, so that the next call runs in a fresh process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def run(self, batch, cap: int, cpu: float = BATCH_CPU) -> list[list[Answer]]:
        """Run a batch; :class:`Stopped` when it does not come back, :class:`Exhausted` when the budget is used up."""
        left = BUDGET_CPU - self.spent
        if left <= 0:
            raise Exhausted
        worker = self.worker()
        before = worker.cpu_ns()
        limit = min(cpu, left)
        started = time.monotonic()
        try:
            answers = worker.run(batch, cap_bytes=cap + SPARE, cpu_s=limit, wall_s=self.wall * limit, serve=self.serve if self.served else None)
            # Waiting counts as well, or a function that sleeps could hold the grader for as long as it likes.
            self._charge(max((worker.cpu_ns() - before) / 1e9, (time.monotonic() - started) / self.wall))
            return answers
        except self.faults as fault:
            used = (time.monotonic() - started) / (self.wall if fault.kind == "timeout" else 1.0)
            self._charge(min(used, limit))
            raise self._stopped(fault) from None

    def _charge(self, seconds: float) -> None:
        """Take from the budget; by the clock also from that of all other sessions of the submission."""
        self.spent += seconds
        self.clock.student += seconds

    def run_each(self, scripts: Iterable[list[Step]], cap: int, patience: int = 2) -> list[list[Answer]]:
        """Run scripts one at a time after a batch was stopped, to find the guilty call; after some stops leave out only that."""
        found, guilty, stops = [], set(), 0
        for steps in scripts:
            answers = self._one(steps, cap) if stops < patience else self._without(steps, guilty, cap)
            stopped = {index for index, answer in enumerate(answers) if answer.error and answer.error.type == "Stopped"}
            guilty |= stopped
            stops += bool(stopped)
            found.append(answers)
        return found

    def _one(self, steps, cap):
        """Run one script; where it is stopped, run its first step alone, and every other step after the first."""
        try:
            return self.run([steps], cap, CALL_CPU)[0]
        except Stopped as stopped:
            detail = stopped.detail
        if len(steps) == 1:
            return _nothing(steps, "Stopped", detail)
        if len(steps) == 2 or _is_protocol(steps):
            head = self._one(steps[:-1], cap)
            kind = "Skipped" if any(answer.error for answer in head) else "Stopped"
            return head + _nothing(steps[-1:], kind, detail)
        pairs = [self._one([steps[0], step], cap) for step in steps[1:]]
        return [pairs[0][0], *(pair[1] for pair in pairs)]

    def _without(self, steps, guilty, cap):
        left = [index for index in range(len(steps)) if index not in guilty]
        known = {}
        if left and left[0] == 0:
            try:
                known = dict(zip(left, self.run([[steps[index] for index in left]], cap, CALL_CPU)[0], strict=True))
            except Stopped:
                known = {}
        (missing,) = _nothing(steps[:1], "NotReached", "was not called, since earlier calls had to be stopped")
        return [known.get(index, missing) for index in range(len(steps))]

    def close(self) -> None:
        """End the worker."""
        self.renew()


def _is_protocol(steps) -> bool:
    """Whether a step needs more than what the first one returned."""
    return any(isinstance(arg, Ref) and arg.step > 0 for step in steps for arg in step.args)


def _nothing(steps, kind, message):
    return [Answer(error=Error(kind, message)) for _ in steps]
