"""The grader's side of the sandbox: keep a zygote alive and have it fork a confined worker for each submission."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from . import launch
from .link import Link
from .steps import Fault
from .worker import Worker

if TYPE_CHECKING:
    from .jail import Limits

#: What each level asks for. "bwrap": False is without, True refuses to work without, None takes it where it works.
PRESETS = {
    "auto": {"bwrap": None, "landlock": True, "seccomp": True},
    "namespaced": {"bwrap": True, "landlock": True, "seccomp": True},
    "filtered": {"bwrap": False, "landlock": True, "seccomp": True},
    "limits": {"bwrap": False, "landlock": False, "seccomp": False},
}
START_S = 60.0
REPLY_S = 30.0
_TRIES = 3
#: How a process ends that is killed, and how bubblewrap ends whose process inside is.
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


class Sandbox:
    """Forks confined workers; a context manager.

    Parameters
    ----------
    level : {"auto", "namespaced", "filtered", "limits"}
        "auto" puts up every wall that works here. "namespaced" does as well, and refuses where bubblewrap does not
        work. The others leave walls out. What really holds is for `levels.observe` to say.
    limits : Limits, optional
        What each worker may use.
    bwrap : bool, optional
        True: refuse to work without bubblewrap; False: do without. The default is the level's.
    landlock, seccomp : bool, optional
        False: leave this layer out, to see what the others hold. The default is the level's.

    Raises
    ------
    Fault
        ``kind="zygote"``: the sandbox cannot be started here; ``detail`` says why.

    Notes
    -----
    The memory of the process that makes a sandbox becomes unreadable to others of the same user, for good.
    Keep the thread that makes the sandbox alive: bubblewrap ends with the thread that started it.
    """

    def __init__(
        self,
        level: str = "auto",
        limits: Limits | None = None,
        *,
        bwrap: bool | None = None,
        landlock: bool | None = None,
        seccomp: bool | None = None,
    ) -> None:
        if sys.platform != "linux":
            raise Fault("zygote", "cannot be run safely here: the sandbox needs Linux (WSL2 on Windows, a container on macOS)")
        from . import jail

        if level not in PRESETS:
            raise ValueError(f"unknown level {level!r}: choose one of {', '.join(PRESETS)}")
        asked = {"bwrap": bwrap, "landlock": landlock, "seccomp": seccomp}
        self._wants = {**PRESETS[level], **{name: value for name, value in asked.items() if value is not None}}
        self.level = level
        self.limits = limits or jail.Limits()
        self._lock = threading.Lock()
        self._workers: dict[int, Worker] = {}
        self._process: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self._count = 0
        self.bwrap = False
        jail.hide_memory()
        self._start()

    # --- the zygote ------------------------------------------------------------------------------------------------
    def _start(self) -> None:
        """Start a zygote, inside bubblewrap where that is wanted and works."""
        problem = ""
        if self._wants["bwrap"] is not False:
            problem = self._launched(bwrap=True)
            if not problem:
                self._wants["bwrap"] = True  # a later start must not be weaker than what was observed
                return
            if self._wants["bwrap"]:
                raise Fault("zygote", f"cannot be run inside bubblewrap: {problem}")
            self._wants["bwrap"] = False  # the next start does not try in vain
        problem = self._launched(bwrap=False)
        if problem:
            raise Fault("zygote", f"cannot be run: the sandbox does not start: {problem}")

    def _launched(self, bwrap: bool) -> str:
        """Start a zygote. One that somebody kills says nothing about what works here: it must not cost a wall."""
        for _ in range(_TRIES):
            before, problem = self._process, self._launch(bwrap)
            if not problem or self._process is before or self._process.returncode not in _KILLED:
                return problem
        raise Fault("zygote", "cannot be run: the sandbox is ended by somebody else while it starts")

    def _launch(self, bwrap: bool) -> str:
        """Start a zygote; return "" or why it did not start."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        config = {"control": theirs.fileno(), "limits": asdict(self.limits)}
        config |= {name: self._wants[name] for name in ("landlock", "seccomp")}
        command = launch.command(config)
        if bwrap:
            command = launch.wrapped(command)
            if command is None:
                ours.close()
                theirs.close()
                return "bwrap is not installed"
        with theirs, os.fdopen(os.memfd_create("zygote-errors"), "w+b") as errors:
            self._process = subprocess.Popen(
                command,
                env=launch.ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            theirs.close()
            self._control, self.bwrap = ours, bwrap
            if self._said(START_S) == b"ready":
                return ""
            self._stop()
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace").strip()
        return said.splitlines()[-1] if said else f"no sign of life, exit code {self._process.returncode}"

    def _said(self, seconds: float) -> bytes:
        """Return the zygote's next message, b"" when there is none."""
        self._control.settimeout(seconds)
        try:
            return self._control.recv(1 << 12)
        except OSError:
            return b""

    def _stop(self) -> None:
        """End the zygote and with it every worker."""
        if self._control is not None:
            self._control.close()  # it ends by itself when it notices
            self._control = None
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()

    # --- workers ---------------------------------------------------------------------------------------------------
    def spawn(self, files: Mapping[str, str], served: Iterable[str] = ()) -> Worker:
        """Fork a worker and load a submission into it.

        Parameters
        ----------
        files : mapping of module name to source text
            In the order of loading; the last one is the main module.
        served : iterable of str
            Functions that are computed by the ``serve`` argument of `Worker.run`.

        Raises
        ------
        LoadError
            A source does not compile, or raises while it is executed.
        Fault
            The submission hangs or dies while it is loaded; or ``kind="zygote"``.
        """
        link = self._fork()
        worker = Worker(link, self.limits)
        self._workers[link.number] = worker
        try:
            worker.load(files, served)
        except BaseException:
            worker.close()
            raise
        return worker

    def _fork(self) -> Link:
        """Have a worker forked; a zygote that has died is replaced."""
        for _ in range(_TRIES):
            with self._lock:
                if self._control is None:
                    if self._process is None:
                        raise Fault("zygote", "cannot be run: the sandbox is closed")
                    self._start()
                link = self._try_fork()
                if link is not None:
                    return link
                self._stop()
        raise Fault("zygote", "cannot be run: the process that forks workers dies again and again")

    def _try_fork(self) -> Link | None:
        self._count += 1
        number = self._count
        return Link.open(self._control, number, self._ended, ["bwrap"] if self.bwrap else [])

    def _ended(self, control: socket.socket, number: int) -> dict | None:
        """Have the zygote wait for a killed worker and tell how it ended; None when that zygote is gone."""
        self._workers.pop(number, None)
        with self._lock:
            if control is not self._control:
                return None
            try:
                control.send(json.dumps({"op": "reap", "id": number}).encode())
            except OSError:
                return None
            said = self._said(REPLY_S)
            return json.loads(said) if said else None

    # --- the end ---------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """End every worker and the zygote."""
        for worker in [*self._workers.values()]:
            worker.close()
        with self._lock:
            if self._process is not None:
                self._stop()
                self._process = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
