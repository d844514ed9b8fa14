"""From a notebook to the module that is graded: what the graded functions need, and nothing else.

Nothing is executed. Code cells are parsed one by one; kept are the statements that bind a name that a graded function
reaches: imports, functions, classes, constants. Calls, plots and checks fall away, and so does a cell that cannot be
parsed. Statements stay in order, so that of two definitions the later one counts, as it does in a running notebook. Only
what the handout's demonstrations define never replaces what the student has defined under the same name.

A long cell can crash the compiler or keep it busy for hours, so it is first tried in a process that may die of it.
"""

from __future__ import annotations

import ast
import dis
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType

from autograder.release.percent import NOTEBOOK_ONLY
from autograder.report.text import quoted, sentence_of

#: Characters of code, cells, and statements outside functions that are looked at.
MOST_CODE, MOST_CELLS, MOST_STATEMENTS = 1 << 20, 2_000, 5_000

#: Containers in the JSON. Each takes some 60 bytes of memory however short its text.
MOST_NODES = 500_000

#: Characters up to which a cell is harmless whatever it holds: what is deep in the compiler, or quadratic, stays small.
#: Longer cells are tried in a process of their own first, and of those there may be only so many.
HARMLESS, MOST_LONG = 10_000, 8

#: Seconds of processor and of patience, and bytes of memory, that such a process has. Honest code takes a tenth of a second.
TRIAL_CPU_S, TRIAL_WAIT_S, TRIAL_MEMORY = 3, 60, 1 << 30

#: Cell magics whose cell is Python all the same.
_PYTHON_CELLS = {"time", "timeit", "capture", "prun", "python", "python3", "ipytest"}

_MAGIC = re.compile(r"[%!?]|[\w., ]+=\s*[%!]")
_TOO_MUCH = "it is nested too deeply, or takes too long to be read. Write it in several statements"
_READS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS"}
_BINDS = {"STORE_NAME", "STORE_GLOBAL"}

#: An import that fails must cost only the functions that use it; likewise a constant that cannot be computed.
_IF_IMPORTABLE = 'with __import__("contextlib").suppress(ImportError): '
_IF_POSSIBLE = 'with __import__("contextlib").suppress(Exception): '


class NotebookError(Exception):
    """A file that is no notebook; the message is one line."""


@dataclass(frozen=True)
class Notebook:
    """The module made from a notebook.

    Parameters
    ----------
    source : str
    lines : list of (int, int)
        For each line of the source: the number of the cell (all cells counted, from 1) and the line in it.
    notes : tuple of str
        What the student should know: a cell that could not be read, with a graded function or too much for the compiler.
    """

    source: str
    lines: list[tuple[int, int]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Statement:
    """One top-level statement of a cell, with the names that it binds and reads; ``shown`` in a demonstration of the handout's."""

    node: ast.stmt
    cell: int
    text: list[str]
    binds: frozenset[str]
    reads: frozenset[str]
    shown: bool = False


@dataclass(frozen=True)
class _Broken:
    """A cell that cannot be parsed."""

    cell: int
    line: int
    message: str
    text: str


def extract(text: str, functions: Iterable[str], name: str = "the notebook") -> Notebook:
    """Return the module that a notebook amounts to.

    Parameters
    ----------
    text : str
        The contents of the ``.ipynb`` file.
    functions : iterable of str
        Names of the graded functions.
    name : str
        What to call the file in messages.

    Raises
    ------
    NotebookError
        It is not JSON, or not a notebook, or too big.
    """
    return _module(_code_cells(text, name), functions, name)


def extract_script(source: str, functions: Iterable[str]) -> Notebook:
    """Return what the graded functions need of a script, which is taken as one cell; NotebookError as for :func:`extract`."""
    source = _plain_lines(source)
    return _module([(1, source, False)] if source.strip() else [], functions, "the script")


def _module(cells: Iterable[tuple[int, str, bool]], functions: Iterable[str], name: str) -> Notebook:
    try:
        return _made(cells, list(functions), name)
    except (NotebookError, OSError):
        raise
    except Exception as error:  # what nobody has thought of costs one submission, not the class
        raise NotebookError(f"{quoted(name)} cannot be read ({type(error).__name__}). Write its code in a simpler way.") from error


def _made(cells: Iterable[tuple[int, str, bool]], functions: list[str], name: str) -> Notebook:
    statements, broken, long = [], [], 0
    for cell, source, is_shown in cells:
        long += len(source) > HARMLESS
        if long > MOST_LONG:
            raise NotebookError(f"{quoted(name)} has more than {MOST_LONG} cells of more than {HARMLESS} characters. Keep data in files, not in cells.")
        found = _parsed(cell, source)
        if isinstance(found, _Broken):
            broken.append(found)
        else:
            statements += [replace(statement, shown=is_shown) for statement in found]
        if len(statements) > MOST_STATEMENTS:
            raise NotebookError(f"{quoted(name)} has more than {MOST_STATEMENTS} statements. Keep data in files, not in cells.")
    kept = _reachable(statements, functions)
    source = _Source()
    own = set().union(*(statement.binds for statement in kept if not statement.shown))
    for statement in sorted(kept, key=lambda s: (not _is_future(s.node), not (s.shown and s.binds & own))):
        source.add(statement)
    bound = set().union(*(statement.binds for statement in kept))
    notes = [note for cell in broken for note in source.replace_broken(cell, functions, bound)]
    return Notebook("".join(line + "\n" for line in source.text), source.lines, tuple(notes))


def where(lines: list[tuple[int, int]], line: int) -> str:
    """Return ``cell 7, line 3`` for a line of the extracted module."""
    if not 1 <= line <= len(lines):
        return f"line {line}"
    cell, inner = lines[line - 1]
    return f"cell {cell}, line {inner}"


# ------------------------------------------------------------------------------------------------------- cells


def _code_cells(text, name) -> Iterator[tuple[int, str, bool]]:
    """Yield the number and the source of every code cell, and whether the handout shows something in it; any version of the format will do."""
    if text.count("{") + text.count("[") > MOST_NODES:
        raise NotebookError(f"{quoted(name)} has too many parts to be a notebook. Clear its outputs and hand it in again.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotebookError(f"{quoted(name)} is not a notebook: {_json_trouble(error)}") from None
    cells = _cells(data)
    if cells is None:
        raise NotebookError(f"{quoted(name)} is not a notebook: it holds no list of cells. Save it again from Jupyter.")
    if len(cells) > MOST_CELLS:
        raise NotebookError(f"{quoted(name)} has {len(cells)} cells; more than {MOST_CELLS} are not read.")
    size = 0
    for number, cell in enumerate(cells, 1):
        source = _source(cell)
        size += len(source)
        if size > MOST_CODE:
            raise NotebookError(f"{quoted(name)} has more than {MOST_CODE >> 20} MB of code. Keep data in files, not in cells.")
        if source.strip():
            yield number, source, _is_shown(cell)


def _json_trouble(error):
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON (line {error.lineno}: {error.msg}). Save it again from Jupyter."
    return "its JSON is nested too deeply or holds numbers that are too long."


def _cells(data) -> list | None:
    """Return the cells, of a notebook of today or of the time before 2014 (worksheets)."""
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("cells"), list):
        return data["cells"]
    sheets = data.get("worksheets")
    if not isinstance(sheets, list):
        return None
    return [cell for sheet in sheets if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list) for cell in sheet["cells"]]


def _is_shown(cell) -> bool:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return isinstance(tags, list) and any(tag in NOTEBOOK_ONLY for tag in tags if isinstance(tag, str))


def _source(cell) -> str:
    """Return the code of a cell, or nothing when it is no code cell."""
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return ""
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return _plain_lines(source) if isinstance(source, str) else ""


def _plain_lines(source: str) -> str:
    """Return code with the one line end that is not for the compiler alone; a carriage return is one for it, nothing else is."""
    # Surrogates can be written in JSON, but not in a source file.
    return source.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")


# ------------------------------------------------------------------------------------------------------ parsing


def _parsed(cell, source) -> list[_Statement] | _Broken:
    """Return the statements of one cell, or why there are none."""
    if len(source) > HARMLESS and (trouble := _trouble(source)):
        return _Broken(cell, *trouble, source)
    return _read(cell, source)


def _trouble(source: str) -> tuple[int, str] | None:
    """Return the line of a long cell that cannot be read and why, or None; a process of its own finds out."""
    program = "import sys; sys.path.append(sys.argv[1]); from autograder.course.notebook import _trial; _trial()"
    command = [sys.executable, "-I", "-c", program, str(Path(__file__).parents[2])]
    try:
        done = subprocess.run(command, input=source.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TRIAL_WAIT_S, check=True)
    except subprocess.SubprocessError:
        return 1, _TOO_MUCH
    found = json.loads(done.stdout)
    return found and tuple(found)


def _trial() -> None:
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
    print(json.dumps([found.line, found.message] if isinstance(found, _Broken) else None))


def _read(cell, source) -> list[_Statement] | _Broken:
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
        return _Broken(cell, getattr(error, "lineno", None) or 1, getattr(error, "msg", None) or "it is too deeply nested", source)


def _without_magic(line):
    """A line for IPython becomes ``pass``, so that a block that holds nothing else stays a block."""
    bare = line.strip()
    return line[: len(line) - len(line.lstrip())] + "pass" if _MAGIC.match(bare) or bare.endswith("?") else line


def _statements(cell, lines) -> list[_Statement]:
    source = "\n".join(lines)
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # as IPython allows it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the student's strings; whoever grades can do nothing about them
        nodes = compile(source, "cell", "exec", flags, dont_inherit=True).body
    if len(nodes) > MOST_STATEMENTS:
        raise NotebookError(f"Cell {cell} has more than {MOST_STATEMENTS} statements. Keep data in files, not in cells.")
    found = []
    for before, node in zip([None, *nodes], nodes, strict=False):
        binds, reads = _names(node)
        found.append(_Statement(node, cell, _text(node, before, lines), binds, reads))
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


def _names(node) -> tuple[frozenset[str], frozenset[str]]:
    """Return the global names that a statement binds and reads, as the compiler sees them."""
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
    return frozenset(binds | _changed(node)), frozenset(reads)


def _changed(node) -> set[str]:
    """Return names whose value an assignment changes in place: ``TABLE["a"] = 1``."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    found = set()
    for target in targets:
        while isinstance(target, ast.Subscript | ast.Attribute):
            target = target.value
        found |= {target.id} if isinstance(target, ast.Name) else set()
    return found


# ---------------------------------------------------------------------------------------------------- selection


def _reachable(statements, functions) -> list[_Statement]:
    """Return the statements that the graded functions need, in their order."""
    able = [s for s in statements if _is_kept(s.node)]
    by_name: dict[str, list[_Statement]] = {}
    for statement in able:
        for name in statement.binds:
            by_name.setdefault(name, []).append(statement)
    needed, open_names = set(), set(functions)
    chosen = {id(s) for s in able if _is_always_kept(s.node)}
    while open_names:
        name = open_names.pop()
        needed.add(name)
        for statement in by_name.get(name, []):
            if id(statement) not in chosen:
                chosen.add(id(statement))
                # A shadowed "x" must not be looked up again: each name once.
                open_names |= (statement.reads | statement.binds) - needed
    return [s for s in able if id(s) in chosen]


def _is_kept(node) -> bool:
    """Loops and bare calls are experiments, not definitions."""
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return isinstance(node, kinds | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.If | ast.Try | ast.With)


def _is_always_kept(node) -> bool:
    """``from numpy import *`` binds names that cannot be seen."""
    return isinstance(node, ast.ImportFrom) and (node.module == "__future__" or node.names[0].name == "*")


def _is_future(node) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


class _Source:
    """The module in the making."""

    def __init__(self):
        self.text: list[str] = []
        self.lines: list[tuple[int, int]] = []

    def add(self, statement: _Statement) -> None:
        """Append a statement; one that may fail is guarded on its own line, so that line numbers stay."""
        node = statement.node
        start = min((d.lineno for d in getattr(node, "decorator_list", [])), default=node.lineno)
        text = [self._guard(node) + statement.text[0], *statement.text[1:]]
        self.text += text
        self.lines += [(statement.cell, start + i) for i in range(len(text))]

    def _guard(self, node):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            return "" if all(name.split(".")[0] in ("numpy", "__future__") for name in modules) or "*" in modules else _IF_IMPORTABLE
        return _IF_POSSIBLE if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) else ""

    def replace_broken(self, broken: _Broken, functions: list[str], bound: set[str]) -> Iterator[str]:
        """Say which graded functions a cell that cannot be read defines; calling one without another definition says so too."""
        defined = [name for name in functions if re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{name}\b", broken.text, re.MULTILINE)]
        if broken.message == _TOO_MUCH and not defined:
            yield f"Cell {broken.cell} was left out: {_TOO_MUCH}."
        for name in defined:
            problem = f"cell {broken.cell}, line {broken.line}: {sentence_of(broken.message, 200)}"
            yield f"Cell {broken.cell} defines {name}, but cannot be read (line {broken.line}: {sentence_of(broken.message, 200)})."
            if name not in bound:
                self.text += [f"def {name}(*args, **named):", f"    raise SyntaxError({problem!r})"]
                self.lines += [(broken.cell, broken.line)] * 2
