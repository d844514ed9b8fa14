"""What a freshly forked worker does to itself before it sees student code.

Linux only, no privileges needed, nothing but ctypes: resource limits, capabilities, Landlock (files), seccomp
(system calls). Every function tells whether it worked; nothing is assumed, the layers that hold are reported.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from . import syscalls

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every machine
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
#: Number of file rights that Landlock knows, by ABI version; the later ones are added by later versions.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_FILE_RIGHTS = 16
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Limits:
    """What a worker may use in all of its life.

    Attributes
    ----------
    memory_mib : int
        Address space on top of what the worker starts with.
    cpu_s : int
        The kernel's last resort; the grader's own deadlines are far below.
    output_kib : int
        Size of the file behind stdout and stderr, and of any other file.
    """

    memory_mib: int = 1024
    cpu_s: int = 3600
    output_kib: int = 64


def confine(limits: Limits, rules: int | None, abi: int, filtered: bool = True, user: int | None = None) -> list[str]:
    """Apply every layer and return the names of those that hold now.

    Parameters
    ----------
    limits : Limits
    rules : int or None
        Descriptor of a Landlock ruleset, see `ruleset`; closed here.
    abi : int
        Landlock's ABI version.
    filtered : bool
        Filter system calls; without, only to see what the other layers hold.
    user : int, optional
        Change to this user and group; only root can.
    """
    layers = ["rlimits"]
    _limit(limits)
    if user is not None and _become(user):
        layers.append("nobody")
    # The zygote's death ends its workers. The kernel forgets this on a change of user, so it has to come after one.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if _drop_capabilities():
        layers.append("nocaps")
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    files = rules is not None and _restrict(rules)
    if files:
        layers.append(f"landlock{abi}")
    if filtered and filter_calls(may_open=files):
        layers.append("seccomp" if files else "seccomp-noopen")
    return layers


def hide_memory() -> None:
    """Keep other processes of the same user from reading this one's memory (its reference, seeds, examples)."""
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


# --- resource limits -----------------------------------------------------------------------------------------------
def _limit(limits: Limits) -> None:
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    _at_most(resource.RLIMIT_AS, size + (limits.memory_mib << 20))
    _at_most(resource.RLIMIT_CPU, limits.cpu_s)
    _at_most(resource.RLIMIT_FSIZE, limits.output_kib << 10)
    _at_most(resource.RLIMIT_NOFILE, 32)
    _at_most(resource.RLIMIT_NPROC, 0)  # says nothing to root: seccomp is what stops forks
    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(resource.RLIMIT_MEMLOCK, 0)


def _at_most(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _become(user: int) -> bool:
    try:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError:  # a user namespace that has no such user
        return False
    return True


def _drop_capabilities() -> bool:
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    return _libc.capset(header, bytes(24)) == 0


# --- Landlock ------------------------------------------------------------------------------------------------------
def ruleset(readable: Iterable[str]) -> tuple[int | None, int]:
    """Build a Landlock ruleset: read files and list folders below `readable`, and nothing else.

    Landlock only ever allows, and what it allows holds for everything below. So a folder that contains something to
    hide (the standard library holds site-packages) must be granted entry by entry, by the caller.
    Building takes about 200 calls and happens once, in the zygote; a worker only restricts itself by it.

    Returns
    -------
    (descriptor, ABI version), or (None, 0) where the kernel has no Landlock
    """
    abi = _landlock(_LANDLOCK_CREATE, None, 0, 1)
    if abi < 1:
        return None, 0
    files = (1 << _FILE_RIGHTS.get(abi, _ALL_FILE_RIGHTS)) - 1
    network = scope = 0b11  # bind and connect TCP; abstract sockets and signals to outside
    fields = 1 if abi < 4 else 2 if abi < 6 else 3
    attributes = struct.pack("QQQ", files, network, scope)[: 8 * fields]
    rules = _landlock(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return None, 0
    for path in readable:
        _allow(rules, path)
    return rules, abi


def _allow(rules: int, path: str) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there, or not visible from here: then there is nothing to allow
    try:
        rights = _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE
        _landlock(_LANDLOCK_ADD, rules, 1, struct.pack("<Qi", rights, fd), 0)
    finally:
        os.close(fd)


def _restrict(rules: int) -> bool:
    done = _landlock(_LANDLOCK_RESTRICT, rules, 0) == 0
    os.close(rules)
    return done


def _landlock(number: int, *args: int | bytes | None) -> int:
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _libc.syscall(ctypes.c_long(number), *wide)


# --- seccomp -------------------------------------------------------------------------------------------------------
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # instructions of the classic packet filter
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000  # what it may return
_NUMBER, _ARCH = 0, 4  # offsets in struct seccomp_data
_X32 = 0x40000000


def filter_calls(may_open: bool) -> bool:
    """Allow the calls of `syscalls` only; a call of another architecture kills the process."""
    here = syscalls.machine()
    if here is None:
        return False
    program = _program(syscalls.numbers(here[0], may_open), here[1])
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    return _libc.prctl(_PR_SET_SECCOMP, 2, filter_, 0, 0) == 0


def _program(allowed: list[int], arch: int) -> bytes:
    def op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, k)

    program = [
        op(_LOAD, _ARCH),
        op(_EQUAL, arch, 1, 0),
        op(_RETURN, _KILL),
        op(_LOAD, _NUMBER),
        op(_AT_LEAST, _X32, 0, 1),
        op(_RETURN, _KILL),
        op(_EQUAL, syscalls.CLONE3, 0, 1),
        op(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    # Each comparison jumps over the rest of them and over the refusal.
    program += [op(_EQUAL, number, len(allowed) - i, 0) for i, number in enumerate(allowed)]
    return b"".join([*program, op(_RETURN, _ERRNO | errno.EPERM), op(_RETURN, _ALLOW)])
