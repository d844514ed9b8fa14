"""A worker process just forked: which process it is, its channel, the file behind its output."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from . import wire
from .deadline import Wall

_HELLO_S = 30.0
_BUFFER = 1 << 20


@dataclass
class Link:
    """A worker process just forked, its channel and its output file.

    Attributes
    ----------
    number : int
    pid : int
        In the grader's own process namespace.
    channel : socket
    output : int
        Descriptor of the file behind its stdout and stderr.
    layers : list of str
        What it did to itself before it saw student code.
    ended : callable
        ``ended()`` has it waited for, once it has been killed, and tells how it ended; None: its zygote is gone.
    """

    number: int
    pid: int
    channel: socket.socket
    output: int
    layers: list[str]
    ended: Callable[[], dict | None]

    @classmethod
    def open(cls, control: socket.socket, number: int, ended: Callable, outer: list[str]) -> Link | None:
        """Have a zygote fork a worker; None when the zygote does not do it."""
        channel, theirs = socket.socketpair()
        output = os.memfd_create("output", os.MFD_CLOEXEC)
        try:
            with theirs:
                channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                for end in (channel, theirs):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
                request = json.dumps({"op": "spawn", "id": number}).encode()
                socket.send_fds(control, [request], [theirs.fileno(), output])
            pid, layers = _hello(channel)
        except (OSError, wire.Closed, wire.Late):
            channel.close()
            os.close(output)
            return None
        return cls(number, pid, channel, output, outer + layers, lambda: ended(control, number))


def _hello(channel: socket.socket) -> tuple[int, list[str]]:
    """Read the first frame: it comes before any student code, with the sender's pid as the kernel translates it."""
    channel.settimeout(_HELLO_S)
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(12), socket.MSG_PEEK)
    if not ancillary:
        raise wire.Closed
    pid = struct.unpack("3i", ancillary[0][2])[0]
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
    channel.setblocking(False)
    frame = wire.receive(channel.fileno(), Wall(_HELLO_S), None, wire.Caps(payload=0))
    return pid, list(wire.decode(frame))
