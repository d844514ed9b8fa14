"""The example bank as a file: one ``.npz`` that NumPy alone reads with ``allow_pickle=False``.

Members: ``skeleton`` (JSON as bytes, arrays replaced by references), one buffer per dtype, and ``sha256`` over all of
them, which is checked when the bank is read.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from autograder.tree import largest

FORMAT = 4
DTYPES = ("float64", "float32", "int64", "bool")


class BankError(ValueError):
    """A bank file that cannot be used; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class Example:
    """One example of a group of functions (a forward and its backward share theirs). Equal only to itself.

    Parameters
    ----------
    name : str
    plan : dict
        How it was made: sizes, kinds, seed (:class:`~autograder.cases.plan.Plan` as data).
    inputs : dict
        Argument name -> value.
    expected, envelope : dict
        Function -> result path -> reference value; and how far rounding can move it (largest change per unit roundoff).
    foreseen : dict
        Function -> misconception -> footprints of its results, NaN where they are right.
    """

    name: str
    plan: dict
    inputs: dict
    expected: dict[str, dict[str, np.ndarray]]
    envelope: dict[str, dict[str, float]]
    foreseen: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    @property
    def ordinary(self) -> bool:
        """Whether nothing is zeroed, saturated or masked away, so that a wrong formula shows."""
        plan = self.plan
        return plan.get("scale", "unit") in ("unit", "damped", "large upstream") and not plan.get("zero") and plan.get("mask") != "empty"

    @cached_property
    def largest_input(self) -> float:
        """The largest absolute float among the inputs."""
        return largest(self.inputs)


@dataclass(frozen=True)
class Bank:
    """All examples of one assignment: group (name of its forward) -> examples, simple ones first.

    ``misconceptions``: function -> name -> ``sentence`` and ``hint``, of the mistakes that the examples foresee.
    ``traces``: function -> example -> variable -> value in our solution; in public banks only.
    """

    assignment: str
    public: bool
    groups: dict[str, list[Example]]
    milestone: dict = field(default_factory=dict)
    sha256: str = ""
    misconceptions: dict[str, dict[str, dict]] = field(default_factory=dict)
    traces: dict[str, dict[str, dict[str, np.ndarray]]] = field(default_factory=dict)


def save(bank: Bank, path: Path) -> str:
    """Write a bank and return its sha256."""
    packer = _Packer()
    body = {
        "format": FORMAT,
        "assignment": bank.assignment,
        "public": bank.public,
        "groups": {name: [packer.pack(_fields(example)) for example in examples] for name, examples in bank.groups.items()},
        "milestone": packer.pack(bank.milestone),
        "misconceptions": bank.misconceptions,
        "traces": packer.pack(bank.traces),
    }
    members = {"skeleton": np.frombuffer(json.dumps(body, separators=(",", ":")).encode(), np.uint8), **packer.buffers()}
    digest = _digest(members)
    with open(path, "wb") as file:
        np.savez_compressed(file, sha256=np.frombuffer(digest.encode(), np.uint8), **members)
    return digest


def load(path: Path) -> Bank:
    """Read a bank; BankError when the file is missing, damaged or of another format."""
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            members = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise BankError(f"there is no example bank at {path}. Build one with: handgrad bank build ASSIGNMENT --out {path}") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise BankError(f"{path} is not an example bank ({type(error).__name__}). Build it again with: handgrad bank build") from None
    if not {"skeleton", "sha256", *DTYPES} <= set(members):
        raise BankError(f"{path} is not an example bank. Build one with: handgrad bank build")
    digest = members.pop("sha256").tobytes().decode("ascii", "replace")
    if digest != _digest(members):
        raise BankError(f"{path} is damaged: its contents do not match its checksum. Build it again with: handgrad bank build")
    body = json.loads(members["skeleton"].tobytes())
    if body.get("format") != FORMAT:
        raise BankError(f"{path} has format {body.get('format')}, but this version reads format {FORMAT}. Build it again with: handgrad bank build")
    unpack = _Unpacker(members).unpack
    groups = {name: [Example(**unpack(example)) for example in examples] for name, examples in body["groups"].items()}
    return Bank(body["assignment"], body["public"], groups, unpack(body["milestone"]), digest, body["misconceptions"], unpack(body["traces"]))


def _fields(example):
    return {each.name: getattr(example, each.name) for each in fields(example)}


def _digest(members):
    whole = hashlib.sha256()
    for name in sorted(members):
        whole.update(name.encode() + members[name].dtype.str.encode() + members[name].tobytes())
    return whole.hexdigest()


class _Packer:
    """Moves arrays out of a tree into one buffer per dtype."""

    def __init__(self):
        self.parts = {dtype: [] for dtype in DTYPES}
        self.used = dict.fromkeys(DTYPES, 0)

    def pack(self, tree):
        if isinstance(tree, np.ndarray | np.generic):
            array = np.asarray(tree)
            dtype = array.dtype.name
            start, self.used[dtype] = self.used[dtype], self.used[dtype] + array.size
            self.parts[dtype].append(array.ravel())
            return {"array": [dtype, start, *array.shape]}
        if isinstance(tree, Mapping):
            return {"dict": {key: self.pack(value) for key, value in tree.items()}}
        if isinstance(tree, tuple):
            return {"tuple": [self.pack(value) for value in tree]}
        if isinstance(tree, list):
            return [self.pack(value) for value in tree]
        return tree

    def buffers(self):
        return {dtype: np.concatenate(parts) if parts else np.empty(0, dtype) for dtype, parts in self.parts.items()}


class _Unpacker:
    """Puts the arrays back; they are read-only views, since examples are shared by everything that runs on them."""

    def __init__(self, buffers):
        self.buffers = buffers
        for buffer in buffers.values():
            buffer.flags.writeable = False

    def unpack(self, tree):
        if isinstance(tree, list):
            return [self.unpack(value) for value in tree]
        if not isinstance(tree, dict):
            return tree
        (tag, value), *_ = tree.items()
        if tag == "dict":
            return {key: self.unpack(item) for key, item in value.items()}
        if tag == "tuple":
            return tuple(self.unpack(item) for item in value)
        dtype, start, *shape = value
        size = int(np.prod(shape, dtype=np.int64))
        return self.buffers[dtype][start : start + size].reshape(shape)
