"""The recognisers that know no misconception: factors, conditions, repeated ids; and what a footprint tells apart."""

from __future__ import annotations

import numpy as np
import pytest

from autograder.cases.store import Example
from autograder.diagnose import conditions, general, repeats
from autograder.diagnose.footprint import footprint, same
from autograder.diagnose.recognise import Case, diagnose

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
