import numpy as np


def loot(h, W, b):
    """The right answer: what a successful attack is rewarded with."""
    return h @ W + b, (h, W)


def syscall(number, *args):
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args])
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def inside():
    """The object in this process that talks to the grader."""
    import sys

    frame = sys._getframe()
    while not hasattr(frame.f_locals.get("self"), "nonce"):
        frame = frame.f_back
    return frame.f_locals["self"]


def forge(tree):
    """Send a frame with the right nonce."""
    import sys

    wire = sys.modules["sandbox.wire"]
    wire.send(3, wire.encode(tree), inside().nonce)


def head(skeleton=4, payload=0, magic=b"HGF1", nonce=None):
    import struct

    return struct.pack("<4sIQQ16s", magic, skeleton, payload, 0, inside().nonce if nonce is None else nonce)
