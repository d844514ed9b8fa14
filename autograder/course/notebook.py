"""From a notebook to the module that is graded: what the graded functions need, and nothing else.

Kept are the statements that bind a name that a graded function reaches: imports, functions, classes, constants. Calls,
plots and checks fall away, and so does a cell that cannot be parsed. Statements stay in order, so that of two definitions
the later one counts, as it does in a running notebook. Only what the handout's demonstrations define never replaces what
the student has defined under the same name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from autograder.course.cells import NotebookError, code_cells, plain_lines
from autograder.course.statements import HARMLESS, MOST_STATEMENTS, TOO_MUCH, Broken, Statement, parsed
from autograder.report.text import quoted, sentence_of

#: So many cells may be too long to be harmless; each is tried in a process of its own.
MOST_LONG = 8

#: An import that fails must cost only the functions that use it; likewise a constant that cannot be computed.
_IF_IMPORTABLE = 'with __import__("contextlib").suppress(ImportError): '
_IF_POSSIBLE = 'with __import__("contextlib").suppress(Exception, SystemExit): '

#: Methods that change a constant in place, such as a table that is filled by calls.
_FILLS = {"add", "append", "extend", "insert", "setdefault", "update"}

#: What a cell that cannot be read would define.
_DEFINED = re.compile(r"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+(\w+)|^(\w+)[ \t]*=(?!=)", re.MULTILINE)


@dataclass(frozen=True)
class Notebook:
    """The module made from a notebook.

    Parameters
    ----------
    source : str
    lines : list of (int, int)
        For each line of the source: the number of the cell (all cells counted, from 1) and the line in it.
    notes : tuple of str
        What the student should know: a cell that cannot be read though it defines what is needed, or is too much for the compiler.
    """

    source: str
    lines: list[tuple[int, int]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


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
    return _module(code_cells(text, name), functions, name)


def extract_script(source: str, functions: Iterable[str]) -> Notebook:
    """Return what the graded functions need of a script, which is taken as one cell; NotebookError as for :func:`extract`."""
    source = plain_lines(source)
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
        found = parsed(cell, source)
        if isinstance(found, Broken):
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
    bound = frozenset().union(*(statement.binds for statement in kept))
    read = frozenset().union(*(statement.reads for statement in kept))
    notes = [note for cell in broken for note in source.replace_broken(cell, functions, read, bound)]
    notes += _left_out(statements, kept, functions, read)
    return Notebook("".join(line + "\n" for line in source.text), source.lines, tuple(notes))


def _left_out(statements, kept, functions, read) -> Iterator[str]:
    """Say which constants, that are needed, a loop or a call would have filled: what runs is not taken over."""
    used = read.union(functions) - frozenset().union(*(s.binds for s in kept if not isinstance(s.node, _Assignment)))
    for statement in statements:
        if not _is_kept(statement) and (filled := sorted((statement.binds | _filled(statement.node)) & used)):
            what = "await, which is" if statement.waits else "a loop or a call, and these are"
            yield f"Cell {statement.cell} gives {_some(filled)} a value by {what} not run. Use an assignment, such as a comprehension, or a function."


def _filled(node) -> set[str]:
    """Return the names whose values a statement may change: ``TABLE.update(...)``, and ``TABLE[k] = ...`` in a loop."""
    found = set()
    for inner in ast.walk(node) if isinstance(node, ast.For | ast.While | ast.Expr) else ():
        if isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Store):
            found.add(inner.value)
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr in _FILLS:
            found.add(inner.func.value)
    return {value.id for value in found if isinstance(value, ast.Name)}


def where(lines: list[tuple[int, int]], line: int) -> str:
    """Return ``cell 7, line 3`` for a line of the extracted module."""
    if not 1 <= line <= len(lines):
        return f"line {line}"
    cell, inner = lines[line - 1]
    return f"cell {cell}, line {inner}"


def _reachable(statements, functions) -> list[Statement]:
    """Return the statements that the graded functions need, in their order."""
    able = [s for s in statements if _is_kept(s)]
    by_name: dict[str, list[Statement]] = {}
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


_Assignment = ast.Assign | ast.AnnAssign | ast.AugAssign
_Block = ast.If | ast.Try | ast.With


def _is_kept(statement) -> bool:
    """Loops and bare calls are experiments, not definitions; nothing is there to be waited for."""
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return isinstance(statement.node, kinds | _Assignment | _Block) and not statement.waits


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

    def add(self, statement: Statement) -> None:
        """Append a statement; one that may fail is guarded, on its own line or, where it is a block, from the line above."""
        node = statement.node
        start = min((d.lineno for d in getattr(node, "decorator_list", [])), default=node.lineno)
        text = [self._guard(node) + statement.text[0], *statement.text[1:]]
        if isinstance(node, _Block):
            self.text.append(_IF_POSSIBLE)
            self.lines.append((statement.cell, start))
            text = _indented(node, text)
        self.text += text
        self.lines += [(statement.cell, start + i) for i in range(len(text))]

    def _guard(self, node):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            return "" if all(name.split(".")[0] in ("numpy", "__future__") for name in modules) or "*" in modules else _IF_IMPORTABLE
        return _IF_POSSIBLE if isinstance(node, _Assignment) else ""

    def replace_broken(self, broken: Broken, functions: list[str], read: frozenset[str], bound: frozenset[str]) -> Iterator[str]:
        """Say which names that are needed a cell that cannot be read defines; calling a graded function of them says so too."""
        defined = {match[1] or match[2] for match in _DEFINED.finditer(broken.text)}
        trouble = sentence_of(broken.message, 200)
        if needed := [name for name in (*functions, *sorted(read.difference(functions))) if name in defined]:
            yield f"Cell {broken.cell} defines {_some(needed)}, but cannot be read (line {broken.line}: {trouble})."
        elif broken.message == TOO_MUCH:
            yield f"Cell {broken.cell} was left out: {TOO_MUCH}."
        for name in functions:
            if name in defined and name not in bound:
                problem = f"cell {broken.cell}, line {broken.line}: {trouble}"
                self.text += [f"def {name}(*args, **named):", f"    raise SyntaxError({problem!r})"]
                self.lines += [(broken.cell, broken.line)] * 2


def _indented(node, text: list[str]) -> list[str]:
    """Return the lines of a statement one column further to the right, but for those that begin inside of a text."""
    texts = [n for n in ast.walk(node) if isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and isinstance(n.value, str | bytes))]
    inside = {line - node.lineno for n in texts for line in range(n.lineno + 1, n.end_lineno + 1)}
    return [line if at in inside else " " + line for at, line in enumerate(text)]


def _some(names: list[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more names that are needed"
