"""From a notebook to a module: what graded functions need, and nothing else."""

import json

import pytest

from autograder.course import notebook, statements
from autograder.course.cells import NotebookError
from autograder.course.notebook import extract, extract_script, where

MARK = "GUARD "


def book(*cells, **more):
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells], **more})


def module(*cells, functions=("f",)):
    source = extract(book(*cells), functions).source
    compile(source, "module", "exec")
    return source.replace('with __import__("contextlib").suppress(Exception, SystemExit): ', MARK).replace('with __import__("contextlib").suppress(ImportError): ', MARK)


def run(*cells, functions=("f",)):
    namespace = {}
    exec(extract(book(*cells), functions).source, namespace)
    return namespace


def test_functions_and_what_they_reach_are_kept_in_order():
    source = module("import numpy as np", "SCALE = 2\nOTHER = 3", "def helper(x):\n    return SCALE * x", "def f(x):\n    return np.abs(helper(x))")
    assert source == f"import numpy as np\n{MARK}SCALE = 2\ndef helper(x):\n    return SCALE * x\ndef f(x):\n    return np.abs(helper(x))\n"


@pytest.mark.parametrize("noise", ["check('f')", "plt.plot([1, 2])", "import matplotlib.pyplot as plt", "for i in range(10**9): train(i)", "x = f(1)", "'text'", "while True: pass", "1/0", "del f"])
def test_experiments_are_left_out(noise):
    assert module("def f(x):\n    return x", noise) == "def f(x):\n    return x\n"


def test_of_two_definitions_the_later_counts():
    assert run("def f():\n    return 1", "def f():\n    return 2")["f"]() == 2


def test_names_of_attributes_and_arguments_are_not_taken_for_constants():
    assert module("data = load()\nx = train()", "def f(x):\n    data = x.data\n    return data") == "def f(x):\n    data = x.data\n    return data\n"


def test_classes_decorators_defaults_and_changed_tables_are_followed():
    cells = ("K = 3", "def deco(g):\n    return g", "T = {}\nT['a'] = 1\nT |= {'b': 2}", "class C:\n    def m(self):\n        return T", "@deco\ndef f(k=K):\n    return C().m(), k")
    assert run(*cells)["f"]() == ({"a": 1, "b": 2}, 3)


def test_a_constant_that_cannot_be_computed_costs_only_who_uses_it():
    namespace = run("import no_such_module\nBAD = 1 / 0", "def f():\n    return BAD", "def g():\n    return 1\ndef h():\n    return no_such_module", functions=("f", "g", "h"))
    assert namespace["g"]() == 1
    with pytest.raises(NameError):
        namespace["f"]()


@pytest.mark.parametrize(
    "block",
    [
        "with open('no such file') as file:\n    K = file.read()",
        "if 1 / 0:\n    K = 1\nelse:\n    K = 2",
        "if True:\n    raise SystemExit(0)",
        "try:\n\traise ValueError\nexcept KeyError:\n\tK = 1",
        "K = await later()",
        "async with later() as K:\n    pass",
    ],
)
def test_a_block_that_fails_costs_only_who_uses_what_it_gives(block):
    namespace = run(block, "def f():\n    return K\ndef g():\n    return 1", functions=("f", "g"))
    assert namespace["g"]() == 1
    with pytest.raises(NameError):
        namespace["f"]()


def test_a_block_is_kept_as_it_is():
    block = 'if True:\n    TEXT = """a\n  b\nc"""\n    MORE = f"""\n{1 +\n1}\n"""\n\n    def g(x=(1,\n2)):\n        return "d"\nelse:\n    TEXT = 0'
    namespace = run(block, "def f():\n    return TEXT, MORE, g()")
    assert namespace["f"]() == ("a\n  b\nc", "\n2\n", "d")
    found = extract(book(block, "def f():\n    return TEXT, MORE, g()"), ["f"])
    at = found.source.split("\n").index('         return "d"') + 1
    assert where(found.lines, at) == "cell 1, line 12"


@pytest.mark.parametrize("cell", ["for K in range(3): pass", "for i in range(3):\n    T[i] = i", "T.update(a=1)", "while not T:\n    T[0] = 1", "for _ in '1':\n    def g(): pass", "K = await later()"])
def test_a_constant_that_a_loop_or_a_call_would_fill_is_said(cell):
    found = extract(book("T = {}", cell, "def f():\n    return K, T, g()"), ["f"])
    assert found.notes[0].startswith(f"Cell 2 gives {'T' if 'T' in cell else 'g' if 'g()' in cell else 'K'} a value by ")
    assert "Use an assignment" in found.notes[0]


@pytest.mark.parametrize("cell", ["for x in range(3):\n    f(x)", "rng.shuffle(T)", "for i in range(3):\n    losses[i] = f(i)", "T.copy()", "import numpy as np\nfor np.x in []: pass"])
def test_an_experiment_is_no_loss(cell):
    assert not extract(book("import numpy as np\nT = {}\nlosses = {}", cell, "def f(x):\n    return np.abs(x), T"), ["f"]).notes


@pytest.mark.parametrize("line", ["%matplotlib inline", "!pip install x", "%time f(1)", "f?", "?f", "files = !ls", "x, y = %timeit -o f(1)"])
def test_lines_for_ipython_are_dropped(line):
    assert "def f" in module(f"{line}\ndef f(x):\n    {line}\n    return x")


def test_a_line_that_starts_with_a_percent_sign_may_be_python():
    assert run("def f(a, b):\n    return (a\n% b)")["f"](7, 4) == 3


@pytest.mark.parametrize(("head", "kept"), [("%%time", True), ("%%capture out", True), ("%%bash", False), ("%%html", False), ("%%writefile rnn.py", False)])
def test_cells_for_other_languages_are_dropped(head, kept):
    assert ("def f" in module(f"\n{head}\ndef f(): pass")) is kept


def test_a_syntax_error_elsewhere_costs_nothing():
    found = extract(book("def f(): return 1", "this is = not python", "await f()"), ["f"])
    assert (found.source, found.notes) == ("def f(): return 1\n", ())


def test_a_syntax_error_in_a_graded_function_is_said_where_it_is():
    found = extract(book("x = 1", "# mine\ndef f(:\n    pass", "def g(): return 2"), ["f", "g"])
    assert found.notes == ("Cell 2 defines f, but cannot be read (line 2: invalid syntax).",)
    namespace = {}
    exec(found.source, namespace)
    assert namespace["g"]() == 2
    with pytest.raises(SyntaxError, match="cell 2, line 2: invalid syntax"):
        namespace["f"](1)


def test_a_syntax_error_in_what_a_graded_function_uses_is_said():
    cells = ["SCALE = = 2\ndef helper(x):\n    return x", "class Gates(:\n    pass", "def f(x):\n    return helper(SCALE * Gates(x))", "def unused(:"]
    assert extract(book(*cells), ["f"]).notes == (
        "Cell 1 defines SCALE and helper, but cannot be read (line 1: invalid syntax).",
        "Cell 2 defines Gates, but cannot be read (line 1: invalid syntax).",
    )
    many = "\n".join(f"def helper{i}(:" for i in range(9))
    calls = "".join(f"    helper{i}()\n" for i in range(9))
    assert extract(book(many, "def f():\n" + calls), ["f"]).notes[0].startswith("Cell 1 defines helper0, helper1 and 7 more names that are needed, but cannot be read (line 1: ")


def test_what_the_handout_shows_does_not_replace_what_the_student_has_defined():
    own = {"cell_type": "code", "source": "def clip(x, low, high):\n    return min(max(x, low), high)\n\ndef f(x):\n    return clip(x, 0, top)"}
    shown = {"cell_type": "code", "source": "clip = lambda grads: grads\ntop = 7", "metadata": {"tags": ["notebook"]}}
    namespace = {}
    exec(extract(json.dumps({"cells": [own, shown]}), ["f"]).source, namespace)
    assert namespace["f"](9) == 7, "what only the handout defines is there"


def test_an_earlier_definition_stands_when_a_later_one_cannot_be_read():
    assert run("def f(): return 1", "def f(:")["f"]() == 1


def test_lines_are_known_by_cell():
    found = extract(book("# comment\n\n", "import math\n\ndef g():\n    return 1\n", "x = 1; y = 2; z = 3\n@g\ndef f():\n    return y, math"), ["f"])
    lines = found.source.split("\n")
    assert where(found.lines, lines.index("    return y, math") + 1) == "cell 3, line 4"
    assert where(found.lines, 99) == "line 99"
    assert any(line.endswith("y = 2") for line in lines)
    assert "x = 1" not in found.source


def test_futures_come_first_and_stars_are_kept():
    assert module("import numpy as np", "from numpy import *\nfrom __future__ import annotations", "def f(): return array(1)").startswith("from __future__ import annotations\nfrom numpy import *")


def test_multi_line_statements_and_bytes_that_are_not_ascii_are_kept_whole():
    assert run("Ü = {'ä': 1,\n     'ö': 2}; V = 3", "def f():\n    '''ß\n    '''\n    return Ü, V")["f"]() == ({"ä": 1, "ö": 2}, 3)


@pytest.mark.parametrize(
    "text",
    [
        '{"nbformat": 99, "cells": [{"cell_type": "code", "source": "def f(): return 1"}]}',
        '{"cells": [{"cell_type": "code", "source": ["def f():\\r\\n", " return 1"], "metadata": 3, "outputs": null}]}',
        '{"worksheets": [{"cells": [{"cell_type": "code", "input": "def f(): return 1"}]}], "nbformat": 3}',
        '{"cells": [null, 3, [], {"cell_type": []}, {"cell_type": "code", "source": {}}, {"cell_type": "code", "source": ["def f(): return 1", 3]}]}',
        '{"cells": [{"cell_type": "markdown", "source": "def f(): return 2"}, {"cell_type": "code", "source": "def f(): return 1 # \\ud800"}]}',
    ],
)
def test_odd_formats_are_read_as_far_as_they_can_be(text):
    namespace = {}
    exec(extract(text, ["f"]).source, namespace)
    assert namespace["f"]() == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "it is not JSON"),
        ("[]", "it holds no list of cells"),
        ('{"cells": 1}', "it holds no list of cells"),
        ("[" * 100_000, "nested too deeply"),
        ('{"cells": [' + "1" * 5000 + "]}", "numbers that are too long"),
        ("{" * 600_000, "too many parts"),
        (book(*["1"] * 2001), "has 2001 cells"),
        (book("#" * (1 << 20) + "#"), "more than 1 MB of code"),
        (book("a=1;" * 6000), "more than 5000 statements"),
    ],
)
def test_what_is_no_notebook_gets_one_line(text, line):
    with pytest.raises(NotebookError, match=line) as caught:
        extract(text, ["f"], name="a\nb.ipynb")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cell", ["(" * 50_000, "-" * 100_000 + "1", "x = " + "1+" * 20_000 + "1", "f" + "()" * 20_000, "lambda:" * 20_000 + "1", "not " * 50_000 + "1", "return 1", "def f(a, a): pass", "\x00"])
def test_code_made_to_break_a_parser_breaks_only_its_cell(cell):
    assert "def g" in extract(book(cell, "def g(): pass"), ["g"]).source


def test_a_notebook_that_defines_nothing_gives_an_empty_module():
    assert extract(book("x = 1"), ["f"]) == notebook.Notebook("", [], ())


DEEP = "x = [" + "a " + "for a in a " * 60_000 + "]"


def test_a_cell_that_crashes_the_compiler_costs_only_itself():
    made = extract(book("def g():\n    return 2", DEEP, "def f():\n    return g()"), ["f"])
    assert made.source == "def g():\n    return 2\ndef f():\n    return g()\n"
    assert made.notes == ("Cell 2 was left out: it is nested too deeply, or takes too long to be read. Write it in several statements.",)


def test_a_function_in_a_cell_that_crashes_the_compiler_says_so():
    made = extract(book("def f():\n    return 1\n" + DEEP), ["f"])
    with pytest.raises(SyntaxError, match="cell 1, line 1: it is nested too deeply"):
        exec(made.source + "f()")
    assert made.notes == ("Cell 1 defines f, but cannot be read (line 1: it is nested too deeply, or takes too long to be read. Write it in several statements).",)


def test_a_long_cell_is_read_and_one_with_a_mistake_says_where():
    table = "TABLE = [" + "1, " * 10_000 + "]\n"
    assert len(extract(book(table + "def f():\n    return len(TABLE)"), ["f"]).source) > 30_000
    assert extract(book(table + "def f(:\n"), ["f"]).notes[0].startswith("Cell 1 defines f, but cannot be read (line 2: ")


def test_only_so_many_long_cells_are_tried(monkeypatch):
    monkeypatch.setattr(statements, "_trouble", lambda source: None)
    long = "#" * (notebook.HARMLESS + 1)
    extract(book(*[long] * notebook.MOST_LONG), ["f"])
    with pytest.raises(NotebookError, match="more than 8 cells of more than 10000 characters. Keep data in files"):
        extract(book(*[long] * (notebook.MOST_LONG + 1)), ["f"])


def test_empty_lines_before_what_cannot_be_read_take_no_time():
    assert extract(book("(" + "\n" * 200_000 + "x"), ["f"]).source == ""


def test_one_statement_that_binds_many_names_takes_no_time():
    names = [f"a{i}" for i in range(30_000)]
    assert extract(book(" = ".join(names) + " = 1\ndef f():\n    return a1"), ["f"]).notes == ()


@pytest.mark.parametrize("char", ["\r", "\f", "\v", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\r\n", ""])
def test_lines_of_a_script_are_those_of_the_compiler(char):
    assert "return 1" in extract_script(f"#{char}\ndef f():\n    return 1\n", ["f"]).source
    extract_script(f"#{char}import x", ["f"])
    extract_script(char, ["f"])


def test_what_nobody_has_thought_of_is_a_notebook_that_cannot_be_read(monkeypatch):
    monkeypatch.setattr(notebook, "_reachable", lambda *_: 1 / 0)
    with pytest.raises(NotebookError, match=r"‘rnn.ipynb’ cannot be read \(ZeroDivisionError\)"):
        extract(book("x = 1"), ["f"], "rnn.ipynb")


def test_warnings_of_the_compiler_are_not_for_who_grades():
    assert extract(book("def f():\n    return '\\d' is 1"), ["f"]).notes == ()
