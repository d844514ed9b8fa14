"""Frames between a grader and a worker that does not trust each other: a JSON skeleton and raw array bytes.

A frame is a fixed header (magic, two lengths, what the reply may weigh, a nonce), a skeleton and a payload. The
skeleton is JSON without objects; every JSON array in it is a node that begins with its tag:

=====================  ==============================================================
``["a", code, *shape]``  array, its bytes are next in the payload
``["g", code]``          NumPy scalar, likewise
``["t", *items]``        tuple
``["l", *items]``        list
``["d", k, v, k, v]``    dict with text keys
``["o", id]``            `Opaque`
``["r", step, *path]``   `Ref`, from the grader only
``["b", k]``             the k-th array of the frame once more, from the grader only
=====================  ==============================================================

Everything else stands for itself: null, true, false, numbers and text. No pickle, no .npy, no dtype but those of
`arrays.DTYPES`. Whatever arrives, `receive` and `decode` raise nothing but `WireError`, `Closed` and `Late`.
"""

from __future__ import annotations

import json
import os
import select
import struct
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .arrays import CODES, DTYPES, MAX_INT
from .steps import Opaque, Ref

HEAD = struct.Struct("<4sIQQ16s")  # magic, bytes of skeleton, bytes of payload, room for the reply, nonce
MAGIC = b"HGF1"
NONCE = 16
MAX_DEPTH = 20
MAX_NDIM = 8
MAX_EXTENT = 1 << 40
#: Arrays start at multiples of this, so that views of the payload are aligned.
ALIGN = 16
_JOIN = 1 << 20  # payloads up to this size are put into one piece
_IOV = 512

# Bound now: student code may replace any of these before they are needed.
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_from_json = json.JSONDecoder().decode
_writev, _readv = os.writev, os.readv
_poll, _POLLIN, _POLLOUT = select.poll, select.POLLIN, select.POLLOUT
_ndarray, _generic, _empty, _u1 = np.ndarray, np.generic, np.empty, np.dtype("u1")


class WireError(Exception):
    """What arrived is not a valid frame."""


class Closed(Exception):
    """The other side has closed the channel."""


class Late(Exception):
    """The deadline passed before the whole frame was through."""


class Clock(Protocol):
    """Decides how long a frame may take."""

    def left(self) -> float:
        """Return how many seconds may be waited before asking again; raise `Late` when there are none."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How much a frame may weigh; checked before anything is allocated."""

    skeleton: int = 1 << 20
    payload: int = 1 << 26


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tree ready to be sent any number of times; the nonce is added by `send`."""

    skeleton: bytes
    payload: tuple
    size: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A received frame; `room` and `nonce` are for the reply."""

    skeleton: bytes
    payload: np.ndarray
    room: int
    nonce: bytes


# --- encoding ------------------------------------------------------------------------------------------------------
def encode(tree: object) -> Encoded:
    """Encode a tree of arrays, scalars, text, None, tuple, list, dict, `Ref` and `Opaque`.

    Raises
    ------
    WireError
        The tree holds something else.
    """
    encoder = _Encoder()
    skeleton = _to_json(encoder.node(tree)).encode()
    parts = encoder.parts
    if encoder.size <= _JOIN:
        parts = [b"".join(parts)]
    return Encoded(skeleton, tuple(parts), encoder.size)


class _Encoder:
    def __init__(self) -> None:
        self.parts: list = []
        self.size = 0
        self.arrays: dict[int, int] = {}

    def node(self, value: object) -> object:
        kind = type(value)
        if kind is _ndarray:
            return self.array(value)
        if value is None or kind is bool or kind is float or kind is str:
            return value
        if kind is int:
            if -MAX_INT <= value < MAX_INT:
                return value
            raise WireError("integer too large")
        if kind is tuple or kind is list:
            return ["t" if kind is tuple else "l", *[self.node(item) for item in value]]
        return self.rare(value)

    def rare(self, value: object) -> list:
        kind = type(value)
        if kind is dict:
            if not all(type(key) is str for key in value):
                raise WireError("a dict with keys that are not text cannot be sent")
            return ["d", *[part for key, item in value.items() for part in (key, self.node(item))]]
        if kind is Ref:
            return ["r", value.step, *value.path]
        if kind is Opaque:
            return ["o", value.id]
        if isinstance(value, _generic) and value.dtype in CODES:
            self.append(value.tobytes())
            return ["g", CODES[value.dtype]]
        raise WireError(f"a {kind.__name__} cannot be sent")

    def array(self, array: np.ndarray) -> list:
        """Encode an array; the same object a second time is a reference to the first."""
        if id(array) in self.arrays:
            return ["b", self.arrays[id(array)]]
        code = CODES.get(array.dtype)
        if code is None:
            raise WireError(f"an array of dtype {array.dtype} cannot be sent")
        self.arrays[id(array)] = len(self.arrays)
        if array.nbytes <= _JOIN or not array.flags.c_contiguous:
            self.append(array.tobytes())
        else:
            self.append(memoryview(array.reshape(-1).view(_u1)))
        return ["a", code, *array.shape]

    def append(self, data: bytes | memoryview) -> None:
        size = len(data)
        self.parts.append(data)
        if size % ALIGN:
            self.parts.append(bytes(-size % ALIGN))
        self.size += size + -size % ALIGN


# --- decoding ------------------------------------------------------------------------------------------------------
def decode(frame: Frame, *, from_grader: bool = False) -> object:
    """Turn a frame back into a tree, checking everything.

    Arrays are aligned, writeable, native views of the frame's payload.

    Parameters
    ----------
    frame : Frame
    from_grader : bool
        Also accept `Ref` and repeated arrays.

    Raises
    ------
    WireError
    """
    try:
        decoder = _Decoder(frame.payload, from_grader)
        tree = decoder.node(_from_json(frame.skeleton.decode()), 0)
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise WireError(f"bad skeleton: {type(exc).__name__}") from None
    if decoder.at != len(frame.payload):
        raise WireError("the arrays do not fill the payload")
    return tree


class _Decoder:
    def __init__(self, payload: np.ndarray, from_grader: bool) -> None:
        self.payload = payload
        self.size = len(payload)
        self.at = 0
        self.from_grader = from_grader
        self.arrays: list[np.ndarray] = []

    def node(self, node: object, depth: int) -> object:
        if type(node) is not list:
            return _scalar(node)
        if not node:
            raise WireError("empty node")
        tag = node[0]
        if tag == "a":
            return self.array(node)
        if depth >= MAX_DEPTH:
            raise WireError("nested too deep")
        if tag == "t":
            return tuple([self.node(item, depth + 1) for item in node[1:]])
        if tag == "l":
            return [self.node(item, depth + 1) for item in node[1:]]
        if tag == "d":
            return self.dict(node, depth)
        return self.rare(tag, node)

    def dict(self, node: list, depth: int) -> dict:
        keys = node[1::2]
        if len(node) % 2 == 0 or not all(type(key) is str for key in keys):
            raise WireError("bad dict")
        values = [self.node(item, depth + 1) for item in node[2::2]]
        found = dict(zip(map(_text, keys), values, strict=True))
        if len(found) != len(keys):
            raise WireError("a key occurs twice")
        return found

    def rare(self, tag: object, node: list) -> object:
        if tag == "g" and len(node) == 2:
            return self.array(node)[()]
        if tag == "o" and len(node) == 2 and _is_index(node[1]):
            return Opaque(node[1])
        if self.from_grader and tag == "b" and len(node) == 2 and _is_index(node[1], len(self.arrays)):
            return self.arrays[node[1]]
        if self.from_grader and tag == "r" and len(node) >= 2 and all(type(x) in (int, str) for x in node[1:]):
            return Ref(*node[1:])
        raise WireError("bad node")

    def array(self, node: list) -> np.ndarray:
        """Check an array's header against what is left of the payload; only then make the view."""
        dtype = DTYPES.get(node[1]) if len(node) > 1 and type(node[1]) is str else None
        shape = node[2:]
        if dtype is None or len(shape) > MAX_NDIM:
            raise WireError("bad array header")
        nbytes = dtype.itemsize  # a Python int: no overflow
        for extent in shape:
            if type(extent) is not int or not 0 <= extent < MAX_EXTENT:
                raise WireError("bad extent")
            nbytes *= extent
        start, self.at = self.at, self.at + nbytes + -nbytes % ALIGN
        if self.at > self.size:
            raise WireError("an array exceeds the payload")
        array = _ndarray(shape, dtype, self.payload, start) if nbytes else _empty(shape, dtype)
        if dtype.kind == "b" and array.size and not self.from_grader and array.view(_u1).max() > 1:
            raise WireError("a bool that is neither 0 nor 1")
        self.arrays.append(array)
        return array


def _scalar(value: object) -> object:
    kind = type(value)
    if kind is float or kind is bool or value is None:
        return value
    if kind is int and -MAX_INT <= value < MAX_INT:
        return value
    if kind is str:
        return _text(value)
    raise WireError("integer too large" if kind is int else "bad node")


def _text(value: str) -> str:
    """Replace lone surrogates, which JSON can carry and no terminal or file can."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _is_index(value: object, end: int = MAX_INT) -> bool:
    return type(value) is int and 0 <= value < end


# --- moving bytes --------------------------------------------------------------------------------------------------
def send(fd: int, encoded: Encoded, nonce: bytes, clock: Clock | None = None, room: int = 0) -> None:
    """Write one frame; `clock` None waits for ever, which only a worker does.

    Raises
    ------
    Closed, Late
    """
    head = HEAD.pack(MAGIC, len(encoded.skeleton), encoded.size, room, nonce)
    left = [memoryview(part) for part in (head, encoded.skeleton, *encoded.payload) if len(part)]
    while left:
        try:
            written = _writev(fd, left[:_IOV])
        except BlockingIOError:
            _wait(fd, _POLLOUT, clock)
            continue
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None
        left = _after(left, written)


def _after(views: list[memoryview], count: int) -> list[memoryview]:
    """Drop the first `count` bytes of a list of buffers."""
    for i, view in enumerate(views):
        if count < len(view):
            return [view[count:], *views[i + 1 :]]
        count -= len(view)
    return []


def receive(fd: int, clock: Clock | None, nonce: bytes | None, caps: Caps) -> Frame:
    """Read one frame.

    Parameters
    ----------
    fd : int
    clock : Clock or None
        One deadline for the whole frame, so that a slow drip is late as well.
    nonce : bytes or None
        What the frame has to carry; None accepts any.
    caps : Caps

    Raises
    ------
    WireError, Closed, Late
    """
    head = bytearray(HEAD.size)
    _fill(fd, [memoryview(head)], clock)
    magic, skeleton_size, payload_size, room, got = HEAD.unpack(head)
    if magic != MAGIC:
        raise WireError("bad magic")
    if nonce is not None and got != nonce:
        raise WireError("not an answer to this request")
    if skeleton_size > caps.skeleton:
        raise WireError(f"a skeleton of {skeleton_size:,} bytes, {caps.skeleton:,} are allowed")
    if payload_size > caps.payload:
        raise WireError(f"{payload_size:,} bytes of arrays, {caps.payload:,} are allowed")
    skeleton, payload = bytearray(skeleton_size), _empty(payload_size, _u1)
    _fill(fd, [memoryview(part) for part in (skeleton, payload) if len(part)], clock)
    return Frame(bytes(skeleton), payload, room, got)


def _fill(fd: int, left: list[memoryview], clock: Clock | None) -> None:
    while left:
        if clock is not None:
            clock.left()
        try:
            count = _readv(fd, left)
        except BlockingIOError:
            _wait(fd, _POLLIN, clock)
            continue
        except ConnectionResetError:
            raise Closed from None
        if not count:
            raise Closed
        left = _after(left, count)


def _wait(fd: int, event: int, clock: Clock | None) -> None:
    """Wait until `fd` is ready; the clock says when to give up."""
    poll = _poll()
    poll.register(fd, event)
    while not poll.poll(None if clock is None else max(1, int(1e3 * clock.left()))):
        pass


def pending(fd: int) -> bool:
    """Tell whether bytes (or the end of the channel) are waiting to be read."""
    poll = _poll()
    poll.register(fd, _POLLIN)
    return bool(poll.poll(0))
