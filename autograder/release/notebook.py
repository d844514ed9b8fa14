"""The notebook that students get, and the one with our solution in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from autograder.release.percent import Cell, definitions, module_code, notebook_code, without_docstring


def notebook_of(cells: list[Cell], *, solved: bool = False) -> dict:
    """Return the notebook (format 4.5): one cell per function, no outputs, the same ids each time.

    Parameters
    ----------
    cells : list of Cell
    solved : bool
        With our solution in it: for trying out, never to be handed out.
    """
    found, ids = [], set()
    for kind, identity, tags, text in _notebook_cells(cells, solved):
        identity = _unique(identity or f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}", ids)
        cell = {"cell_type": kind, "id": identity, "metadata": {"tags": list(tags)} if tags else {}, "source": text.splitlines(keepends=True)}
        found.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def to_json(book: dict) -> str:
    """Return a notebook as the text of its file."""
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _notebook_cells(cells: list[Cell], solved: bool) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    for cell in cells:
        if cell.kind == "text":
            yield "markdown", "", (), cell.markdown
        elif cell.notebook_only:
            yield "code", "", cell.tags, notebook_code(cell)
        else:
            for name, code in definitions(without_docstring(module_code(cell, solved))):
                yield "code", name or "", cell.tags, code


def _unique(identity: str, taken: set[str]) -> str:
    candidates = (identity if n == 1 else f"{identity}-{n}" for n in range(1, len(taken) + 2))
    found = next(one for one in candidates if one not in taken)
    taken.add(found)
    return found
