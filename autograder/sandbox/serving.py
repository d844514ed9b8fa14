"""Our own solution, computing functions for submissions whose own are wrong: errors are carried forward.

A cache that our forward pass returns never leaves the worker that computed it: the submission gets an `Opaque` and can
hand it to our backward pass, and learns nothing from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from .steps import Fault, Opaque
from .worker import Failed, Worker

#: CPU seconds for one served call; the submission chooses the sizes of the arguments.
CALL_S = 5.0


class Refused(Exception):
    """The function cannot be computed for these arguments; the text is shown to the submission."""


@dataclass
class Served:
    """Calls functions of our own solution in a worker of its own, which is replaced when it dies.

    Parameters
    ----------
    spawn : callable
        ``spawn()``: a fresh worker with our solution loaded.
    cached : collection of str
        Functions whose last returned item is a cache.
    """

    spawn: Callable[[], Worker]
    cached: Collection[str] = ()
    _worker: Worker | None = field(default=None, repr=False)
    _first: int = 0  # what the ids of this worker's caches are shifted by
    _next: int = 0

    def __call__(self, name: str, args: tuple) -> object:
        """Compute ``name(*args)``.

        Raises
        ------
        Refused
            It raised, took too long or died of these arguments.
        Fault
            ``kind="zygote"``: the sandbox itself is broken, or this worker was ended by somebody else: its caches are lost.
        """
        args = tuple([self._inwards(arg) for arg in args])
        try:
            value = self._alive().call(name, args, name in self.cached, cpu_s=CALL_S)
        except Failed as failed:
            raise Refused(f"{name} cannot be computed for these arguments: {failed}") from None
        except Fault as fault:
            self.close()
            if fault.kind == "zygote":
                raise
            if fault.kind == "killed":
                raise Fault("zygote", fault.detail) from None
            raise Refused(f"{name} cannot be computed for these arguments: it {fault.detail}") from None
        return self._outwards(value) if name in self.cached else value

    def _alive(self) -> Worker:
        if self._worker is None:
            self._worker = self.spawn()
            self._first = self._next  # a cache of the worker before must not be taken for one of this one
        return self._worker

    def _outwards(self, value: tuple) -> tuple:
        opaque = Opaque(value[-1].id + self._first)
        self._next = opaque.id + 1
        return (*value[:-1], opaque)

    def _inwards(self, tree: object) -> object:
        if isinstance(tree, Opaque):
            if self._worker is None or not self._first <= tree.id < self._next:
                raise Refused("an argument is a cache that does not exist any more")
            return Opaque(tree.id - self._first)
        if isinstance(tree, (tuple, list)):
            return type(tree)(self._inwards(item) for item in tree)
        if isinstance(tree, dict):
            return {key: self._inwards(item) for key, item in tree.items()}
        return tree

    def drop(self) -> None:
        """Forget all caches; between two submissions."""
        if self._worker is not None:
            self._first = self._next
            try:
                self._worker.drop()
            except Fault:
                self.close()

    def close(self) -> None:
        """End the worker; the next call starts another."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
