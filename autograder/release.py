"""Build what students get, ``assignments/X``, out of the one hand-written source ``solutions/X/X.py``.

``python -m autograder.release [X ...] [--no-bank]`` builds stub, notebook, handout and public example bank in place.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from autograder import exercises, paths
from autograder.percent import BEGIN, Cell, SourceError, definitions, module_code, notebook_code, read
from autograder.spec import Assignment

TOP = '''"""{title}.

The text that goes with it, and the points, are in README.md beside this file.
"""

'''

ENTRY = """{intro}

## How to work

- Write your code in `{name}.py` with an editor, **or** in the notebook `{name}.ipynb`. Hand in one of them, not both.
- Replace each line that ends in `# YOUR CODE HERE`. Keep the names, the order of the arguments and what is returned.
- Import NumPy and the standard library only. Helper functions of your own are welcome.{requires}
- Check your work as often as you like: `handgrad check {name}` in a terminal, in this folder
  (`handgrad check {name} --function {first}` for one function), or `check("{first}")` in the notebook.
  It takes a second or two and shows what is wrong on the smallest example it knows.
- The check uses the examples in `{name}.bank.npz`. Your grade uses others, drawn in the same way.
- A mistake is charged once: if a function is wrong, those that use it are judged with ours in its place.

## Points

{points}
"""


def release(assignment: Assignment, source: Path, out: Path) -> list[Path]:
    """Write the stub, the notebook and the handout of one assignment.

    Parameters
    ----------
    assignment : Assignment
    source : Path
        The source in percent format.
    out : Path
        The folder that students get; made where it is missing. Other files in it stay.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    SourceError
        The source is not valid, lacks a declared function, or would hand one out solved.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in build(assignment, source.read_text(encoding="utf-8"), source.name).items():
        written.append(out / name)
        written[-1].write_text(text, encoding="utf-8")
    return written


def build(assignment: Assignment, source: str, name: str) -> dict[str, str]:
    """Return the texts that :func:`release` writes: file name -> content."""
    cells = read(source, name)
    stub = module(cells, assignment)
    _check_functions(assignment, source, stub, name)
    return {
        f"{assignment.name}.py": stub,
        f"{assignment.name}.ipynb": to_json(notebook(cells)),
        "README.md": handout(cells, assignment),
    }


def release_bank(assignment: Assignment, out: Path) -> Path:
    """Draw the public examples and write ``X.bank.npz``; needs torch and Hypothesis, and some seconds."""
    from autograder.cases import build as bank
    from autograder.cases import store

    path = out / f"{assignment.name}.bank.npz"
    store.save(bank.build(assignment, bank.PUBLIC_SEED, public=True), path)
    return path


# ------------------------------------------------------------------------------------------------------- stub


def module(cells: list[Cell], assignment: Assignment) -> str:
    """Return the stub: a module of docstrings, with the headings of the text as comments."""
    parts, heading = [], ""
    for cell in cells:
        if cell.kind == "text":
            heading = ([line.lstrip("#").strip() for line in cell.markdown.splitlines() if re.match("#+ ", line)] or [heading])[-1]
        elif not cell.notebook_only and (code := _without_docstring(module_code(cell, solved=False))):
            parts += [_rule(heading)] if heading and parts else []
            parts.append(code)
            heading = ""
    return TOP.format(title=assignment.title) + "\n\n\n".join(parts) + "\n"


def _rule(heading: str) -> str:
    return f"# {'-' * max(3, 115 - len(heading))} {heading}"


def _without_docstring(code: str) -> str:
    """Drop the source's own module docstring: the stub has another, the notebook its text."""
    body = ast.parse(code).body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
        return "\n".join(code.splitlines()[body[0].end_lineno :]).strip("\n")
    return code


def _check_functions(assignment: Assignment, source: str, stub: str, name: str):
    prerequisites = {exercise.function for exercise in assignment.prerequisites}
    ours = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    given = {node.name: node for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef)}
    for function in (e.function for e in assignment.everything if e.function not in prerequisites):
        if function not in given:
            raise SourceError(f"{name} defines no function {function}, but the assignment declares it. Write it, at top level.")
        if ast.dump(given[function]) == ast.dump(ours[function]):
            raise SourceError(f"{name}, line {ours[function].lineno}: {function} has no {BEGIN} and would be handed out solved.")


# --------------------------------------------------------------------------------------------------- notebook


def notebook(cells: list[Cell], *, solved: bool = False) -> dict:
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
            for name, code in definitions(_without_docstring(module_code(cell, solved))):
                yield "code", name or "", cell.tags, code


def _unique(identity: str, taken: set[str]) -> str:
    candidates = (identity if n == 1 else f"{identity}-{n}" for n in range(1, len(taken) + 2))
    found = next(one for one in candidates if one not in taken)
    taken.add(found)
    return found


# ---------------------------------------------------------------------------------------------------- handout


def handout(cells: list[Cell], assignment: Assignment) -> str:
    """Return the handout: how to work, the points, then the text with the head of every function."""
    parts = [part for part in map(_handout_part, cells) if part]
    title = f"# {assignment.title}"
    if parts and parts[0].startswith("# "):
        title, _, rest = parts[0].partition("\n")
        parts[0] = rest.strip()
    requires = "".join(f"\n- Your own `{name}.py` is imported here: put it in this folder, or leave it in `../{name}/`." for name in assignment.requires)
    entry = ENTRY.format(
        intro=title, name=assignment.name, first=assignment.exercises[0].function, requires=requires, points=points_table(assignment)
    )  # fmt: skip
    return "\n\n".join([entry.rstrip("\n"), *(part for part in parts if part)]) + "\n"


def points_table(assignment: Assignment) -> str:
    """Return the points as a table in Markdown, with what is checked beyond the values."""
    beyond = {e.function: " ".join(law.sentence for law in e.laws) for e in assignment.exercises}
    beyond |= {f"bonus: {part.name}": _listed(e.function for e in part.exercises) for part in assignment.bonus}
    if assignment.performance:
        beyond["performance"] = _performance(assignment)
    if assignment.milestone:
        beyond["milestone"] = assignment.milestone.sentence
    rows = [f"| {_code(name, assignment)} | {points:g} | {beyond.get(name, '').replace('|', chr(92) + '|')} |" for name, points in assignment.points_table()]
    return "\n".join(["| what | points | beyond right values, right shapes and the right dtype |", "|---|---:|---|", *rows])


def _code(name: str, assignment: Assignment) -> str:
    return f"`{name}`" if name in {e.function for e in assignment.exercises} else name


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _performance(assignment: Assignment) -> str:
    """Return one sentence on what may cost how much."""
    costs = assignment.performance.costs
    looped = {cost.function: cost.vectorised for cost in costs if cost.vectorised}
    linear = {cost.function: cost.memory for cost in costs if cost.memory}
    parts = [f"no Python loop over {axes.replace(' ', ' or ')} in {_listed(f for f in looped if looped[f] == axes)}" for axes in dict.fromkeys(looped.values())]
    parts += [f"memory no more than linear in {axis} in {_listed(f for f in linear if linear[f] == axis)}" for axis in dict.fromkeys(linear.values())]
    if timed := {cost.function: cost.speed for cost in costs if cost.speed}:
        parts.append(f"CPU time at most {max(timed.values()):g} times that of our NumPy solution")
    return "; ".join(parts)


def _handout_part(cell: Cell) -> str:
    if cell.kind == "text":
        return cell.markdown
    if cell.notebook_only:
        return ""
    heads = [_head(code) for name, code in definitions(module_code(cell, solved=False)) if name and "# YOUR CODE HERE" in code]
    return "\n\n".join(f"```python\n{head}\n```" for head in heads)


def _head(code: str) -> str:
    """Return a function up to the end of its docstring."""
    node = ast.parse(code).body[0]
    first = node.body[0]
    last = first.end_lineno if ast.get_docstring(node) is not None else first.lineno - 1
    return textwrap.dedent("\n".join(code.splitlines()[node.lineno - 1 : last]))


# ------------------------------------------------------------------------------------------------ command line


def main(argv: list[str] | None = None) -> int:
    """Build all assignments that have a source, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m autograder.release", description=main.__doc__)
    parser.add_argument("assignments", nargs="*", metavar="X", help="names of assignments; all by default")
    parser.add_argument("--no-bank", action="store_true", help="leave the example banks as they are (needs no torch)")
    asked = parser.parse_args(argv)
    root = paths.course()
    if root is None:
        parser.error("there is no folder 'assignments' here or above. Run this in the course's folder, or set HANDGRAD_COURSE.")
    if unknown := set(asked.assignments) - set(exercises.names()):
        parser.error(f"no such assignment: {', '.join(sorted(unknown))}. There are: {', '.join(exercises.names())}.")
    try:
        for name in asked.assignments or [name for name in exercises.names() if paths.solution(name)]:
            _release_one(exercises.load(name), root, bank=not asked.no_bank)
    except (SourceError, OSError) as error:
        print(error, file=sys.stderr)
        return 3
    return 0


def _release_one(assignment: Assignment, root: Path, *, bank: bool):
    out = root / "assignments" / assignment.name
    written = release(assignment, root / "solutions" / assignment.name / f"{assignment.name}.py", out)
    written += [release_bank(assignment, out)] if bank else []
    print(f"{assignment.name}: {', '.join(path.name for path in written)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
