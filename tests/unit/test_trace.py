"""Intermediates of a student's function beside ours, on the public examples."""

from __future__ import annotations

import numpy as np
import pytest

from autograder import ours, paths
from autograder.cases import store
from autograder.exercises import load
from autograder.judge.trace import compare
from autograder.sandbox.local import Local

RNN = load("rnn")
SOURCE = ours.solution(RNN)["rnn"]
BANK = store.load(paths.public_bank("rnn"))


def traced(source: str, function: str, example: str = ""):
    return compare(BANK, RNN, function, lambda: Local({"rnn": source}), example)


def test_our_own_solution_is_right_in_every_variable():
    name, found = traced(SOURCE, "rnn_step_backward")
    assert name
    assert {"da"} <= {each.name for each in found}
    assert all(each.right for each in found)


def test_the_first_wrong_variable_is_shown_with_both_values():
    _, found = traced(SOURCE.replace("da = dh * (1 - h**2)", "da = dh * (1 - h)"), "rnn_step_backward")
    (wrong,) = (each for each in found if not each.right)
    assert wrong.sentence.startswith("da[0, 0] is ")
    assert ", ours is " in wrong.sentence


def test_a_variable_of_another_shape():
    _, found = traced(SOURCE.replace("da = dh * (1 - h**2)", "da = (dh * (1 - h**2))[None]"), "rnn_step_backward")
    assert any("has shape" in each.sentence for each in found)


def test_names_that_we_do_not_use_are_left_alone():
    _, found = traced(SOURCE.replace("da = dh * (1 - h**2)", "mine = dh * (1 - h**2); da = mine"), "rnn_step_backward")
    assert "mine" not in {each.name for each in found}


def test_a_chosen_example():
    assert traced(SOURCE, "rnn_step_backward", "tiny")[0] == "tiny"


@pytest.mark.parametrize("function", [e.function for e in RNN.exercises])
def test_traces_are_small_and_hold_arrays_only(function):
    for variables in BANK.traces[function].values():
        assert all(isinstance(value, np.ndarray) and value.size <= 150 for value in variables.values())


def test_a_private_bank_has_none(tmp_path):
    assert store.Bank("rnn", False, {}).traces == {}


def test_the_command_says_which_variable_is_wrong(tmp_path):
    from autograder.course.tracing import traced as lines_of

    file = tmp_path / "rnn.py"
    file.write_text(SOURCE.replace("da = dh * (1 - h**2)", "da = dh * (1 - h)"), encoding="utf-8")
    lines = lines_of(RNN, file, paths.public_bank("rnn"), "rnn_step_backward")
    assert lines[0].startswith("rnn_step_backward on the example")
    assert any(line.startswith("  no  da[0, 0] is ") for line in lines)
    with pytest.raises(ValueError, match="cannot trace 'nothing'"):
        lines_of(RNN, file, paths.public_bank("rnn"), "nothing")


def test_in_a_notebook(capsys):
    from autograder.course import tracing

    namespace = {"trace": tracing.tracer("rnn")}
    exec(SOURCE, namespace)
    exec('trace("rnn_step_backward")', namespace)
    assert "  ok  da is as ours" in capsys.readouterr().out
