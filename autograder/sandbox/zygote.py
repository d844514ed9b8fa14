"""The template process: NumPy loaded, one thread, no secrets. It never runs student code; it forks workers that do.

Started as a program by `box.Sandbox`, see `launch`; nothing of the grader but this folder has to be there.

Its control channel keeps message boundaries. A request is one JSON message:
``{"op": "spawn", "id": n}`` with two descriptors (a worker's channel, the file for its output), not answered;
``{"op": "reap", "id": n}``, answered with how the worker ended. The grader kills; the zygote only waits, and only
when it is told to: until then a dead worker keeps its process id, so that the grader never kills a stranger.
"""

from __future__ import annotations

import builtins
import fcntl
import gc
import importlib
import json
import linecache  # noqa: F401  a worker must not have to read it from a file
import os
import random
import socket
import sys
from dataclasses import dataclass, field

import numpy as np

from . import inside, jail, perform

#: What a submission may import where it cannot open files (no Landlock); otherwise the whole standard library.
PRELOADED = (
    "abc argparse array bisect builtins cmath collections collections.abc contextlib copy csv ctypes dataclasses "
    "datetime decimal enum fractions functools hashlib heapq inspect io itertools json logging math numbers operator "
    "os pathlib pprint queue random re signal statistics string struct textwrap threading time timeit traceback "
    "typing unittest uuid warnings weakref encodings.idna encodings.latin_1 "
    "numpy.fft numpy.lib.stride_tricks numpy.linalg numpy.ma numpy.polynomial numpy.random numpy.testing numpy.typing"
)
_CHANNEL, _RULES = 3, 4  # descriptors in a worker
_HIGH = 100  # descriptors of the zygote itself start here, so that none is clobbered while a worker moves its own
_NO_MEMORY = 71  # exit codes of a worker
_BROKEN = 70


@dataclass
class Zygote:
    """The loop that forks workers.

    Attributes
    ----------
    control : socket
    limits : Limits
    rules, abi
        Landlock's ruleset and version, see `jail.ruleset`.
    filtered : bool
        Whether workers filter their system calls.
    user : int or None
        Whom workers change to.
    """

    control: socket.socket
    limits: jail.Limits
    rules: int | None
    abi: int
    filtered: bool = True
    user: int | None = None
    workers: dict[int, int] = field(default_factory=dict)

    def serve(self) -> None:
        """Obey until the grader closes the channel."""
        while True:
            message, fds, _, _ = socket.recv_fds(self.control, 1 << 12, 2)
            if not message:
                return
            request = json.loads(message)
            if request["op"] == "spawn":
                self.spawn(request["id"], fds)
            else:
                self.reap(request["id"])

    def spawn(self, number: int, fds: list[int]) -> None:
        """Fork a worker that has these descriptors and no others."""
        pid = os.fork()
        if pid == 0:
            self.become_worker(*fds)
        self.workers[number] = pid
        for fd in fds:
            os.close(fd)

    def become_worker(self, channel: int, output: int) -> None:
        """Confine this process and serve; never returns."""
        code = _BROKEN
        try:
            self.keep_only(channel, output)
            rules = None if self.rules is None else _RULES
            layers = jail.confine(self.limits, rules, self.abi, self.filtered, self.user)
            sys.stdout = sys.stderr = inside.Output(1, (self.limits.output_kib << 10) * 7 // 8)
            random.seed(0)  # a fork has changed it
            worker = inside.Inside(_CHANNEL)
            worker.hello(layers)
            worker.serve()
        except MemoryError:
            code = _NO_MEMORY
        finally:
            os._exit(code)

    def keep_only(self, channel: int, output: int) -> None:
        """Move the descriptors to where a worker expects them; close all others."""
        channel, output = _move_up(channel), _move_up(output)
        os.dup2(channel, _CHANNEL)
        if self.rules is not None:
            os.dup2(self.rules, _RULES)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(_RULES + (self.rules is not None), 1 << 16)

    def reap(self, number: int) -> None:
        """Wait for a worker that the grader has killed and tell how it ended."""
        _, status, usage = os.wait4(self.workers.pop(number), 0)
        ended = {
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "code": os.waitstatus_to_exitcode(status),
            "peak_kib": usage.ru_maxrss,
            "cpu_s": usage.ru_utime + usage.ru_stime,
        }
        self.control.send(json.dumps(ended).encode())


def _move_up(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)


def _warm_up() -> None:
    """Load what a submission may need, once for all of them, and make every worker start from the same state."""
    for name in PRELOADED.split():
        importlib.import_module(name)
    for dtype in (np.float64, np.float32):  # BLAS allocates its buffers at the first product
        _ = np.ones((64, 64), dtype) @ np.ones((64, 64), dtype)
    np.random.seed(0)  # noqa: NPY002  the global state that students may use
    builtins.exit = builtins.quit = sys.exit  # "python -S" leaves them out
    sys.stdin = None


def _forget_paths(keep: list[str]) -> None:
    """Let imports find the standard library only: no other package, and no folder that would have to be listed."""
    sys.path[:] = [path for path in sys.path if path in keep]
    for path in [*sys.path_importer_cache]:
        if path not in keep:
            del sys.path_importer_cache[path]


def main(config: dict) -> None:
    """Get ready, say so, serve."""
    control = socket.socket(fileno=_move_up(config["control"]))
    os.close(config["control"])
    _warm_up()
    _forget_paths(config["path"])
    perform.guard_counting()
    rules, abi = jail.ruleset(config["readable"]) if config["landlock"] else (None, 0)
    if rules is not None:
        low, rules = rules, _move_up(rules)
        os.close(low)
    # A fork copies one thread only; locks that the others hold would stay locked for ever in the child.
    if len(os.listdir("/proc/self/task")) != 1:
        sys.exit("the zygote has more than one thread")
    gc.collect()
    gc.freeze()  # workers share these pages instead of copying them
    control.send(b"ready")
    Zygote(control, jail.Limits(**config["limits"]), rules, abi, config["seccomp"], config["user"]).serve()
