"""The pages are true: links lead somewhere, commands, options and files that they name exist, words are the agreed ones."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from autograder import exercises
from autograder.spec import symbols

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "assignments").glob("*/README.md")])
TEXTS = [page.relative_to(ROOT).as_posix() for page in PAGES]
UNFINISHED = ("TODO", "FIXME", "XXX", "lorem ipsum")
# Words that tell a reader who is stuck that it is their fault.
BELITTLING = ("obviously", "trivially", "needless to say", "as everybody knows")
# Neither the machine that a page was written on nor a private path belongs into it.
PRIVATE = ("/work/", "/tmp/", "/home/", "/root/")


@pytest.fixture(params=TEXTS)
def text(request):
    return (ROOT / request.param).read_text(encoding="utf-8")


def prose(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=TEXTS)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: the link {target} leads nowhere"
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), f"{page.name}: {target} has no such heading"


def anchors(text: str) -> set[str]:
    """Return the names that headings get."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_words(text):
    for word in (*UNFINISHED, *BELITTLING, *PRIVATE):
        assert word.lower() not in text.lower(), word


def commands(text: str) -> set[tuple[str, ...]]:
    """Return the ``handgrad`` calls that a text shows, as words."""
    calls = re.findall(r"^(?:\.venv/bin/)?handgrad .*", "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)), flags=re.MULTILINE)
    inline = re.findall(r"`handgrad ([^`]+)`", text)
    return {tuple(call.split("#")[0].split()) for call in (*inline, *(c.split("handgrad ", 1)[1] for c in calls))}


def test_handgrad_commands_and_options_exist(text):
    from typer.main import get_command

    from autograder.cli import app

    for words in commands(text):
        command = get_command(app)
        for word in words:
            if hasattr(command, "commands") and not word.startswith("-"):
                assert word in command.commands, f"handgrad {' '.join(words)}: there is no command {word}"
                command = command.commands[word]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in options, f"handgrad {' '.join(words)}: there is no option {word}"


def test_make_targets_exist(text):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    lines = re.findall(r"`make ([^`]+)`", text) + re.findall(r"^make ([^#\n]+)", text, flags=re.MULTILINE)
    for line in lines:
        named = {word for word in re.sub(r"ARGS=(\"[^\"]*\"|\S+)", "", line).split() if re.fullmatch("[a-z]+", word)}
        assert named <= targets, f"make {line}"


def test_files_that_are_named_exist(text):
    for named in re.findall(r"`((?:autograder|reference|solutions|assignments|tests|docs|\.ci)/[\w./]+)`", text):
        for name in exercises.names() if re.search(r"\bX\b", named) else [""]:
            path = ROOT / re.sub(r"\bX\b", name, named)
            optional = path.parent.name == "diagnose" or path.name == "misconceptions.toml"
            assert optional or path.exists(), f"{named} does not exist"


def test_the_extras_that_are_named_exist(text):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"'\.\[(\w+)\]'", text)) <= set(extras)


def test_why_gives_a_reason_for_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(need for needs in project["optional-dependencies"].values() for need in needs)]
    names = {re.match(r"[\w-]+", need)[0].lower() for need in wanted} - {"handgrad"}
    page = (ROOT / "docs" / "why.md").read_text().lower()
    assert not {name for name in names if not re.search(rf"^\|[^|]*\b{re.escape(name)}\b", page, flags=re.MULTILINE)}


@pytest.mark.parametrize("name", exercises.names())
def test_every_symbol_of_a_shape_is_in_the_glossary(name):
    known = set(re.findall(r"\| ([A-Za-z]) \|", (ROOT / "docs" / "glossary.md").read_text()))
    for exercise in exercises.load(name).everything:
        used = symbols(dict(exercise.takes)) | symbols(dict(exercise.gives))
        assert {symbol[0] for symbol in used} <= known, f"{exercise.function}: {sorted(used)}"


def test_make_help_names_every_target():
    makefile = (ROOT / "Makefile").read_text()
    listed = set(re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)[1].split())
    assert {"install", "demo", "test", "lint", "bench", "soak", "stubs", "help"} <= listed
    assert listed == set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE))


def test_the_version_stands_in_the_changelog():
    from autograder import __version__

    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)


def test_every_constraint_is_an_exact_version():
    lines = [line.split(";")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+-]+", line) for line in lines)
    assert "torch==2.13.0+cpu" in lines
    assert not [line for line in lines if line.startswith("nvidia")]
