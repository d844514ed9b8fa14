"""The stub: the module that students fill in."""

from __future__ import annotations

import re

from autograder.release.percent import Cell, module_code, without_docstring
from autograder.spec import Assignment

TOP = '''"""{title}.

The text that goes with it, and the points, are in README.md beside this file.
"""

'''


def module_text(cells: list[Cell], assignment: Assignment) -> str:
    """Return the text of the module: signatures and docstrings, with the headings of the text as comments."""
    parts, heading = [], ""
    for cell in cells:
        if cell.kind == "text":
            heading = ([line.lstrip("#").strip() for line in cell.markdown.splitlines() if re.match("#+ ", line)] or [heading])[-1]
        elif not cell.notebook_only and (code := without_docstring(module_code(cell, solved=False))):
            parts += [_rule(heading)] if heading and parts else []
            parts.append(code)
            heading = ""
    return TOP.format(title=assignment.title) + "\n\n\n".join(parts) + "\n"


def _rule(heading: str) -> str:
    return f"# {'-' * max(3, 115 - len(heading))} {heading}"
