"""Frames that a liar could send: valid ones, damaged in the ways that matter, and noise."""

from __future__ import annotations

import contextlib
import gc
import json
import random
import socket
import time
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from autograder.sandbox import messages, wire
from autograder.sandbox.arrays import DTYPES
from autograder.sandbox.deadline import Wall
from autograder.sandbox.messages import answer_tree
from autograder.sandbox.steps import Answer, Error, Opaque, Step
from autograder.sandbox.wire import HEAD, MAGIC, Caps

NONCE = bytes(range(16))
CAPS = Caps(skeleton=1 << 14, payload=1 << 14)
BATCH = [[Step("f", (1.0,)), Step("g", (2.0,), keep=True, send=(0,))]]
#: What a decoder may raise; anything else is a fault of ours.
ALLOWED = (wire.WireError, wire.Closed, wire.Late)

EDGES = (0, 1, 2, 3, 7, 8, 15, 16, 17, 255, 1 << 14, (1 << 14) + 1, 1 << 31, 1 << 32, 1 << 40, 1 << 62, 1 << 63, (1 << 64) - 1)
ATOMS = (*"agtldorb", *DTYPES, "", "|O", "<U4", ">f8", "\ud800", "done", "ask", "error", None, True, False, 0, 1, -1, 1 << 40, 1 << 63, 10**30, 1.5, float("nan"))


@dataclass
class Tally:
    """What came of the frames."""

    frames: int = 0
    read: int = 0
    refused: Counter = field(default_factory=Counter)
    grown_kib: float = 0.0

    def __str__(self) -> str:
        kinds = len(self.refused)
        return f"{self.frames:,} frames: {self.read:,} read, {sum(self.refused.values()):,} refused in {kinds} ways; memory grew by {self.grown_kib:.0f} KiB"


def _trees() -> list:
    """Valid replies of all kinds."""
    array = np.arange(6.0).reshape(2, 3)
    answers = [[Answer(array, returned="ndarray"), Answer((np.float32(1),), returned=2)], [Answer(error=Error("ValueError", "no", "f", 3, "Traceback"))]]
    many = tuple(np.ones((2, 2), dtype) for dtype in DTYPES.values())
    return [
        ("done", tuple(tuple(answer_tree(answer) for answer in script) for script in answers)),
        ("done", tuple(tuple(answer_tree(answer) for answer in script) for script in answers[:1])),
        ("done", ("f", "g")),
        ("error", "rnn", ("SyntaxError", "bad", "", 1, "")),
        ("ask", "f", (array, {"a": [1, 2.5, None]}, Opaque(3))),
        ("memory",),
        ("done", many),
        ("done", {"x": {"y": (array, array.copy())}}),
    ]


VALID = [(encoded.skeleton, b"".join(map(bytes, encoded.payload))) for encoded in map(wire.encode, _trees())]


def frame(rng: random.Random) -> bytes:
    """Return the bytes of one frame, damaged in a way of its own."""
    return rng.choice(WAYS)(rng, *rng.choice(VALID))


def _packed(skeleton: bytes, payload: bytes, magic=MAGIC, nonce=NONCE) -> bytes:
    return HEAD.pack(magic, len(skeleton), len(payload), 0, nonce) + skeleton + payload


def _bytes_changed(rng, skeleton, payload):
    data = bytearray(_packed(skeleton, payload))
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def _skeleton_changed(rng, skeleton, payload):
    """Damage text, but keep the head true, so that the decoder sees it."""
    data = bytearray(skeleton)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(3)] = bytes(rng.choices(b'[]{}",:0123456789atgldorb<|f8 \\\xff-.eEtrueNaN', k=rng.randrange(4)))
    return _packed(bytes(data), payload)


def _node_changed(rng, skeleton, payload):
    """Change the tree itself: another tag, another extent, a branch in the place of another."""
    tree = [json.loads(skeleton)]
    for _ in range(rng.randint(1, 3)):
        places = [(node, i) for node in _lists(tree) for i in range(len(node))]
        node, i = rng.choice(places)
        act = rng.randrange(4)
        if act == 0:
            node[i] = rng.choice(ATOMS)
        elif act == 1:
            other, j = rng.choice(places)
            node[i] = json.loads(json.dumps(other[j]))
        elif act == 2 and node is not tree:
            del node[i]
        else:
            node[i] = [rng.choice("tldagrob"), node[i]] if rng.random() < 0.9 else _deep(rng, node[i])
        if not tree:
            tree = [None]
    return _packed(json.dumps(tree[0]).encode(), payload if rng.random() < 0.8 else payload + bytes(16))


def _deep(rng, node):
    for _ in range(rng.choice((18, 25, 200))):
        node = ["t", node]
    return node


def _lists(tree) -> list:
    found, open_ones = [], [tree]
    while open_ones:
        node = open_ones.pop()
        found.append(node)
        open_ones += [item for item in node if isinstance(item, list)]
    return found


def _head_changed(rng, skeleton, payload):
    sizes = [len(skeleton), len(payload), 0]
    sizes[rng.randrange(3)] = rng.choice(EDGES)
    magic = MAGIC if rng.random() < 0.9 else rng.randbytes(4)
    nonce = NONCE if rng.random() < 0.8 else rng.randbytes(16)
    return HEAD.pack(magic, min(sizes[0], (1 << 32) - 1), sizes[1], sizes[2], nonce) + skeleton + payload


def _cut(rng, skeleton, payload):
    data = _packed(skeleton, payload)
    return data[: rng.randrange(len(data))]


def _spliced(rng, skeleton, payload):
    """Put the payload of another frame behind the skeleton, or two frames into one another."""
    other, bytes_ = rng.choice(VALID)
    if rng.random() < 0.5:
        return _packed(skeleton, bytes_)
    return _packed(skeleton[: rng.randrange(len(skeleton))] + other[rng.randrange(len(other)) :], payload)


def _noise(rng, skeleton, payload):
    head = rng.choice([b"", MAGIC, HEAD.pack(MAGIC, 8, 16, 0, NONCE)])
    return head + rng.randbytes(rng.randrange(200))


def _whole(rng, skeleton, payload):
    return _packed(skeleton, payload)


WAYS = (_bytes_changed, _skeleton_changed, _skeleton_changed, _node_changed, _node_changed, _node_changed, _head_changed, _cut, _spliced, _noise, _whole)


def read(data: bytes) -> str:
    """Take a frame as the grader does, and return "" or why it was refused; what is no refusal is raised."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        try:
            tree = wire.decode(wire.receive(ours.fileno(), Wall(5), NONCE, CAPS))
        except ALLOWED as why:
            return _kind(why)
    try:
        _interpreted(tree)
    except wire.WireError as why:
        return _kind(why)
    return ""


def _interpreted(tree: object) -> None:
    """Read a tree as each of the replies that it could be."""
    body = tree[1] if isinstance(tree, tuple) and len(tree) == 2 else tree
    found = []
    for reader in (lambda: messages.answers_of(body, BATCH), lambda: messages.names_of(body), lambda: messages.error_of(body)):
        try:
            reader()
            return
        except wire.WireError as why:
            found.append(why)
    raise found[0]


def _kind(why: Exception) -> str:
    """Return the type and the words without the numbers."""
    return f"{type(why).__name__}: " + "".join("#" if c.isdigit() else c for c in str(why))


def run(seed: int, frames: int = 0, seconds: float = 0.0) -> Tally:
    """Feed frames until so many, or so many seconds, are over.

    Notes
    -----
    Memory is compared between two moments at which everything has been used once, so that what is kept for good does not count.
    """
    rng, tally = random.Random(seed), Tally()
    end = time.monotonic() + seconds
    _feed(rng, tally, 500)
    with _traced():
        before = _traced_kib()
        while tally.frames < frames or time.monotonic() < end:
            _feed(rng, tally, 500)
        tally.grown_kib = _traced_kib() - before
    return tally


def _traced_kib() -> float:
    gc.collect()  # exceptions and their frames hold one another
    return tracemalloc.get_traced_memory()[0] / 1024


@contextlib.contextmanager
def _traced():
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def _feed(rng, tally, count):
    for _ in range(count):
        data = frame(rng)
        try:
            why = read(data)
        except BaseException as error:
            error.add_note(f"the frame was {data!r}")
            raise
        tally.frames += 1
        if why:
            tally.refused[why] += 1
        else:
            tally.read += 1
