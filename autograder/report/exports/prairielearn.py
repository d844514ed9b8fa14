"""PrairieLearn: the ``results.json`` of an external grader.

Format: https://prairielearn.readthedocs.io/en/latest/externalGrading/ ("Grading results").
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from autograder.report.exports.words import entry_text, is_readable, message


def document(result: Mapping) -> dict:
    """Return the document. What could not be read or judged is "not gradable" there: no points, and no attempt used up."""
    if result["score"] is None or not is_readable(result):
        return {"gradable": False, "format_errors": [message(result)]}
    tests = [
        {"name": entry["name"], "points": entry["score"], "max_points": entry["max_score"], "message": entry_text(entry)}
        for entry in result["functions"]
    ]  # fmt: skip
    # A score above 1 is an error there; bonus points can make up for lost ones, no more.
    score = min(1.0, result["score"] / result["max_score"])
    return {"gradable": True, "score": score, "message": message(result), "tests": tests}


def text(result: Mapping) -> str:
    """Return the file."""
    return json.dumps(document(result), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
