"""What a student's page shows, from a result; no HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from autograder.report.grid import grids, texts
from autograder.report.said import said, shown_example

MARKS = {"passed": "✓", "failed": "✗", "not written yet": "–", "could not judge": "?"}
#: Verdict -> name of the style, also on the page of a class.
STYLES = {"passed": "good", "failed": "bad", "not written yet": "quiet", "could not judge": "warn"}

TIMES = {
    "student": "your functions",
    "loading": "loading your file",
    "baseline": "our solution, to compare",
    "judging": "comparing, and sending things to and fro",
    "milestone": "of all this, the milestone",
}

#: Inputs of more numbers than this are folded.
FOLDED = 40

_CALLED = re.compile(r"(?<![\w.'\"])([A-Za-z_]\w*)\(")


def view(result: Mapping) -> dict:
    """Return everything that the template ``student.html`` shows."""
    entries = [_entry(number, entry, result) for number, entry in enumerate(result["functions"])]
    return {
        "result": result,
        "entries": entries,
        "told": [entry for entry in entries if entry["said"] or entry["example"]],
        "counts": _counts(entries),
        "part": part(result["score"], result["max_score"]),
        "messages": result.get("messages", []),
        "checks": [(entry["name"], [(_mark(check["passed"]), check["name"]) for check in entry["checks"]]) for entry in entries],
        "isolation": isolation(result),
        "canary": sorted(result["isolation"].get("canary", {}).items()),
        "times": [(TIMES.get(name, name), f"{seconds:.2f} s") for name, seconds in result.get("timing", {}).items()],
        "versions": [(name, version) for name, version in result.get("environment", {}).items() if version],
    }


def part(score: float | None, most: float) -> float:
    """Return a score as a part of the maximum, from 0 to 1."""
    return min(max((score or 0) / most, 0.0), 1.0) if most else 0.0


def isolation(result: Mapping) -> str:
    """Return how the submission was isolated, in a few words."""
    seen = result["isolation"]
    if not seen:
        return "nothing was run"
    layers = ", ".join(seen.get("layers", []))
    return f"{seen.get('level', 'unknown')} ({layers})" if layers else seen.get("level", "unknown")


def _counts(entries) -> list[tuple[int, str]]:
    found = [(sum(entry["verdict"] == verdict for entry in entries), verdict) for verdict in MARKS]
    return [(count, verdict) for count, verdict in found if count]


def _mark(passed) -> tuple[str, str, str]:
    return {True: ("✓", "good", "holds"), False: ("✗", "bad", "does not hold"), None: ("–", "quiet", "not reached")}[passed]


def own_sentences(entry: Mapping, result: Mapping) -> list[tuple[str, str]]:
    """Return ``(kind, sentence)`` for what is said about an entry, without what is said of the whole submission already."""
    return [(kind, sentence) for kind, sentence in said(entry) if sentence not in result.get("messages", [])]


def _entry(number, entry, result) -> dict:
    verdict = entry["verdict"]
    return {
        **entry,
        "id": f"f{number + 1}",
        "mark": MARKS[verdict],
        "style": STYLES[verdict],
        "said": own_sentences(entry, result),
        "example": _example(shown_example(entry), result["assignment"]),
    }


def _example(example, assignment) -> dict | None:
    """Return what is shown of a counterexample, or None."""
    if example is None:
        return None
    path = example["path"] + (f"[{', '.join(map(str, example['index']))}]" if example["index"] else "")
    parts = grids(example["path"], example.get("whole") or {})
    shown = [grid for grid in parts if grid.differs]
    single = not example.get("whole") and example["actual"] is not None
    return {
        "name": example["example"],
        "sizes": ", ".join(f"{name} = {size}" for name, size in example["sizes"].items()),
        "long": len(list(_leaves([value for _, value in _inputs(example["inputs"])]))) > FOLDED,
        "inputs": [(name, lines(value)) for name, value in _inputs(example["inputs"])],
        "path": path,
        "single": texts(example["actual"], example["expected"], least=6) if single else None,
        "grids": shown,
        "agree": len(parts) - len(shown),
        "snippet": reproduction(example.get("snippet", ""), assignment),
    }


def _inputs(inputs: Mapping) -> Iterator[tuple[str, object]]:
    """Yield every array by the expression that it is reached with: ``params['Wx']``."""
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}[{key!r}]", item) for key, item in value.items())
        else:
            yield name, value


def reproduction(snippet: str, assignment: str) -> list[str]:
    """Return the lines of a snippet below the imports that it needs."""
    if not snippet:
        return []
    called = dict.fromkeys(_CALLED.findall(snippet))
    imported = ", ".join(name for name in called if name != "print")
    return ["import numpy as np", f"from {assignment} import {imported}  # not in your notebook, which has them", "", *snippet.split("\n")]


def lines(value) -> list[str]:
    """Write nested lists as NumPy writes arrays: a row per line, columns below each other."""
    if not _regular(value):
        return [_text(value)]
    width = max((len(_text(leaf)) for leaf in _leaves(value)), default=0)
    return _rows(value, width, "")


def _regular(value) -> bool:
    return isinstance(value, list) and bool(value) and len({_shape(item) for item in value}) == 1 and None not in _shape(value[0])


def _shape(value) -> tuple:
    """Return the shape of nested lists; None in it where they are ragged or hold anything but numbers."""
    if isinstance(value, bool | int | float):
        return ()
    if not isinstance(value, list) or not value:
        return (None,)
    shapes = {_shape(item) for item in value}
    return (len(value), *shapes.pop()) if len(shapes) == 1 else (None,)


def _leaves(value) -> Iterator:
    for item in value:
        if isinstance(item, list):
            yield from _leaves(item)
        else:
            yield item


def _rows(value, width, indent) -> list[str]:
    if not isinstance(value[0], list):
        return [f"{indent}[{' '.join(_text(item).rjust(width) for item in value)}]"]
    lines = [line for item in value for line in _rows(item, width, indent + " ")]
    lines[0] = f"{indent}[{lines[0][len(indent) + 1 :]}"
    lines[-1] += "]"
    return lines


def _text(value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
