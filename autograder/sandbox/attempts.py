"""What a hostile canary tries in a worker, and how it is seen from outside whether it succeeded."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .box import Sandbox
from .steps import Fault
from .worker import Failed, Worker

CANARY = """
import os
import time

def read(path):
    with open(path) as file:
        return file.read()

def write(path):
    with open(path, "w") as file:
        file.write("x")

def look(path):
    return os.stat(path).st_size

def connect(port):
    import socket
    socket.create_connection(("127.0.0.1", port), 1).sendall(b"x")

def send(port):
    import socket
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))

def post(path):
    import socket
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", path)

def fork():
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)

def thread():
    import threading
    threading.Thread(target=time.sleep, args=(60,)).start()

def end(pid):
    os.kill(pid, 9)

def environment(pid):
    with open(f"/proc/{pid}/environ") as file:
        return file.read()

def take(count):
    global taken
    taken = bytearray(count)

def chatter(count):
    for _ in range(count):
        os.write(1, bytes(1024))

def leave():
    os._exit(0)

def spin():
    while True:
        pass
"""
_NAMESPACES = ("ipc", "mnt", "net", "pid", "user")
_SPIN_S = 0.2


# --- what the canary is after ---------------------------------------------------------------------------------------
@dataclass
class Bait:
    """What the canary would like to have."""

    folder: Path
    secret: str
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket
    victim: subprocess.Popen

    @property
    def file(self) -> str:
        """Path of a file with the secret in it."""
        return str(self.folder / "secret")


@contextlib.contextmanager
def laid_out() -> Iterator[Bait]:
    """Lay out a file, a server and a process of the same user, as the canary would like to have them."""
    secret = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handgrad-")))
        # Open to everybody: it is the sandbox that has to hold, not the permissions of the file.
        folder.chmod(0o777)
        (folder / "secret").write_text(secret)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(folder / "socket"))
        (folder / "socket").chmod(0o777)
        for end in (tcp, udp, unix):
            end.setblocking(False)
        victim = stack.enter_context(_victim(folder, secret))
        yield Bait(folder, secret, tcp, udp, unix, victim)


@contextlib.contextmanager
def _victim(folder: Path, secret: str) -> Iterator[subprocess.Popen]:
    """Start a process that stands about; when this one is killed, and cannot tidy up, it removes the folder and ends."""
    shell, program = shutil.which("sh") or "/bin/sh", 'read -r _; exec rm -rf -- "$1"'
    victim = subprocess.Popen([shell, "-c", program, "sh", str(folder)], stdin=subprocess.PIPE, env={"SECRET": secret, "PATH": "/usr/bin:/bin"})
    with victim.stdin:
        try:
            yield victim
        finally:
            victim.kill()
            victim.wait()


# --- attempts: each tells whether it was seen to succeed --------------------------------------------------------------
def _try(worker: Worker, name: str, *args: object) -> object:
    """Call a function of the canary's; return what it returned, or how it ended."""
    try:
        return worker.call(name, args, cpu_s=2.0, wall_s=2.0)
    except Failed:
        return None
    except Fault as fault:
        if fault.kind == "zygote":
            raise
        return fault


def _reads(worker: Worker, bait: Bait, _: Sandbox) -> bool:
    return _try(worker, "read", bait.file) == bait.secret


def _sees(worker: Worker, bait: Bait, _: Sandbox) -> bool:
    return _try(worker, "look", bait.file) == len(bait.secret)


def _writes(worker: Worker, bait: Bait, _: Sandbox) -> bool:
    _try(worker, "write", str(bait.folder / "written"))
    _try(worker, "write", bait.file)
    return (bait.folder / "written").exists() or Path(bait.file).read_text() != bait.secret


def _connects(worker: Worker, bait: Bait, _: Sandbox) -> bool:
    _try(worker, "connect", bait.tcp.getsockname()[1])
    _try(worker, "send", bait.udp.getsockname()[1])
    _try(worker, "post", str(bait.folder / "socket"))
    return any(map(_has_visitor, (bait.tcp, bait.udp, bait.unix)))


def _has_visitor(server: socket.socket) -> bool:
    return bool(select.select([server], [], [], 0.02)[0])


def _forks(worker: Worker, *_: object) -> bool:
    _try(worker, "fork")
    return bool(_children(worker.pid))


def _starts_threads(worker: Worker, *_: object) -> bool:
    _try(worker, "thread")
    return len(_entries(f"/proc/{worker.pid}/task")) > 1


def _kills(worker: Worker, bait: Bait, _: Sandbox) -> bool:
    _try(worker, "end", bait.victim.pid)
    with contextlib.suppress(subprocess.TimeoutExpired):  # on a busy machine a process takes its time to die
        bait.victim.wait(0.3)
    return bait.victim.poll() is not None


def _peeks(worker: Worker, bait: Bait, _: Sandbox) -> bool:
    return bait.secret in str(_try(worker, "environment", bait.victim.pid))


def _takes_memory(worker: Worker, _: Bait, sandbox: Sandbox) -> bool:
    _try(worker, "take", (sandbox.limits.memory_mib + 64) << 20)
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{worker.pid}/status").read_text()
        return int(status.split("VmSize:")[1].split()[0]) >= (sandbox.limits.memory_mib + 64) << 10
    return False


def _chatters(worker: Worker, _: Bait, sandbox: Sandbox) -> bool:
    _try(worker, "chatter", 2 * sandbox.limits.output_kib)
    return worker.printed() > sandbox.limits.output_kib << 10


def _runs_on(worker: Worker, *_: object) -> bool:
    try:
        worker.call("spin", (), cpu_s=_SPIN_S)
    except Fault:
        return worker.pid in _running()
    return True


def _ends_grader(worker: Worker, *_: object) -> bool:
    _try(worker, "leave")  # who reads this has survived it
    return False


def _shares_namespaces(worker: Worker, *_: object) -> bool:
    try:
        return any(os.readlink(f"/proc/{worker.pid}/ns/{name}") == os.readlink(f"/proc/self/ns/{name}") for name in _NAMESPACES)
    except OSError:
        return True


def _entries(folder: str) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(folder)
    return []


def _running() -> dict[int, int]:
    """Process id -> id of the parent, of all processes that can be seen and are alive."""
    found = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(name)] = int(parent)
    return found


def _children(pid: int) -> list[int]:
    return [child for child, parent in _running().items() if parent == pid]


#: In this order: what destroys the bait comes after what looks at it.
ATTEMPTS: dict[str, Callable[[Worker, Bait, Sandbox], bool]] = {
    "run for ever": _runs_on,
    "end the grader": _ends_grader,
    "take more memory than allowed": _takes_memory,
    "fill the disk with output": _chatters,
    "read files": _reads,
    "see that files exist": _sees,
    "write files": _writes,
    "use the network": _connects,
    "start processes": _forks,
    "start threads": _starts_threads,
    "read the memory or environment of others": _peeks,
    "signal other processes": _kills,
    "share the kernel's namespaces": _shares_namespaces,
}
