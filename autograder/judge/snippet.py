"""A few lines that show a failure again, to be pasted below an import of the student's functions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autograder.cases.store import Example
from autograder.judge.compare import Problem, place
from autograder.spec import Exercise

#: Checks that one call on the inputs shows again; the others need several calls, or a look at memory.
SHOWN_BY_ONE_CALL = ("runs", "shape", "dtype", "finite", "values")

_LAYOUTS = {"fortran": "np.asfortranarray({})", "strided": "np.repeat({}, 2, axis=-1)[..., ::2]"}


def snippet(exercise: Exercise, problem: Problem, example: Example) -> str:
    """Return the lines: the inputs, the call or two calls, and what should come out; "" where one call does not show it."""
    if problem.check not in SHOWN_BY_ONE_CALL or exercise.drive:
        return ""
    layout = example.plan.get("layout", "C")
    lines = [line for name in exercise.inputs for line in _assigned(name, example.inputs[name], layout)]
    if exercise.forward:
        lines.append(_call(exercise.forward, unused=exercise.forward.gives))
    return "\n".join([*lines, _call(exercise), *_looked_at(exercise, problem)])


def _assigned(name, value, layout) -> list[str]:
    lines = [f"{name} = {literal(value, layout)}"]
    if layout == "readonly" and isinstance(value, np.ndarray):
        lines.append(f"{name}.setflags(write=False)")
    return lines


def _call(exercise, unused=()) -> str:
    """Write ``dx, dW = affine_backward(dy, cache)``; what is not looked at is called ``_``."""
    arguments = [*exercise.takes, *(["cache"] if exercise.forward else [])]
    call = f"{exercise.function}({', '.join(arguments)})"
    if exercise.inplace:
        return call
    results = [*("_" if name in unused else name for name in exercise.gives), *(["cache"] if exercise.cache else [])]
    return f"{', '.join(results)} = {call}"


def _looked_at(exercise, problem) -> list[str]:
    """Print what is wrong, and say what it should be."""
    if problem.check == "runs":
        return []
    if problem.check == "dtype":
        return [f"print({problem.path}.dtype)"]
    if problem.check == "shape":
        return [f"print(np.shape({problem.path}))"]
    return [f"print({place(problem.path, problem.index)})  # should be {_short(problem.expected)}"]


def _short(value) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def literal(value: object, layout: str = "C") -> str:
    """Return Python text for an input, arrays with ``np.``, in which every number keeps its bits."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {literal(item, layout)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        inner = ", ".join(literal(item, layout) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, np.ndarray):
        return _LAYOUTS.get(layout if value.size and value.ndim else "", "{}").format(_array(value))
    return repr(value.item() if isinstance(value, np.generic) else value)


def _array(value: np.ndarray) -> str:
    usual = value.dtype in (np.float64, np.int64, np.bool_)
    dtype = "" if usual and value.size else f", dtype={value.dtype.name!r}"
    if not value.size:
        return f"np.zeros({value.shape}{dtype})"
    for name, same in (("ones", np.ones_like(value)), ("zeros", np.zeros_like(value))):
        if value.size > 1 and value.dtype.kind == "f" and value.tobytes() == same.tobytes():  # by bits: -0.0 is not 0.0
            return f"np.{name}({value.shape if value.ndim > 1 else value.size}{dtype})"
    return f"np.array({value.tolist()!r}{dtype})"
