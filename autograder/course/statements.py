"""The statements of a cell, with the names that they bind and read, as the compiler sees them. Nothing is executed.

A long cell can crash the compiler or keep it busy for hours, so it is first tried in a process that may die of it.
"""

from __future__ import annotations

import ast
import dis
import inspect
import json
import re
import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

from autograder.course.cells import NotebookError

#: Statements outside functions that are looked at.
MOST_STATEMENTS = 5_000

#: Characters up to which a cell is harmless whatever it holds: what is deep in the compiler, or quadratic, stays small.
#: Longer cells are tried in a process of their own first.
HARMLESS = 10_000

#: Seconds of processor and of patience, and bytes of memory, that such a process has. Honest code takes a tenth of a second.
TRIAL_CPU_S, TRIAL_WAIT_S, TRIAL_MEMORY = 3, 60, 1 << 30

#: Cell magics whose cell is Python all the same.
_PYTHON_CELLS = {"time", "timeit", "capture", "prun", "python", "python3", "ipytest"}

_MAGIC = re.compile(r"[%!?]|[\w., ]+=\s*[%!]")
TOO_MUCH = "it is nested too deeply, or takes too long to be read. Write it in several statements"
_READS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS"}
_BINDS = {"STORE_NAME", "STORE_GLOBAL"}


@dataclass(frozen=True)
class Statement:
    """One top-level statement of a cell, with the names that it binds and reads.

    ``shown`` in a demonstration of the handout's; ``waits`` where it awaits something, as a cell may and a module may not.
    """

    node: ast.stmt
    cell: int
    text: list[str]
    binds: frozenset[str]
    reads: frozenset[str]
    waits: bool = False
    shown: bool = False


@dataclass(frozen=True)
class Broken:
    """A cell that cannot be parsed."""

    cell: int
    line: int
    message: str
    text: str


def parsed(cell: int, source: str) -> list[Statement] | Broken:
    """Return the statements of one cell, or why there are none; NotebookError where there are too many."""
    if len(source) > HARMLESS and (trouble := _trouble(source)):
        return Broken(cell, *trouble, source)
    return _read(cell, source)


def _trouble(source: str) -> tuple[int, str] | None:
    """Return the line of a long cell that cannot be read and why, or None; a process of its own finds out."""
    program = "import sys; sys.path.append(sys.argv[1]); from autograder.course.statements import trial; trial()"
    command = [sys.executable, "-I", "-c", program, str(Path(__file__).parents[2])]
    try:
        done = subprocess.run(command, input=source.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TRIAL_WAIT_S, check=True)
    except subprocess.SubprocessError:
        return 1, TOO_MUCH
    found = json.loads(done.stdout)
    return found and tuple(found)


def trial() -> None:
    """Read the cell on the standard input, and write what is wrong with it; the compiler may crash or be stopped."""
    with suppress(ImportError):  # there are systems without limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (TRIAL_CPU_S, TRIAL_CPU_S))
        with suppress(ValueError):  # macOS does not limit memory
            resource.setrlimit(resource.RLIMIT_AS, (TRIAL_MEMORY, TRIAL_MEMORY))
    found = None
    with suppress(NotebookError):  # it will be raised again where it is heard
        found = _read(1, sys.stdin.buffer.read().decode())
    print(json.dumps([found.line, found.message] if isinstance(found, Broken) else None))


def _read(cell, source) -> list[Statement] | Broken:
    """Return the statements of one cell; lines for IPython alone are blanked where Python cannot read them."""
    lines = source.split("\n")
    first = next(i for i, line in enumerate(lines) if line.strip())
    if lines[first].startswith("%%"):
        if lines[first][2:].split(" ")[0] not in _PYTHON_CELLS:
            return []
        lines[first] = ""
    try:
        return _statements(cell, lines)
    except NotebookError:
        raise
    except Exception:  # noqa: BLE001  the compiler raises more than it says, and so does what counts its lines
        lines = [_without_magic(line) for line in lines]
    try:
        return _statements(cell, lines)
    except NotebookError:
        raise
    except Exception as error:  # noqa: BLE001
        return Broken(cell, getattr(error, "lineno", None) or 1, getattr(error, "msg", None) or "it is too deeply nested", source)


def _without_magic(line):
    """A line for IPython becomes ``pass``, so that a block that holds nothing else stays a block."""
    bare = line.strip()
    return line[: len(line) - len(line.lstrip())] + "pass" if _MAGIC.match(bare) or bare.endswith("?") else line


def _statements(cell, lines) -> list[Statement]:
    source = "\n".join(lines)
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # as IPython allows it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the student's strings; whoever grades can do nothing about them
        nodes = compile(source, "cell", "exec", flags, dont_inherit=True).body
    if len(nodes) > MOST_STATEMENTS:
        raise NotebookError(f"Cell {cell} has more than {MOST_STATEMENTS} statements. Keep data in files, not in cells.")
    found = []
    for before, node in zip([None, *nodes], nodes, strict=False):
        found.append(Statement(node, cell, _text(node, before, lines), *_names(node)))
    return found


def _text(node, before, lines) -> list[str]:
    """Return the lines of a statement; what stands before or after it on a line (``a = 1; b = 2``) is cut off."""
    start = min((d.lineno for d in getattr(node, "decorator_list", [])), default=node.lineno)
    text = lines[start - 1 : node.end_lineno]
    # Columns are counted in bytes.
    text[-1] = text[-1].encode()[: node.end_col_offset].decode()
    if before is not None and before.end_lineno >= start:
        text[0] = text[0].encode()[node.col_offset :].decode()
    return text


def _names(node) -> tuple[frozenset[str], frozenset[str], bool]:
    """Return the global names that a statement binds and reads, as the compiler sees them, and whether it awaits something."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(ast.Module([node], []), "cell", "exec", flags, dont_inherit=True)
    binds = {i.argval for i in dis.get_instructions(code) if i.opname in _BINDS}
    reads, inner = set(), [code]
    while inner:
        for instruction in dis.get_instructions(part := inner.pop()):
            if instruction.opname in _READS:
                reads.add(instruction.argval)
            elif instruction.opname == "STORE_GLOBAL":
                binds.add(instruction.argval)
        inner += [constant for constant in part.co_consts if isinstance(constant, CodeType)]
    return frozenset(binds | _changed(node)), frozenset(reads), bool(code.co_flags & inspect.CO_COROUTINE)


def _changed(node) -> set[str]:
    """Return names whose value an assignment changes in place: ``TABLE["a"] = 1``."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    found = set()
    for target in targets:
        while isinstance(target, ast.Subscript | ast.Attribute):
            target = target.value
        found |= {target.id} if isinstance(target, ast.Name) else set()
    return found
