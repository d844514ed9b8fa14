"""Pages that stand alone: one per student and one for the class. Needs jinja2; every text is escaped, nothing is fetched.

A page holds its style and its one script, and a policy that lets the browser run no other: text of a student can do nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autograder.report.pages import class_view, student_view
from autograder.report.similarity import Pair
from autograder.report.text import shown

#: Characters of one text that are shown; sentences are far shorter.
LONGEST = 4000

_HERE = Path(__file__).parent


def student_page(result: Mapping, home: str = "../index.html") -> str:
    """Return the page of one student.

    Parameters
    ----------
    result : mapping
        A result as plain data.
    home : str
        Where the page of the class is; "" for none.
    """
    return _render("student.html", "copy.js", home=home, **student_view.view(result))


def class_page(results: Sequence[Mapping], pairs: Sequence[Pair] | None = None, title: str = "") -> str:
    """Return the page of a class.

    Parameters
    ----------
    results : sequence of mapping
        Of one assignment, as plain data.
    pairs : sequence of Pair or None
        Submissions that look alike; None where nobody looked.
    title : str
        What to call the assignment; by default its name.
    """
    return _render("class.html", "class.js", title=title, **class_view.view(results, pairs))


def _render(template: str, script: str, **values) -> str:
    source = _source("scroll.js", script)
    return _environment().get_template(template).render(script=source, policy=_policy(source), style=_source("page.css"), **values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, finalize=_visible, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"number": number, "lines": _lines}
    return made


def _visible(value):
    """Let no character hide, wherever it comes from; our own style and script are no text."""
    return shown(value, LONGEST) if isinstance(value, str) and not hasattr(value, "__html__") else value


def number(value: float | None) -> str:
    """Return points as in the contract: 8, not 8.0."""
    return "?" if value is None else f"{value:g}"


def _lines(texts: Sequence[str]) -> Markup:
    """Return texts as lines, each with nothing hidden in it."""
    return Markup("\n").join(shown(text, LONGEST) for text in texts)


@cache
def _source(*names: str) -> Markup:
    return Markup("".join((_HERE / name).read_text(encoding="utf-8") for name in names))


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
