"""Load what was handed in: modules that cannot be used are replaced, so that the rest can be judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autograder.judge.session import Disturbed, KitError
from autograder.report.text import sentence_of
from autograder.sandbox.steps import Fault, LoadError
from autograder.spec import Assignment

#: Stands for a function of a required module that was not handed in: it is not written, and is served when needed.
MISSING = 'def {name}(*args):\n    raise NotImplementedError("{name} is not written yet")\n'


def unloadable(error: LoadError) -> str:
    """Say in one line, without a full stop, why a module cannot be loaded."""
    line = f" (line {error.line})" if error.line else ""
    return f"{error.module}.py could not be loaded: {': '.join(filter(None, (error.type, sentence_of(error.message))))}{line}"


def load(spawn: Callable, assignment: Assignment, files: Mapping[str, str], messages: list[str]):
    """Return ``(files, worker)``, or None when the assignment's own module cannot be loaded; ``messages`` says why.

    Raises
    ------
    KitError
        The sandbox is broken, or somebody else ended the process.
    """
    placeholder = dict.fromkeys(assignment.requires, "".join(MISSING.format(name=e.function) for e in assignment.prerequisites))
    handed_in = {name: files[name] for name in placeholder if name in files}
    whole = {**placeholder, **handed_in, assignment.name: files[assignment.name]}
    for _ in range(len(whole)):
        try:
            return whole, spawn(whole)
        except LoadError as error:
            messages.append(f"{unloadable(error)}.")
            if error.module not in placeholder:
                return None
            whole[error.module] = placeholder[error.module]
        except Fault as fault:
            if fault.kind == "zygote":
                raise KitError(fault.detail) from fault
            if fault.kind == "killed":
                raise Disturbed(fault.detail) from fault
            messages.append(f"{assignment.name}.py could not be loaded: it {fault.detail}.")
            return None
    return None
