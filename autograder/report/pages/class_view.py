"""What the page of a class shows, from its results; no HTML."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean, median
from urllib.parse import quote

from autograder.report.pages.student_view import MARKS, STYLES, TIMES, isolation, own_sentences
from autograder.report.similarity import Pair
from autograder.report.text import file_name

BINS = 10

CLASS_TIMES = TIMES | {"student": "the students' functions", "loading": "loading their files"}

#: What the list of students can be narrowed to, beside the functions and the bugs.
STATES = {"full": "full points", "some": "some points lost", "none": "no points", "unread": "could not be read", "kit": "the kit failed"}


def view(results: Sequence[Mapping], pairs: Sequence[Pair] | None) -> dict:
    """Return everything that the template ``class.html`` shows."""
    results = sorted(results, key=lambda result: (result["student"].casefold(), result["student"]))
    names = list(dict.fromkeys(entry["name"] for result in results for entry in result["functions"]))
    found = bugs(results, names)
    links = {result["student"]: link(result["student"]) for result in results}
    scores = [result["score"] for result in results if result["score"] is not None]
    most = max((result["max_score"] for result in results), default=0)
    return {
        "assignment": results[0]["assignment"] if results else "",
        "count": len(results),
        "names": names,
        "rows": [_row(result, names, found, links) for result in results],
        "states": [(key, words) for key, words in STATES.items() if any(_state(result) == key for result in results)],
        "most": most,
        "middle": (mean(scores), median(scores)) if scores else None,
        "bins": histogram(scores, most),
        "rates": [_rate(name, results) for name in names],
        "bugs": [bug | {"students": [(student, links[student]) for student in bug["students"]]} for bug in found],
        "pairs": None if pairs is None else [(pair, links.get(pair.one), links.get(pair.other)) for pair in pairs],
        "times": _times(results),
        "slowest": _slowest(results, links),
        "isolation": Counter(isolation(result) for result in results).most_common(),
        "banks": Counter(result["bank"] for result in results).most_common(),
        "engines": Counter(result["engine"] for result in results).most_common(),
    }


def link(student: str) -> str:
    """Return the address of a student's page, from that of the class."""
    return f"pages/{quote(file_name(student))}.html"


# ------------------------------------------------------------------------------------------------- students


def _row(result, names, found, links) -> dict:
    entries = {entry["name"]: entry for entry in result["functions"]}
    return {
        "student": result["student"],
        "link": links[result["student"]],
        "score": result["score"],
        "state": _state(result),
        "cells": [_cell(entries.get(name)) for name in names],
        "fails": [position for position, name in enumerate(names) if name in entries and entries[name]["verdict"] == "failed"],
        "bugs": [position for position, bug in enumerate(found) if result["student"] in bug["students"]],
    }


def _cell(entry) -> tuple[str, str, str]:
    if entry is None:
        return "", "quiet", "not graded"
    verdict = entry["verdict"]
    return MARKS[verdict], STYLES[verdict], f"{verdict}, with ours in place of what it uses" if entry["carried_forward"] else verdict


def _state(result) -> str:
    if result["score"] is None:
        return "kit"
    if not result["submission_sha256"]:
        return "unread"
    return "full" if result["score"] >= result["max_score"] else "some" if result["score"] else "none"


# --------------------------------------------------------------------------------------------------- numbers


def histogram(scores: Sequence[float], most: float, bins: int = BINS) -> list[tuple[str, int, float]]:
    """Return ``(label, count, part of the highest)``; full points and more are one bin of their own."""
    if not scores or not most:
        return []
    width = most / bins
    counts = Counter(min(int(max(score, 0) / width), bins) for score in scores)
    highest = max(counts.values())
    labels = [_range(width * k, width) for k in range(bins)] + [f"{most:g}{'+' if max(scores) > most else ''}"]
    return [(label, counts[k], counts[k] / highest) for k, label in enumerate(labels)]


def _range(low, width) -> str:
    return f"{low:g}–{low + width - 1:g}" if width == int(width) and width > 1 else f"{low:g}–"


def _rate(name, results) -> dict:
    entries = [entry for result in results for entry in result["functions"] if entry["name"] == name]
    counts = Counter(entry["verdict"] for entry in entries)
    part = counts["passed"] / len(entries) if entries else 0.0
    return {"name": name, "most": max(entry["max_score"] for entry in entries), "part": part, "carried": sum(e["carried_forward"] for e in entries),
            "counts": [(verdict, counts[verdict]) for verdict in MARKS]}  # fmt: skip


def bugs(results: Sequence[Mapping], names: Sequence[str]) -> list[dict]:
    """Return which bug is in which function of how many students, the most frequent first.

    A failure without a known name is counted by the check that failed, with the sentence that most got.
    """
    students, sentences = defaultdict(list), defaultdict(Counter)
    for result in results:
        for key, sentence in _failures(result).items():
            students[key].append(result["student"])
            sentences[key][sentence] += 1
    found = [
        {"function": function, "known": known, "name": name, "sentence": sentences[function, known, name].most_common(1)[0][0], "students": who}
        for (function, known, name), who in students.items()
    ]
    order = {name: place for place, name in enumerate(names)}
    return sorted(found, key=lambda bug: (-len(bug["students"]), order.get(bug["function"], -1), not bug["known"], bug["name"]))


def _failures(result) -> dict[tuple[str, bool, str], str]:
    """Return ``(function, known, name)`` -> sentence; what concerns the whole file is counted once, without a function."""
    if not result["submission_sha256"]:
        return {}
    found = {}
    for entry in result["functions"]:
        if (told := _bug(entry, result)) is not None:
            known, name, sentence = told
            found[(entry["name"] if sentence else "", known, name)] = sentence or " ".join(result["messages"])
    return found


def _bug(entry, result) -> tuple[bool, str, str] | None:
    """Return ``(known, name, sentence)`` for an entry that failed."""
    if entry["verdict"] != "failed":
        return None
    if entry["diagnosis"]:
        return True, entry["diagnosis"]["name"], entry["diagnosis"]["sentence"]
    check = next((check["name"] for check in entry["checks"] if check["passed"] is False), "")
    return False, check, next((sentence for kind, sentence in own_sentences(entry, result) if kind == "problem"), "")


def _times(results) -> list[tuple[str, float, float, float]]:
    """Return ``(part, sum, median, longest)`` in CPU seconds."""
    found = defaultdict(list)
    for result in results:
        for name, seconds in result.get("timing", {}).items():
            found[name].append(seconds)
    return [(CLASS_TIMES.get(name, name), sum(values), median(values), max(values)) for name, values in found.items()]


def _slowest(results, links, most: int = 5) -> list[tuple[str, str, float]]:
    times = [(result.get("timing", {}).get("student", 0.0), result["student"]) for result in results]
    return [(student, links[student], seconds) for seconds, student in sorted(times, key=lambda pair: (-pair[0], pair[1]))[:most] if seconds]
