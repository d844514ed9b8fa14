"""The one result model. Terminal, notebook, pages, JSON and every export are views of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

from autograder.diagnose.diagnosis import Diagnosis


@dataclass(frozen=True)
class Counterexample:
    """The input that shows a problem.

    Parameters
    ----------
    example : str
        Name of the example in the bank, or ``smallest``.
    sizes : mapping of str to int
    inputs : mapping
        The input values as plain lists and numbers; empty when they are too many to read.
    path, index : str, tuple of int
        Which entry of which result is wrong, ``dWx`` and ``(0, 2)``; empty where no single entry is.
    actual, expected
        The two values there, or None.
    whole : mapping
        The whole of that result as plain lists: ``actual``, ``expected``, ``differs`` (bool), and ``axes``, the sizes that its
        axes are; empty where it is one number or too many to look at.
    snippet : str
        Lines that show the problem again, to be put below an import; empty where one call does not show it.
    """

    example: str
    sizes: Mapping[str, int]
    inputs: Mapping
    path: str
    index: tuple[int, ...]
    actual: object
    expected: object
    whole: Mapping = field(default_factory=dict)
    snippet: str = ""


@dataclass(frozen=True)
class Check:
    """One check of one function; ``passed`` is None where it was not reached."""

    name: str
    passed: bool | None
    sentence: str
    counterexample: Counterexample | None


@dataclass(frozen=True)
class FunctionResult:
    """The verdict on one function, or on the entry ``performance``, ``milestone`` or ``bonus: NAME``.

    Parameters
    ----------
    verdict : {"passed", "failed", "not written yet", "could not judge"}
    carried_forward : bool
        It passed once what it uses was served by the grader, since that was wrong.
    diagnosis : Diagnosis or None
        The misconception, where one was recognised.
    remark : str
        Something worth knowing that costs nothing.
    """

    name: str
    score: float
    max_score: float
    verdict: str
    carried_forward: bool
    checks: tuple[Check, ...]
    diagnosis: Diagnosis | None = None
    remark: str = ""

    def with_remark(self, text: str) -> FunctionResult:
        """Return the result with another remark."""
        return replace(self, remark=text)

    def with_sentences(self, rewrite: Callable[[str], str]) -> FunctionResult:
        """Return the result with what its checks say written in another way."""
        return replace(self, checks=tuple(replace(check, sentence=rewrite(check.sentence)) for check in self.checks))

    @property
    def problems(self) -> Iterator[Check]:
        """The checks that failed."""
        return (check for check in self.checks if check.passed is False)


@dataclass(frozen=True)
class SubmissionResult:
    """All that is known of one graded submission; the JSON file holds exactly this.

    Parameters
    ----------
    messages : tuple of str
        What concerns the submission as a whole: it could not be loaded, it ran out of its budget.
    isolation : mapping
        ``level``, ``layers`` and ``canary`` of the sandbox that ran it.
    engine, bank, submission_sha256 : str
        Version of the engine, sha256 of the example bank and of what was handed in.
    environment : mapping
        Versions of Python, NumPy and torch, and the machine.
    timing : mapping
        CPU seconds: ``student`` (calls), ``loading`` (fork and import), ``baseline`` (our solution), ``judging`` (the grader, the wire
        included), and ``milestone``, the part of all these that the training run took.
    """

    student: str
    assignment: str
    score: float
    max_score: float
    functions: tuple[FunctionResult, ...]
    messages: tuple[str, ...] = ()
    isolation: Mapping = field(default_factory=dict)
    engine: str = ""
    bank: str = ""
    submission_sha256: str = ""
    environment: Mapping = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict:
        """Return the result as plain data: finite numbers, text, lists and dicts only."""
        return _plain(asdict(self))


def total(functions: tuple[FunctionResult, ...]) -> float:
    """Return the points of all entries together, bonus parts included."""
    return _whole(sum(result.score for result in functions))


def _plain(value):
    """JSON knows neither NaN nor infinity nor NumPy's numbers; they become text or Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item() if getattr(value, "size", 1) == 1 else value.tolist()
        return _plain(value)
    if isinstance(value, float):
        return _whole(value) if value - value == 0 else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _whole(number: float) -> float:
    """Write 8.0 as 8, so that points read like the contract's."""
    return int(number) if number == int(number) and abs(number) < 2**53 else number
