"""One confined worker as the grader sees it: requests, deadlines, and what the kernel says about it.

Nothing that a worker says is believed: a reply is a candidate answer that has been checked for its form. How much
time and memory it took, and how it ended, the kernel tells.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from . import messages, wire
from .deadline import Deadline
from .link import Link
from .messages import Prepared
from .steps import Answer, Error, Fault, LoadError, Step

if TYPE_CHECKING:
    from .jail import Limits

#: CPU seconds for loading a submission and for a call of our own code.
CPU_S = 10.0
#: The wall clock may take this many times longer before it counts: it only stops what sleeps.
WALL = 6.0
#: Bytes of numbers that are not arrays: a value has at most 4,000 of them, of 16 bytes each on the wire.
_NUMBERS = 1 << 16
_ASK_CAP = 1 << 26
_CALL_CAP = 1 << 30
_NO_MEMORY = 71  # exit code, see `zygote`
_EXIT_S = 2.0  # a process that has closed its channel is gone soon, or does not mean to go


class Failed(Exception):
    """A trusted function that was called has raised; `error` says what."""

    def __init__(self, error: Error) -> None:
        super().__init__(f"{error.type}: {error.message}")
        self.error = error


class Worker:
    """A process with one submission in it; a context manager.

    Made by `Sandbox.spawn`. After a `Fault` the worker is dead, and every further request raises the same one.

    Attributes
    ----------
    layers : list of str
        Names of the layers that hold for this process.
    output : str
        What it has printed, up to a limit.
    """

    def __init__(self, link: Link, limits: Limits) -> None:
        self._link = link
        self._fd = link.channel.fileno()
        self._limits = limits
        self._served: frozenset[str] = frozenset()
        self._names: list[str] = []
        self._fault: Fault | None = None
        self._end: dict = {}
        self._output = ""
        self.pid = link.pid
        self.layers = link.layers

    def load(self, files: Mapping[str, str], served: Iterable[str] = ()) -> None:
        """Load the submission; once, by `Sandbox.spawn`."""
        self._served = frozenset(served)
        request = wire.encode(("load", dict(files), tuple(sorted(self._served))))
        tree = self._request(request, wire.Caps(payload=0), CPU_S)
        with self._checked():
            if tree[:1] == ("error",):
                _need(len(tree) == 3 and type(tree[1]) is str and tree[1] in files, "not a loading error")
                raise LoadError(tree[1], messages.error_of(tree[2]))
            self._names = messages.names_of(_done(tree))

    def names(self) -> list[str]:
        """List the public callables of the submission's modules."""
        return list(self._names)

    def prepare(self, batch: list[list[Step]]) -> Prepared:
        """Make a batch ready to be run any number of times; its arrays must not be modified from now on."""
        return Prepared(batch)

    def run(
        self,
        batch: list[list[Step]] | Prepared,
        *,
        cap_bytes: int | None = None,
        cpu_s: float = CPU_S,
        wall_s: float | None = None,
        serve: Callable[[str, tuple], object] | None = None,
    ) -> list[list[Answer]]:
        """Run every script of a batch and return one answer per step.

        Parameters
        ----------
        batch : list of list of Step, or Prepared
        cap_bytes : int, optional
            Bytes that all returned arrays together may take.
        cpu_s : float
            CPU seconds that the worker may take.
        wall_s : float, optional
            Seconds that it may take while it does not compute; 6 times `cpu_s` by default.
        serve : callable, optional
            ``serve(name, args)`` computes the served functions; what it raises, but a `Fault`, the submission sees
            as a RuntimeError.

        Raises
        ------
        Fault
            No answers came; the worker is dead.
        """
        prepared = batch if isinstance(batch, Prepared) else Prepared(batch)
        cap = _ASK_CAP if cap_bytes is None else cap_bytes
        caps = wire.Caps(prepared.caps, cap + 2 * _NUMBERS * (1 + sum(prepared.steps)))
        tree = self._request(prepared.encoded, caps, cpu_s, wall_s, serve, cap)
        with self._checked():
            return messages.answers_of(_done(tree), prepared.batch)

    def serve(self, served: Iterable[str]) -> None:
        """Have exactly these functions computed by the ``serve`` argument of `run` from now on."""
        self._served = frozenset(served)
        self._simple(("serve", tuple(sorted(self._served))))

    def call(self, name: str, args: tuple, hold: bool = False, *, cpu_s: float = CPU_S, wall_s: float | None = None) -> object:
        """Call one function of our own code.

        Parameters
        ----------
        name : str
        args : tuple
        hold : bool
            The last item of the returned tuple stays in the worker; in its place comes an `Opaque`, that can be
            handed back as an argument.
        cpu_s, wall_s : float
            As for `run`.

        Raises
        ------
        Failed
            The function raised.
        Fault
        """
        request = wire.encode(("call", name, args, hold))
        tree = self._request(request, wire.Caps(payload=_CALL_CAP), cpu_s, wall_s, room=_CALL_CAP)
        with self._checked():
            if tree[:1] == ("failed",) and len(tree) == 2:
                raise Failed(messages.error_of(tree[1]))
            return _done(tree)

    def drop(self) -> None:
        """Forget every value that `call` has held."""
        self._simple(("drop",))

    def _simple(self, request: tuple) -> None:
        tree = self._request(wire.encode(request), wire.Caps(payload=0), CPU_S)
        with self._checked():
            _need(_done(tree) == (), "not an empty reply")

    # --- one request -----------------------------------------------------------------------------------------------
    def _request(self, request, caps, cpu_s, wall_s=None, serve=None, room=0) -> tuple:
        """Send a request, serve what is asked for in between, return the reply."""
        if self._fault is not None:
            raise Fault(self._fault.kind, self._fault.detail)
        clock = Deadline(self.cpu_ns, cpu_s, wall_s if wall_s is not None else WALL * cpu_s)
        nonce = os.urandom(wire.NONCE)
        with self._checked(clock):
            _need(not self._pending(), "a reply before the request")
            wire.send(self._fd, request, nonce, clock, room)
            tree = self._reply(nonce, clock, caps, serve)
            _need(not self._pending(), "two replies to one request")
            if tree == ("memory",):
                raise self._kill("memory", self._too_much_memory())
            return tree

    def _reply(self, nonce: bytes, clock: Deadline, caps: wire.Caps, serve: Callable | None) -> tuple:
        while_serving = wire.Caps(caps.skeleton, max(caps.payload, _ASK_CAP)) if serve else caps
        while True:
            frame = wire.receive(self._fd, clock, nonce, while_serving)
            tree = wire.decode(frame)
            _need(type(tree) is tuple and bool(tree) and type(tree[0]) is str, "not a reply")
            if tree[0] != "ask":
                _need(len(frame.payload) <= caps.payload, "more arrays than allowed")
                return tree
            reply = self._serve(tree, clock, serve)
            wire.send(self._fd, reply, nonce, clock)

    def _serve(self, tree: tuple, clock: Deadline, serve: Callable | None) -> wire.Encoded:
        _need(serve is not None and len(tree) == 3 and type(tree[1]) is str, "not a question")
        _, name, args = tree
        _need(name in self._served and type(args) is tuple, "a question that is not allowed")
        with clock.paused():
            try:
                return wire.encode(("value", serve(name, args)))
            except Fault:
                raise
            except Exception as exc:  # noqa: BLE001  the submission chose the arguments
                return wire.encode(("error", str(exc)[: messages.MAX_MESSAGE]))

    @contextlib.contextmanager
    def _checked(self, clock: Deadline | None = None):
        """Turn what goes wrong on the channel into a `Fault`, and end the worker."""
        try:
            yield
        except wire.Late:
            raise self._kill("timeout", clock.passed()) from None
        except wire.WireError as why:
            raise self._kill("protocol", f"sent something that is no answer ({why})") from None
        except wire.Closed:
            raise self._kill("died", "") from None
        except BaseException:
            # Whatever stopped this half way (Ctrl-C, a fault of the server's): the channel is out of step now.
            if clock is not None:
                self.close()
            raise

    def _pending(self) -> bool:
        """Tell whether bytes wait to be read; the end of the channel is not counted, the next read finds it."""
        try:
            return bool(self._link.channel.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    # --- what the kernel says --------------------------------------------------------------------------------------
    def cpu_ns(self) -> int:
        """CPU time of the process so far, all threads, by the kernel's clock."""
        if not self._end:
            with contextlib.suppress(OSError):
                return time.clock_gettime_ns((~self.pid << 3) | 2)
        return int(1e9 * self._end.get("cpu_s", 0))

    def peak_kib(self) -> int:
        """Largest resident memory so far, or since `reset_peak`; 0 where the kernel does not tell."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmHWM")), 0)
        return self._end.get("peak_kib", 0)

    def reset_peak(self) -> None:
        """Start measuring the peak of memory anew, where the kernel can."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/clear_refs", "w") as file:
            file.write("5")

    @property
    def output(self) -> str:
        """What the submission has printed, up to a limit; control characters are replaced."""
        if self._end:
            return self._output
        data = os.pread(self._link.output, self._limits.output_kib << 10, 0)
        return messages.printable(data.decode("utf-8", "replace"))

    def printed(self) -> int:
        """Bytes in the file behind stdout and stderr; 0 when the worker is dead."""
        return 0 if self._end else os.fstat(self._link.output).st_size

    # --- the end ---------------------------------------------------------------------------------------------------
    def _kill(self, kind: str, detail: str) -> Fault:
        """End the process and return the fault that every request raises from now on."""
        if self._fault is not None:
            return self._fault
        output = self.output
        # Behind seccomp it cannot send itself a signal, and cannot choose to be killed.
        by_others = kind == "died" and any(layer.startswith("seccomp") for layer in self.layers) and self._has_ended()
        # It keeps its process id until its zygote waits for it, which `ended` asks for: no stranger is hit.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        ended = self._link.ended()
        self._end = ended or {"signal": signal.SIGKILL, "code": -signal.SIGKILL, "peak_kib": 0, "cpu_s": 0.0}
        self._output = output
        self._link.channel.close()
        os.close(self._link.output)
        if kind == "died":
            kind, detail = ("zygote", "cannot be run: the sandbox died") if ended is None else self._how_it_ended(by_others)
        self._fault = Fault(kind, detail)
        return self._fault

    def _has_ended(self) -> bool:
        """Tell whether the process is gone before it is killed here; it is not waited for until then."""
        try:
            fd = os.pidfd_open(self.pid)
        except OSError:  # the zygote is gone, or the kernel has no such call
            return False
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            return bool(poll.poll(int(1e3 * _EXIT_S)))
        finally:
            os.close(fd)

    def _how_it_ended(self, by_others: bool) -> tuple[str, str]:
        number, code = self._end["signal"], self._end["code"]
        if number == signal.SIGXCPU or (number and self._end["cpu_s"] > self._limits.cpu_s - 1):
            return "timeout", f"did not finish within {self._limits.cpu_s} seconds"
        if number == signal.SIGKILL and by_others:
            return "killed", "was ended by the system, which may be short of memory"
        if number == signal.SIGKILL:
            return "died", "stopped answering and had to be ended"
        if number:
            return "died", f"crashed (signal {signal.Signals(number).name})"
        if code == _NO_MEMORY:
            return "memory", self._too_much_memory()
        return "died", f"ended by itself (exit code {code})"

    def _too_much_memory(self) -> str:
        return f"needs more memory than the {self._limits.memory_mib} MiB allowed"

    def close(self) -> None:
        """End the process; nothing of it stays behind."""
        self._kill("closed", "is closed")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _done(tree: tuple) -> object:
    _need(len(tree) == 2 and tree[0] == "done", "not the reply to this request")
    return tree[1]


def _need(ok: bool, why: str) -> None:
    if not ok:
        raise wire.WireError(why)
