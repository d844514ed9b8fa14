"""Turn a student's source text into modules, and put stand-ins in the place of some of their functions."""

from __future__ import annotations

import contextlib
import linecache
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping

from .blame import describe
from .steps import LoadError

_MISSING = object()


def load(files: Mapping[str, str], through: tuple[type[BaseException], ...] = ()) -> dict[str, types.ModuleType]:
    """Execute source texts as modules, in order; each can import those before it by name.

    Parameters
    ----------
    files : mapping of module name to source text
        The last one is the main module. Tracebacks call the files ``name.py``.
    through : tuple of exception types
        Raised as they are instead of becoming a `LoadError`.

    Raises
    ------
    LoadError
        A source does not compile, or raises when it is executed.
    """
    modules: dict[str, types.ModuleType] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, source in files.items():
            try:
                _execute(name, source, modules)
            except through:
                raise
            except BaseException as exc:  # noqa: BLE001  SystemExit and the like come from the student as well
                raise LoadError(name, describe(exc, {f"{other}.py" for other in files})) from None
    return modules


def _execute(name: str, source: str, modules: dict[str, types.ModuleType]) -> None:
    module = types.ModuleType(name)
    module.__file__ = f"{name}.py"
    modules[name] = module
    # Tracebacks show the student's lines, although there is no such file.
    linecache.cache[module.__file__] = (len(source), None, source.splitlines(keepends=True), module.__file__)
    with importable(modules):
        exec(compile(source, module.__file__, "exec", dont_inherit=True), vars(module))  # noqa: S102


@contextlib.contextmanager
def importable(modules: Mapping[str, types.ModuleType]) -> Iterator[None]:
    """Let ``import lstm`` find the loaded modules, and nothing else of these names, for the time being."""
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def names(modules: Mapping[str, types.ModuleType]) -> list[str]:
    """List the public callables of all modules, sorted. What else is written into a module's names is no name."""
    found = {name for module in modules.values() for name, value in vars(module).items() if type(name) is str and callable(value)}
    return sorted(name for name in found if not name.startswith("_"))


def home(modules: Mapping[str, types.ModuleType], name: str) -> types.ModuleType:
    """Return the module that a function is looked up in: the main one, the last, if it has the name, else one it requires."""
    found = [module for module in modules.values() if name in vars(module)]
    return (found or [*modules.values()])[-1]


def parameters(function: object) -> tuple[str, ...]:
    """Names of the positional parameters of a Python function, () for anything else."""
    code = getattr(function, "__code__", None)
    return code.co_varnames[: code.co_argcount] if isinstance(code, types.CodeType) else ()


class StandIns:
    """Puts other functions in the place of some of the student's, and the student's back again.

    Parameters
    ----------
    modules : dict of str to module
        The last one is the main module.
    ask : callable
        ``ask(name, args)`` computes what a stand-in returns.
    """

    def __init__(self, modules: dict[str, types.ModuleType], ask: Callable[[str, tuple], object]) -> None:
        self.modules = modules
        self.ask = ask
        self.replaced: list[tuple[dict, str, object]] = []

    def put(self, served: Iterable[str]) -> None:
        """Replace exactly the functions named in `served`."""
        while self.replaced:
            namespace, name, original = self.replaced.pop()
            if original is _MISSING:
                namespace.pop(name, None)
            else:
                namespace[name] = original
        for name in served:
            self._replace(name)

    def _replace(self, name: str) -> None:
        namespace = vars(home(self.modules, name))
        original = namespace.get(name, _MISSING)
        stand_in = self._stand_in(name, parameters(original))
        self._set(namespace, name, stand_in)
        if original is _MISSING:
            return
        # "from lstm import lstm_forward" has bound the function under a name in another module too.
        for other in self.modules.values():
            for bound, value in list(vars(other).items()):
                if value is original:
                    self._set(vars(other), bound, stand_in)

    def _set(self, namespace: dict, name: str, value: object) -> None:
        self.replaced.append((namespace, name, namespace.get(name, _MISSING)))
        namespace[name] = value

    def _stand_in(self, name: str, positions: tuple[str, ...]) -> Callable:
        ask = self.ask

        def stand_in(*args: object, **named: object) -> object:
            for parameter in positions[len(args) :]:
                if parameter not in named:
                    break
                args = (*args, named.pop(parameter))
            if named:
                raise TypeError(f"{name}() got unexpected arguments: {', '.join(named)}")
            return ask(name, args)

        stand_in.__name__ = stand_in.__qualname__ = name
        return stand_in


