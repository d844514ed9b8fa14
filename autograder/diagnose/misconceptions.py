"""Misconceptions as data: what a mistake is called, which edit of our solution makes it, what to say about it.

``autograder/diagnose/X.toml`` holds those that come with the kit; an instructor adds more in
``solutions/X/misconceptions.toml`` of the course::

    [[misconception]]
    name = "state of the same step"
    function = "rnn_step_backward"                 # or a list of functions whose results it changes
    sentence = "dWh is built with the state of the same step."
    hint = "Which state did the forward pass multiply by Wh?"
    replace = [["h_prev.T @ da", "h.T @ da"]]      # each text occurs exactly once in our solution
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


class MisconceptionError(ValueError):
    """A misconception is written in a way that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Misconception:
    """One known mistake.

    Parameters
    ----------
    name, sentence, hint : str
        What it is called, what it does to the result, and a question that leads on without giving the answer away.
    function : str
        Whose results it changes.
    replace : tuple of (str, str)
        Edits of our solution that make it.
    """

    name: str
    function: str
    sentence: str
    hint: str
    replace: tuple[tuple[str, str], ...]

    def edited(self, source: str) -> str:
        """Return our solution with the mistake in it."""
        for before, after in self.replace:
            if source.count(before) != 1:
                raise MisconceptionError(f"{self.name!r}: {before!r} occurs {source.count(before)} times in the solution, but must occur once.")
            source = source.replace(before, after)
        return source


def load(assignment: str, solution: Path | None = None) -> list[Misconception]:
    """Return the misconceptions of an assignment: the kit's own, and those beside ``solution``."""
    paths = [HERE / f"{assignment}.toml", *([solution.parent / "misconceptions.toml"] if solution else [])]
    found = [m for path in paths if path.is_file() for entry in _entries(path) for m in _misconceptions(entry, path)]
    names = [(m.function, m.name) for m in found]
    if double := {name for name in names if names.count(name) > 1}:
        raise MisconceptionError(f"{assignment}: {', '.join(f'{name!r} of {function}' for function, name in sorted(double))} occurs twice.")
    return found


def _entries(path):
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")).get("misconception", [])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MisconceptionError(f"{path} cannot be read: {error}") from None


def _misconceptions(entry, path):
    wanted = {"name", "function", "sentence", "hint", "replace"}
    if set(entry) != wanted:
        raise MisconceptionError(f"{path}: {entry.get('name', 'an entry')!r} must have exactly {', '.join(sorted(wanted))}.")
    functions = [entry["function"]] if isinstance(entry["function"], str) else entry["function"]
    replace = tuple((before, after) for before, after in entry["replace"])
    return [Misconception(**{**entry, "function": function, "replace": replace}) for function in functions]
