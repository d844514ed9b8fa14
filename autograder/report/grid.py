"""A whole wrong result beside what it should be, as small tables: how far off each entry is, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

#: Relative errors from which on an entry is one shade darker; the last shade is for what is not finite, too.
SHADES = (0.0, 1e-4, 1e-2, 0.3)


@dataclass(frozen=True)
class Cell:
    """One entry: both values as text, whether they differ, and how far, from 0 to 4."""

    actual: str
    expected: str
    differs: bool
    shade: int


@dataclass(frozen=True)
class Grid:
    """The entries over the last two axes; ``title`` says which part of the result it is, ``rows`` and ``columns`` what they run over."""

    title: str
    cells: tuple[tuple[Cell, ...], ...]
    rows: str = ""
    columns: str = ""

    @property
    def differs(self) -> bool:
        """Whether any entry is wrong."""
        return any(cell.differs for row in self.cells for cell in row)


def grids(path: str, whole: Mapping) -> list[Grid]:
    """Return a counterexample's ``whole`` as tables: one, or one for each index of the leading axes."""
    if not whole:
        return []
    shape = _shape(whole["actual"])
    lead, axes = shape[:-2], whole.get("axes", "").split()
    axes = axes if len(axes) == len(shape) else [""] * len(shape)
    largest = max((abs(value) for value in _flat(whole["expected"]) if _finite(value)), default=0.0)
    found = []
    for index in product(*map(range, lead)):
        parts = [_pick(whole[name], index) for name in ("actual", "expected", "differs")]
        rows = zip(*(parts if len(shape) > 1 else [[part] for part in parts]), strict=True)
        cells = tuple(tuple(_cell(*entry, largest) for entry in zip(*row, strict=True)) for row in rows)
        title = f"{path}[{', '.join(map(str, index))}]" if lead else path
        found.append(Grid(title, cells, axes[-2] if len(shape) > 1 else "", axes[-1]))
    return found


def _shape(nested) -> tuple[int, ...]:
    return (len(nested), *_shape(nested[0])) if isinstance(nested, Sequence) and not isinstance(nested, str) and nested else ()


def _pick(nested, index):
    for position in index:
        nested = nested[position]
    return nested


def _flat(nested) -> Iterator:
    if isinstance(nested, list):
        for item in nested:
            yield from _flat(item)
    else:
        yield nested


def _finite(value) -> bool:
    """JSON has no NaN and no infinity: there they are text."""
    return not isinstance(value, str) and value - value == 0


def _cell(actual, expected, differs, largest) -> Cell:
    shade = _shade(actual, expected, largest) if differs else 0
    return Cell(*texts(actual, expected, differs), bool(differs), shade)


def _shade(actual, expected, largest) -> int:
    if not _finite(actual) or not _finite(expected):
        return len(SHADES)
    error = abs(actual - expected) / (largest or 1.0)
    return max(sum(error >= bound for bound in SHADES), 1)


def texts(actual: object, expected: object, differs: bool = True, least: int = 4) -> tuple[str, str]:
    """Return both as text, with few digits, or with as many as it takes to tell them apart."""
    for digits in (least, 7, 12, 17):
        pair = tuple(f"{value:.{digits}g}" if isinstance(value, float) else str(value) for value in (actual, expected))
        if not differs or pair[0] != pair[1]:
            break
    return pair
