"""The answer bank of an assignment: right answers in different styles, and wrong ones that each lose exactly what they name.

``tests/bank/X/right/*.py`` are whole modules. ``tests/bank/X/wrong.toml`` holds edits of a right answer::

    [[wrong]]
    name = "bias gradient keeps an axis"
    why = "keepdims=True looks harmless"
    base = "solution"                              # or the stem of a right answer
    replace = [["da.sum(axis=0)", "da.sum(axis=0, keepdims=True)"]]
    append = ""                                    # code put at the end, where that is easier
    loses = {rnn_step_backward = "shape"}          # function -> the check that catches it
    means = "mean over the batch"                  # what a diagnosis may call it, one name or a list; nothing else is right

``unseen.toml`` is of the same form. It was written after the misconceptions, and they are never fitted to it: what share of it
is named shows how good the diagnosis is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class AnswerError(ValueError):
    """The answer bank is written in a way that cannot be used."""


@dataclass(frozen=True)
class SampleAnswer:
    """One right or wrong answer.

    Parameters
    ----------
    name, why, source : str
    loses : mapping of str to str
        Function (or entry) -> the check that catches it; empty for a right answer.
    means : tuple of str
        The names that a diagnosis may give.
    """

    name: str
    why: str
    source: str
    loses: Mapping[str, str] = field(default_factory=dict)
    means: tuple[str, ...] = ()


def right(folder: Path, solution: Path) -> list[SampleAnswer]:
    """Return our own solution and all right answers of ``folder/right``."""
    paths = [solution, *sorted((folder / "right").glob("*.py"))]
    names = ["solution", *(path.stem for path in paths[1:])]
    return [SampleAnswer(name, "", path.read_text(encoding="utf-8")) for name, path in zip(names, paths, strict=True)]


def wrong(folder: Path, solution: Path, file: str = "wrong.toml") -> list[SampleAnswer]:
    """Return the wrong answers of a file in ``folder``."""
    bases = {answer.name: answer.source for answer in right(folder, solution)}
    entries = tomllib.loads((folder / file).read_text(encoding="utf-8"))["wrong"]
    names = [entry["name"] for entry in entries]
    if double := {name for name in names if names.count(name) > 1}:
        raise AnswerError(f"{folder}/{file}: {', '.join(sorted(double))} occurs twice.")
    return [SampleAnswer(e["name"], e["why"], edited(e, bases[e.get("base", "solution")]), e["loses"], _means(e)) for e in entries]


def _means(entry):
    means = entry.get("means", [])
    return (means,) if isinstance(means, str) else tuple(means)


def edited(entry: Mapping, source: str) -> str:
    """Return a source with an entry's edits made; every text to replace must occur exactly once."""
    for before, after in entry.get("replace", []):
        if source.count(before) != 1:
            raise AnswerError(f"{entry['name']!r}: {before!r} occurs {source.count(before)} times in the base, but must occur once.")
        source = source.replace(before, after)
    return source + "\n" + entry.get("append", "")


def departures(answer: SampleAnswer, functions) -> list[str]:
    """Return a sentence for everything that an answer loses without naming it, or names without losing it."""
    found = []
    for result in functions:
        check = answer.loses.get(result.name)
        problems = {check.name: check.sentence for check in result.problems}
        if check is None and result.score < result.max_score:
            found.append(f"{result.name} loses without being named ({result.verdict}): {problems}")
        elif check is not None and result.score == result.max_score:
            found.append(f"{result.name} keeps its points, but should lose on {check!r} ({result.verdict})")
        elif check is not None and check not in problems:
            found.append(f"{result.name} loses on {list(problems)}, but should on {check!r}: {problems}")
    names = {result.name for result in functions}
    return found + [f"{name} is no entry of the assignment" for name in answer.loses if name not in names]
