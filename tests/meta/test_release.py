"""What is handed out: cut from the source, nothing of the solution left, and clear words when the source is wrong."""

from __future__ import annotations

import json

import nbformat
import pytest

from autograder.release import SourceError, build, handout_text, module_text, notebook_of, read, release, to_json
from autograder.release.percent import definitions
from autograder.spec import Assignment, Bonus, Exercise, Milestone, law


@law()
def linear(call, case):
    """Twice the input | gives twice the output."""


TINY = Assignment(
    name="tiny",
    title="A tiny assignment",
    exercises=(Exercise("double", {"x": "N"}, {"y": "N"}, 60, laws=(linear,)), Exercise("halve", {"x": "N"}, {"y": "N"}, 30)),
    milestone=Milestone(10, (), None, None, "It doubles."),
    bonus=(Bonus("more", 5, (Exercise("treble", {"x": "N"}, {"y": "N"}),)),),
)

SOURCE = '''"""Ours."""
# %% [markdown]
# # Doubling
#
# Read *this* first: $y = 2x$.

# %%
import numpy as np

# %% tags=["notebook"]
#| from autograder.report.notebook import checker
#|
#| check = checker("tiny")

# %% [markdown]
# ## 1. Two functions
# ### Twice and half


# %%
def double(x):
    """Return twice ``x``, shape (N,)."""
    ### BEGIN SOLUTION
    secret = 2 * x
    return secret
    ### END SOLUTION


def halve(x):
    """Return half of ``x``, shape (N,)."""
    ### BEGIN SOLUTION
    return x / _SECRET
    ### END SOLUTION


# %%
### BEGIN SOLUTION
_SECRET = 2
### END SOLUTION

# %% tags=["check"]
#| check("double")

# %%
# A helper that students get.
def given(x):
    return x


def treble(x):
    if x is None:
        ### BEGIN SOLUTION
        return 3 * x
        ### END SOLUTION
'''

STUB = '''"""A tiny assignment.

The text that goes with it, and the points, are in README.md beside this file.
"""

import numpy as np


# ----------------------------------------------------------------------------------------------------- Twice and half


def double(x):
    """Return twice ``x``, shape (N,)."""
    raise NotImplementedError("double is not written yet")  # YOUR CODE HERE


def halve(x):
    """Return half of ``x``, shape (N,)."""
    raise NotImplementedError("halve is not written yet")  # YOUR CODE HERE


# A helper that students get.
def given(x):
    return x


def treble(x):
    if x is None:
        raise NotImplementedError("treble is not written yet")  # YOUR CODE HERE
'''


def cells():
    return read(SOURCE, "tiny.py")


def test_the_stub_has_the_heads_and_nothing_of_the_solution():
    assert module_text(cells(), TINY) == STUB


def test_no_released_file_has_solution_text():
    for name, text in build(TINY, SOURCE, "tiny.py").items():
        assert "secret" not in text.lower(), name
        assert "SOLUTION" not in text, name


def test_the_notebook_is_valid_with_one_cell_per_function_and_no_outputs():
    book = nbformat.reads(to_json(notebook_of(cells())), as_version=4)
    nbformat.validate(book)
    assert [cell.id for cell in book.cells if cell.cell_type == "code" and "tags" not in cell.metadata][1:] == ["double", "halve", "given", "treble"]
    assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")


def test_cells_of_the_notebook_only_lose_their_signs_and_keep_their_tag():
    tagged = [(cell["metadata"]["tags"], "".join(cell["source"])) for cell in notebook_of(cells())["cells"] if cell["metadata"]]
    assert tagged == [
        (["notebook"], 'from autograder.report.notebook import checker\n\ncheck = checker("tiny")'),
        (["check"], 'check("double")'),
    ]


def test_the_notebook_is_the_same_each_time_and_an_edit_changes_one_cell_only():
    before, same = notebook_of(cells()), notebook_of(cells())
    after = notebook_of(read(SOURCE.replace("Read *this* first", "Read this"), "tiny.py"))
    assert before == same
    assert [one == other for one, other in zip(before["cells"], after["cells"], strict=True)].count(False) == 1


def test_equal_cells_get_different_ids():
    book = notebook_of(read('# %% tags=["check"]\n#| check()\n# %% tags=["check"]\n#| check()\n', "x.py"))
    assert len({cell["id"] for cell in book["cells"]}) == 2
    nbformat.validate(nbformat.from_dict(book))


def test_the_solved_notebook_runs():
    namespace = {}
    for cell in notebook_of(cells(), solved=True)["cells"]:
        if cell["cell_type"] == "code" and not cell["metadata"]:
            exec("".join(cell["source"]), namespace)
    assert namespace["double"](3) == 6
    assert namespace["halve"](3) == 1.5
    assert "SOLUTION" not in to_json(notebook_of(cells(), solved=True))


def test_the_handout_has_text_points_and_heads():
    text = handout_text(cells(), TINY)
    assert text.startswith("# Doubling\n\n## How to work\n")
    assert "Read *this* first: $y = 2x$." in text
    assert "| `double` | 60 | Twice the input \\| gives twice the output. |" in text
    assert "| milestone | 10 | It doubles. |" in text
    assert "| bonus: more | 5 | `treble` |" in text
    assert '```python\ndef double(x):\n    """Return twice ``x``, shape (N,)."""\n```' in text
    assert "YOUR CODE HERE`" in text
    assert text.count("raise") == 0


def test_release_writes_three_files_and_leaves_others_alone(tmp_path):
    source, out = tmp_path / "tiny.py", tmp_path / "assignments" / "tiny"
    source.write_text(SOURCE)
    out.mkdir(parents=True)
    (out / "tiny.bank.npz").write_bytes(b"bank")
    assert [path.name for path in release(TINY, source, out)] == ["tiny.py", "tiny.ipynb", "README.md"]
    assert (out / "tiny.py").read_text() == STUB
    assert json.loads((out / "tiny.ipynb").read_text())["nbformat"] == 4
    assert (out / "tiny.bank.npz").read_bytes() == b"bank"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("    return x / _SECRET\n    ### END", "    return x / _SECRET\n    # END", r"line 33: this looks like a solution marker"),
        ("    return x / _SECRET\n    ### END SOLUTION\n", "    return x\n", r"line 31: ### BEGIN SOLUTION without ### END SOLUTION"),
        ("    ### BEGIN SOLUTION\n    secret", "    secret", r"line 25: ### END SOLUTION without ### BEGIN SOLUTION"),
        ("    secret = 2 * x\n", "    ### BEGIN SOLUTION\n    secret = 2 * x\n", r"line 24: ### BEGIN SOLUTION inside the solution that begins in line 23"),
        ("    return secret\n    ### END", "    return secret\n### END", r"line 26: ### END SOLUTION is indented differently from its .* line 23"),
        ('#| check("double")', 'check("double")', r"line 42: every line of a cell tagged check starts with '#\|', but this one is 'check"),
        ('tags=["check"]', "tags=[check]", r"line 41: cannot read the tags"),
        ("return secret", "return (", r"line 25: "),
        ("def halve(x)", "def half(x)", r"defines no function halve, but the assignment declares it"),
        ("        ### BEGIN SOLUTION\n        return 3 * x\n        ### END SOLUTION\n", "        return 3 * x\n", r"line 50: treble has no ### BEGIN"),
    ],
)  # fmt: skip
def test_a_wrong_source_is_refused_with_file_and_line(before, after, message):
    assert SOURCE.count(before) == 1
    with pytest.raises(SourceError, match=rf"tiny\.py.*{message}"):
        build(TINY, SOURCE.replace(before, after), "tiny.py")


def test_text_without_comment_signs_is_refused():
    with pytest.raises(SourceError, match="line 2: every line of a text cell starts with '#'"):
        read('# %% [markdown]\n"text"\n', "x.py")


def test_definitions_take_their_decorators_and_comments_along():
    code = "A = 1\n\n# why\n@cached\ndef f():\n    pass\n\n\nclass C:\n    pass"
    assert definitions(code) == [(None, "A = 1"), ("f", "# why\n@cached\ndef f():\n    pass"), ("C", "class C:\n    pass")]


def test_the_banks_bytes_do_not_depend_on_the_clock(tmp_path, monkeypatch):
    import time

    from autograder.cases.store import Bank, save

    save(Bank("tiny", True, {}), tmp_path / "one.npz")
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    save(Bank("tiny", True, {}), tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
