"""Imports point one way, and what a student runs needs NumPy and nothing heavier."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in (ROOT / "autograder").rglob("*.py")}

# A module may import from its own layer and from those before it. Everything in a package is in the package's layer.
LAYERS = (
    {"autograder", "spec", "tree", "fill", "laws", "training", "paths"},
    {"exercises"},
    {"cases", "diagnose"},
    {"report", "judge", "sandbox", "release", "answers", "ours"},
    {"course"},
    {"cli", "demo"},
)
HEAVY = ("torch", "hypothesis", "nbgrader", "distributed", "jinja2", "jsonschema", "nbformat", "jupytext", "pebble")
WORKER = ("arrays", "blame", "inside", "jail", "messages", "perform", "sources", "steps", "syscalls", "wire", "zygote", "local")
STUDENT = ("autograder.judge.compare", "autograder.judge.selfcheck", "autograder.cases.store", "autograder.diagnose", "autograder.report.notebook")


def layer(module: str) -> int:
    part = "cli" if module.endswith("__main__") else (module + ".").split(".")[1] or "autograder"
    found = [n for n, names in enumerate(LAYERS) if part in names]
    assert found, f"{module} is in no layer. Say in tests/meta/test_imports.py where it belongs."
    return found[0]


def imported(module: str) -> set[str]:
    """Return what a module imports anywhere in it, with full names; ``from a import b`` counts as a.b where that is a module."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1], node.module or ""]).strip(".") if node.level else node.module
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names}
    return found - {module}


def ours(module: str) -> set[str]:
    return {name for name in imported(module) if name.split(".")[0] == "autograder"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_one_way(module):
    upward = {name for name in ours(module) if layer(name) > layer(module)}
    assert not upward, f"{module} imports {', '.join(sorted(upward))}, which is above it"


def test_no_module_is_imported_in_a_circle():
    reached: dict[str, set[str]] = {module: ours(module) & set(MODULES) - {"autograder"} for module in MODULES}
    for _ in MODULES:
        reached = {module: found.union(*(reached[name] for name in found)) for module, found in reached.items()}
    circles = sorted(module for module, found in reached.items() if module in found)
    assert not circles, f"imported in a circle: {', '.join(circles)}"


def test_only_the_oracle_and_the_reference_import_torch():
    users = {module for module in MODULES if any(name.split(".")[0] == "torch" for name in imported(module))}
    assert users == {"autograder.cases.oracle"}
    assert all("import torch" in path.read_text() for path in (ROOT / "reference").glob("*.py") if path.name != "__init__.py")


def test_the_reference_knows_nothing_of_the_engine():
    for path in (ROOT / "reference").glob("*.py"):
        assert "autograder" not in path.read_text(), path


@pytest.mark.parametrize("part", WORKER)
def test_the_workers_side_imports_numpy_and_the_standard_library(part):
    """It is loaded without its package, hence the relative imports."""
    module = f"autograder.sandbox.{part}"
    roots = {name.split(".")[0] for name in imported(module)}
    assert roots <= {"numpy", "autograder", *sys.stdlib_module_names}
    assert all(name.startswith("autograder.sandbox") for name in ours(module))


def test_assignments_and_solutions_are_folders_not_packages():
    assert not [*(ROOT / "assignments").rglob("__init__.py"), *(ROOT / "solutions").rglob("__init__.py")]
    for module in MODULES:
        assert not {name.split(".")[0] for name in imported(module)} & {"assignments", "solutions", "tests"}, module


def loaded_by(code: str) -> set[str]:
    """Return the top-level names of the modules that a fresh interpreter has loaded after ``code``."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import autograder") & {*HEAVY, "numpy"}


def test_the_command_line_starts_without_anything_heavy():
    assert not loaded_by("import autograder.cli") & set(HEAVY)


@pytest.mark.parametrize("module", STUDENT)
def test_what_a_student_runs_loads_nothing_heavy(module):
    assert not loaded_by(f"import {module}") & set(HEAVY)


def test_all_exercises_load_without_torch():
    assert not loaded_by("from autograder import exercises\nfor name in exercises.names(): exercises.load(name)") & set(HEAVY)
