"""GitHub Classroom: what a grader hands to its reporter, ``classroom-resources/autograding-grading-reporter``.

Format: the JSON that the reporter reads (``src/main.js``, ``src/notify-classroom.js`` of version 1), base64-encoded, as the output
``result`` of a step of the workflow.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from autograder.report.exports.words import entry_text, message

STATUS = {"passed": "pass", "failed": "fail", "not written yet": "fail", "could not judge": "error"}


def document(result: Mapping) -> dict:
    """Return the document."""
    tests = [_test(entry) for entry in result["functions"] if not _left_out(entry)]
    found = {test["status"] for test in tests}
    status = next((one for one in ("error", "fail") if one in found), "pass")
    return {"version": 1, "status": status, "max_score": result["max_score"], "message": message(result), "tests": tests}


def _left_out(entry) -> bool:
    """A bonus part that nobody tried is no failed test."""
    return entry["name"].startswith("bonus: ") and entry["verdict"] == "not written yet"


def _test(entry) -> dict:
    return {
        "name": entry["name"],
        "status": STATUS[entry["verdict"]],
        "message": None if entry["verdict"] == "passed" else entry_text(entry),
        "score": entry["score"] or 0,
        "max_score": entry["max_score"],
        "test_code": "",
        "filename": "",
        "line_no": 0,
        "execution_time": 0,
    }


def text(result: Mapping) -> str:
    """Return the document as JSON."""
    return json.dumps(document(result), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def output_line(result: Mapping) -> str:
    """Return the line to append to ``$GITHUB_OUTPUT``."""
    return f"result={base64.b64encode(text(result).encode()).decode()}\n"
