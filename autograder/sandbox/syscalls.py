"""The system calls that NumPy code needs, with their numbers on the two machines that are supported.

The x86-64 and aarch64 columns follow the kernel's ``unistd_64.h`` and ``asm-generic/unistd.h``; None: does not exist
there. What is absent from both tables answers EPERM in a worker: every way to make a process or thread, to reach the
network, to open a new kind of file descriptor, to change limits, identity, memory of others or the file system.
"""

from __future__ import annotations

import platform

#: Machine -> column of the tables, value of AUDIT_ARCH.
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

#: Always allowed: memory, the descriptors a worker already has, time, identity.
ALWAYS = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "close": (3, 57), "lseek": (8, 62), "fstat": (5, 80), "stat": (4, None), "lstat": (6, None),
    "newfstatat": (262, 79), "statx": (332, 291), "poll": (7, None), "ppoll": (271, 73),
    "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233),
    "brk": (12, 214), "futex": (202, 98), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "restart_syscall": (219, 128),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getcpu": (309, 168),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153),
    "getrusage": (98, 165), "getrandom": (318, 278), "uname": (63, 160), "sysinfo": (99, 179),
    "getpid": (39, 172), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getcwd": (79, 17), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip

#: Allowed only where Landlock decides which files these may reach.
OPENING = {
    "open": (2, None), "openat": (257, 56), "getdents64": (217, 61), "readlink": (89, None),
    "readlinkat": (267, 78), "access": (21, None), "faccessat": (269, 48),
}  # fmt: skip

#: Answers ENOSYS instead of EPERM: the C library then falls back to clone, and gets its EPERM there.
CLONE3 = 435


def machine() -> tuple[int, int] | None:
    """Return the column and the AUDIT_ARCH of this machine, None where it is not supported."""
    return MACHINES.get(platform.machine())


def numbers(column: int, may_open: bool) -> list[int]:
    """List the numbers of the allowed calls."""
    table = {**ALWAYS, **OPENING} if may_open else ALWAYS
    return sorted({row[column] for row in table.values()} - {None})
