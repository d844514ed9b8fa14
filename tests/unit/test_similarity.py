"""Copies are found however they are disguised; work of one's own, and what everybody was given, is not."""

import re

import pytest

from autograder import answers, paths
from autograder.report.similarity import LONGEST, similar

STUB = paths.public_bank("rnn").with_name("rnn.py").read_text()
RIGHT = {answer.name: answer.source for answer in answers.right(paths.course() / "tests" / "bank" / "rnn", paths.solution("rnn"))}


def pairs(sources):
    return {frozenset((pair.one, pair.other)): pair for pair in similar(sources, STUB)}


def renamed(source: str) -> str:
    """Other names, other comments, other layout: what is changed so that a copy does not look like one."""
    chosen = sorted(set(re.findall(r"^    (\w+) = ", source, flags=re.MULTILINE)))
    assert chosen
    for number, name in enumerate(chosen):
        source = re.sub(rf"(?<!\.)\b{name}\b", f"my_{number}", source)
    return source.replace("\n    return", "\n\n    # and this is what comes out\n    return")


def test_right_answers_in_different_styles_are_not_alike():
    assert similar(RIGHT, STUB) == []


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_copy_with_other_names_and_comments_is_found(name):
    found = pairs({**RIGHT, "copy": renamed(RIGHT[name])})
    assert set(found) == {frozenset((name, "copy"))}
    assert found[frozenset((name, "copy"))].share > 0.8


def test_a_copy_of_some_functions_is_found_and_says_which():
    half = STUB + "\n\n" + RIGHT["closures"][RIGHT["closures"].index("def rnn_forward") :]
    pair = pairs({**RIGHT, "copy": half})[frozenset(("closures", "copy"))]
    assert "rnn_forward" in pair.where
    assert "embedding_forward" not in pair.where


def test_stubs_are_not_alike_and_neither_are_empty_files():
    assert similar({"ann": STUB, "bob": STUB, "eve": "", "joe": ""}, STUB) == []


def test_many_copies_of_one_thing_are_found_among_many():
    crowd = {f"{number:03d}": RIGHT["solution"] for number in range(60)}
    found = pairs({**crowd, **RIGHT})
    assert set().union(*found) == {*crowd, "solution"}


def test_what_is_no_python_is_looked_at_as_far_as_it_goes():
    broken = RIGHT["einsum"] + "\ndef f(:\n  '''\n\tx = (((\n"
    assert set(pairs({**RIGHT, "copy": broken})) == {frozenset(("einsum", "copy"))}
    assert similar({"ann": "\x00", "bob": "(" * 10_000, "eve": "\t\n  x\n y\n", "joe": "'" * 5000}, STUB) == []


def test_a_huge_file_takes_no_time_to_speak_of():
    assert similar({"ann": "x = 1\n" * LONGEST, "bob": "y = 1\n" * LONGEST}, STUB) == []


def test_the_same_class_gives_the_same_pairs():
    sources = {**RIGHT, "copy": renamed(RIGHT["objects"])}
    assert similar(sources, STUB) == similar(dict(reversed(sources.items())), STUB)


@pytest.mark.parametrize("wild", ["'\\" * 200_000, "('\\\n" * 50_000, "'''\n" + "a\n" * 200_000])
def test_what_the_tokenizer_cannot_bear_is_not_looked_at(wild):
    assert similar({"wild": wild, "tame": RIGHT["closures"]}, STUB) == []


def test_a_long_line_does_not_hide_a_copy():
    assert pairs({**RIGHT, "copy": "TABLE = [" + "1, " * 1_000 + "]\n" + RIGHT["closures"]})
