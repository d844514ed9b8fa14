"""Student text that nbgrader renders as it is: formgrader and feedback pages would run what is in it."""

from __future__ import annotations

import re
from html import escape

_AUTOLINK = re.compile(r"&lt;(https?://[^\s<>&\"']+)&gt;")
_LINK_TARGET = re.compile(r"(\]\(\s*|\]:\s*)(?!https?://|#|mailto:)[^)\s]*", re.IGNORECASE)

#: What makes a link, an attribute or a new command out of a formula (MathJax runs ``\href{javascript:...}{x}``).
_TEX = re.compile(r"\\(href|url|class|cssId|style|html\w*|data|require|unicode|csname|def|let|newcommand|renewcommand|newenvironment)(?![a-zA-Z])")


def safe_markdown(text: str) -> str:
    """Return Markdown in which no HTML and no picture is left, and links lead to web pages only.

    Formulas and code keep working; in them ``<`` becomes ``&lt;``, which Markdown and MathJax show as it was meant. A
    picture from the web would tell its owner who reads the page, and when: it becomes a link.
    """
    escaped = _AUTOLINK.sub(r"<\1>", escape(text, quote=False))
    escaped = _LINK_TARGET.sub(r"\1#", re.sub(r"^&gt;", ">", escaped, flags=re.MULTILINE))
    return _TEX.sub(r"\1", escaped.replace("![", "["))
