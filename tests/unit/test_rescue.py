"""A script whose functions are right does not lose them to an import or an experiment beside them."""

from __future__ import annotations

import pytest

from autograder.course.rescue import NOTE, rescued
from autograder.course.submissions import Submission
from autograder.exercises import load
from autograder.judge.submission import Graded
from autograder.report.model import Check, FunctionResult
from autograder.sandbox import sources

RNN = load("rnn")
WRONG = FunctionResult("affine_forward", 0, 2, "failed", False, (Check("values", False, "scores is wrong (line 2)", None),))


def grade(files):
    """Load for real; say something about a line."""
    try:
        module = sources.load(files)["rnn"]
    except sources.LoadError as error:
        return Graded([], [str(error)], loaded=False)
    return Graded([WRONG], [f"{sorted(name for name in vars(module) if name.startswith('affine'))}"])


def attempt(source: str, **rest) -> Graded:
    submission = Submission("ada", {"rnn": source}, **rest)
    return rescued(submission, RNN, Graded([], ["it could not be loaded."], loaded=False), grade)


FUNCTION = "import numpy as np\n\n\ndef affine_forward(h, W, b):\n    return h @ W + b, None\n"


@pytest.mark.parametrize("trouble", ["import no_such_package\n", "print(affine_forward(1))\n", "import no_such_package as plt\nplt.plot()\n", "1 / 0\n"])
def test_what_the_functions_do_not_need_falls_away(trouble):
    found = attempt(FUNCTION + trouble)
    assert found.loaded
    assert found.messages == ["it could not be loaded.", NOTE, "['affine_forward']"]


def test_lines_are_those_of_the_script():
    found = attempt("print(1 / 0)\n\n" + FUNCTION)
    assert found.functions[0].checks[0].sentence == "scores is wrong (line 7)"


@pytest.mark.parametrize("source", ["def f(:\n", "x = 1\n", "class A(B): pass\ndef affine_forward(a=A): pass\n"])
def test_what_cannot_be_saved_stays_as_it_was(source):
    assert attempt(source).messages == ["it could not be loaded."]


def test_a_notebook_has_been_cut_down_already():
    assert not attempt(FUNCTION, cells={"rnn": [(1, 1)] * 5}).loaded


@pytest.mark.parametrize("source", ["#\rimport x", "x = [" + "a " + "for a in a " * 60_000 + "]\n" + FUNCTION])
def test_a_script_that_the_compiler_counts_or_bears_otherwise_is_no_fault_of_the_kit(source):
    assert attempt(source).messages == ["it could not be loaded."]
