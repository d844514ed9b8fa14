"""A class for trying out: right and wrong answers from the answer bank, and what real classes hand in besides.

``tests/bank/X/hostile.toml`` holds the rest::

    [[submission]]
    student = "endless"
    why = "what it shows"
    base = "solution"           # or "stub"; instead of it: text, latin1 (bytes in that encoding), link (a target), nothing
    take = ["f_forward"]        # functions of our solution that are put below the base
    append = ""                 # code put at the end
    as = "rnn.py"               # or "rnn.ipynb" (the text as it is), "notebook" (made of the solution), "both"
"""

from __future__ import annotations

import ast
import re
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

from autograder import answers, paths
from autograder.ours import CourseError
from autograder.release.notebook import notebook_of, to_json
from autograder.release.percent import read

SIZE = 30
RIGHT = 6

#: A folder with this file in it was made here and may be made again.
MARKER = ".handgrad-demo"


def make_class(folder: Path, assignment: str = "rnn", size: int = SIZE) -> int:
    """Write the submissions of a class and return how many there are.

    Raises
    ------
    CourseError
        The answer bank is not here, or the folder holds something else.
    """
    root, solution, stub = paths.course(), paths.solution(assignment), _stub(assignment)
    bank = root / "tests" / "bank" / assignment if root else None
    if not solution or not stub or not (bank / "hostile.toml").is_file():
        raise CourseError("the demo needs the answers in tests/bank. Run it in a checkout of the course.")
    _empty(folder)
    others = tomllib.loads((bank / "hostile.toml").read_text(encoding="utf-8"))["submission"]
    right = answers.right(bank, solution)[:RIGHT]
    wrong = _spread(answers.wrong(bank, solution), size - len(right) - len(others))
    for kind, chosen in (("right", right), ("wrong", wrong)):
        for answer in chosen:
            _write(folder / f"{kind}_{re.sub(r'[^a-z0-9]+', '_', answer.name.lower()).strip('_')[:40]}" / f"{assignment}.py", answer.source)
    bases = {"solution": solution.read_text(encoding="utf-8"), "stub": stub.read_text(encoding="utf-8")}
    for entry in others:
        _hand_in(folder / entry["student"], entry, assignment, bases)
    return len(right) + len(wrong) + len(others)


def _stub(assignment) -> Path | None:
    bank = paths.public_bank(assignment)
    path = bank.with_name(f"{assignment}.py") if bank else None
    return path if path and path.is_file() else None


def _empty(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise CourseError(f"{folder} holds something that the demo did not make. Choose another --out.")
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder / MARKER, "made by handgrad demo\n")


def _spread(answers_: list, count: int) -> list:
    """Return so many of them, from all parts of the list."""
    return [answers_[i * len(answers_) // count] for i in range(count)] if count > 0 else []


def _hand_in(folder: Path, entry: Mapping, assignment: str, bases: Mapping[str, str]) -> None:
    folder.mkdir()
    if entry.get("nothing"):
        return
    module = folder / f"{assignment}.py"
    if "link" in entry:
        module.symlink_to(entry["link"])
    elif "latin1" in entry:
        module.write_bytes(entry["latin1"].encode("latin-1"))
    elif entry.get("as", module.name) in (module.name, "both"):
        _write(module, _source(entry, bases))
    else:
        module = None
    if entry.get("as") in ("notebook", "both"):
        _write(folder / f"{assignment}.ipynb", to_json(notebook_of(read(bases["solution"], assignment), solved=True)))
    elif module is None:
        _write(folder / entry["as"], _source(entry, bases))


def _source(entry, bases) -> str:
    if "text" in entry:
        return entry["text"]
    taken = [_function(bases["solution"], name) for name in entry.get("take", [])]
    return "\n\n".join([bases[entry.get("base", "solution")], *taken, entry.get("append", "")])


def _function(source: str, name: str) -> str:
    node = next(n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == name)
    return ast.get_source_segment(source, node)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
