"""What requests and replies look like as trees, and the checks that make an `Answer` of what a worker says."""

from __future__ import annotations

import re
from functools import cached_property

from . import wire
from .blame import MAX_MESSAGE, MAX_TRACEBACK
from .steps import Answer, Error, Step

_STEP_DEFAULTS = (False, "C", (), False, False, None, (), 1)
_MAX_NAMES = 10_000
_MAX_PATHS = 100
_MAX_NAME = 400

#: Where arrays are among the arguments or results. The first index is a number; a key further in may be any text.
_PLACE = r"{}\[(0|[1-9][0-9]{{0,3}})\](?:\[.*)?"
_CHANGED = re.compile(_PLACE.format("args"), re.DOTALL)
_SHARED = re.compile(f"({_PLACE.format('out')})~({_PLACE.format('(args|out)')})", re.DOTALL)


class Prepared:
    """A batch that any runner can run, encoded at most once.

    The arrays in it must not be modified from now on.
    """

    def __init__(self, batch: list[list[Step]]) -> None:
        self.batch = batch
        self.steps = [len(script) for script in batch]

    @cached_property
    def encoded(self) -> wire.Encoded:
        """The request frame, all but the nonce."""
        scripts = tuple([tuple([step_tree(step) for step in script]) for script in self.batch])
        return wire.encode(("run", scripts))

    @cached_property
    def caps(self) -> int:
        """Bytes that the reply's skeleton may have."""
        return (1 << 20) + (sum(self.steps) << 14)


def _trim(fields: tuple, defaults: tuple) -> tuple:
    """Drop fields at the end that have their default."""
    end = len(fields)
    while end and fields[end - 1] == defaults[end - 1] and type(fields[end - 1]) is type(defaults[end - 1]):
        end -= 1
    return fields[:end]


# --- grader to worker ----------------------------------------------------------------------------------------------
def step_tree(step: Step) -> tuple:
    """Write a step as a tree."""
    rest = (step.keep, step.layout, step.overwrite, step.count, step.cache, step.send, step.back, step.repeat)
    return (step.fn, step.args, *_trim(rest, _STEP_DEFAULTS))


def batch_of(tree: tuple) -> list[list[Step]]:
    """Read a batch; it comes from the grader and is trusted."""
    return [[Step(*fields) for fields in script] for script in tree]


# --- worker to grader ----------------------------------------------------------------------------------------------
def error_tree(error: Error) -> tuple:
    """Write an error as a tree."""
    return (error.type, error.message, error.where, error.line, error.traceback)


def answer_tree(answer: Answer) -> tuple:
    """Write an answer as a tree; most have only the first two fields."""
    error = None if answer.error is None else error_tree(answer.error)
    fields = (answer.returned, answer.value, error, answer.changed, answer.shared, answer.bytecodes, answer.back)
    end = len(fields)
    while end > 2 and not fields[end - 1]:
        end -= 1
    return fields[:end]


def answers_of(tree: object, batch: list[list[Step]]) -> list[list[Answer]]:
    """Read the answers to a batch. What an answer holds is up to the submission, its form is not: a judge can rely on it.

    Raises
    ------
    WireError
        The tree is anything but one answer per step, each of the form that its step asked for.
    """
    _need(type(tree) is tuple and len(tree) == len(batch), "not one entry per script")
    return [_script_of(answers, steps) for answers, steps in zip(tree, batch, strict=True)]


def _script_of(tree: object, steps: list[Step]) -> list[Answer]:
    _need(type(tree) is tuple and len(tree) == len(steps), "not one answer per step")
    return [_answer_of(fields, step) for fields, step in zip(tree, steps, strict=True)]


def _answer_of(fields: object, step: Step) -> Answer:
    _need(type(fields) is tuple and 2 <= len(fields) <= 7, "not an answer")
    returned = _name(fields[0]) if type(fields[0]) is str else _count(fields[0])
    error, changed, shared, bytecodes, back = (*fields[2:], *(None, (), (), 0, ())[len(fields) - 2 :])
    answer = Answer(
        value=fields[1],
        error=None if error is None else error_of(error),
        changed=tuple(_changed(path, len(step.args)) for path in _paths(changed)),
        shared=tuple(_shared(path, len(step.args), returned) for path in _paths(shared)),
        bytecodes=_count(bytecodes),
        returned=returned,
        back=back,
    )
    _need(_fits(answer, step), "not an answer to this step")
    return answer


def _fits(answer: Answer, step: Step) -> bool:
    """Tell whether an answer has the parts that its step asked for, and no others."""
    value, returned = answer.value, answer.returned
    if answer.error is not None:
        return value is None and answer.back == ()
    if type(answer.back) is not tuple or len(answer.back) != len(step.back):
        return False
    if step.send is not None:
        there = type(returned) is int and all(-returned <= i < returned for i in step.send)
        return type(value) is tuple and len(value) == len(step.send) if there else value is None
    if step.keep:
        return value is None
    items = len(value) if isinstance(value, (tuple, list)) else None
    return items == returned if type(returned) is int else items is None


def error_of(fields: object) -> Error:
    """Read an error; raise `WireError` where it is none."""
    _need(type(fields) is tuple and len(fields) == 5, "not an error")
    kind, message, where, line, traceback = fields
    _need(all(type(text) is str for text in (kind, message, where, traceback)), "not an error")
    return Error(
        printable(kind)[:100],
        printable(message)[:MAX_MESSAGE],
        printable(where)[:100],
        _count(line),
        printable(traceback)[:MAX_TRACEBACK],
    )


def names_of(tree: object) -> list[str]:
    """Read a list of function names; raise `WireError` where it is none."""
    _need(type(tree) is tuple and len(tree) <= _MAX_NAMES, "not a list of names")
    return [_name(name) for name in tree]


def printable(text: str) -> str:
    """Replace control characters, which could drive a terminal, by a question mark in a diamond."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() or c == "\u00ad" else "\ufffd" for c in text)


def _paths(tree: object) -> tuple[str, ...]:
    _need(type(tree) is tuple and len(tree) <= _MAX_PATHS, "not a list of arguments")
    return tuple([_name(path) for path in tree])


def _changed(path: str, args: int) -> str:
    found = _CHANGED.fullmatch(path)
    _need(found is not None and int(found[1]) < args, "not the place of an argument")
    return path


def _shared(path: str, args: int, returned: int | str) -> str:
    """Check a pair of places; the mark between them is replaced where it is part of a key."""
    found = _SHARED.fullmatch(path)
    _need(found is not None, "not a pair of places")
    one, first, other, which, second = found.groups()
    outs = returned if type(returned) is int else 1
    _need(int(first) < outs and int(second) < (args if which == "args" else outs), "not places of an argument or a result")
    return f"{one.replace('~', '-')}~{other.replace('~', '-')}"


def _name(text: object) -> str:
    _need(type(text) is str and len(text) <= _MAX_NAME, "not a name")
    return printable(text)


def _count(value: object) -> int:
    _need(type(value) is int and value >= 0, "not a count")
    return value


def _need(ok: bool, why: str) -> None:
    if not ok:
        raise wire.WireError(why)
