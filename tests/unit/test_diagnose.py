"""The recognisers that know no misconception: factors, conditions, repeated ids; and what a footprint tells apart."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder import exercises, ours, paths
from autograder.cases import store
from autograder.cases.store import Example
from autograder.diagnose import conditions, general, places, repeats
from autograder.diagnose.footprint import footprint, same
from autograder.diagnose.recognise import Case, diagnose
from autograder.judge import selfcheck, verdicts

SIZES = ({"N": 2, "D": 3}, {"N": 3, "D": 3}, {"N": 4, "D": 2}, {"N": 5, "D": 2})


def example(sizes, inputs=None, expected=None, foreseen=None, **plan):
    plan = {"sizes": sizes, "dtype": "float64", "scale": "unit", "fill": "normal", "mask": "full", "pick": 0, **plan}
    return Example("drawn", plan, inputs or {}, {"f": {"y": expected}}, {"f": {"y": 0.0}}, {"f": foreseen or {}})


def case(sizes, given, expected, **kwargs):
    return Case(example(sizes, expected=expected, **kwargs), {"y": given}, {"y": np.array_equal(given, expected)})


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda y, sizes: y * sizes["N"], "factor of a size"),
        (lambda y, sizes: y / sizes["N"], "factor 1/size"),
        (lambda y, sizes: -y, "wrong sign"),
        (lambda y, sizes: 2 * y, "constant factor"),
        (lambda y, sizes: 0 * y, "always zero"),
        (lambda y, sizes: y + 1, None),
    ],
)
def test_a_factor_is_named_from_the_sizes(change, name):
    cases = [case(sizes, change(numbers(sizes["N"], sizes["D"]), sizes), numbers(sizes["N"], sizes["D"])) for sizes in SIZES]
    found = diagnose("f", cases, {})
    assert (found and found.name) == name


def test_two_examples_of_other_sizes_are_not_enough_for_a_factor():
    cases = [case(sizes, 3 * numbers(sizes["N"]), numbers(sizes["N"])) for sizes in ({"N": 3, "D": 1}, {"N": 3, "D": 2})]
    assert diagnose("f", cases, {}) is None


@pytest.mark.parametrize(("given", "name"), [(np.array([np.inf, 1.0]), "overflow"), (np.array([5.0, 1.0]), "only large numbers")])
def test_what_is_wrong_for_large_numbers_only(given, name):
    right = [case(sizes, np.ones(2), np.ones(2)) for sizes in SIZES]
    large = [case(SIZES[0], given, np.ones(2), scale="large"), case(SIZES[1], np.ones(2), np.ones(2), scale="large")]
    assert conditions.recognise("y", right + large).name == name
    assert conditions.recognise("y", [*right, *large, case(SIZES[0], np.zeros(2), np.ones(2))]) is None


def test_what_is_wrong_where_nothing_is_real():
    right = [case(sizes, np.ones(2), np.ones(2), inputs={"mask": np.ones((2, 3), bool)}) for sizes in SIZES]
    empty = case(SIZES[0], np.full(2, np.nan), np.ones(2), inputs={"mask": np.zeros((2, 3), bool)})
    assert conditions.recognise("y", [*right, empty]).name == "nothing real"


def test_a_condition_needs_ordinary_examples_that_are_right():
    empty = case(SIZES[0], np.full(2, np.nan), np.ones(2), inputs={"mask": np.zeros((2, 3), bool)})
    assert conditions.recognise("y", [empty]) is None


def test_rows_of_repeated_ids():
    expected = numbers(6, 2)
    given = expected.copy()
    given[3] /= 2
    cases = [case(sizes, given, expected, inputs={"ids": np.array([[0, 3], [3, 5]])}) for sizes in SIZES[:3]]
    assert repeats.recognise("f", "y", cases, 3).name == "repeated ids"
    given[5] /= 2
    assert repeats.recognise("f", "y", cases, 3) is None


def test_a_misconception_must_not_be_contradicted_by_what_is_right():
    expected, foreseen = numbers(3), 2.5 * numbers(3)
    known = {"m": {"sentence": "s", "hint": "h"}}
    rows = {"m": footprint(foreseen)[None]}
    wrong = [case(sizes, foreseen, expected, foreseen=rows) for sizes in SIZES]
    assert diagnose("f", wrong, known).name == "m"
    other = Example("drawn", wrong[0].example.plan, {}, {"f": {"z": expected, "y": expected}}, {}, {"f": {"m": np.vstack([rows["m"], rows["m"]])}})
    right_elsewhere = Case(other, {"z": expected, "y": foreseen}, {"z": True, "y": False})
    assert diagnose("f", [right_elsewhere] * 3, known) is None


def test_a_footprint_tells_order_size_and_value():
    y = numbers(5)
    assert same(footprint(y), footprint(y * (1 + 1e-12)))
    assert not same(footprint(y), footprint(y[::-1]))
    assert not same(footprint(y), footprint(np.append(y, 0.0)))
    assert not same(footprint(y), footprint(y * (1 + 1e-5)))


def test_the_names_of_factors_are_sizes_that_are_read_aloud():
    assert {name for name, _ in general.factors({"N": 2, "Z": 3}, None)} == {"N", "1/N"}


def stepwise(change, sizes, mask=None):
    """Return a case of a result with axes N T, wrong where `change` says."""
    expected = numbers(sizes["N"], sizes["T"], 2) + 9
    given = np.where(change(np.zeros(expected.shape, bool)), 0.0, expected)
    made = case(sizes, given, expected, inputs={} if mask is None else {"mask": mask})
    return replace(made, axes={"y": "N T D"})


def marked(*where):
    def change(entries):
        entries[where] = True
        return entries

    return change


STEPS = [{"N": n, "T": t, "D": 2} for n, t in ((3, 3), (4, 4), (3, 5))]


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ((slice(None), 0), "wrong at the first step only"),
        ((slice(None), -1), "wrong at the last step only"),
        ((slice(None), slice(1, None)), "wrong after the first step"),
        ((slice(None), slice(None, -1)), "wrong before the last step"),
        ((slice(1, None),), "right for the first example only"),
        ((slice(None), 1), None),
    ],
)
def test_where_a_result_is_always_wrong(where, name):
    found = places.recognise("f", "y", [stepwise(marked(*where), sizes) for sizes in STEPS])
    assert (found and found.name) == name
    assert places.recognise("f", "y", [stepwise(marked(*where), sizes) for sizes in STEPS[:2]]) is None
    assert places.recognise("f", "y", [stepwise(marked(1, 1, 1), STEPS[0]), *(stepwise(marked(*where), sizes) for sizes in STEPS)]) is None


@pytest.mark.parametrize(("where", "name"), [((0, -1), "wrong at padded steps"), ((0, slice(None)), "wrong in padded examples"), ((1, slice(None)), None)])
def test_what_is_wrong_with_padding_only(where, name):
    def padded(sizes):
        mask = np.ones((sizes["N"], sizes["T"]), bool)
        mask[0, -1] = False
        return mask

    found = places.recognise("f", "y", [stepwise(marked(*where), sizes, padded(sizes)) for sizes in STEPS])
    assert (found and found.name) == name


@given(data=st.data())
def test_no_result_whatever_is_too_odd_for_a_diagnosis(data):
    """What students return may have any kind of numbers in any shape."""

    def drawn(shape, dtype):
        rng = np.random.default_rng(data.draw(st.integers(0, 9)))
        return np.asarray(rng.choice([0.0, 1.0, 2.0, 3.5, np.nan, np.inf], shape)).astype(dtype)

    kinds = st.sampled_from(["float64", "float32", "bool", "int64", "uint8"])
    should, found = data.draw(kinds), data.draw(kinds)
    axes = data.draw(st.sampled_from(["", "N", "N T", "N T D", "V D"]))
    cases = []
    for sizes in ({"N": 2, "T": 3, "D": 3, "V": 4}, {"N": 3, "T": 3, "D": 2, "V": 5}, {"N": 4, "T": 5, "D": 2, "V": 6}, {"N": 1, "T": 1, "D": 1, "V": 3}):
        shape = tuple(sizes[axis] for axis in axes.split())
        other = data.draw(st.sampled_from([shape, shape, (2,), (), (0,), (sizes["N"], 1)]))
        inputs = {"ids": np.arange(4) % 3, "mask": np.arange(sizes["N"] * sizes["T"]).reshape(sizes["N"], sizes["T"]) % 3 > 0}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = case(sizes, drawn(other, found), np.nan_to_num(drawn(shape, should), posinf=7), inputs=inputs)
        cases.append(replace(made, axes={"y": axes}))
    with np.errstate(all="ignore"):
        diagnose("f", cases, {"m": {"sentence": "s", "hint": "h"}})


def test_a_fault_in_the_diagnosis_costs_the_name_and_not_the_verdict(monkeypatch):
    monkeypatch.setattr(verdicts, "diagnose", lambda *_: 1 / 0)
    assignment = exercises.load("rnn")
    source = ours.solution(assignment)["rnn"].replace("da.sum(axis=0)", "da.mean(axis=0)")
    with pytest.warns(UserWarning, match="could not look for the reason"):
        (result,) = selfcheck.check("rnn", {"rnn": source}, store.load(paths.public_bank("rnn")), ["rnn_step_backward"])
    assert (result.verdict, result.diagnosis) == ("failed", None)
