"""The handout: how to work, what gives how many points, and the text."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable

from autograder.release.percent import Cell, definitions, module_code
from autograder.spec import Assignment

ENTRY = """{intro}

## How to work

- Write your code in `{name}.py` with an editor, **or** in the notebook `{name}.ipynb`. Hand in one of them, not both.
- This is also the text of the notebook. Where it speaks of a cell, a plot or a training run, that is in `{name}.ipynb`.
- Replace each line that ends in `# YOUR CODE HERE`. Keep the names, the order of the arguments and what is returned.
- Import NumPy and the standard library only. Helper functions of your own are welcome.{requires}
- Check your work as often as you like: `handgrad check {name}` in a terminal, in this folder
  (`handgrad check {name} --function {first}` for one function), or `check("{first}")` in the notebook.
  It takes a second or two and shows what is wrong on the smallest example it knows.
- The check uses the examples in `{name}.bank.npz`. Your grade uses others, drawn in the same way.
- A mistake is charged once: if a function is wrong, those that use it are judged with ours in its place.

## Points

{points}

---
"""


def handout_text(cells: list[Cell], assignment: Assignment) -> str:
    """Return the handout: how to work, the points, then the text with the head of every function."""
    parts = [part for part in map(_handout_part, cells) if part]
    title = f"# {assignment.title}"
    if parts and parts[0].startswith("# "):
        title, _, rest = parts[0].partition("\n")
        parts[0] = rest.strip()
    requires = "".join(f"\n- Your own `{name}.py` or `{name}.ipynb` is used: put a copy into this folder, and hand it in too." for name in assignment.requires)
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
    growing = {cost.function: cost.memory for cost in costs if cost.memory}
    parts = [f"no Python loop over {axes.replace(' ', ' or ')} in {_listed(f for f in looped if looped[f] == axes)}" for axes in dict.fromkeys(looped.values())]
    parts += [f"memory that grows with {axis} no faster than in our NumPy solution in {_listed(f for f in growing if growing[f] == axis)}" for axis in dict.fromkeys(growing.values())]
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
