"""Calling student functions: what is handed out, what is noticed, what comes back."""

import sys
import types

import numpy as np
import pytest

from autograder.sandbox import Local
from autograder.sandbox.arrays import Copier, Unsendable, lay_out
from autograder.sandbox.perform import perform
from autograder.sandbox.sources import load
from autograder.sandbox.steps import Fault, LoadError, Opaque, Ref, Step

X = np.arange(6.0).reshape(2, 3)


def run(source, *steps, room=None):
    """Perform one script on the functions in `source`."""
    return perform([list(steps)], load({"work": "import numpy as np\n" + source}), room=room)[0]


def one(source, *args, **options):
    return run(source, Step("f", args, **options))[0]


# --- values --------------------------------------------------------------------------------------------------------
def test_a_value_comes_back_as_a_copy():
    modules = load({"work": "import numpy as np\nkept = np.ones(3)\ndef f():\n    kept[0] += 1\n    return kept"})
    first, second = perform([[Step("f", ()), Step("f", ())]], modules)[0]
    assert (first.value[0], second.value[0]) == (2, 3)


@pytest.mark.parametrize(
    ("returned", "expected", "kind"),
    [
        ("1, 2.5, None, True, 'a'", (1, 2.5, None, True, "a"), 5),
        ("[1, (2,)], {'a': 3}", ([1, (2,)], {"a": 3}), 2),
        ("np.float32(2)", np.float32(2), "float32"),
        ("None", None, "NoneType"),
        ("np.matrix([[1.0]])", np.array([[1.0]]), "matrix"),
    ],
)
def test_plain_values_come_back(returned, expected, kind):
    answer = one(f"def f(): return {returned}")
    assert answer.error is None
    assert answer.value == expected
    assert type(answer.value) is type(expected)
    assert answer.returned == kind


@pytest.mark.parametrize(
    "returned",
    ["{1, 2}", "object()", "np.array([None])", "np.array(['a'])", "lambda: 0", "2**63", "'a' * 5000", "[0] * 100_000", "{1: 2}", "(i for i in ())"],
)
def test_what_cannot_be_compared_is_a_wrong_return(returned):
    answer = one(f"def f(): return {returned}")
    assert answer.error.type == "WrongReturn"
    assert answer.error.message.startswith("f returned ")
    assert answer.value is None


def test_a_list_that_contains_itself_is_a_wrong_return():
    assert one("def f():\n    a = []\n    a.append(a)\n    return a").error.type == "WrongReturn"


def test_there_is_room_for_so_many_bytes_only():
    assert run("def f(): return np.zeros(100)", Step("f", ()), room=800)[0].error is None
    answer = run("def f(): return np.zeros(101)", Step("f", ()), room=800)[0]
    assert "far more than a right answer has" in answer.error.message


def test_big_endian_numbers_become_native():
    assert one("def f(): return np.arange(3, dtype='>f8')").value.dtype == np.dtype("<f8")


def test_a_lying_subclass_is_looked_through():
    source = """
class Liar(np.ndarray):
    shape = property(lambda self: (2, 3))
    def __eq__(self, other): return True
    def copy(self, *args): return np.zeros((2, 3))
    def __array__(self, *args, **kwargs): return np.zeros((2, 3))
def f(): return np.ones(5).view(Liar)
"""
    value = one(source).value
    assert type(value) is np.ndarray
    assert value.tolist() == [1] * 5


# --- steps ---------------------------------------------------------------------------------------------------------
def test_a_step_gets_what_an_earlier_one_returned():
    answers = run("def f(x): return x, {'s': x.sum()}\ndef g(cache): return cache['s']", Step("f", (X,)), Step("g", (Ref(0, 1),)), Step("g", (Ref(0, -1),)))
    assert answers[1].value == answers[2].value == 15


def test_a_step_that_needs_a_failed_one_is_skipped():
    answers = run("def f(): return 1 / 0\ndef g(x): return x", Step("f", ()), Step("g", (Ref(0),)))
    assert answers[0].error.type == "ZeroDivisionError"
    assert answers[1].error.type == "Skipped"


@pytest.mark.parametrize("path", [(5,), (-5,), ("key",), (0, "x")])
def test_a_step_that_needs_an_item_that_is_not_there_is_skipped(path):
    assert run("def f(): return (1, 2)\ndef g(x): return x", Step("f", ()), Step("g", (Ref(0, *path),)))[1].error.type == "Skipped"


def test_kept_values_stay_but_for_what_is_named():
    kept, named, wrong = run("def f(): return 1, 2, 3", Step("f", (), keep=True), Step("f", (), keep=True, send=(0, 2)), Step("f", (), keep=True, send=(7,)))
    assert (kept.value, named.value, wrong.value) == (None, (1, 3), None)
    assert kept.returned == 3


def test_a_function_that_is_not_there_is_missing():
    assert run("f = 3", Step("f", ()))[0].error.type == "Missing"
    assert run("", Step("f", ()))[0].error.type == "Missing"


def test_a_function_is_also_found_in_a_required_module():
    modules = load({"first": "def f(): return 1\ndef g(): return 1", "second": "def g(): return 2"})
    assert [answer.value for answer in perform([[Step("f", ()), Step("g", ())]], modules)[0]] == [1, 2]


def test_arguments_come_back_where_asked_for():
    answer = one("def f(x):\n    x += 1", X, back=(0,))
    assert np.array_equal(answer.back[0], X + 1)
    assert X[0, 0] == 0


def test_a_step_can_be_repeated():
    assert one("n = 0\ndef f():\n    global n\n    n += 1\n    return n", repeat=3).value == 3


def test_every_turn_of_a_repeated_step_has_other_numbers_in_other_arrays_and_the_last_has_those_of_the_step():
    source = "seen = []\ndef f(x, ids):\n    seen.append((x, ids))\n    return seen"
    turns = one(source, X, np.arange(3), repeat=3).value
    assert [x.ravel().tolist() for x, _ in turns] == [[1, 2, 3, 4, 5, 0], [2, 3, 4, 5, 0, 1], [0, 1, 2, 3, 4, 5]]
    assert all(ids.tolist() == [0, 1, 2] for _, ids in turns)


def test_every_turn_has_a_cache_of_its_own_which_may_be_used_up():
    answers = run("def f(x): return x.sum(), [x]\ndef g(c): return c.pop()", Step("f", (X,), repeat=4, keep=True), Step("g", (Ref(0, -1),), repeat=4))
    assert np.array_equal(answers[1].value, X)


def test_what_is_changed_in_place_is_copied_once_for_all_turns():
    source = "tables = []\ndef f(x):\n    tables.append(x)\n    x += 1\n    return len(tables), len({id(table) for table in tables})"
    answer = one(source, X, repeat=4, back=(0,))
    assert answer.value == (4, 2)
    assert np.array_equal(answer.back[0], X + 1)


@pytest.mark.parametrize(("body", "kind"), [("return 1 / (len(seen) - 2)", "ZeroDivisionError"), ("raise SystemExit", "SystemExit")])
def test_what_is_raised_in_a_turn_counts(body, kind):
    assert one(f"seen = []\ndef f(x):\n    seen.append(x)\n    {body}", X, repeat=3).error.type == kind


# --- what is noticed -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "args", "changed"),
    [
        ("a[0] = 9", (X,), ("args[0]",)),
        ("a['Wx'] *= 2", ({"Wx": X, "b": X.copy()},), ("args[0]['Wx']",)),
        ("a['Wx'] = 3", ({"Wx": X},), ("args[0]['Wx']",)),
        ("a.append(1)", ([1, 2],), ("args[0]",)),
        ("del a['b']", ({"b": 1},), ("args[0]['b']",)),
        ("a.shape = (6,)", (X,), ("args[0]",)),
        ("a[0] = a[0]", (X,), ()),
        ("raise ValueError", (X,), ()),
        ("a[:] = 0; raise ValueError", (X,), ("args[0]",)),
    ],
)
def test_changed_arguments_are_noticed(body, args, changed):
    assert one(f"def f(a):\n    {body}", *args).changed == changed


def test_a_changed_cache_is_noticed():
    answers = run("def f(x): return x * 2, (x * 3,)\ndef g(c): c[0][:] = 0", Step("f", (X,)), Step("g", ((Ref(0, 1, 0)),)), Step("g", ([Ref(0, 1, 0)],)))
    assert answers[2].changed == ("args[0][0]",)


@pytest.mark.parametrize(
    ("returned", "cache", "shared"),
    [
        ("a[0]", False, ("out[0]~args[0]",)),
        ("a + 0", False, ()),
        ("a.T, a + 0", False, ("out[0]~args[0]",)),
        ("(b := a * 2), b", False, ("out[0]~out[1]",)),
        ("(b := a * 2), b", True, ()),
        ("(b := np.zeros(6))[:3], b[3:]", False, ()),
        ("a[::2], a[1::2] * 1", False, ("out[0]~args[0]",)),
        ("np.lib.stride_tricks.as_strided(a)", False, ("out[0]~args[0]",)),
        ("np.frombuffer(memoryview(a))", False, ("out[0]~args[0]",)),
    ],
)
def test_shared_memory_is_noticed(returned, cache, shared):
    assert one(f"def f(a): return {returned}", X, cache=cache).shared == shared


def test_returned_arrays_are_scribbled_over_where_asked_for():
    source = "def f(x):\n    y = x * 2\n    return y, {'y': y}\ndef g(c): return c['y'].sum()"
    clean, used = (run(source, Step("f", (X,), overwrite=over, cache=True), Step("g", (Ref(0, -1),)))[1].value for over in ((), (0,)))
    assert clean == 30
    assert np.isnan(used)


@pytest.mark.parametrize("layout", ["C", "fortran", "strided", "readonly"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (0, 2)])
def test_layouts_hold_the_same_numbers(layout, shape):
    array = np.random.default_rng(0).standard_normal(shape)
    given = lay_out(array, layout)
    assert np.array_equal(given, array)
    assert not np.shares_memory(given, array)
    assert given.flags.writeable == (layout != "readonly")


def test_the_same_array_twice_stays_one_array():
    assert one("def f(a, b): return a is b", X, X).value is True


def test_bytecodes_are_counted_outside_of_the_kit_only():
    few, many = (one("def f(n):\n    for i in range(n): pass", n, count=True).bytecodes for n in (10, 110))
    assert 100 <= many - few <= 1000
    assert one("def f(n):\n    for i in range(n): pass", 10).bytecodes == 0


@pytest.mark.parametrize(
    "loop",
    [
        "[x * 1 for x in range(n)]",
        "list(map(lambda x: x * 1, range(n)))",
        "np.vectorize(lambda x: x * 1)(np.arange(n))",
        "np.apply_along_axis(lambda x: x * 1, 1, np.ones((n, 1)))",
        "np.frompyfunc(lambda x: x * 1, 1, 1)(np.arange(n))",
        "sorted(range(n), key=lambda x: -x)",
        "sum(x for x in range(n))",
        "exec('for x in range(n): x * 1', {'n': n})",
        "(lambda f: f(f, n))(lambda f, k: k and f(f, k - 1))",
    ],
)
def test_a_loop_is_counted_wherever_it_hides(loop):
    few, many = (one(f"def f(n):\n    {loop}", n, count=True).bytecodes for n in (10, 110))
    assert many - few >= 100


def test_a_loop_that_takes_the_name_of_a_file_of_the_kit_is_counted():
    source = f"loop = {{}}\nexec(compile('def f(n):\\n    for i in range(n): pass', {perform.__code__.co_filename!r}, 'exec'), loop)\ndef f(n): loop['f'](n)"
    few, many = (one(source, n, count=True).bytecodes for n in (10, 110))
    assert many - few >= 100


@pytest.mark.parametrize(
    "trick",
    [
        "sys.settrace(None)\n    {loop}",
        "sys.settrace(lambda *_: None)\n    {loop}",
        "sys._getframe().f_trace = None\n    {loop}",
        "sys._getframe().f_trace_opcodes = False\n    {loop}",
        "sys._getframe(0).f_back.f_back\n    sys.settrace(None)\n    {loop}",
    ],
)
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="newer Pythons count by sys.monitoring")
def test_whoever_switches_tracing_off_is_not_counted_at_all(trick):
    loop = "for _ in range(n): pass\n    return n"
    answer = one(f"import sys\ndef f(n):\n    {trick.format(loop=loop)}", 50, count=True)
    assert (answer.value, answer.bytecodes) == (50, 0)
    assert one("def f(n): return n", 1, count=True).bytecodes > 0


def test_generators_and_exceptions_do_not_spoil_a_count():
    source = """
def numbers(n):
    try:
        yield from range(n)
    finally:
        pass

def f(n):
    left = numbers(n)
    next(left)
    half = numbers(n)
    next(half)
    half.close()
    try:
        raise ValueError
    except ValueError:
        pass
    with np.errstate(all="ignore"):
        return sum(numbers(n)), np.vectorize(lambda x: x + 1)(np.arange(n)).sum()
"""
    assert one(source, 5, count=True).bytecodes > 50


# --- misbehaviour --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise SystemExit(3)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("f()", "RecursionError"),
        ("raise type('E', (BaseException,), {'__str__': lambda s: 1 / 0})()", "E"),
        ("raise type('E', (Exception,), {'__str__': lambda s: 'a' * 10**6})()", "E"),
        ("import warnings; warnings.simplefilter('error'); warnings.warn('x')", "UserWarning"),
        ("np.seterr(all='raise'); return np.log(np.zeros(1))", "FloatingPointError"),
    ],
)
def test_what_is_raised_becomes_an_error(body, kind):
    error = one(f"def f():\n    {body}").error
    assert error.type == kind
    assert len(error.message) <= 500


def test_what_a_module_switched_on_does_not_count_against_it():
    source = "import warnings\nwarnings.simplefilter('error')\nnp.seterr(all='raise')\ndef f():\n    warnings.warn('x')\n    return np.log(np.zeros(1))"
    assert one(source).value[0] == -np.inf


def test_an_error_says_where_and_shows_only_the_students_lines():
    error = one("def f(x):\n    return g(x)\ndef g(x):\n    return x @ x", X).error
    assert (error.where, error.line) == ("g", 5)
    assert "perform" not in error.traceback
    assert "return x @ x" in error.traceback


@pytest.mark.parametrize("method", ["__iter__", "__len__", "__getitem__"])
@pytest.mark.parametrize("keep", [False, True])
def test_a_container_that_raises_harms_its_own_step_only(method, keep):
    source = f"class L(list):\n    def {method}(self, *_): raise ValueError('no')\ndef f(): return L([1]),\ndef g(): return 1"
    answers = run(source, Step("f", (), keep=keep, send=(0,) if keep else None), Step("g", ()))
    assert answers[1].value == 1
    assert answers[0].error is None or answers[0].error.type == "ValueError"


def test_a_key_that_raises_when_it_is_looked_at_harms_its_own_step_only():
    source = "class K(str):\n    __hash__ = str.__hash__\n    def __eq__(self, other): raise ValueError('no')\ndef f(a): a[K('b')] = 1\ndef g(): return 1"
    answers = run(source, Step("f", ({"b": 2},)), Step("g", ()))
    assert answers[0].error.type == "ValueError"
    assert answers[1].value == 1


def test_a_source_that_does_not_load_says_where():
    for source, kind in (("def f(:\n", "SyntaxError"), ("\n\n1 / 0", "ZeroDivisionError"), ("raise SystemExit", "SystemExit")):
        with pytest.raises(LoadError) as caught:
            load({"work": source})
        assert caught.value.error.type == kind
    assert str(caught.value).startswith("SystemExit in work.py, line 1")


def test_the_copier_knows_opaque_values_and_no_others():
    assert Copier()((Opaque(3), [1])) == (Opaque(3), [1])
    with pytest.raises(Unsendable):
        Copier()(types.SimpleNamespace())


# --- in process ----------------------------------------------------------------------------------------------------
def test_local_runs_and_serves():
    local = Local({"work": "def g(x): return 0\ndef f(x): return g(x) + 1"})
    assert local.run([[Step("f", (1,))]])[0][0].value == 1
    local.serve(["g"])
    assert local.run([[Step("f", (1,))]], serve=lambda name, args: 41)[0][0].value == 42
    local.serve([])
    assert local.run([[Step("f", (1,))]])[0][0].value == 1


def test_local_stops_what_does_not_end():
    with pytest.raises(Fault) as caught:
        Local({"work": "def f():\n    while True: pass"}).run([[Step("f", ())]], cpu_s=0.2)
    assert caught.value.kind == "timeout"
