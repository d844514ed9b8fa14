"""Comparison: every kind of wrong result gets its check and its sentence, and rounding gets none."""

import numpy as np
import pytest

from autograder.judge.compare import Allowance, imprecision, problems
from autograder.spec import Float64, Ids, Many, Mask, Number, Real

EXACT = Allowance("float64", {})


def found(kind, actual, expected, allowance=EXACT):
    kind = {"y": kind}
    expected = expected if isinstance(expected, dict) else {"y": np.asarray(expected)}
    return [(p.check, p.sentence) for p in problems(kind, {"y": actual}, expected, allowance)]


def test_a_right_array_has_no_problem():
    assert found(Real("N"), np.array([1.0, 2.0]), [1.0, 2.0]) == []


def test_broadcasting_hides_nothing():
    assert found(Real("H"), np.ones((1, 3)), np.ones(3)) == [("shape", "y has shape (1, 3), but should have (3,)")]


@pytest.mark.parametrize(
    ("kind", "actual", "expected", "sentence"),
    [
        (Real("N"), [1.0, 2.0], [1.0, 2.0], "y is a list, but should be an array of shape (2,)"),
        (Real("N"), None, [1.0, 2.0], "y is None, but should be an array of shape (2,)"),
        (Number(), np.ones((1,)), 1.0, "y is an array of shape (1,), but should be one number"),
        (Number(), True, 1.0, "y is a bool, but should be one number"),
        (Number(whole=True), 1.0, 1, "y is a float, but should be an integer"),
    ],
)
def test_a_value_of_another_kind_fails_the_shape(kind, actual, expected, sentence):
    assert found(kind, actual, expected) == [("shape", sentence)]


@pytest.mark.parametrize("loss", [1.0, np.float32(1.0), np.float64(1.0), np.array(1.0), 1])
def test_a_loss_may_be_any_number(loss):
    assert found(Number(), loss, 1.0) == []


@pytest.mark.parametrize(
    ("kind", "actual", "expected"),
    [
        (Real("N"), np.ones(2, np.float32), np.ones(2)),
        (Float64("N"), np.ones(2, np.float32), np.ones(2)),
        (Ids("N"), np.array([1, 2], np.int32), np.array([1, 2])),
        (Ids("N"), np.array([1.0, 2.0]), np.array([1, 2])),
        (Mask("N"), np.array([1, 0]), np.array([True, False])),
    ],
)
def test_another_dtype_fails_only_the_dtype(kind, actual, expected):
    assert [check for check, _ in found(kind, actual, expected)] == ["dtype"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_fails_finite(bad):
    ((check, sentence),) = found(Real("N"), np.array([1.0, bad]), [1.0, 0.5])
    assert check == "finite"
    assert sentence.startswith("y[1] is ")
    assert sentence.endswith("but should be 0.5")


def test_a_wrong_entry_is_named_with_what_it_should_be():
    ((check, sentence),) = found(Real("N M"), np.array([[1.0, 0.0]]), np.array([[1.0, 0.0625]]))
    assert (check, sentence) == ("values", "y[0, 1] is 0, but should be 0.0625 (1 of 2 entries differ)")


def test_numbers_that_look_alike_are_written_with_more_digits():
    ((_, sentence),) = found(Real("N"), np.array([1.0000029]), [1.0])
    assert sentence == "y[0] is 1.0000029, but should be 1"


def test_rounding_within_the_envelope_is_right_and_beyond_it_is_wrong():
    expected, envelope = np.array([1e-9]), {"y": 1.0}
    inside, outside = 200 * 2.0**-53, 300 * 2.0**-53
    assert found(Real("N"), expected + inside, expected, Allowance("float64", envelope)) == []
    assert found(Real("N"), expected + outside, expected, Allowance("float64", envelope))


def test_gradients_tiny_by_saturation_count_as_right():
    assert found(Real("N"), np.array([0.0]), np.array([1e-20]), Allowance("float64", {}, largest_input=40.0)) == []
    assert found(Real("N"), np.array([0.0]), np.array([1e-10]), Allowance("float64", {}, largest_input=40.0))


def test_an_entrywise_rule_looks_at_every_entry_by_itself():
    expected = np.array([-700.0, -1e-300])
    assert found(Real("N"), np.array([-700.0, -2e-300]), expected) == []
    assert found(Real("N"), np.array([-700.0, -2e-290]), expected, Allowance("float64", {}, entrywise=1e-13))


def test_a_dict_lacks_a_key_or_has_one_too_many():
    kind, expected = {"a": Real("N"), "b": Real("N")}, {"y['a']": np.ones(1), "y['b']": np.ones(1)}
    assert found(kind, {"a": np.ones(1)}, expected) == [("shape", "y lacks the key 'b'; it should have a, b")]
    extra = {"a": np.ones(1), "b": np.ones(1), "c": 0}
    assert found(kind, extra, expected) == [("shape", "y has the key 'c', which does not belong there")]


def test_a_list_of_dicts_is_walked():
    kind = Many({"W": "N"}, "B")
    expected = {"y[0]['W']": np.ones(2), "y[1]['W']": np.ones(2)}
    assert found(kind, [{"W": np.ones(2)}, {"W": np.ones(2)}], expected) == []
    assert found(kind, [{"W": np.ones(2)}], expected) == [("shape", "y has 1 items, but should be a list of 2")]
    assert found(kind, [{"W": np.ones(2)}, {"W": np.zeros(2)}], expected)[0][1].startswith("y[1]['W'][0] is 0")


def test_an_epsilon_is_noticed_but_is_not_wrong():
    expected = {"y": np.array([1.0])}
    assert "epsilon" in imprecision({"y": Real("N")}, {"y": np.array([1.0 + 1e-8])}, expected, EXACT)
    assert imprecision({"y": Real("N")}, {"y": np.array([1.0 + 1e-12])}, expected, EXACT) is None
