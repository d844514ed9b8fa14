"""Walking over nested values: dicts, lists and tuples of arrays and numbers. NumPy and the standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np


def leaves(tree, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield ``(path, leaf)``; paths read like Python: ``grads['Wx']``, ``grads['blocks'][0]['att_Wq']``."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{path}[{key!r}]" if path else str(key))
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, tree


def transform(tree, change: Callable, path: str = ""):
    """Return the tree with every leaf replaced by ``change(leaf)``."""
    if isinstance(tree, Mapping):
        return {key: transform(value, change) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(transform(value, change) for value in tree)
    return change(tree)


def largest(tree) -> float:
    """Return the largest absolute float in a tree, 0 when there is none."""
    floats = [leaf for _, leaf in leaves(tree) if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" and leaf.size]
    return max((float(np.abs(leaf).max()) for leaf in floats), default=0.0)


def count(tree) -> int:
    """Return how many numbers a tree holds."""
    return sum(np.size(leaf) for _, leaf in leaves(tree))
