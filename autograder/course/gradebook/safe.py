"""Student text that nbgrader renders as it is: formgrader and feedback pages would run what is in it."""

from __future__ import annotations

import re

#: A ``<`` begins a tag only right before these characters, in Markdown as in HTML; addresses in angle brackets are links.
_TAG = re.compile(r"<(?=[A-Za-z/!?])(?!https?://[^\s<>&\"']+>)")
_LINK_TARGET = re.compile(r"(\]\(\s*|\]:\s*)(?!https?://|#|mailto:)[^)\s]*", re.IGNORECASE)

#: What makes a link, an attribute or a new command out of a formula (MathJax runs ``\href{javascript:...}{x}``).
_TEX = re.compile(r"\\(href|url|class|cssId|style|html\w*|data|require|unicode|csname|def|let|newcommand|renewcommand|newenvironment)(?![a-zA-Z])")

#: Has no width, and is no letter.
_NOTHING = "\u200b"


def safe_markdown(text: str) -> str:
    """Return Markdown in which no HTML and no picture is left, and links lead to web pages only.

    It looks as it was meant, in text, code and formulas: what would begin a tag is parted from its ``<`` by a character that
    nobody sees. A picture from the web would tell its owner who reads the page, and when: it becomes a link.
    """
    parted = _TAG.sub(f"<{_NOTHING}", text)
    return _TEX.sub(r"\1", _LINK_TARGET.sub(r"\1#", parted).replace("![", "["))
