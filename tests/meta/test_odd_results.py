"""Whatever a function returns, it gets a verdict: no kind of array, of any shape, with any numbers, is too odd for the judge."""

from __future__ import annotations

import pytest

from autograder import exercises, ours, paths
from autograder.cases import store
from autograder.judge import selfcheck

#: What is done to every array and number that a function returns.
CHANGES = {
    "bool": "v > 0", "the other bool": "v <= 0", "int8": "v.astype('int8')", "uint8": "np.abs(v).astype('uint8')", "uint64": "np.abs(v).astype('uint64')",
    "float16": "v.astype('float16')", "long double": "v.astype('longdouble') + 1", "complex": "v + 1j", "objects": "v.astype(object)", "text": "v.astype(str)",
    "dates": "v.astype('int64').astype('M8[s]')", "masked": "np.ma.masked_array(v) + 1", "not a number": "v * np.nan", "infinite": "v * 0 + np.inf",
    "huge": "v * 0 + 1.7e308", "denormal": "v * 5e-324", "large integers": "(v.astype(float) * 1e9).astype('int64')", "transposed": "v.T", "empty": "v[:0] if v.ndim else v[None][:0]",
    "summed": "v.sum()", "one more axis": "v[None]", "a list": "v.tolist()", "reversed": "v[::-1] if v.ndim else v", "off by one": "v + 1", "nothing": "None",
}  # fmt: skip

WRAPPER = '''
import functools


def _changed(value):
    if isinstance(value, tuple | list):
        return type(value)(_changed(item) for item in value)
    if isinstance(value, dict):
        return {{key: _changed(item) for key, item in value.items()}}
    if isinstance(value, bool | str | None.__class__):
        return value
    v = np.asarray(value)
    return {change}


def _wrapped(function, keeps):
    @functools.wraps(function)
    def call(*args, **options):
        result = function(*args, **options)
        return (*_changed(result[:-1]), result[-1]) if keeps else _changed(result)

    return call

'''


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # from what the changes themselves compute
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", exercises.names())
def test_every_result_gets_a_verdict(name, change):
    assignment, bank = exercises.load(name), store.load(paths.public_bank(name))
    files = ours.solution(assignment)
    for exercise in (*assignment.exercises, *(e for part in assignment.bonus for e in part.exercises)):
        wrapped = f"{exercise.function} = _wrapped({exercise.function}, {bool(exercise.cache)})\n"
        source = files[name] + WRAPPER.format(change=CHANGES[change]) + wrapped
        (result,) = selfcheck.check(name, {**files, name: source}, bank, {exercise.function})
        assert result.verdict in ("passed", "failed"), exercise.function
