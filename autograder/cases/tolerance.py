"""How far rounding may move a right answer."""

from __future__ import annotations

#: Allowed rounding in units of the envelope, for float64 and float32 (measured: no right answer needs a quarter of it).
UNIT = {"float64": 256 * 2.0**-53, "float32": 64 * 2.0**-24}


def slack(envelope: float, unit: float) -> float:
    """Return what rounding may cost: the envelope times the unit."""
    return unit * envelope
