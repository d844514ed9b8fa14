"""Build what students get, ``assignments/X``, out of the one hand-written source ``solutions/X/X.py``."""

from __future__ import annotations

import ast
from pathlib import Path

from autograder.release.handout import handout_text
from autograder.release.notebook import notebook_of, to_json
from autograder.release.percent import BEGIN, SourceError, read
from autograder.release.stub import module_text
from autograder.spec import Assignment


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
    for name, text in build(assignment, source.read_text(encoding="utf-8"), "/".join(source.parts[-3:])).items():
        written.append(out / name)
        written[-1].write_text(text, encoding="utf-8")
    return written


def build(assignment: Assignment, source: str, name: str) -> dict[str, str]:
    """Return the texts that :func:`release` writes: file name -> content."""
    cells = read(source, name)
    module = module_text(cells, assignment)
    _check_functions(assignment, source, module, name)
    return {
        f"{assignment.name}.py": module,
        f"{assignment.name}.ipynb": to_json(notebook_of(cells)),
        "README.md": handout_text(cells, assignment),
    }


def _check_functions(assignment: Assignment, source: str, module: str, name: str):
    prerequisites = {exercise.function for exercise in assignment.prerequisites}
    ours = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    given = {node.name: node for node in ast.parse(module).body if isinstance(node, ast.FunctionDef)}
    for function in (e.function for e in assignment.everything if e.function not in prerequisites):
        if function not in given:
            raise SourceError(f"{name} defines no function {function}, but the assignment declares it. Write it, at top level.")
        if ast.dump(given[function]) == ast.dump(ours[function]):
            raise SourceError(f"{name}, line {ours[function].lineno}: {function} has no {BEGIN} and would be handed out solved.")
