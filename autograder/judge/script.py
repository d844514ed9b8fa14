"""From an example to the calls that it asks for, and from the answers to named results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autograder.cases.store import Example
from autograder.sandbox.steps import Answer, Error, Ref, Step
from autograder.spec import Exercise


@dataclass(frozen=True)
class Results:
    """What one function gave on one example: named values, or the error instead."""

    values: dict | None = None
    error: Error | None = None
    changed: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    bytecodes: int = 0


def script(group: tuple[Exercise, ...], inputs: Mapping, layout: str = "C", count: str = "", repeat: int = 1) -> list[Step]:
    """Return the calls for one example: the forward, and then all that take its cache, each a cache of its own.

    ``count`` names a function whose bytecodes are counted; ``repeat`` calls every function that many times.
    """
    head = group[0]
    if head.drive:
        steps, _ = head.drive(inputs, Step, Ref)
        return steps
    steps = [first_step(head, inputs, layout, count=count == head.function, repeat=repeat)]
    for exercise in group[1:]:
        if len(steps) > 1:  # what one function does to a cache must not show in another
            steps.append(first_step(head, inputs, layout, send=()))
        upstream = tuple(inputs[name] for name in exercise.takes)
        cache = Ref(len(steps) - 1, -1)
        steps.append(Step(exercise.function, (*upstream, cache), layout=layout, count=count == exercise.function, repeat=repeat))
    return steps


def first_step(head: Exercise, inputs: Mapping, layout: str = "C", **options) -> Step:
    """Return the call of a forward, or of a function that stands alone."""
    args = tuple(inputs[name] for name in head.takes)
    back = tuple(list(head.takes).index(name) for name in head.inplace)
    if head.cache:
        options = {"keep": True, "cache": True, "send": tuple(range(len(head.gives))), **options}
    return Step(head.function, args, layout=layout, back=back, **options)


def read(group: tuple[Exercise, ...], inputs: Mapping, answers: list[Answer]) -> dict[str, Results]:
    """Return function -> results for the answers to :func:`script`."""
    head = group[0]
    if head.drive:
        _, reader = head.drive(inputs, Step, Ref)
        return {head.function: _driven(head, answers, reader)}
    ours = [answers[0], *answers[1::2]]
    return {exercise.function: results(exercise, answer) for exercise, answer in zip(group, ours, strict=True)}


def _driven(head, answers, reader):
    changed = tuple(c for answer in answers for c in answer.changed)
    shared = tuple(s for answer in answers for s in answer.shared)
    if error := next((answer.error for answer in answers if answer.error), None):
        return Results(error=error, changed=changed, shared=shared)
    try:
        values = reader([answer.value for answer in answers])
    except (TypeError, ValueError, IndexError, KeyError) as error:
        return Results(error=Error("WrongReturn", f"returned something that cannot be read: {error}"))
    return Results(values, changed=changed, shared=shared, bytecodes=sum(answer.bytecodes for answer in answers))


def results(exercise: Exercise, answer: Answer) -> Results:
    """Return the named results of one call; a wrong number of values is an error of the student's."""
    rest = {"changed": answer.changed, "shared": answer.shared, "bytecodes": answer.bytecodes}
    if answer.error:
        return Results(error=answer.error, **rest)
    if exercise.inplace:
        return _inplace(exercise, answer, rest)
    wanted = len(exercise.gives) + exercise.cache
    if wanted == 1:
        if isinstance(answer.value, tuple):
            return Results(error=_wrong_return(exercise, f"{len(answer.value)} values"), **rest)
        return Results(dict(zip(exercise.gives, (answer.value,), strict=True)), **rest)
    if answer.returned != wanted:
        what = answer.returned if isinstance(answer.returned, str) else f"{answer.returned} values"
        return Results(error=_wrong_return(exercise, what), **rest)
    return Results(dict(zip(exercise.gives, answer.value, strict=True)), **rest)


def _inplace(exercise, answer, rest):
    names = [name for name in exercise.takes if name in exercise.inplace]
    rest["changed"] = tuple(c for c in answer.changed if not any(_is_argument(c, exercise, name) for name in names))
    if answer.value is not None:
        return Results(error=_wrong_return(exercise, "a value"), **rest)
    return Results(dict(zip(names, answer.back, strict=True)), **rest)


def _is_argument(path, exercise, name):
    return path.startswith(f"args[{list(exercise.takes).index(name)}]")


def _wrong_return(exercise, what):
    names = [*exercise.gives, *(["cache"] if exercise.cache else [])]
    if exercise.inplace:
        return Error("WrongReturn", f"returned {what}, but should change {' and '.join(exercise.inplace)} in place and return nothing")
    plural = f"{len(names)} values: {', '.join(names)}" if len(names) > 1 else f"one value: {names[0]}"
    return Error("WrongReturn", f"returned {what}, but should return {plural}")


def argument_name(exercise: Exercise, path: str) -> str:
    """Return ``x`` for ``args[0]`` of a forward, ``dh`` for that of its backward."""
    for index, name in enumerate(exercise.takes):
        if path.startswith(f"args[{index}]"):
            return name + path.removeprefix(f"args[{index}]")
    return path


def layout_of(example: Example) -> str:
    """Return how the arrays of an example lie in memory."""
    return example.plan.get("layout", "C")
