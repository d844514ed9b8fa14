"""The vocabulary: shapes, gradients' names, mistakes in a declaration."""

import pytest

from autograder.spec import Assignment, Exercise, Ids, Mask, SpecError, backward_of, extent, gradient_name, groups, law, shape_of


def forward(**changes):
    return Exercise(**{"function": "f_forward", "takes": {"x": "N D", "W": "D H"}, "gives": {"y": "N H"}, "cache": True, **changes})


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("T", 5), ("4H", 24), ("A*E", 8), ("K+1", 3), ("2w", 4)])
def test_an_extent_is_read(text, value):
    assert extent(text, {"T": 5, "H": 6, "A": 2, "E": 4, "K": 2, "w": 2}) == value


def test_an_extent_that_makes_no_sense_is_refused_with_examples():
    with pytest.raises(SpecError, match=r"Write 3, T, 4H"):
        extent("H-1", {"H": 6})


def test_a_shape_becomes_numbers():
    assert shape_of("N T 4H", {"N": 3, "T": 5, "H": 6}) == (3, 5, 24)


def test_a_backward_takes_upstream_gradients_and_gives_gradients_of_the_arguments():
    backward = backward_of(forward(), "f_backward", wrt="x W", points=2)
    assert list(backward.takes) == ["dy"]
    assert list(backward.gives) == ["dx", "dW"]
    assert list(backward.inputs) == ["x", "W", "dy"]


def test_a_backward_of_an_unknown_argument_is_refused():
    with pytest.raises(SpecError, match="'z' is not an argument of f_forward, which takes x, W"):
        backward_of(forward(), "f_backward", wrt="z", points=2)


@pytest.mark.parametrize(("argument", "name"), [("Wx", "dWx"), ("params", "grads"), ("forward_params", "forward_grads")])
def test_gradients_have_names(argument, name):
    assert gradient_name(argument) == name


def test_a_law_without_a_docstring_is_refused():
    with pytest.raises(SpecError, match="has no docstring"):

        @law()
        def nothing(call, case):
            return None


def test_a_forward_and_its_backward_are_one_group():
    head = forward()
    pair = (head, backward_of(head, "f_backward", wrt="x", points=1))
    other = Exercise("g", {"ids": Ids("N"), "mask": Mask("N")}, {"z": "N"})
    assert groups((*pair, other)) == [pair, (other,)]


def test_an_exercise_that_uses_something_unknown_is_refused():
    with pytest.raises(SpecError, match="f_forward uses nothing_like_that"):
        Assignment("a", "A", (forward(uses=("nothing_like_that",)),))


def test_a_function_declared_twice_is_refused():
    with pytest.raises(SpecError, match="declared twice"):
        Assignment("a", "A", (forward(), forward()))
