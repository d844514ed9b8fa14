"""Frames: what goes in comes out, and whatever arrives raises nothing but what it may raise."""

import contextlib
import json
import socket
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.sandbox import wire
from autograder.sandbox.arrays import DTYPES
from autograder.sandbox.messages import answer_tree, answers_of
from autograder.sandbox.steps import Answer, Opaque, Ref, Step
from autograder.sandbox.wire import HEAD, MAGIC, Caps, Closed, Encoded, Frame, Late, WireError

NONCE = bytes(range(16))
SMALL = Caps(skeleton=1 << 12, payload=1 << 12)


class Soon:
    """A clock with a tenth of a second on it."""

    def __init__(self, seconds=0.1):
        self.end = time.monotonic() + seconds

    def left(self):
        left = self.end - time.monotonic()
        if left <= 0:
            raise Late
        return left


@pytest.fixture
def channel():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def frame_of(skeleton: bytes, payload: bytes = b"") -> Frame:
    return Frame(skeleton, np.frombuffer(bytearray(payload), "u1"), 0, NONCE)


def there_and_back(tree, from_grader=False):
    encoded = wire.encode(tree)
    return wire.decode(frame_of(encoded.skeleton, b"".join(map(bytes, encoded.payload))), from_grader=from_grader)


def same(a, b):
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(map(same, a.values(), b.values()))
    return type(a) is type(b) and (a == b or (a != a and b != b))


# --- what goes in comes out ----------------------------------------------------------------------------------------
@st.composite
def arrays(draw):
    dtype = DTYPES[draw(st.sampled_from(sorted(DTYPES)))]
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    seed = draw(st.integers(0, 2**32 - 1))
    count = int(np.prod(shape)) * dtype.itemsize
    data = np.random.default_rng(seed).integers(0, 2 if dtype.kind == "b" else 256, count, dtype="u1")
    return np.ndarray(shape, dtype, data.tobytes()).copy()


LEAVES = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(-(2**63), 2**63 - 1), arrays(), arrays().map(lambda a: a.reshape(-1)[:1].copy()),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.builds(Opaque, st.integers(0, 1000)),
)  # fmt: skip
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_a_tree_comes_back_as_it_was(tree):
    assert same(tree, there_and_back(tree))


def test_numpy_numbers_stay_numpy_numbers():
    assert same((np.float32(1.5), np.int64(-3), np.bool_(True)), there_and_back((np.float32(1.5), np.int64(-3), np.bool_(True))))


def test_arrays_come_back_aligned_writeable_and_with_any_layout_read():
    tree = (np.ones(3, "i1"), np.arange(6.0).reshape(2, 3).T, np.arange(10.0)[::2])
    back = there_and_back(tree)
    assert same(tuple(map(np.ascontiguousarray, tree)), back)
    assert all(array.flags.aligned and array.flags.writeable for array in back)


def test_the_same_array_twice_travels_once_and_only_from_the_grader():
    x = np.arange(4.0)
    encoded = wire.encode((x, x))
    assert encoded.size == x.nbytes
    frame = frame_of(encoded.skeleton, b"".join(map(bytes, encoded.payload)))
    one, two = wire.decode(frame, from_grader=True)
    assert one is two
    with pytest.raises(WireError):
        wire.decode(frame)


def test_references_come_from_the_grader_only():
    assert there_and_back((Ref(0, -1, "x"),), from_grader=True) == (Ref(0, -1, "x"),)
    with pytest.raises(WireError):
        there_and_back((Ref(0),))


@pytest.mark.parametrize("value", [object(), {1: 2}, 2**63, np.array([None]), np.array(["a"]), {1, 2}, b"x"])
def test_what_cannot_be_sent_is_refused(value):
    with pytest.raises(WireError):
        wire.encode((value,))


def places_read(changed=(), shared=()):
    """Read what a step with two arguments and three results is said to have changed or shared."""
    answer = Answer((1.0, 2.0, 3.0), changed=changed, shared=shared, returned=3)
    ((read,),) = answers_of(((answer_tree(answer),),), [[Step("f", (1.0, 2.0))]])
    return read.changed, read.shared


def test_places_are_read_as_a_worker_writes_them():
    changed = ("args[0]", "args[1]['Wx'][0]", "args[0]['\\u00b2']", "args[1][(1, 2)]", "args[0]['" + "a" * 57)
    shared = ("out[0]~args[1]", "out[0]['a']~out[2][1]")
    assert places_read(changed, shared) == (changed, shared)
    assert places_read(shared=("out[0]['~out[\u00b2]']~args[0]",)) == ((), ("out[0]['-out[\u00b2]']~args[0]",))


@pytest.mark.parametrize("path", ["args[\u00b2]", "args[\u0661]", "args[2]", "args[99]", "args[-1]", "args[01]", "args", "args[]", "value[0]", "args[0]x", "", "args[" + "9" * 300 + "]"])
def test_places_that_no_worker_writes_are_refused(path):
    with pytest.raises(WireError):
        places_read(changed=(path,))
    for shared in (f"out[0]~{path}", f"{path}~args[0]", "out[3]~args[0]", "out[0]~out[3]", "out[0]"):
        with pytest.raises(WireError):
            places_read(shared=(shared,))


# --- what arrives from a liar --------------------------------------------------------------------------------------
BAD = {
    "not JSON": b"hello",
    "not UTF-8": b'"\xff\xfe"',
    "an object": b'{"a": 1}',
    "an empty node": b"[]",
    "no such tag": b'["z", 1]',
    "tag is a node": b'[["t"], 1]',
    "object dtype": b'["a", "|O", 1]',
    "text dtype": b'["a", "<U4", 1]',
    "dtype is a number": b'["a", 3, 1]',
    "no dtype": b'["a"]',
    "big-endian": b'["a", ">f8", 0]',
    "a negative extent": b'["a", "<f8", -1]',
    "a huge extent": b'["a", "<f8", 1099511627776]',
    "extents that overflow": b'["a", "|u1", 1099511627775, 1099511627775, 1099511627775]',
    "a huge extent times nothing": b'["a", "<f8", 99999999999999999999, 0]',
    "an extent that is a float": b'["a", "<f8", 1.0]',
    "an extent that is a bool": b'["a", "<f8", true]',
    "nine axes": b'["a", "<f8", 1, 1, 1, 1, 1, 1, 1, 1, 1]',
    "more than the payload": b'["a", "<f8", 3]',
    "less than the payload": b"null",
    "a number too large": b"9223372036854775808",
    "a number with a million digits": b"9" * 1_000_000,
    "nested too deep": b'["t",' * 30 + b"1" + b"]" * 30,
    "nested 60,000 deep": b"[" * 60_000 + b"]" * 60_000,
    "a key twice": b'["d", "a", 1, "a", 2]',
    "a key without a value": b'["d", "a"]',
    "a key that is no text": b'["d", 1, 1]',
    "an opaque id below zero": b'["o", -1]',
    "an opaque id that is a text": b'["o", "a"]',
    "a repeated array": b'["t", ["a", "<f8", 2], ["b", 0]]',
    "a scalar with a shape": b'["g", "<f8", 2]',
    "JSON after the end": b"1 2",
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_skeleton_is_refused(what):
    with pytest.raises(WireError):
        wire.decode(frame_of(BAD[what], bytes(16)))


def test_a_bool_is_0_or_1():
    with pytest.raises(WireError):
        wire.decode(frame_of(b'["a", "|b1", 2]', b"\x01\x02" + bytes(14)))


def test_lone_surrogates_do_not_get_through():
    text = wire.decode(frame_of(rb'"\ud800"'))
    text.encode()


NODES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.sampled_from([*"agtldorb", *DTYPES])),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None)
@given(NODES, st.binary(max_size=64), st.booleans())
def test_any_json_decodes_or_is_refused(node, payload, from_grader):
    frame = frame_of(json.dumps(node).encode(), payload)
    with contextlib.suppress(WireError):
        wire.decode(frame, from_grader=from_grader)


@settings(max_examples=300, deadline=None)
@given(TREES, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 200))
def test_a_damaged_frame_is_read_or_refused(tree, damage, cut):
    encoded = wire.encode(tree)
    data = bytearray(HEAD.pack(MAGIC, len(encoded.skeleton), encoded.size, 0, NONCE) + encoded.skeleton + b"".join(map(bytes, encoded.payload)))
    for place, value in damage:
        data[place % len(data)] = value
    _receive_from(bytes(data[: len(data) - cut % len(data)]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", MAGIC, HEAD.pack(MAGIC, 4, 16, 0, NONCE)]))
def test_any_bytes_are_read_or_refused(data, start):
    _receive_from(start + data)


def _receive_from(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(data[: 1 << 16])
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(WireError, Closed, Late):
            wire.decode(wire.receive(ours.fileno(), Soon(2), NONCE, SMALL))


# --- heads, caps and time ------------------------------------------------------------------------------------------
def test_a_frame_is_sent_and_received(channel):
    ours, theirs = channel
    wire.send(theirs.fileno(), wire.encode((1, np.arange(3.0))), NONCE, room=7)
    frame = wire.receive(ours.fileno(), Soon(), NONCE, SMALL)
    assert (frame.room, frame.nonce) == (7, NONCE)
    assert same(wire.decode(frame), (1, np.arange(3.0)))


@pytest.mark.parametrize(
    "head",
    [
        HEAD.pack(b"EVIL", 4, 0, 0, NONCE),
        HEAD.pack(MAGIC, 4, 0, 0, bytes(16)),
        HEAD.pack(MAGIC, 1 << 31, 0, 0, NONCE),
        HEAD.pack(MAGIC, 4, 1 << 62, 0, NONCE),
    ],
    ids=["magic", "nonce", "skeleton of 2 GiB", "payload of 4 EiB"],
)
def test_a_bad_head_is_refused_before_anything_is_allocated(channel, head):
    ours, theirs = channel
    theirs.sendall(head)
    with pytest.raises(WireError):
        wire.receive(ours.fileno(), Soon(), NONCE, SMALL)


def test_a_slow_drip_is_late(channel):
    ours, theirs = channel
    theirs.sendall(HEAD.pack(MAGIC, 4, 0, 0, NONCE)[:-1])
    started = time.monotonic()
    with pytest.raises(Late):
        wire.receive(ours.fileno(), Soon(), NONCE, SMALL)
    assert time.monotonic() - started < 2


def test_half_a_frame_and_the_end_is_closed(channel):
    ours, theirs = channel
    theirs.sendall(HEAD.pack(MAGIC, 4, 0, 0, NONCE) + b"nu")
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(Closed):
        wire.receive(ours.fileno(), Soon(), NONCE, SMALL)


def test_sending_to_nobody_is_closed_and_to_somebody_who_does_not_read_is_late(channel):
    ours, theirs = channel
    big = Encoded(b"null", (memoryview(bytes(1 << 23)),), 1 << 23)
    with pytest.raises(Late):
        wire.send(ours.fileno(), big, NONCE, Soon())
    theirs.close()
    with pytest.raises(Closed):
        wire.send(ours.fileno(), big, NONCE, Soon())


def test_large_arrays_travel_in_pieces(channel):
    ours, theirs = channel
    tree = tuple(np.full(1 << 17, i, "f8") for i in range(12))
    sender = threading.Thread(target=wire.send, args=(theirs.fileno(), wire.encode(tree), NONCE))
    sender.start()
    frame = wire.receive(ours.fileno(), Soon(20), NONCE, Caps(payload=1 << 24))
    sender.join()
    assert same(wire.decode(frame), tree)
