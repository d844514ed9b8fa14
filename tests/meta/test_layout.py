"""One assignment is one name in five places; what is handed out is what the source builds, without the solution."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from autograder import exercises, release
from autograder.cases import store
from autograder.diagnose import misconceptions
from autograder.release import percent
from autograder.sandbox import sources
from autograder.spec import groups

ROOT = Path(__file__).resolve().parents[2]
NAMES = exercises.names()
SOURCES = {name: ROOT / "solutions" / name / f"{name}.py" for name in NAMES}
RUN = 8  # words in a row that give a solution away


def listing(folder: str) -> set[str]:
    return {path.name for path in (ROOT / folder).iterdir() if path.name != "__pycache__"}


@pytest.mark.parametrize("name", NAMES)
def test_an_assignment_stands_in_its_five_places(name):
    assert (ROOT / "reference" / f"{name}.py").is_file()
    assert (ROOT / "autograder" / "exercises" / f"{name}.py").is_file()
    assert listing(f"solutions/{name}") - {"misconceptions.toml"} == {f"{name}.py"}
    assert listing(f"assignments/{name}") == {f"{name}.py", f"{name}.ipynb", f"{name}.bank.npz", "README.md"}
    assert listing(f"tests/bank/{name}") - {"hostile.toml", "unseen.toml"} == {"right", "wrong.toml"}


def test_nothing_else_stands_there():
    assert listing("assignments") == listing("solutions") == set(NAMES)
    assert {name for name in listing("tests/bank") if (ROOT / "tests" / "bank" / name).is_dir()} == set(NAMES)
    assert listing("reference") == {"__init__.py", *(f"{name}.py" for name in NAMES)}


def test_the_five_of_the_course_are_there():
    assert set(NAMES) >= {"word2vec", "rnn", "lstm", "seq2seq", "attention"}


@pytest.mark.parametrize("name", NAMES)
def test_an_assignment_is_worth_100_points(name):
    assert exercises.load(name).max_score == 100


@pytest.mark.parametrize("name", NAMES)
def test_what_is_handed_out_is_what_the_source_builds(name):
    for file, text in release.build(exercises.load(name), SOURCES[name].read_text(), f"solutions/{name}/{name}.py").items():
        stands = (ROOT / "assignments" / name / file).read_text()
        assert stands == text, f"assignments/{name}/{file} is out of date. Run: make stubs ARGS=--no-bank"


@pytest.mark.parametrize("name", NAMES)
def test_the_public_bank_belongs_to_the_declared_exercises(name):
    """Every function has its named edges; every stored value has the declared name. Bits may differ between processors."""
    from autograder.cases.edges import edges

    bank = store.load(ROOT / "assignments" / name / f"{name}.bank.npz")
    assignment = exercises.load(name)
    assert bank.public
    assert bank.assignment == name
    declared = {group[0].function: group for group in groups(assignment.everything)}
    stale = f"assignments/{name}/{name}.bank.npz is out of date. Run: make stubs ARGS={name}"
    assert set(bank.groups) == set(declared), stale
    for head, group in declared.items():
        inputs = {argument: kind for exercise in group for argument, kind in exercise.inputs.items()}
        examples = bank.groups[head]
        assert {e.name for e in examples if not e.name.startswith("drawn ")} == set(edges(group[0], inputs)), (stale, head)
        for example in examples:
            assert set(example.inputs) == set(inputs), (stale, head, example.name)
            assert set(example.expected) == {exercise.function for exercise in group}, (stale, head, example.name)
            assert all(np.isfinite(value).all() for results in example.expected.values() for value in results.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_public_bank_foresees_the_known_misconceptions(name):
    told: dict[str, dict] = {}
    for known in misconceptions.load(name, SOURCES[name]):
        told.setdefault(known.function, {})[known.name] = {"sentence": known.sentence, "hint": known.hint}
    stands = store.load(ROOT / "assignments" / name / f"{name}.bank.npz").misconceptions
    assert stands == told, f"assignments/{name}/{name}.bank.npz is out of date. Run: make stubs ARGS={name}"


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_still_gives_what_the_public_bank_holds(name):
    from autograder.cases.build import verify

    assert verify(store.load(ROOT / "assignments" / name / f"{name}.bank.npz"), exercises.load(name)) == []


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_the_public_bank_is_what_the_tool_draws(name):
    from autograder.cases import build

    stands = store.load(ROOT / "assignments" / name / f"{name}.bank.npz")
    drawn = build.build(exercises.load(name), build.PUBLIC_SEED, public=True)
    assert {g: [e.plan for e in es] for g, es in stands.groups.items()} == {g: [e.plan for e in es] for g, es in drawn.groups.items()}


# ------------------------------------------------------------------------------------------- no solution text


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def runs(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[n : n + RUN]) for n in range(len(found) - RUN + 1)}


def secret_runs(source: str) -> set[tuple[str, ...]]:
    """Word runs of the regions that the public part does not have; found without the tool that cuts them."""
    regions = re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", source, flags=re.DOTALL)
    public = re.sub(r"### BEGIN SOLUTION\n.*?### END SOLUTION", "", source, flags=re.DOTALL)
    return set().union(*map(runs, regions)) - runs(public)


@pytest.mark.parametrize("name", NAMES)
def test_no_solution_text_is_handed_out(name):
    secret = secret_runs(SOURCES[name].read_text())
    assert len(secret) > 100, "this test has lost its object: hardly any solution was found"
    for path in (ROOT / "assignments").rglob("*"):
        if path.suffix in (".py", ".ipynb", ".md"):
            text = path.read_text().replace("\\n", "\n").replace('"', " ")
            assert "SOLUTION" not in text, path
            assert not secret & runs(text), path


def test_the_leak_test_sees_a_leak():
    source = "def f(a):\n    ### BEGIN SOLUTION\n    total = a * a + a - a / a + abs(a) * max(a, a)\n    ### END SOLUTION\n"
    assert secret_runs(source) & runs('"total=a*a +a- a/a+abs(a)*max(a,a)\\n"')
    assert not secret_runs(source) & runs("total is a times a, plus a, and so on and on")


# ------------------------------------------------------------------------------------------- stub and notebook


@pytest.mark.parametrize("name", NAMES)
def test_every_function_of_the_stub_says_that_it_is_not_written(name):
    """And so a stub earns nothing: the grader calls a function that raises NotImplementedError not written yet."""
    assignment = exercises.load(name)
    stubs = {one: (ROOT / "assignments" / one / f"{one}.py").read_text() for one in (*assignment.requires, name)}
    modules = sources.load(stubs)
    for exercise in assignment.everything:
        function = getattr(sources.home(modules, exercise.function), exercise.function)
        with pytest.raises(NotImplementedError, match=rf"^{exercise.function} is not written yet$"):
            function(*[None] * len(sources.parameters(function)))


@pytest.mark.parametrize("name", NAMES)
def test_every_function_has_a_docstring_and_a_check_in_the_notebook(name):
    cells = percent.read(SOURCES[name].read_text(), name)
    checks = "\n".join(percent.notebook_code(cell) for cell in cells if "check" in cell.tags)
    defined = dict(part for cell in cells if cell.kind == "code" and not cell.notebook_only for part in percent.definitions(percent.module_code(cell, True)))
    for exercise in exercises.load(name).exercises:
        assert re.search(r'^def .*?:\s*r?"""', defined[exercise.function], flags=re.DOTALL), f"{exercise.function} has no docstring"
        assert re.search(rf'check\([^)]*"{exercise.function}"', checks), f"{exercise.function} is not checked in the notebook"
