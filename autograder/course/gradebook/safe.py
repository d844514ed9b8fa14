"""Student text that nbgrader renders as it is: formgrader and feedback pages would run what is in it."""

from __future__ import annotations

import re
from html import escape

_AUTOLINK = re.compile(r"&lt;(https?://[^\s<>&\"']+)&gt;")
_LINK_TARGET = re.compile(r"(\]\(\s*|\]:\s*)(?!https?://|#|mailto:)[^)\s]*", re.IGNORECASE)


def safe_markdown(text: str) -> str:
    """Return Markdown in which no HTML is left and links lead to web pages only.

    Math and code keep working; in them ``<`` becomes ``&lt;``, which Markdown and MathJax show as it was meant.
    """
    escaped = escape(text, quote=False)
    escaped = _AUTOLINK.sub(r"<\1>", escaped)
    return _LINK_TARGET.sub(r"\1#", re.sub(r"^&gt;", ">", escaped, flags=re.MULTILINE))
