"""What is shown of a failure: lines that show it again, and the whole result beside what it should be."""

import contextlib
import io

import numpy as np
import pytest

from autograder import answers, paths
from autograder.cases import store
from autograder.exercises import load
from autograder.judge.selfcheck import check
from autograder.judge.snippet import literal
from autograder.report.grid import grids
from autograder.report.jsonfile import validate
from autograder.report.model import SubmissionResult

RNN = load("rnn")
BANK = store.load(paths.public_bank("rnn"))
WRONG = answers.wrong(paths.course() / "tests" / "bank" / "rnn", paths.solution("rnn"))[:30:3]


def failures(answer):
    functions = [name for name in answer.loses if name in {exercise.function for exercise in RNN.exercises}]
    results = check(RNN, {"rnn": answer.source}, BANK, functions) if functions else ()
    return [problem.counterexample for result in results for problem in result.problems if problem.counterexample]


def printed(snippet, source):
    """Run the lines below the student's own functions and return what they print."""
    names, out = {}, io.StringIO()
    exec(f"import numpy as np\n{source}", names)
    with contextlib.redirect_stdout(out):
        exec(snippet, names)
    return out.getvalue().strip()


@pytest.mark.parametrize("answer", WRONG, ids=lambda answer: answer.name)
def test_the_lines_show_the_failure_again(answer):
    for example in failures(answer):
        if example.snippet and example.actual is not None:
            assert float(printed(example.snippet, answer.source)) == pytest.approx(example.actual, rel=1e-12)
        if example.whole:
            actual, expected, differs = (np.array(example.whole[name]) for name in ("actual", "expected", "differs"))
            assert actual[example.index] == example.actual
            assert expected[example.index] == example.expected
            assert differs[example.index]
            assert actual.ndim == len(example.whole["axes"].split())


def test_some_of_the_wrong_answers_have_lines_and_whole_results():
    found = [example for answer in WRONG[:4] for example in failures(answer)]
    assert any(example.snippet for example in found)
    assert any(example.whole for example in found)


@pytest.mark.parametrize(
    "value",
    [
        np.array([[0.1, -3e-300], [1 / 3, 2.0]]), np.ones((2, 3)), np.zeros(4), np.array([-0.0, -0.0]), np.array([True, False]), np.array([3, 1]),
        np.array(2.5), np.zeros((0, 3)), np.zeros(0, np.int64), np.arange(3, dtype=np.float32), {"Wx": np.ones(2), "b": [1, 2.5, None]}, (1,), "text",
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("layout", ["C", "fortran", "strided"])
def test_a_literal_gives_the_value_back(value, layout):
    again = eval(literal(value, layout), {"np": np})
    np.testing.assert_equal(again, value)
    assert getattr(again, "dtype", None) == getattr(value, "dtype", None)


def test_negative_zero_is_kept():
    assert np.signbit(eval(literal(np.array([-0.0, -0.0])), {"np": np})).all()


# --------------------------------------------------------------------------------------------- side by side


def whole(actual, expected, axes=""):
    actual, expected = np.array(actual), np.array(expected)
    return {"axes": axes, "actual": actual.tolist(), "expected": expected.tolist(), "differs": (actual != expected).tolist()}


def test_a_matrix_is_one_table_and_more_axes_are_several():
    (one,) = grids("dW", whole([[1.0, 2.0]], [[1.0, 4.0]], "D H"))
    assert (one.title, one.rows, one.columns) == ("dW", "D", "H")
    assert [[cell.differs for cell in row] for row in one.cells] == [[False, True]]
    two = grids("h", whole(np.zeros((2, 1, 3)), np.ones((2, 1, 3)), "N T H"))
    assert [grid.title for grid in two] == ["h[0]", "h[1]"]
    (row,) = grids("db", whole([1.0, 2.0], [1.0, 3.0], "H"))
    assert (row.rows, row.columns, len(row.cells)) == ("", "H", 1)
    assert grids("db", {}) == []


def test_numbers_that_differ_little_are_written_so_that_it_shows():
    (grid,) = grids("y", whole([1.0, 2.0], [1.00000001, 2.0]))
    assert (grid.cells[0][0].actual, grid.cells[0][0].expected) == ("1", "1.00000001")


def test_the_shade_says_how_far_off_an_entry_is():
    (grid,) = grids("y", whole([1.0, 1.00001, 1.001, 1.1, 3.0, 1.0], [1.0] * 6))
    assert [cell.shade for cell in grid.cells[0]] == [0, 1, 2, 3, 4, 0]


def test_what_is_not_finite_is_the_darkest_as_text_and_as_number():
    for value in ("nan", float("nan"), float("inf")):
        (grid,) = grids("y", {"actual": [value, 1.0], "expected": [0.0, 1.0], "differs": [True, False]})
        assert [cell.shade for cell in grid.cells[0]] == [4, 0]


def test_a_result_with_all_this_fits_the_schema():
    functions = tuple(check(RNN, {"rnn": WRONG[0].source}, BANK, list(WRONG[0].loses)))
    validate(SubmissionResult("ann", "rnn", 0, 100, functions).to_json())
