"""The vocabulary in which an assignment is declared.

Shapes are short strings of size symbols, ``"N T D"``; from them come the example strategies, the oracle, the checks of
shape and dtype, and the messages. Nothing here imports more than the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

_EXTENT = re.compile(r"(?P<factor>\d+)?(?P<symbols>[A-Za-z]\w*(?:\*[A-Za-z]\w*)*)?(?:\+(?P<plus>\d+))?")


class SpecError(ValueError):
    """An assignment is declared in a way that cannot work; the message says what to change."""


# ---------------------------------------------------------------------------------------------- kinds of values


@dataclass(frozen=True)
class Real:
    """Floats of the case's dtype (float64, in one example float32)."""

    shape: str = ""


@dataclass(frozen=True)
class Float64:
    """Floats that are float64 whatever comes in, e.g. probabilities made from counts."""

    shape: str = ""


@dataclass(frozen=True)
class Ids:
    """int64 in ``[0, below)``; ``below`` is a size symbol. As a result: int64, exactly."""

    shape: str = ""
    below: str = "V"


@dataclass(frozen=True)
class Mask:
    """bool, True = real. ``hides`` names the arrays of which everything behind the mask must have no influence."""

    shape: str
    hides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Uniforms:
    """float64 in [0, 1), the randomness of a sampling function."""

    shape: str


@dataclass(frozen=True)
class Choice:
    """One Python value out of a few, e.g. a temperature; the first is the simplest."""

    values: tuple

    def __init__(self, *values):
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class Draw:
    """Anything else: ``make(rng, sizes, plan) -> value``, a pure function of its arguments.

    ``plan`` is the :class:`~autograder.cases.plan.Plan` of the example: its mask kind, its ``pick`` and so on.
    """

    make: Callable


@dataclass(frozen=True)
class Many:
    """A list of ``count`` values of one kind; ``count`` is a size symbol."""

    kind: object
    count: str


@dataclass(frozen=True)
class Number:
    """As a result: one number, a loss or a norm, of any float type (``whole=True``: an integer)."""

    whole: bool = False


Kind = object  # Real | Float64 | Ids | Mask | Uniforms | Choice | Draw | Many | Number | Mapping[str, Kind]


def kind(declared) -> Kind:
    """Return the kind that a declaration stands for: a plain string is a shape of floats, ``""`` one number."""
    if isinstance(declared, str):
        return Real(declared) if declared else Number()
    if isinstance(declared, Mapping):
        return {name: kind(value) for name, value in declared.items()}
    return declared


def symbols(declared) -> set[str]:
    """Return the size symbols that a kind uses, e.g. ``{"N", "T"}``."""
    if isinstance(declared, Mapping):
        return set().union(*map(symbols, declared.values())) if declared else set()
    if isinstance(declared, Many):
        return {declared.count} | symbols(kind(declared.kind))
    found = set(re.findall(r"[A-Za-z]\w*", getattr(declared, "shape", "")))
    return found | ({declared.below} if isinstance(declared, Ids) else set())


def extent(expression: str, sizes: Mapping[str, int]) -> int:
    """Return the number that one axis stands for: ``"4H"``, ``"K+1"``, ``"A*E"``, ``"2"``."""
    match = _EXTENT.fullmatch(expression)
    if not match:
        raise SpecError(f"the extent {expression!r} is not understood. Write 3, T, 4H, A*E or K+1.")
    value = int(match["factor"] or 1)
    for symbol in (match["symbols"] or "").split("*"):
        value *= sizes[symbol] if symbol else 1
    return value + int(match["plus"] or 0)


def shape_of(shape: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return ``"N T 4H"`` as numbers."""
    return tuple(extent(axis, sizes) for axis in shape.split())


# ------------------------------------------------------------------------------------------------------- laws


@dataclass(frozen=True)
class Law:
    """Something true of a function beyond agreement with the reference; the docstring is what students read.

    Parameters
    ----------
    check : callable
        ``check(call, case) -> None | str``. ``call(case, function=None, **changes)`` calls the student's function with
        the case's inputs, some of them changed, and returns the named results; ``case`` maps names to inputs. It
        returns None, or one sentence that says what broke.
    examples : tuple of str
        Names of the bank's examples on which the law is tried; empty means ``typical``.
    """

    name: str
    sentence: str
    check: Callable
    examples: tuple[str, ...] = ()


def law(*examples: str) -> Callable[[Callable], Law]:
    """Turn ``check(call, case)`` into a :class:`Law` that is tried on the named examples."""

    def declare(check):
        if not (check.__doc__ or "").strip():
            raise SpecError(f"the law {check.__name__!r} has no docstring. Say in one sentence what must hold; students read it.")
        return Law(check.__name__.replace("_", " "), " ".join(check.__doc__.split()), check, examples)

    return declare


# -------------------------------------------------------------------------------------------------- exercises


@dataclass(frozen=True, eq=False)
class Exercise:
    """One graded function: what it takes, what it gives, what it must agree with. Equal only to itself.

    Parameters
    ----------
    function : str
        Its name in the student's module, and by default in ``reference/X.py``.
    takes, gives : mapping
        Argument and result names to kinds, in order. For a backward, ``takes`` holds the upstream gradients only.
    points : float
    uses : tuple of str
        Functions of the student's own that it may call. Where one of them is wrong, the grader serves it.
    cache : bool
        The last value returned is the student's own cache.
    wrt : tuple of str
        For a loss that returns its gradients: the arguments they belong to, in the order of ``gives`` after the loss.
        ``params`` as an argument gives a dict of gradients.
    forward : Exercise
        For a backward: its forward; made by :func:`backward_of`. Without ``wrt`` the function only takes forward's
        cache, and the reference has a function of its own for it, with forward's arguments and then its own.
    laws : tuple of Law
    edges : mapping
        Extra or changed named examples: name -> dict of :class:`~autograder.cases.plan.Plan` fields, or None to drop one.
    sizes : mapping
        Typical sizes that differ from the usual ones.
    prepare : callable
        ``prepare(inputs, rng, plan) -> inputs``: the last hand on drawn inputs (a planted tie, a start in range).
    inplace : tuple of str
        Arguments that the function changes, and that are judged instead of what it returns.
    entrywise : float
        Relative error allowed for every entry on its own, in place of the usual rule.
    reference : str
        Name in ``reference/X.py`` where it differs.
    drive : callable
        ``drive(inputs, Step, Ref) -> (steps, read)`` for protocols beyond one call: the steps of a script, and
        ``read(answers) -> dict`` from their values to the named results.
    discrete : bool
        Results are ids: compared exactly, and examples where rounding could decide are refused.
    cost : Cost
        What a right answer may cost, as further checks of this function; for what the entry ``performance`` covers, use that.
    """

    function: str
    takes: Mapping[str, Kind]
    gives: Mapping[str, Kind]
    points: float = 0
    uses: tuple[str, ...] = ()
    cache: bool = False
    wrt: tuple[str, ...] = ()
    forward: Exercise | None = None
    laws: tuple[Law, ...] = ()
    edges: Mapping[str, Mapping | None] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    prepare: Callable | None = None
    inplace: tuple[str, ...] = ()
    entrywise: float | None = None
    reference: str = ""
    drive: Callable | None = None
    discrete: bool = False
    cost: Cost | None = None

    def __post_init__(self):
        object.__setattr__(self, "takes", {name: kind(value) for name, value in self.takes.items()})
        object.__setattr__(self, "gives", {name: kind(value) for name, value in self.gives.items()})
        if not self.function.isidentifier():
            raise SpecError(f"{self.function!r} is not a function name.")
        if self.points < 0:
            raise SpecError(f"{self.function}: points must not be negative, but are {self.points}.")

    @property
    def inputs(self) -> dict[str, Kind]:
        """All that an example holds: forward's arguments and, for a backward, the upstream gradients."""
        return {**self.forward.takes, **self.takes} if self.forward else dict(self.takes)

    @property
    def oracle(self) -> str:
        """Name of the function in ``reference/X.py``."""
        return self.reference or (self.forward.oracle if self.forward else self.function)


def backward_of(forward: Exercise, function: str, wrt: str | Mapping[str, Kind], points: float, *, upstream: str | None = None, **rest) -> Exercise:
    """Declare the backward pass of ``forward``: shapes from the forward, gradients from autograd.

    Parameters
    ----------
    wrt : str or mapping
        The forward's differentiable arguments in order, ``"x h0 Wx"``. The results are called ``dx dh0 dWx``; an
        argument ``params`` gives ``grads``, ``left_params`` gives ``left_grads``. A mapping ``{"params": {...kinds}}``
        restricts a dict to the keys that get a gradient.
    upstream : str
        The forward's outputs for which a gradient comes in; all of them by default.
    """
    restricted = wrt if isinstance(wrt, Mapping) else dict.fromkeys(wrt.split())
    for name in restricted:
        if name not in forward.takes:
            raise SpecError(f"{function}: {name!r} is not an argument of {forward.function}, which takes {', '.join(forward.takes)}.")
    gives = {gradient_name(name): kinds or forward.takes[name] for name, kinds in restricted.items()}
    outputs = upstream.split() if upstream is not None else list(forward.gives)
    takes = {f"d{name}": forward.gives[name] for name in outputs}
    return Exercise(function, takes, gives, points, forward=forward, wrt=tuple(restricted), **rest)


def gradient_name(argument: str) -> str:
    """``Wx`` -> ``dWx``; ``params`` -> ``grads``; ``forward_params`` -> ``forward_grads``."""
    return argument.removesuffix("params") + "grads" if argument.endswith("params") else f"d{argument}"


# ------------------------------------------------------------------------- performance, milestone, assignment


@dataclass(frozen=True)
class Cost:
    """What running one function may cost. A backward is measured together with its forward.

    Parameters
    ----------
    function : str
    vectorised : str
        Size symbols over which there must be no Python loop, e.g. ``"N"``; empty to leave that out.
    speed : float
        Allowed ratio of the student's CPU time to that of our NumPy solution; 0 to leave that out.
    memory : str
        Size symbol in which peak memory must grow no faster than our solution's; empty to leave that out.
    sizes : mapping
        Sizes for the measurement.
    calls : int
        How many times the function is called for one measurement of speed, with arguments of the same sizes: as many as it takes for
        the calls to weigh as much as handing the arguments over, or the ratio would hide a slow function.
    """

    function: str
    vectorised: str = ""
    speed: float = 5.0
    memory: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    calls: int = 1


@dataclass(frozen=True)
class Performance:
    """The entry ``performance``: all costs must hold, measured on the functions that are right."""

    points: float
    costs: tuple[Cost, ...]


@dataclass(frozen=True)
class Milestone:
    """The entry ``milestone``: a training run with the student's functions, all randomness from the grader.

    Parameters
    ----------
    run : callable
        ``run(call, curve, seed) -> iterator of (check name, None | sentence)``. ``call(function, *args)`` calls the
        student's function; ``curve`` is what ``reference_curve`` gave when the bank was built.
    reference_curve : callable
        ``reference_curve(reference, seed) -> ndarray`` of losses, with the torch reference; computed once per bank.
    uses : tuple of str
        The functions that ``run`` calls.
    """

    points: float
    uses: tuple[str, ...]
    run: Callable
    reference_curve: Callable
    sentence: str = ""


@dataclass(frozen=True)
class Bonus:
    """A part on top of the 100 points, reported as ``bonus: NAME``; it counts when all its exercises pass."""

    name: str
    points: float
    exercises: tuple[Exercise, ...]
    costs: tuple[Cost, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """One assignment: exercises in the order of the handout, and what is judged beyond them.

    ``requires`` names other modules of the student's that this one imports; ``prerequisites`` are their functions, as
    exercises worth nothing here: where one is wrong or missing, the grader serves it.
    """

    name: str
    title: str
    exercises: tuple[Exercise, ...]
    performance: Performance | None = None
    milestone: Milestone | None = None
    bonus: tuple[Bonus, ...] = ()
    requires: tuple[str, ...] = ()
    prerequisites: tuple[Exercise, ...] = ()

    def __post_init__(self):
        known = [exercise.function for exercise in self.everything]
        if double := {name for name in known if known.count(name) > 1}:
            raise SpecError(f"{self.name}: {', '.join(sorted(double))} is declared twice.")
        for exercise in self.everything:
            if missing := set(exercise.uses) - set(known):
                raise SpecError(f"{self.name}: {exercise.function} uses {', '.join(sorted(missing))}, which is not declared.")

    @property
    def everything(self) -> tuple[Exercise, ...]:
        """All exercises: prerequisites, graded ones, bonus parts."""
        return (*self.prerequisites, *self.exercises, *(e for part in self.bonus for e in part.exercises))

    @property
    def max_score(self) -> float:
        """Points without the bonus parts."""
        return sum(row[1] for row in self.points_table() if not row[0].startswith("bonus: "))

    def exercise(self, function: str) -> Exercise:
        """Return one exercise by the name of its function."""
        return next(e for e in self.everything if e.function == function)

    def points_table(self) -> list[tuple[str, float]]:
        """Return ``(name, points)`` for everything that is graded, in order."""
        rows = [(e.function, e.points) for e in self.exercises]
        rows += [("performance", self.performance.points)] if self.performance else []
        rows += [("milestone", self.milestone.points)] if self.milestone else []
        return rows + [(f"bonus: {part.name}", part.points) for part in self.bonus]


def groups(exercises: Iterable[Exercise]) -> list[tuple[Exercise, ...]]:
    """Put every backward together with its forward: they are called, judged and replaced together."""
    found: dict[str, list[Exercise]] = {}
    for exercise in exercises:
        found.setdefault((exercise.forward or exercise).function, []).append(exercise)
    return [tuple(group) for group in found.values()]

