"""The answer bank: edits that must fit, and what an answer may lose."""

import pytest

from autograder.answers import AnswerError, SampleAnswer, departures, edited, right, wrong
from autograder.judge.verdicts import FAILED, PASSED, entry_result

WRONG = """
[[wrong]]
name = "{name}"
why = "because"
replace = [["return 1", "return 2"]]
loses = {{f = "values"}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "right").mkdir()
    (tmp_path / "right/loops.py").write_text("def f():\n    return 1 + 0\n")
    (tmp_path / "solution.py").write_text("def f():\n    return 1\n")
    return tmp_path


def test_right_answers_come_after_our_solution(folder):
    assert [answer.name for answer in right(folder, folder / "solution.py")] == ["solution", "loops"]


def test_a_wrong_answer_is_an_edit(folder):
    (folder / "wrong.toml").write_text(WRONG.format(name="two"))
    (answer,) = wrong(folder, folder / "solution.py")
    assert answer.source == "def f():\n    return 2\n\n"
    assert answer.loses == {"f": "values"}


@pytest.mark.parametrize(("line", "means"), [("", ()), ('means = "sign"', ("sign",)), ('means = ["sign", "factor"]', ("sign", "factor"))])
def test_a_wrong_answer_says_what_a_diagnosis_may_call_it(folder, line, means):
    (folder / "unseen.toml").write_text(WRONG.format(name="two") + line)
    (answer,) = wrong(folder, folder / "solution.py", "unseen.toml")
    assert answer.means == means


def test_a_name_occurs_once(folder):
    (folder / "wrong.toml").write_text(WRONG.format(name="two") * 2)
    with pytest.raises(AnswerError, match="two occurs twice"):
        wrong(folder, folder / "solution.py")


@pytest.mark.parametrize(("source", "count"), [("x", 0), ("aa", 2)])
def test_what_is_replaced_occurs_once(source, count):
    with pytest.raises(AnswerError, match=f"'a' occurs {count} times in the base, but must occur once"):
        edited({"name": "n", "replace": [["a", "b"]]}, source)


def test_departures_are_losses_that_are_not_named_and_names_that_do_not_lose():
    answer = SampleAnswer("n", "", "", {"f": "values", "g": "shape", "ghost": "runs"})
    results = [
        entry_result("f", 3, FAILED, [("values", False, "off")]),
        entry_result("g", 3, PASSED, []),
        entry_result("h", 3, FAILED, [("runs", False, "raised")]),
    ]
    said = departures(answer, results)
    assert len(said) == 3
    assert said[0].startswith("g keeps its points")
    assert said[1].startswith("h loses without being named")
    assert said[2] == "ghost is no entry of the assignment"
    assert departures(SampleAnswer("n", "", "", {"f": "shape"}), results[:1])[0].startswith("f loses on ['values'], but should on 'shape'")
