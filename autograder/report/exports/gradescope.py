"""Gradescope: the ``results.json`` of its autograder platform.

Format: https://gradescope-autograders.readthedocs.io/en/latest/specs/ ("Output format").
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from autograder.report.exports.words import NoScore, entry_text, message


def document(result: Mapping) -> dict:
    """Return the document.

    Raises
    ------
    NoScore
        The kit could not judge: Gradescope knows no "no score", and a zero would be wrong.
    """
    if result["score"] is None:
        raise NoScore(f"{result['student']} has no score: {message(result)}")
    tests = [_test(number, entry) for number, entry in enumerate(result["functions"], 1)]
    seconds = sum(result["timing"].get(part, 0) for part in ("student", "loading", "baseline", "judging"))
    found = {
        "score": result["score"],
        "execution_time": round(seconds),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {name: result[name] for name in ("engine", "bank", "submission_sha256")},
    }
    return found | ({"output": message(result), "output_format": "text"} if result["messages"] else {})


def _test(number, entry) -> dict:
    return {
        "number": str(number),
        "name": entry["name"],
        "score": entry["score"],
        "max_score": entry["max_score"],
        "status": "passed" if entry["verdict"] == "passed" else "failed",
        "output": entry_text(entry),
        "output_format": "text",
        "visibility": "visible",
    }


def text(result: Mapping) -> str:
    """Return the file."""
    return json.dumps(document(result), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
