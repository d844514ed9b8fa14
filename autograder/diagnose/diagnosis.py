"""What a diagnosis is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """A misconception that was recognised: what it is called, what it does, and a question that leads on."""

    name: str
    sentence: str
    hint: str
