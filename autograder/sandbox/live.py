"""Functions that live in a notebook's namespace, as a runner. Like `Local` it isolates nothing."""

from __future__ import annotations

import types
from collections.abc import Mapping

from .local import Local
from .sources import StandIns


class Live(Local):
    """Runs functions that are defined already.

    Parameters
    ----------
    namespace : mapping of str to object
        The notebook's globals, or ``vars(module)``. It is not changed: functions get globals of their own, which are a
        copy of the namespace, so that a stray ``global`` in one does not reach the notebook.
    module : str
        What to call the module in messages.
    """

    def __init__(self, namespace: Mapping[str, object], module: str) -> None:
        self._modules = {module: _copied(namespace, module)}
        self._server = None
        self._stand_ins = StandIns(self._modules, self._ask)


def _copied(namespace, name) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = f"{name}.py"
    fresh = vars(module)
    fresh |= {key: value for key, value in namespace.items() if not key.startswith("__") or key == "__builtins__"}
    for key, value in fresh.items():
        if isinstance(value, types.FunctionType) and value.__globals__ is namespace:
            fresh[key] = _rebound(value, fresh, module.__file__)
    return module


def _rebound(function: types.FunctionType, namespace: dict, file: str) -> types.FunctionType:
    new = types.FunctionType(_in_file(function.__code__, file), namespace, function.__name__, function.__defaults__, function.__closure__)
    new.__kwdefaults__ = function.__kwdefaults__
    new.__dict__.update(function.__dict__)
    return new


def _in_file(code: types.CodeType, file: str) -> types.CodeType:
    """Have tracebacks name the student's module: a line is then one of the cell that defines the function."""
    constants = tuple(_in_file(c, file) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(co_filename=file, co_consts=constants)
