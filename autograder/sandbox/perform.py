"""Carry out scripts: call the student's functions, watch what they do to memory, collect answers.

The same code runs inside the sandboxed worker and, for a student's self-check, in process.
NumPy and the standard library only.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sys
import warnings
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType, ModuleType

import numpy as np

from .arrays import Copier, Unsendable, arrays_in, differ, lay_out, scribble, sharing
from .blame import describe
from .sources import home
from .steps import Answer, Error, Fault, LoadError, Opaque, Ref, Step

__all__ = ["Answer", "Error", "Fault", "LoadError", "Opaque", "Ref", "Step", "perform"]

_errstate, _ndarray, _concatenate = np.errstate, np.ndarray, np.concatenate
_simplefilter, _catch_warnings = warnings.simplefilter, warnings.catch_warnings
_settrace, _gettrace = sys.settrace, sys.gettrace
_monitoring = getattr(sys, "monitoring", None)  # Python 3.12 and later
_HERE = os.path.dirname(__file__) + os.sep
_IGNORE = ("ignore", None, Warning, None, 0)
_FAILED = object()  # stands for the value of a step that has none


def perform(
    batch: list[list[Step]],
    modules: dict[str, ModuleType],
    *,
    room: int | None = None,
    through: tuple[type[BaseException], ...] = (),
) -> list[list[Answer]]:
    """Run every script of `batch` and return one answer per step.

    Parameters
    ----------
    batch : list of list of Step
    modules : dict of str to module
        The student's modules by name; the last one is the main module.
    room : int, optional
        Bytes that all returned arrays together may take.
    through : tuple of exception types
        Raised as they are instead of becoming an `Error`: a real Ctrl-C, a timer.
    """
    performer = _Performer(modules, Copier(room), through)
    with _catch_warnings():
        _simplefilter("ignore")
        return [performer.script(script) for script in batch]


class _Skip(Exception):
    """A step needs the value of an earlier one that has none."""


class _Performer:
    def __init__(self, modules: dict[str, ModuleType], copier: Copier, through: tuple) -> None:
        self.modules = modules
        self.files = frozenset(f"{name}.py" for name in modules)
        self.copier = copier
        self.through = through

    def script(self, steps: list[Step]) -> list[Answer]:
        if (turns := max((step.repeat for step in steps), default=1)) > 1:
            tables = [_in_place(step) for step in steps]
            for turn in range(1, turns):
                if error := self.rehearse(steps, turn, tables):
                    return [Answer(error=error) for _ in steps]
        values: list = []
        return [self.step(step, steps, values) for step in steps]

    def rehearse(self, steps: list[Step], turn: int, tables: list[dict]) -> Error | None:
        """Call every function once, for a measurement, with other numbers than in every other turn: there is nothing to remember.

        What a step changes in place, in `tables`, goes on from turn to turn: it may be large, and a copy take longer than the call.
        """
        values: list = []
        try:
            for step, table in zip(steps, tables):
                function = self.find(step.fn)
                if function is None:
                    return Error("Missing", f"there is no function {step.fn}")
                args = _Turn(turn, table, steps, values).hand(step.args)
                values.append(invoke(function, args)[0])
        except self.through:
            raise
        except _Skip as why:
            return Error("Skipped", str(why))
        except BaseException as exc:  # noqa: BLE001  as in `attempt`
            return describe(exc, self.files)
        return None

    def step(self, step: Step, steps: list[Step], values: list) -> Answer:
        """Run one step; append its value, or the mark for none, to `values`."""
        watch = _Watch(step.layout, steps, values)
        values.append(_FAILED)
        try:
            return self.attempt(step, values, watch)
        except self.through:
            raise
        except BaseException as exc:  # noqa: BLE001  a class of the student's own that raises when it is looked at, or no memory
            return Answer(error=describe(exc, self.files))

    def attempt(self, step: Step, values: list, watch: _Watch) -> Answer:
        """Hand out the arguments, call, look at what came of it."""
        function = self.find(step.fn)
        if function is None:
            return Answer(error=Error("Missing", f"there is no function {step.fn}"))
        try:
            args = watch.hand(step.args)
        except _Skip as why:
            return Answer(error=Error("Skipped", str(why)))
        try:
            value, bytecodes = invoke(function, args, step.count, self.files)
        except self.through:
            raise
        except BaseException as exc:  # noqa: BLE001  SystemExit, KeyboardInterrupt, ... are the student's as well
            return Answer(error=describe(exc, self.files), changed=watch.changed(args))
        values[-1] = value
        return self.answer(step, value, bytecodes, args, watch)

    def find(self, name: str) -> Callable | None:
        """Look up a function in the main module, or in one that it requires."""
        found = vars(home(self.modules, name)).get(name)
        return found if callable(found) else None

    def answer(self, step: Step, value: object, bytecodes: int, args: tuple, watch: _Watch) -> Answer:
        sent, error = None, None
        back: tuple = ()
        try:
            sent = self.copier(_to_send(step, value))
            back = tuple(self.copier(args[i]) for i in step.back)
        except Unsendable as why:
            sent, error = None, Error("WrongReturn", f"{step.fn} returned {why}")
        # The order matters: what is seen comes first, garbage last.
        changed, shared = watch.changed(args), watch.shared(step, value)
        for i in step.overwrite:
            with contextlib.suppress(IndexError):
                scribble(_items(value)[i])
        return Answer(sent, error, changed, shared, bytecodes, _returned(value), back)


def _in_place(step: Step) -> dict[int, np.ndarray]:
    """Return copies of the arrays that a step changes, by the id of the original."""
    return {id(array): lay_out(array, step.layout) for i in step.back for _, array in arrays_in(step.args[i], ())}


def _items(value: object) -> tuple | list:
    return value if isinstance(value, (tuple, list)) else (value,)


def _returned(value: object) -> int | str:
    return len(value) if isinstance(value, (tuple, list)) else type(value).__name__


def _to_send(step: Step, value: object) -> object:
    """Pick what is sent back; None where the value does not have the items that were asked for."""
    if step.send is None:
        return None if step.keep else value
    if not isinstance(value, (tuple, list)):
        return None
    if any(not -len(value) <= i < len(value) for i in step.send):
        return None
    return tuple(value[i] for i in step.send)


class _Watch:
    """Hands out the arguments of one step and knows afterwards what has become of them."""

    def __init__(self, layout: str, steps: list[Step], values: list) -> None:
        self.layout, self.steps, self.values = layout, steps, values
        self.handed: dict[int, np.ndarray] = {}  # the same array twice among the arguments stays one array
        self.arrays: list = []  # (path, what the student got, untouched original)
        self.containers: list = []  # (path, what the student got, its items at that time)
        self.others: list = []  # (path, value of an earlier step that is no array)

    def hand(self, args: tuple) -> tuple:
        return tuple([self._hand(arg, (i,)) for i, arg in enumerate(args)])

    def _hand(self, node: object, path: tuple) -> object:
        kind = type(node)
        if kind is _ndarray:
            given = self.handed.get(id(node))
            if given is None:
                given = self.handed[id(node)] = lay_out(node, self.layout)
            self.arrays.append((path, given, node))
            return given
        if kind is tuple:
            return tuple([self._hand(item, (*path, i)) for i, item in enumerate(node)])
        if kind is list:
            return self._container(path, [self._hand(item, (*path, i)) for i, item in enumerate(node)])
        if kind is dict:
            return self._container(path, {key: self._hand(item, (*path, key)) for key, item in node.items()})
        return self._refer(node, path) if kind is Ref else node

    def _container(self, path: tuple, given: list | dict) -> list | dict:
        self.containers.append((path, given, given.copy()))
        return given

    def _refer(self, ref: Ref, path: tuple) -> object:
        value = self._referred(ref)
        if isinstance(value, _ndarray):
            self.arrays.append((path, value, lay_out(value, "C")))
        else:
            self.others.append((path, value))
        return value

    def _referred(self, ref: Ref) -> object:
        value = self.values[ref.step]
        fn = self.steps[ref.step].fn
        if value is _FAILED:
            raise _Skip(f"this needs what {fn} returns, which failed")
        for key in ref.path:
            value = _pick(value, key, fn)
        return value

    def changed(self, args: tuple) -> tuple[str, ...]:
        """Name the arguments that are no longer what was handed out."""
        found = [path for path, given, original in self.arrays if differ(given, original)]
        for path, given, before in self.containers:
            found += [(*path, *key) for key in _edited(given, before)]
        return tuple(f"args{_show(path)}" for path in found)

    def shared(self, step: Step, value: object) -> tuple[str, ...]:
        """Name the pairs of arrays that share memory; the cache is the student's own."""
        items = _items(value)
        if step.cache and isinstance(value, (tuple, list)):
            items = items[:-1]
        outs = [found for i, item in enumerate(items) for found in arrays_in(item, (i,))]
        if not outs:
            return ()
        args = [(path, given) for path, given, _ in self.arrays]
        for path, other in self.others:
            args += arrays_in(other, path)
        pairs = [f"out{_show(a)}~{where}{_show(b)}" for a, where, b in sharing(outs, args)]
        return tuple(pairs[:20])


class _Turn(_Watch):
    """Hands out the arguments of a step whose value does not count, with the numbers of every float array in other places."""

    def __init__(self, turn: int, table: dict[int, np.ndarray], steps: list[Step], values: list) -> None:
        super().__init__("C", steps, values)
        self.turn = turn
        self.handed.update(table)

    def _hand(self, node: object, path: tuple) -> object:
        if type(node) is _ndarray and node.dtype.kind == "f" and id(node) not in self.handed:
            self.handed[id(node)] = _turned(node, self.turn)
        return super()._hand(node, path)

    def _refer(self, ref: Ref, path: tuple) -> object:
        return self._referred(ref)


def _turned(array: np.ndarray, by: int) -> np.ndarray:
    """Return a copy in which every number has moved `by` places on: it takes no longer than any other copy."""
    flat = array.reshape(-1)
    at = by % max(flat.size, 1)
    return _concatenate((flat[at:], flat[:at])).reshape(array.shape)


def _pick(value: object, key: int | str, fn: str) -> object:
    if isinstance(value, dict) == isinstance(key, str) and isinstance(value, (tuple, list, dict)):
        with contextlib.suppress(LookupError):
            return value[key]
    raise _Skip(f"this needs item {key!r} of what {fn} returns, which has no such item")


def _edited(given: list | dict, before: list | dict) -> list[tuple]:
    """Paths of what was put into, replaced in or taken out of a container, by identity of the items."""
    if isinstance(given, list):
        if len(given) != len(before):
            return [()]
        return [(i,) for i, item in enumerate(given) if item is not before[i]]
    gone = object()
    keys = [*before, *(key for key in given if key not in before)]
    return [(key,) for key in keys if given.get(key, gone) is not before.get(key, gone)]


def _show(path: tuple) -> str:
    return "".join(f"[{key!r}]"[:60] for key in path)


# --- the call itself -----------------------------------------------------------------------------------------------
def invoke(function: Callable, args: tuple, count: bool = False, files: frozenset[str] = frozenset()) -> tuple[object, int]:
    """Call with every warning and floating-point error ignored, whatever the student's module has switched on.

    Returns
    -------
    (what the function returned, number of bytecodes if `count`; 0 where they could not be counted)
    """
    if warnings.filters[:1] != [_IGNORE]:
        _simplefilter("ignore")
    with _errstate(all="ignore"):
        if not count:
            return function(*args), 0
        with _Counter(files) as counter:
            value = function(*args)
        return value, 0 if counter.spoiled else counter.count


@functools.cache
def _own() -> dict[int, CodeType]:
    """Return the kit's own code objects by their ids. A name of a file would say nothing: code may be compiled under any."""
    found: dict[int, CodeType] = {}
    left = [f.__code__ for f in gc.get_objects() if type(f) is FunctionType and f.__code__.co_filename.startswith(_HERE)]
    while left:
        code = left.pop()
        found[id(code)] = code
        left += [const for const in code.co_consts if type(const) is CodeType]
    return found


_counting: list = []  # the counter at work
#: What a function that is being counted does only to escape it: another tracer, or a frame of its own to switch it off in.
_SUSPECT = {
    "sys.settrace": lambda args: True,
    "sys.setprofile": lambda args: True,
    "sys._getframe": lambda args: args[0].f_code.co_filename in _counting[-1].files,
    "object.__getattr__": lambda args: args[1] in ("tb_frame", "gi_frame"),
}


def guard_counting() -> None:
    """Notice whoever switches tracing off and on again; for a process of its own, since it cannot be taken back.

    It must come before any student code: what is here by now is the kit's own.
    """
    _own()
    sys.addaudithook(_heard)


def _heard(event: str, args: tuple) -> None:
    if _counting and event in _SUSPECT and _SUSPECT[event](args):
        _counting[-1].spoiled = True


class _CountByTrace:
    """Count the bytecodes of every Python frame that is not the kit's own (Python 3.11).

    A function may switch tracing off. What can be noticed of that spoils the count: another tracer at the end, a frame that
    was entered and never left, a frame whose instructions are not traced any more, a hand on the student's own frames.
    """

    count, spoiled, open_frames = 0, False, 0

    def __init__(self, files: frozenset[str]) -> None:
        self.files, self.own = files, _own()

    def __enter__(self) -> _CountByTrace:
        self.before, self.tracer = _gettrace(), self.enter
        _settrace(self.tracer)
        _counting.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        del _counting[:]
        self.spoiled |= _gettrace() is not self.tracer or self.open_frames > 0
        _settrace(self.before)

    def enter(self, frame: FrameType, event: str, arg: object) -> Callable | None:
        if id(frame.f_code) in self.own:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.open_frames += 1
        return self.inside

    def inside(self, frame: FrameType, event: str, arg: object) -> Callable:
        if event == "opcode":
            self.count += 1
        elif event == "return":
            self.open_frames -= 1
            self.spoiled |= not frame.f_trace_opcodes
        return self.inside


class _CountByMonitoring:
    """Count the same by sys.monitoring, where there is one."""

    count, spoiled = 0, False

    def __init__(self, files: frozenset[str]) -> None:
        self.files, self.own = files, _own()

    def __enter__(self) -> _CountByMonitoring:
        self.event = _monitoring.events.INSTRUCTION
        self.tool = next(i for i in range(5, -1, -1) if _monitoring.get_tool(i) is None)
        _monitoring.use_tool_id(self.tool, "handgrad")
        _monitoring.register_callback(self.tool, self.event, self.instruction)
        _monitoring.restart_events()  # places that an earlier count has switched off
        _monitoring.set_events(self.tool, self.event)
        return self

    def __exit__(self, *_: object) -> None:
        if _monitoring.get_tool(self.tool) != "handgrad":
            self.spoiled = True
            return
        self.spoiled |= _monitoring.get_events(self.tool) != self.event
        _monitoring.set_events(self.tool, 0)
        _monitoring.register_callback(self.tool, self.event, None)
        _monitoring.free_tool_id(self.tool)

    def instruction(self, code: CodeType, offset: int) -> object:
        if id(code) in self.own:
            return _monitoring.DISABLE
        self.count += 1
        return None


_Counter = _CountByMonitoring if _monitoring else _CountByTrace
