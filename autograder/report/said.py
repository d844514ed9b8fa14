"""What is said about one function, wherever it is said: in a terminal, in a notebook, on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def said(entry: Mapping) -> Iterator[tuple[str, str]]:
    """Yield ``(kind, sentence)``; the kinds are ``problem``, ``diagnosis``, ``hint`` and ``remark``.

    Parameters
    ----------
    entry : mapping
        One of a result's ``functions`` as plain data.
    """
    told: list[str] = []
    for check in entry["checks"] if entry["verdict"] != "not written yet" else ():
        # Two checks may fail for one reason; the second sentence is then the beginning of the first.
        if check["passed"] is False and not any(earlier.startswith(check["sentence"]) for earlier in told):
            told.append(check["sentence"])
            yield "problem", check["sentence"]
    if entry["diagnosis"]:
        yield "diagnosis", entry["diagnosis"]["sentence"]
        yield "hint", entry["diagnosis"]["hint"]
    if entry["remark"]:
        yield "remark", entry["remark"]


def shown_example(entry: Mapping) -> Mapping | None:
    """Return the one counterexample to show with an entry: the first with a whole result to look at, else the first; or None."""
    found = [check["counterexample"] for check in entry["checks"] if check["passed"] is False and check["counterexample"]]
    return next((example for example in found if example.get("whole")), found[0] if found else None)
