"""Plans, edges and the bank file."""

import dataclasses

import numpy as np
import pytest

from autograder.cases.edges import edges
from autograder.cases.plan import Plan, cast, make, typical_sizes
from autograder.cases.store import Bank, BankError, Example, load, save
from autograder.exercises import load as load_assignment
from autograder.fill import draw_mask
from autograder.tree import leaves

RNN = load_assignment("rnn")
FORWARD, BACKWARD = RNN.exercise("rnn_forward"), RNN.exercise("rnn_backward")


def plan(**changes):
    return dataclasses.replace(Plan(typical_sizes(FORWARD, BACKWARD.inputs), mask="holes"), **changes)


def test_typical_sizes_are_pairwise_different_so_that_a_transposed_axis_shows():
    for exercise in RNN.everything:
        sizes = typical_sizes(exercise, exercise.inputs)
        assert len(set(sizes.values())) == len(sizes), exercise.function


def test_the_same_plan_makes_the_same_arrays():
    one, two = (make(FORWARD, BACKWARD.inputs, plan(seed=3)) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_garbage_stands_behind_the_mask_and_nowhere_else():
    made = make(FORWARD, FORWARD.inputs, plan(garbage=True))
    assert np.abs(made["x"][~made["mask"]]).max() > 1e4
    assert np.abs(made["x"][made["mask"]]).max() < 10


def test_float32_touches_floats_only():
    made = make(FORWARD, FORWARD.inputs, plan(dtype="float32"))
    assert {str(made[name].dtype) for name in ("x", "h0", "Wx", "b")} == {"float32"}
    assert made["mask"].dtype == bool
    assert cast({"a": [np.ones(1)], "n": 2}, "float32")["a"][0].dtype == np.float32


@pytest.mark.parametrize(("how", "holds"), [
    ("full", lambda m: m.all()), ("empty", lambda m: not m.any()), ("one", lambda m: (m.sum(-1) == 1).all()),
    ("ragged", lambda m: (np.diff(m.astype(int), axis=-1) <= 0).all() and m[:, 0].all()),
    ("empty row", lambda m: not m[0].any() and m[1:].any(-1).all()), ("holes", lambda m: m.any(-1).all() and not m.all()),
])  # fmt: skip
def test_masks_are_of_their_kind(how, holds):
    assert holds(draw_mask(np.random.default_rng(0), (6, 9), how))


def test_the_examples_go_from_simple_to_large_and_hold_the_kinds_that_kill():
    names = list(edges(FORWARD, BACKWARD.inputs))
    assert names[0] == "tiny"
    wanted = {"typical", "T = 1", "N = 1", "long", "large numbers", "garbage behind the mask", "nothing real", "empty row", "zero upstream",
              "readonly", "strided", "fortran", "float32", "h0 = 0"}  # fmt: skip
    assert wanted <= set(names)


def bank():
    example = Example("tiny", {"sizes": {"N": 1}}, {"x": np.ones((1, 2)), "k": 3, "params": {"W": [np.arange(2)]}, "pair": (1, None)},
                      {"f": {"y": np.array(0.5)}}, {"f": {"y": 1.0}})  # fmt: skip
    return Bank("rnn", True, {"f": [example]}, {"curve": np.array([1.0]), "seed": 4})


def test_a_bank_comes_back_as_it_was(tmp_path):
    digest = save(bank(), tmp_path / "b.npz")
    again = load(tmp_path / "b.npz")
    assert again.sha256 == digest
    (example,), (original,) = again.groups["f"], bank().groups["f"]
    assert example.inputs["k"] == 3
    assert example.inputs["pair"] == (1, None)
    for (path, value), (_, expected) in zip(leaves(example.inputs), leaves(original.inputs), strict=True):
        assert np.array_equal(value, expected), path
    assert again.milestone["curve"].tolist() == [1.0]


def test_numpy_alone_reads_a_bank(tmp_path):
    save(bank(), tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz", allow_pickle=False) as file:
        assert file["float64"].tolist() == [1.0, 1.0, 0.5, 1.0]


def test_a_damaged_bank_is_refused(tmp_path):
    save(bank(), tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as file:
        members = dict(file)
    members["float64"] = members["float64"] + 1
    np.savez(tmp_path / "c.npz", **members)
    with pytest.raises(BankError, match="damaged"):
        load(tmp_path / "c.npz")


@pytest.mark.parametrize("contents", [b"", b"not a bank", b"PK\x03\x04 nothing"])
def test_what_is_no_bank_is_refused(tmp_path, contents):
    (tmp_path / "b.npz").write_bytes(contents)
    with pytest.raises(BankError, match="is not an example bank"):
        load(tmp_path / "b.npz")


def test_a_missing_bank_says_how_to_build_one(tmp_path):
    with pytest.raises(BankError, match="handgrad bank build"):
        load(tmp_path / "none.npz")
