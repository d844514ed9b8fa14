"""JUnit XML (the dialect xunit2 of pytest and Jenkins): a suite per student, a case per entry, points as properties.

Format: https://github.com/testmoapp/junitxml and the schema of Jenkins' xunit plug-in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from autograder.report.exports.words import entry_text, message

#: Verdict -> the element that says so, and the name of the count.
ELEMENTS = {"failed": ("failure", "failures"), "not written yet": ("skipped", "skipped"), "could not judge": ("error", "errors")}

#: XML 1.0 has no place for these, not even escaped.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(results: Sequence[Mapping]) -> str:
    """Return the XML of a class."""
    suites = [_suite(result) for result in results]
    root = ET.Element("testsuites", name="handgrad", **_sum(suites))
    root.extend(suites)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(result) -> ET.Element:
    cases = [_case(entry, result["assignment"]) for entry in result["functions"]]
    counts = {count: str(sum(case.find(element) is not None for case in cases)) for element, count in ELEMENTS.values()}
    suite = ET.Element("testsuite", name=_clean(result["student"]), tests=str(len(cases)), **counts)
    _properties(suite, {"assignment": result["assignment"], "score": result["score"], "max_score": result["max_score"], "bank": result["bank"]})
    suite.extend(cases)
    if result["messages"]:
        ET.SubElement(suite, "system-out").text = _clean(message(result))
    return suite


def _case(entry, assignment) -> ET.Element:
    case = ET.Element("testcase", name=_clean(entry["name"]), classname=assignment)
    _properties(case, {"score": entry["score"], "max_score": entry["max_score"]})
    if entry["verdict"] in ELEMENTS:
        said = _clean(entry_text(entry))
        first = next(iter(said.splitlines()[1:]), entry["verdict"])
        ET.SubElement(case, ELEMENTS[entry["verdict"]][0], message=first, type=entry["verdict"]).text = said
    return case


def _properties(parent, values) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=name, value="" if value is None else str(value))


def _sum(suites) -> dict[str, str]:
    return {name: str(sum(int(suite.get(name)) for suite in suites)) for name in ("tests", "failures", "errors", "skipped")}


def _clean(text: str) -> str:
    return _NO_XML.sub("�", text)
