"""What is done to arrays around a call: laying out, noticing changes and shared memory, scribbling, copying out.

Student code runs in the same process and may replace NumPy's functions. Whatever is needed after it has run is
therefore bound here, when this module is imported.
"""

from __future__ import annotations

import numpy as np

from .steps import Opaque

_ndarray, _generic = np.ndarray, np.generic
_copy, _view, _fill, _tobytes, _astype = (
    np.ndarray.copy, np.ndarray.view, np.ndarray.fill, np.ndarray.tobytes, np.ndarray.astype,
)  # fmt: skip
_empty, _shares_memory, _TooHard = np.empty, np.shares_memory, np.exceptions.TooHardError

#: What can be sent: name on the wire -> dtype. No objects, no text, no records; little-endian.
_NUMBERS = "|b1 |i1 |u1 <i2 <i4 <i8 <u2 <u4 <u8 <f2 <f4 <f8 <c8 <c16"
DTYPES = {code: np.dtype(code) for code in _NUMBERS.split()}
#: dtype -> name on the wire. Native dtypes only: `plain` has converted the others.
CODES = {dtype: code for code, dtype in DTYPES.items()}
_GARBAGE = {
    dtype: True if dtype.kind == "b" else np.nan if dtype.kind in "fc" else np.iinfo(dtype).max
    for dtype in CODES
}  # fmt: skip

MAX_DEPTH = 12
MAX_NODES = 4_000
MAX_TEXT = 1_000
MAX_INT = 1 << 63
_CHUNK = 1 << 18
_WORK = 100_000


class Unsendable(Exception):
    """The value cannot be read; the message continues "rnn_forward returned ..."."""


# --- before the call -----------------------------------------------------------------------------------------------
def lay_out(array: np.ndarray, layout: str) -> np.ndarray:
    """Return a copy of `array`, in a buffer of its own, that lies in memory the way `layout` says."""
    if layout == "C":
        return _copy(array)
    if layout == "fortran":
        return _copy(array, "F")
    if layout == "strided":
        return _between_garbage(array)
    given = _copy(array)
    given.flags.writeable = False
    return given


def _between_garbage(array: np.ndarray) -> np.ndarray:
    """Put `array` on every other place of its first and last axes of a larger array; the rest is garbage."""
    if array.ndim == 0:
        return _copy(array)
    shape = list(array.shape)
    for axis in {0, array.ndim - 1}:
        shape[axis] *= 2
    outer = _empty(shape, array.dtype)
    _fill(outer, _GARBAGE[array.dtype])
    given = outer[1::2] if array.ndim == 1 else outer[1::2, ..., ::2]
    given[...] = array
    return given


# --- after the call ------------------------------------------------------------------------------------------------
def differ(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays differ in shape, dtype or any bit (a NaN equals the same NaN)."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return True
    if a.nbytes <= _CHUNK or a.ndim == 0:
        return _tobytes(a) != _tobytes(b)
    # In pieces, so that the comparison does not show up in the peak of memory that is measured from outside.
    rows = max(1, len(a) * _CHUNK // a.nbytes)
    return any(_tobytes(a[i : i + rows]) != _tobytes(b[i : i + rows]) for i in range(0, len(a), rows))


def scribble(tree: object) -> None:
    """Fill every writeable array of a tuple, list, dict or array with garbage, in place."""
    for _, array in arrays_in(tree, ()):
        if array.flags.writeable and array.dtype in _GARBAGE:
            _fill(array, _GARBAGE[array.dtype])


def arrays_in(tree: object, path: tuple, depth: int = 0) -> list[tuple[tuple, np.ndarray]]:
    """List the arrays of a tree of tuples, lists and dicts with their paths."""
    if isinstance(tree, _ndarray):
        return [(path, tree)]
    if depth == MAX_DEPTH or not isinstance(tree, (tuple, list, dict)):
        return []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return [found for key, item in items for found in arrays_in(item, (*path, key), depth + 1)]


def _owner(array: object) -> object:
    """Follow `base` to the object that owns the memory. Arrays with different owners share nothing."""
    while True:
        if isinstance(array, memoryview):
            base = array.obj
        else:  # also the wrapper that as_strided puts between a view and its owner
            base = getattr(array, "base", None)
        if base is None:
            return array
        array = base


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    try:
        return _shares_memory(a, b, max_work=_WORK)
    except _TooHard:  # no student pays for a question that cannot be decided
        return False


def sharing(outs: list, args: list) -> list[tuple[tuple, str, tuple]]:
    """Find the returned arrays that share memory with an argument or with another returned array.

    Parameters
    ----------
    outs, args : list of (path, array)

    Returns
    -------
    list of (path in the value, "args" or "out", path there)
    """
    owners: dict[int, list] = {}
    found = []
    for path, array in outs:
        same = owners.setdefault(id(_owner(array)), [])
        found += [(before, "out", path) for before, other in same if _overlap(other, array)]
        same.append((path, array))
    for path, array in args:
        for before, other in owners.get(id(_owner(array)), ()):
            if _overlap(other, array):
                found.append((before, "args", path))
    return found


# --- copying out ---------------------------------------------------------------------------------------------------
class Copier:
    """Copies returned trees into plain ones: arrays of a known dtype, numbers, text, None, tuple, list, dict.

    A copy is taken right after the call, since a later call may reuse the buffer.

    Parameters
    ----------
    room : int or None
        Bytes that all arrays together may take; None is no limit.
    """

    def __init__(self, room: int | None = None) -> None:
        self.room = room

    def __call__(self, value: object) -> object:
        """Return the plain copy of `value`, or raise `Unsendable`."""
        self.nodes = 0
        return self._plain(value, 0)

    def _plain(self, value: object, depth: int) -> object:
        kind = type(value)
        if kind is _ndarray:
            return self._array(value)
        if kind is float or kind is bool or value is None:
            return value
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise Unsendable("far too many nested values: return arrays instead of long lists")
        if isinstance(value, (tuple, list)):
            return self._sequence(value, depth)
        if isinstance(value, dict):
            return self._dict(value, depth)
        return self._leaf(value)

    def _sequence(self, value: tuple | list, depth: int) -> tuple | list:
        self.nodes += len(value)
        if self.nodes > MAX_NODES:
            raise Unsendable(f"a {type(value).__name__} of {len(value)} items, which is too long: return an array")
        items = [self._plain(item, depth + 1) for item in value]
        return tuple(items) if isinstance(value, tuple) else items

    def _dict(self, value: dict, depth: int) -> dict:
        self.nodes += len(value)
        if not all(isinstance(key, str) and len(key) <= MAX_TEXT for key in value):
            raise Unsendable("a dict with keys that are not (short) text")
        return {str(key): self._plain(item, depth + 1) for key, item in value.items()}

    def _array(self, array: np.ndarray) -> np.ndarray:
        """Copy in C order and native byte order; subclasses (matrix, masked arrays) lose what is special."""
        array = _view(array, _ndarray)
        dtype = array.dtype
        if dtype not in CODES:
            dtype = _sendable(dtype, array.ndim)
        self._take(array.nbytes)
        return _copy(array) if dtype is array.dtype else _astype(array, dtype, "C")

    def _take(self, nbytes: int) -> None:
        if self.room is not None:
            if nbytes > self.room:
                raise Unsendable(f"an array of {nbytes:,} bytes, far more than a right answer has")
            self.room -= nbytes

    def _leaf(self, value: object) -> object:
        if isinstance(value, _ndarray):
            return self._array(value)
        if isinstance(value, _generic):
            if value.dtype in CODES:
                return value
            if value.dtype.kind == "f":  # a loss may have any float type
                return float(value)
            raise Unsendable(f"a number of type {type(value).__name__}, which cannot be read")
        if isinstance(value, int):
            if -MAX_INT <= value < MAX_INT:
                return int(value)
            raise Unsendable("an integer that does not fit into 64 bits")
        if isinstance(value, float):
            return float(value)
        if isinstance(value, str):
            if len(value) <= MAX_TEXT:
                return str(value)
            raise Unsendable(f"a text of {len(value)} characters")
        return self._opaque(value)

    def _opaque(self, value: object) -> object:
        if type(value) is Opaque:
            return value
        raise Unsendable(
            f"{a_type(value)}, which cannot be compared: return arrays, numbers, or tuples, lists and dicts of them"
        )


def _sendable(dtype: np.dtype, ndim: int) -> np.dtype:
    """Return the dtype in which numbers of a rarer dtype are sent; a loss may have any float type, an array may not."""
    native = dtype.newbyteorder("=")
    if native in CODES:
        return native
    if native.kind == "f" and ndim == 0:
        return DTYPES["<f8"]
    why = "use float64" if native.kind in "fc" else "which is not an array of numbers"
    raise Unsendable(f"an array of dtype {dtype}, {why}")


def a_type(value: object) -> str:
    """Name a value's type with its article: "a set", "an int"."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"
