"""What runs inside a worker: read a request, let the student's code do it, write the reply.

Everything here shares the process with student code. It is written so that ordinary student code cannot disturb it;
code that sets out to disturb it only changes its own answers, and the grader checks those from outside.
"""

from __future__ import annotations

import io
import os
import sys
from types import ModuleType

from . import messages, sources, wire
from .arrays import Copier, Unsendable
from .blame import describe
from .perform import invoke, perform
from .steps import LoadError, Opaque

_write = os.write
_NO_NONCE = bytes(wire.NONCE)
_NO_MEMORY = wire.encode(("memory",))
_REQUESTS = wire.Caps(1 << 34, 1 << 40)  # requests come from the grader


class Output(io.TextIOBase):
    """stdout and stderr: the first bytes are kept, the rest is dropped without a complaint.

    The kernel's limit on the size of a file is the hard stop behind it.
    """

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, fd: int, room: int) -> None:
        self._fd, self._room = fd, room

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write what still fits."""
        data = text.encode("utf-8", "replace")[: self._room]
        self._room -= len(data)
        if data:
            _write(self._fd, data)
        return len(text)


class Inside:
    """Serves requests over one channel until it is closed.

    Parameters
    ----------
    fd : int
        The channel to the grader, blocking.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.nonce: bytes | None = None  # of the run that is going on
        self.room = 0
        self.modules: dict[str, ModuleType] = {}
        self.held: list[object] = []
        self.stand_ins = sources.StandIns(self.modules, self.ask)

    def hello(self, layers: list[str]) -> None:
        """Tell which layers hold; sent before any student code is here."""
        wire.send(self.fd, wire.encode(tuple(layers)), _NO_NONCE)

    def serve(self) -> None:
        """Answer requests for ever."""
        while True:
            frame = wire.receive(self.fd, None, None, _REQUESTS)
            self.nonce, self.room = frame.nonce, frame.room
            try:
                reply = self.reply(wire.decode(frame, from_grader=True))
            except MemoryError:
                reply = _NO_MEMORY
            frame = None  # frees the arrays of the request
            wire.send(self.fd, reply, self.nonce)
            self.nonce = reply = None

    def reply(self, request: tuple) -> wire.Encoded:
        """Do what a request says."""
        name, *args = request
        operations = {"load": self.load, "run": self.run, "serve": self.put, "call": self.call, "drop": self.drop}
        return wire.encode(operations[name](*args))

    def load(self, files: dict, served: tuple) -> tuple:
        """Load the student's modules, once in a worker's life."""
        try:
            self.modules.update(sources.load(files))
        except LoadError as exc:
            return ("error", exc.module, messages.error_tree(exc.error))
        # These stay importable: a function may import inside its body.
        sys.modules.update(self.modules)
        self.stand_ins.put(served)
        return ("done", tuple(sources.names(self.modules)))

    def run(self, batch: tuple) -> tuple:
        """Perform a batch."""
        answers = perform(messages.batch_of(batch), self.modules, room=self.room)
        return ("done", tuple([tuple([messages.answer_tree(one) for one in script]) for script in answers]))

    def put(self, served: tuple) -> tuple:
        """Have exactly these functions served by the grader from now on."""
        self.stand_ins.put(served)
        return ("done", ())

    def call(self, name: str, args: tuple, hold: bool) -> tuple:
        """Call one function; with `hold` the last item it returns stays here and goes out as `Opaque`."""
        try:
            function = vars(sources.home(self.modules, name))[name]
            value, _ = invoke(function, _unwrap(args, self.held))
            if hold:
                self.held.append(value[-1])
                value = (*value[:-1], Opaque(len(self.held) - 1))
            return ("done", Copier(self.room)(value))
        except Exception as exc:  # noqa: BLE001  the arguments may be anything
            return ("failed", messages.error_tree(describe(exc, ())))

    def drop(self) -> tuple:
        """Forget the values that `call` has held."""
        self.held.clear()
        return ("done", ())

    def ask(self, name: str, args: tuple) -> object:
        """Have the grader compute ``name(*args)``; called by the stand-ins in student code."""
        if self.nonce is None or not self.modules:
            raise RuntimeError(f"{name} is served by the grader, and only while a call is being graded")
        try:
            request = wire.encode(("ask", name, Copier()(args)))
        except Unsendable as why:
            raise TypeError(f"an argument of {name} is {why}") from None
        wire.send(self.fd, request, self.nonce)
        kind, value = wire.decode(wire.receive(self.fd, None, None, _REQUESTS), from_grader=True)
        if kind == "error":
            raise RuntimeError(value)
        return Copier()(value)  # arrays in buffers of their own


def _unwrap(tree: object, held: list[object]) -> object:
    """Replace every `Opaque` by the value that it stands for."""
    if isinstance(tree, Opaque):
        return held[tree.id]
    if isinstance(tree, (tuple, list)):
        return type(tree)(_unwrap(item, held) for item in tree)
    if isinstance(tree, dict):
        return {key: _unwrap(item, held) for key, item in tree.items()}
    return tree
