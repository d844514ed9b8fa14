"""The card of a check in a notebook: colours that can be read on any theme, a heat map, and no text with power."""

import re
import time
from types import SimpleNamespace

import pytest

from autograder.judge import selfcheck
from autograder.judge.session import Stopped
from autograder.report.card import MARKS, SHADES, card
from autograder.report.notebook import Card, checker
from autograder.sandbox.steps import Fault
from tests.unit.test_pages import EVIL, Outline, counterexample, entry, hostile


def html(*results):
    made = Card(tuple(results))._repr_html_()
    Outline(made)
    return made


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_can_be_read_on_every_background_that_a_card_sets():
    assert all(contrast(colour, "#ffffff") >= 4.5 for _, colour in MARKS.values())
    assert all(contrast(shade, "#1b1d21") >= 4.5 for shade in SHADES)


def test_a_wrong_result_is_a_heat_map_with_what_it_should_be():
    made = html(entry(example=counterexample()))
    assert len(Outline(made).all("td")) == 2
    assert 'title="2, should be 3"' in made
    assert "<b>2</b><br><small>3</small>" in made
    assert SHADES[4] in made


def test_a_wide_result_has_colours_without_numbers():
    whole = {"axes": "N D", "actual": [[1.0] * 30], "expected": [[1.0] * 29 + [2.0]], "differs": [[False] * 29 + [True]]}
    made = html(entry(example=counterexample(whole=whole)))
    assert (made.count("<td"), made.count("≠"), made.count("<small>")) == (30, 1, 0)


def test_of_many_tables_the_first_are_shown():
    whole = {"axes": "N T D", "actual": [[[1.0]]] * 9, "expected": [[[2.0]]] * 8 + [[[1.0]]], "differs": [[[True]]] * 8 + [[[False]]]}
    made = html(entry(example=counterexample(whole=whole)))
    assert made.count("<table") == 3
    assert "and 5 more" in made


def test_the_lines_to_try_are_folded_and_need_no_import():
    made = html(entry(example=counterexample()))
    assert re.search(r"<details><summary>the example \(smallest\).*_, cache = f_forward\(x\)\ndx = f_backward\(cache\)\n", made, flags=re.DOTALL)
    assert "import" not in made
    assert "x = [[1.0], [1.0]]" in html(entry(example=counterexample(snippet="")))
    assert "<details>" not in html(entry(example=counterexample(snippet="", inputs={}, sizes={})))


def test_what_passed_is_one_line():
    assert len(Outline(html(entry("f", "passed"))).all("div")) == 2


def test_hostile_text_has_no_power():
    made = card(hostile()["functions"])
    assert {tag for tag, _ in Outline(made).tags} <= {"div", "span", "b", "i", "small", "br", "table", "tr", "td", "details", "summary", "pre"}
    assert "onerror=" not in re.sub(r"&lt;.*?&gt;", "", made)
    assert not set(made) & {"\u202e", "\x1b"}
    assert "&lt;script&gt;" in Card(message=EVIL)._repr_html_()


def computes():
    while True:
        pass


def sleeps():
    time.sleep(300)


@pytest.mark.parametrize("way", [computes, sleeps])
def test_a_check_does_not_freeze_the_notebook(way):
    def embedding_forward(ids, W):
        way()

    result = checker("rnn", SimpleNamespace(embedding_forward=embedding_forward))("embedding_forward", "embedding_backward")
    assert result.score == 0
    assert "did not finish" in repr(result)


def test_each_wait_for_what_does_not_end_is_shorter_than_the_one_before():
    """All together they stay below the five seconds after which a notebook feels frozen; what comes later gets half."""
    session = selfcheck._Brisk(lambda: SimpleNamespace(cpu_ns=lambda: 0, close=lambda: None, run=stopped), (Fault,), wall=selfcheck.WALL)
    limits.clear()
    for _ in range(6):
        with pytest.raises(Stopped):
            session.run([], 0)
    assert limits[0] == selfcheck.PATIENCE_CPU
    assert sum(limits) * selfcheck.WALL < 6
    session.begin()
    assert session.patience == selfcheck.PATIENCE_CPU / 2


limits = []


def stopped(*_, cpu_s, wall_s, **rest):
    limits.append(cpu_s)
    assert wall_s == selfcheck.WALL * cpu_s
    raise Fault("timeout", "did not finish")
