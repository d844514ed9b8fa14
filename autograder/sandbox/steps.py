"""The vocabulary of a run: steps that call student functions, and the answers that come back."""

from __future__ import annotations

from dataclasses import dataclass

LAYOUTS = ("C", "fortran", "strided", "readonly")


class Ref:
    """Stands, in the arguments of a step, for the value of an earlier step of the same script.

    Parameters
    ----------
    step : int
        Index of the earlier step in its script.
    *path : int or str
        Items to pick one after the other: ``Ref(0, -1)`` is the last item that step 0 returned (its cache).
    """

    __slots__ = ("step", "path")

    def __init__(self, step: int, *path: int | str) -> None:
        self.step = step
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and (self.step, self.path) == (other.step, other.path)

    def __hash__(self) -> int:
        return hash((self.step, self.path))

    def __repr__(self) -> str:
        return f"Ref({', '.join(map(repr, (self.step, *self.path)))})"


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that stays with whoever computed it; others can hold it and hand it back, and nothing else."""

    id: int


@dataclass(frozen=True, slots=True)
class Step:
    """One call of one function of the student's.

    Attributes
    ----------
    fn : str
        A function of the main module or, where that has none of this name, of a module that it requires.
    args : tuple
        Tree of arrays, numbers, str, None, tuple, list, dict with str keys, and `Ref`.
    keep : bool
        The value is not sent back (but for what `send` names). Later steps can refer to it either way.
    layout : {"C", "fortran", "strided", "readonly"}
        How the arrays in `args` lie in memory when the function gets them.
    overwrite : tuple of int
        Items of the returned tuple whose arrays are filled with garbage, in place, after the call.
    count : bool
        Also count the bytecodes that the call executes.
    cache : bool
        The last item of the returned tuple is a cache: it is the student's own and is not checked for sharing.
    send : tuple of int or None
        With `keep`: these items of the returned tuple are sent back all the same, as a tuple.
    back : tuple of int
        Positions of arguments to send back as they are after the call, for functions that work in place.
    repeat : int
        Run the script that many times, with arguments of the same sizes, for a measurement; the last turn counts.
    """

    fn: str
    args: tuple
    keep: bool = False
    layout: str = "C"
    overwrite: tuple[int, ...] = ()
    count: bool = False
    cache: bool = False
    send: tuple[int, ...] | None = None
    back: tuple[int, ...] = ()
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class Error:
    """What went wrong in a step, or while a module was being loaded.

    Attributes
    ----------
    type : str
        Name of the exception; or ``"Missing"`` (no such function), ``"Skipped"`` (needs the value of a step that
        failed), ``"WrongReturn"`` (returned something that cannot be read).
    message : str
        At most 500 characters.
    where : str
        Innermost function of the student's file in the traceback, ``""`` where there is none.
    line : int
        Line of that file, 0 where there is none.
    traceback : str
        Frames in the student's files only, one or two lines each.
    """

    type: str
    message: str
    where: str = ""
    line: int = 0
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one step.

    Attributes
    ----------
    value : object
        The returned tree as it was right after the call; None where nothing was to be sent, or after an error.
    error : Error or None
        Why there is no value.
    changed : tuple of str
        Arguments that the call modified: ``"args[0]"``, ``"args[5]['Wx']"``.
    shared : tuple of str
        Returned arrays that share memory: ``"out[0]~args[1]"``, ``"out[0]~out[1]"``.
    bytecodes : int
        Bytecodes executed, where the step asked for a count.
    returned : int or str
        Number of items of a returned tuple or list, else the name of the returned type; ``""`` after an exception.
    back : tuple
        The arguments that `Step.back` asked for.
    """

    value: object = None
    error: Error | None = None
    changed: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    bytecodes: int = 0
    returned: int | str = ""
    back: tuple = ()


class Fault(Exception):
    """A submission could not answer at all: it is dead, and a fresh one has to be loaded.

    Attributes
    ----------
    kind : str
        "timeout", "died", "memory", "protocol", "closed": the submission; "killed": its process was ended by somebody else,
        which a submission behind seccomp cannot do; "zygote": the kit itself.
    detail : str
        English to put after "the submission ...".
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class LoadError(Exception):
    """The student's source cannot be loaded; `error` says why and where, `module` in which file."""

    def __init__(self, module: str, error: Error) -> None:
        super().__init__(module, error)
        self.module = module
        self.error = error

    type = property(lambda self: self.error.type)
    message = property(lambda self: self.error.message)
    line = property(lambda self: self.error.line)

    def __str__(self) -> str:
        at = f", line {self.line}" if self.line else ""
        return f"{self.type} in {self.module}.py{at}: {self.message}"
