"""What students read: every sentence has an example that somebody has read, and none has a word that their handout does not use."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from autograder import exercises, paths
from autograder.diagnose import conditions, general
from autograder.diagnose.misconceptions import load
from autograder.judge.milestone import CHECKS
from autograder.spec import symbols

ROOT = Path(__file__).resolve().parents[2]
WORDING = Path(__file__).parent / "wording"
NAMES = exercises.names()

#: As students read them, one per line: when a template changes, so does its example, and both are read again.
EXAMPLES = (WORDING / "sentences.txt").read_text(encoding="utf-8").splitlines()

#: Everyday words and school mathematics, which no handout has to introduce.
PLAIN = set((WORDING / "plain_words.txt").read_text(encoding="utf-8").split())

JUDGE = ("compare", "function", "own_forward", "performance", "laws", "words", "seen", "session", "loading", "submission", "selfcheck", "milestone")
WHOLE = [*(ROOT / "autograder" / "judge" / f"{name}.py" for name in JUDGE), ROOT / "autograder" / "training.py"]
LAWS = [*(ROOT / "autograder" / "exercises").glob("[!_]*.py"), ROOT / "autograder" / "laws.py"]


# ------------------------------------------------------------------------------------------------------- sentences


def strings(node: ast.AST):
    """Yield the texts in a tree, ``{}`` for what is filled in; docstrings and the parts of f-strings left out."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
        return
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from strings(child)


def templates() -> list[str]:
    """Return the sentences of the judge and of all laws; of exercise files only what functions return or yield."""
    found = {text for path in WHOLE for text in strings(ast.parse(path.read_text(encoding="utf-8"))) if text.count(" ") >= 2}
    for path in LAWS:
        told = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Return | ast.Yield) and n.value]
        found |= {text for node in told for text in strings(node.value) if text.count(" ") >= 4}
    return sorted(text for text in found if "\n" not in text and text not in CHECKS and re.search("[a-z]{3}", text))


def pattern(template: str) -> re.Pattern:
    return re.compile(".*?".join(map(re.escape, template.split("{}"))))


@pytest.mark.parametrize("template", templates())
def test_every_sentence_has_an_example(template):
    assert any(pattern(template).search(example) for example in EXAMPLES), f"Read it once as a student does, then add it to {WORDING}/sentences.txt"


def test_every_example_is_still_said():
    patterns = [pattern(template) for template in templates()]
    assert not [example for example in EXAMPLES if not any(p.search(example) for p in patterns)]


def test_there_are_sentences():
    assert len(templates()) > 90


# ---------------------------------------------------------------------------------------------------------- words


def stem(word: str) -> str:
    """Return a word without the usual endings: divides, divided and dividing are one word here."""
    word = re.sub("(?<=[a-z]{2})s$", "", word)
    return re.sub("(?<=[a-z]{3})(ed|ing|e|y|er|ly)$", "", word)


def words(text: str) -> set[str]:
    for symbol, command in (("σ", r"\sigma"), ("π", r"\pi"), ("α", r"\alpha")):
        text = text.replace(command, f" {symbol} ")
    return {stem(word) for word in re.findall(r"[^\W\d_]+", text.lower().replace("²", " "))}


def handout(name: str) -> set[str]:
    """Return the words of what a student has."""
    folder = paths.course() / "assignments" / name
    cells = json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return words((folder / f"{name}.py").read_text(encoding="utf-8")) | set().union(*(words("".join(cell["source"])) for cell in cells))


def misconceptions(name: str):
    return {(m.sentence, m.hint) for m in load(name)}


@pytest.mark.parametrize("name", NAMES)
def test_a_diagnosis_uses_the_words_of_the_handout(name):
    known = handout(name) | {stem(word) for word in PLAIN}
    strange = {(word, text) for pair in misconceptions(name) for text in pair for word in words(text) - known}
    assert not strange


def test_general_diagnoses_use_plain_words():
    said = [d for c in conditions.CONDITIONS for d in (c.wrong, c.infinite)]
    texts = [text for d in said for text in (d.sentence, d.hint)] + [*general.CONSTANTS.values()]
    for module in ("general", "repeats"):
        tree = ast.parse((ROOT / "autograder" / "diagnose" / f"{module}.py").read_text(encoding="utf-8"))
        texts += [text for text in strings(tree) if text.count(" ") >= 3 and text not in general.SIZES.values()]
    known = set.intersection(*map(handout, NAMES)) | {stem(word) for word in PLAIN}
    assert not {(word, text) for text in texts for word in words(text.replace("{path}", "")) - known}


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_called_as_in_the_handout(name):
    used = set().union(*(symbols(exercise.inputs) for exercise in exercises.load(name).everything)) & set(general.SIZES)
    known = handout(name) | {stem(word) for word in PLAIN}
    assert not {(s, word) for s in used for word in words(general.SIZES[s]) - known}


def test_no_term_is_declared_plain():
    """A word that a handout has to explain must not be declared plain, or the tests above would not miss it elsewhere."""
    terms = "activation beam context deviation einsum embedding entropy head hypothesis jacobian key logit perplexity residual sigmoid upstream vocabulary"
    assert not {stem(word) for word in PLAIN} & {stem(term) for term in terms.split()}
