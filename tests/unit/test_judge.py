"""The judge's rules one by one, in process, on edits of our own rnn solution."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from autograder import ours, paths
from autograder.cases import store
from autograder.cases.oracle import Oracle
from autograder.exercises import load
from autograder.judge import carry, loading, performance, selfcheck, shrink, words
from autograder.judge.laws import Call, Raised
from autograder.judge.milestone import run_milestone
from autograder.judge.script import argument_name
from autograder.judge.session import BUDGET_CPU, Disturbed, Exhausted, KitError, Session, Stopped
from autograder.judge.submission import Grader
from autograder.judge.verdicts import bonus_result
from autograder.sandbox import sources
from autograder.sandbox.local import Local
from autograder.sandbox.steps import Answer, Fault, Step

RNN = load("rnn")
SOURCE = ours.solution(RNN)["rnn"]
BANK = store.load(paths.public_bank("rnn"))
STUB = "def {}(*args):\n    raise NotImplementedError\n"


def edited(*edits: tuple[str, str], append: str = "") -> str:
    source = SOURCE
    for before, after in edits:
        assert source.count(before) == 1, before
        source = source.replace(before, after)
    return source + "\n" + append


def check(source: str, *functions: str) -> dict:
    return {result.name: result for result in selfcheck.check(RNN, {"rnn": source}, BANK, functions)}


def sentence(result) -> str:
    return next(result.problems).sentence


# ------------------------------------------------------------------------------------------------- functions


def test_a_right_answer_passes_everything():
    assert {result.verdict for result in check(SOURCE).values()} == {"passed"}


def test_an_unwritten_function_is_said_to_be_so_and_earns_nothing():
    (result,) = check(SOURCE + STUB.format("affine_forward"), "affine_forward").values()
    assert (result.verdict, result.score) == ("not written yet", 0)


def test_a_missing_function():
    (result,) = check(SOURCE + "\ndel clip_global_norm", "clip_global_norm").values()
    assert sentence(result) == "clip_global_norm is not defined"


def test_the_sentence_says_where_and_from_which_size_on():
    result = check(edited(("da.sum(axis=0)", "da.mean(axis=0)")), "rnn_step_backward")["rnn_step_backward"]
    assert sentence(result).startswith("db[0] is ")
    assert "fails whenever N ≥ 2, passes at N = 1" in sentence(result)
    assert result.diagnosis.name == "mean over the batch"


def test_a_bonus_part_shows_what_its_functions_show():
    (wrong,) = check(edited(("da.sum(axis=0)", "da.mean(axis=0)")), "rnn_step_backward").values()
    (right,) = check(SOURCE, "clip_global_norm").values()
    part = bonus_result("bonus: both", 5, [right, wrong], [("rnn_forward: speed", True, "")])
    assert (part.score, part.verdict, part.diagnosis) == (0, "failed", wrong.diagnosis)
    (problem,) = part.problems
    assert (problem.name, problem.counterexample) == ("rnn_step_backward: values", next(wrong.problems).counterexample)
    whole = bonus_result("bonus: both", 5, [right, right], [])
    assert (whole.score, whole.verdict, whole.diagnosis) == (5, "passed", None)


@pytest.mark.parametrize(
    ("edit", "name", "says"),
    [
        (("da.sum(axis=0)", "da.sum(axis=0, keepdims=True)"), "shape", "db has shape (1, 6), but should have (6,)"),
        (("h = np.tanh(x @ Wx + h_prev @ Wh + b)\n", "h = np.tanh(x @ Wx + h_prev @ Wh + b).astype(float)\n"), "dtype", "h has dtype float64, but should be float32 when the inputs are float32"),
        (("da = dh * (1 - h**2)", "dh *= 1 - h**2; da = dh"), "inputs unchanged", "changes dh"),
        (("return h, (x, h_prev, Wx, Wh, h.copy())", "return h, (x, h_prev, Wx, Wh, h)"), "own memory", "overwritten"),
        (("x, h_prev, Wx, Wh, h = cache\n", "x, h_prev, Wx, Wh, h = cache\n    h *= 0.5\n"), "values", "should be"),
        (("return da @ Wx.T, da", "return 0, da"), "shape", "dx is an int"),
        (("return da @ Wx.T, ", "return "), "runs", "returned 4 values, but should return 5 values: dx, dh_prev, dWx, dWh, db"),
        (("da = dh * (1 - h**2)", "da = dh / 0 * (1 - h**2)"), "finite", "is inf, but should be"),
    ],
)
def test_each_check_says_what_is_wrong(edit, name, says):
    pair = check(edited(edit), "rnn_step_forward", "rnn_step_backward")
    problems = {problem.name: problem.sentence for result in pair.values() for problem in result.problems}
    assert name in problems, problems
    assert says in problems[name], problems


def test_state_between_calls_is_found_by_a_replay_in_a_fresh_process():
    keeps = "_first = {}\n_right = affine_forward\ndef affine_forward(h, W, b):\n    b = _first.setdefault('b', b)\n    b = b if b.shape == W.shape[1:] else np.zeros(W.shape[1:])\n    return _right(h, W, b)\n"
    result = check(edited(append=keeps), "affine_forward")["affine_forward"]
    assert "independent calls" in {problem.name for problem in result.problems}


def test_a_backward_right_for_the_students_own_forward_keeps_its_points():
    wrong_pair = edited(("h = np.tanh(x @ Wx + h_prev @ Wh + b)", "h = np.tanh(x @ Wx + h_prev @ Wh - b)"), ("h_prev.T @ da, da.sum(axis=0)", "h_prev.T @ da, -da.sum(axis=0)"))
    pair = check(wrong_pair, "rnn_step_forward", "rnn_step_backward")
    assert [result.verdict for result in pair.values()] == ["failed", "passed"]
    assert "your own rnn_step_forward" in pair["rnn_step_backward"].remark


def test_a_backward_wrong_for_both_forwards_fails():
    wrong_pair = edited(("h = np.tanh(x @ Wx + h_prev @ Wh + b)", "h = np.tanh(x @ Wx + h_prev @ Wh - b)"), ("da = dh * (1 - h**2)", "da = dh * (1 - h)"))
    assert check(wrong_pair, "rnn_step_backward")["rnn_step_backward"].verdict == "failed"


def test_a_forward_that_is_right_in_float32_only_excuses_no_backward():
    right = "1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps)"
    outside = "1 / (np.sqrt((centred * centred).mean(-1, keepdims=True)) + eps)"
    source = ours.solution(load("attention"))["attention"]
    assert source.count(right) == 1
    source = source.replace(right, f"{right} if x.dtype == np.float32 else {outside}")
    results = selfcheck.check("attention", {"attention": source}, store.load(paths.public_bank("attention")), ["layer_norm_forward", "layer_norm_backward"])
    assert [result.verdict for result in results] == ["failed", "failed"]


FORWARD, BACKWARD = "h = np.tanh(x @ Wx + h_prev @ Wh + b)", "da = dh * (1 - h**2)"
ONE_ROW = (BACKWARD, f"{BACKWARD} * (1 + (len(x) == 1))")
ZEROS = (BACKWARD, f"{BACKWARD} * (1 + (not (x.any() and h_prev.any() and Wx.any() and Wh.any())))")


@pytest.mark.parametrize("backward", [ONE_ROW, ZEROS])
@pytest.mark.parametrize("forward", ["", " + 0.01 * (x.dtype == np.float32)"])
def test_a_second_mistake_of_a_backward_is_not_excused_by_one_of_the_forward(forward, backward):
    pair = check(edited((FORWARD, FORWARD + forward), backward), "rnn_step_forward", "rnn_step_backward")
    assert [result.verdict for result in pair.values()] == ["failed" if forward else "passed", "failed"]


def test_a_backward_that_is_wrong_where_the_forward_is_right_by_more_than_chance_fails():
    """The forward is wrong on ordinary examples too, and an offset has no derivative."""
    pair = check(edited((FORWARD, FORWARD + " + 0.01 * (len(x) == 2)"), ONE_ROW), "rnn_step_forward", "rnn_step_backward")
    assert [result.verdict for result in pair.values()] == ["failed", "failed"]


def test_being_consistent_with_a_forward_that_ignores_an_input_is_no_merit():
    lazy = edited(("h_prev @ Wh + b)\n", "0 * b)\n"), ("x.T @ da, h_prev.T @ da, da.sum(axis=0)", "x.T @ da, 0 * Wh, 0 * da.sum(axis=0)"), ("da @ Wh.T", "0 * h_prev"))
    assert check(lazy, "rnn_step_backward")["rnn_step_backward"].verdict == "failed"


def test_a_backward_whose_forward_never_runs_cannot_be_judged_yet():
    result = check(edited(append=STUB.format("affine_forward")), "affine_backward")["affine_backward"]
    assert (result.verdict, sentence(result)) == ("failed", "affine_backward cannot be judged until affine_forward runs")


def test_a_self_check_points_to_what_must_be_mended_first():
    result = check(edited(("da = dh * (1 - h**2)", "da = dh")), "rnn_step_backward", "rnn_backward")["rnn_backward"]
    assert result.remark == "rnn_step_backward, which it may use, is not right yet: mend that first."


def test_an_endless_function_is_stopped_and_the_others_are_judged():
    verdicts = check(edited(append="def affine_forward(h, W, b):\n    while True:\n        pass\n"), "affine_forward", "clip_global_norm")
    assert "did not finish within" in sentence(verdicts["affine_forward"])
    assert verdicts["clip_global_norm"].verdict == "passed"


def test_an_argument_is_told_by_its_name():
    step = RNN.exercise("rnn_step_forward")
    assert [argument_name(step, path) for path in ("args[1]", "args[0]['a']")] == ["h_prev", "x['a']"]
    assert [argument_name(step, path) for path in ("args[99]['a']", "args[\u00b2]", "args")] == ["args[99]['a']", "args[\u00b2]", "args"]


# ------------------------------------------------------------------------------------------- shapes in later calls

STRETCHED = "\n_right = {0}\ndef {0}(*args):\n    {1}, out = _right(*args)\n    {2}\n    return {1}, out\n"


def test_what_a_law_is_given_has_the_right_shape():
    source = edited(append=STRETCHED.format("masked_cross_entropy", "loss", "out = out[:1, :, :1] if abs(args[0].mean()) > 900 and args[0].std() < 30 else out"))
    (problem,) = check(source, "masked_cross_entropy")["masked_cross_entropy"].problems
    assert problem.name == "ignores a shift of all scores"
    assert problem.sentence == "masked_cross_entropy: dscores has shape (1, 5, 1), but should have (3, 5, 11)"


def test_what_a_training_run_is_given_has_the_right_shape():
    source = edited(append=STRETCHED.format("char_lm_loss", "loss", "out['Wh'] = out['Wh'][None]"))
    done = run_milestone(RNN, BANK.milestone, Session(lambda: Here({"rnn": source}), (Fault,)))
    assert done == [("follows the reference", "char_lm_loss: grads['Wh'] has shape (1, 64, 64), but should have (64, 64)")]


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ("0.0, {'Wx': Wx}", "grads should be a dict with the keys embedding, Wx, Wh, b, Wy, by"),
        ("np.zeros(3), params", "loss has shape (3,), but should have ()"),
        ("[], params", "loss is a list, but should be one number"),
        ("0.0, params | {'b': None}", "grads['b'] is None, but should be an array"),
    ],
)
def test_other_forms_are_told_apart(result, says):
    source = f"import numpy as np\nWx = np.zeros(1)\ndef char_lm_loss(params, ids, targets, mask):\n    return {result}\n"
    case = next(e for e in BANK.groups["char_lm_loss"] if e.name == "typical").inputs
    call = Call(RNN, Session(lambda: Here({"rnn": source}), (Fault,)))
    with pytest.raises(Raised) as raised:
        call.plain("char_lm_loss", *case.values())
    assert str(raised.value) == f"char_lm_loss: {says}"


# -------------------------------------------------------------------------------------------- carrying forward


def test_what_a_function_may_call_is_followed_to_the_end():
    found = carry.closure(RNN, ["char_lm_loss"])
    assert {"rnn_step_forward", "rnn_step_backward", "embedding_backward"} <= found
    assert "sample" not in found


def test_partners_are_served_together():
    assert carry.with_partners(RNN, {"rnn_step_backward"}) == {"rnn_step_forward", "rnn_step_backward"}


def test_enough_is_counted_in_points():
    names = ("rnn_step_forward", "rnn_step_backward")  # 6 and 12 points
    assert carry.enough(RNN, names, {"rnn_step_backward"})
    assert not carry.enough(RNN, names, {"rnn_step_forward"})
    assert not carry.enough(RNN, names, set())


# --------------------------------------------------------------------------------------------------- loading


def test_a_missing_required_module_becomes_unwritten_functions():
    assignment = load("seq2seq")
    messages: list[str] = []
    files, _ = loading.load(lambda files: sources.load(files), assignment, {"seq2seq": "x = 1"}, messages)
    assert list(files) == ["lstm", "seq2seq"]
    assert "not written yet" in files["lstm"]


def test_a_syntax_error_is_told_with_its_line():
    messages: list[str] = []
    assert loading.load(lambda files: sources.load(files), RNN, {"rnn": "x = 1\ndef f(:\n"}, messages) is None
    assert messages == ["rnn.py could not be loaded: SyntaxError: invalid syntax (line 2)."]


def test_a_broken_sandbox_is_the_kits_fault():
    def spawn(files):
        raise Fault("zygote", "cannot be run")

    with pytest.raises(KitError):
        loading.load(spawn, RNN, {"rnn": ""}, [])


# ---------------------------------------------------------------------------------------------------- session


class Runner:
    """A worker that takes a given time, or fails."""

    def __init__(self, seconds=0.0, fault=None):
        self.seconds, self.fault, self.used = seconds, fault, 0.0

    def run(self, batch, **_):
        self.used += self.seconds
        if self.fault:
            raise self.fault
        return [[Answer(1) for _ in script] for script in getattr(batch, "batch", batch)]

    def cpu_ns(self):
        return int(self.used * 1e9)

    def close(self):
        pass


def test_the_budget_of_a_submission_ends_it():
    session = Session(lambda: Runner(seconds=BUDGET_CPU / 2), (Fault,))
    for _ in range(2):
        session.run([[Step("f", ())]], 0)
    with pytest.raises(Exhausted):
        session.run([[Step("f", ())]], 0)


def test_waiting_uses_up_the_budget_of_every_session_of_a_submission():
    class Sleeper(Runner):
        def run(self, batch, **options):
            time.sleep(0.01)
            return super().run(batch, **options)

    session = Session(Sleeper, (Fault,), wall=0.01 / BUDGET_CPU)
    session.run([[Step("f", ())]], 0)
    for each in (session, Session(Sleeper, (Fault,), spent=session.clock.student)):
        with pytest.raises(Exhausted):
            each.run([[Step("f", ())]], 0)


def test_a_fault_of_the_submission_and_one_of_the_kit():
    session = Session(lambda: Runner(fault=Fault("died", "crashed")), (Fault,))
    with pytest.raises(Stopped, match="crashed"):
        session.run([[Step("f", ())]], 0)
    session = Session(lambda: Runner(fault=Fault("zygote", "cannot be run")), (Fault,))
    with pytest.raises(KitError):
        session.run([[Step("f", ())]], 0)


def test_a_stopped_batch_is_run_call_by_call_to_find_the_guilty_one():
    source = "def good():\n    return 1\ndef bad():\n    while True: pass\n"
    session = Session(lambda: Here({"m": source}), (Fault,))
    good, bad, after = session.run_each([[Step("good", ())], [Step("bad", ())], [Step("good", ())]], 0)
    assert (good[0].value, bad[0].error.type, after[0].value) == (1, "Stopped", 1)


class Here(Local):
    def cpu_ns(self):
        return time.thread_time_ns()


class Killed(Here):
    """Its process is ended by somebody else in so many of its calls."""

    left = 0

    def run(self, *args, **options):
        if Killed.left:
            Killed.left -= 1
            raise Fault("killed", "was ended by the system")
        return super().run(*args, **options)


def test_a_submission_whose_process_was_ended_by_somebody_else_is_judged_again(monkeypatch):
    grader = Grader(BANK, Killed, shrink=False)
    monkeypatch.setattr(Killed, "left", 2)
    assert next(result.score for result in grader.grade({"rnn": SOURCE}).functions if result.name == "rnn_step_forward") == 6
    monkeypatch.setattr(Killed, "left", 100)
    with pytest.raises(KitError):
        grader.grade({"rnn": SOURCE})


# -------------------------------------------------------------------------------------------------- shrinking


def smallest(spawn, check="values"):
    exercise = RNN.exercise("clip_global_norm")
    session = Session(spawn, (Fault,))
    return session, shrink.smallest((exercise,), exercise, check, Oracle("rnn"), session)


@pytest.mark.parametrize("period", [2, 3, 7])
def test_a_function_that_is_wrong_now_and_then_is_no_fault_of_ours(period):
    now_and_then = STRETCHED.format("clip_global_norm", "clipped", f"calls.append(0); out += len(calls) % {period} == 0") + "calls = []\n"
    smallest(lambda: Here({"rnn": SOURCE + now_and_then}))


def test_shrinking_hides_no_fault_of_ours(monkeypatch):
    monkeypatch.setattr(Killed, "left", 1)
    with pytest.raises(Disturbed):
        smallest(lambda: Killed({"rnn": SOURCE}))


def test_shrinking_a_slow_function_ends_early():
    session, found = smallest(lambda: Runner(seconds=shrink.SECONDS / 2.5), "runs")
    assert found is None
    assert session.spent < 2 * shrink.SECONDS


# ------------------------------------------------------------------------------------------------ performance


def test_our_own_solution_has_a_new_budget_for_every_submission():
    solution = Session(lambda: Local({"rnn": SOURCE}), (Fault,), spent=BUDGET_CPU)
    grader = Grader(BANK, selfcheck._Here, solution, shrink=False)
    grader.assignment = replace(RNN, performance=None, milestone=None)
    grader.grade({"rnn": SOURCE})
    assert solution.spent == 0.0


def test_our_own_solution_being_out_of_time_is_not_measured_and_costs_nothing(monkeypatch):
    def exhausted(*_):
        raise Exhausted

    student, solution = object(), object()
    monkeypatch.setattr(performance, "_timed", lambda session, *_: (1.0, None) if session is student else exhausted())
    cost = replace(RNN.performance.costs[0], vectorised="", memory="")
    assert performance.measure(performance.Bench(RNN, 0), cost, student, solution) == {}


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [([1.0, 1.1], None), ([1.0, 1.1, 0.9], True), ([40.0, 42.0, 39.0], False), ([4.0, 5.0, 6.0], None), ([1.0, 30.0, 1.0, 2.0], True)],
)
def test_the_sequential_test_waits_until_it_is_sure(ratios, verdict):
    assert performance.decide(ratios, 5.0) is verdict


def test_undecided_passes_and_our_own_trouble_costs_nothing():
    def unmeasured(*_):
        raise performance.Unmeasured

    cost = RNN.performance.costs[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(performance, "vectorised", lambda *_: None)
        patch.setattr(performance, "speed", unmeasured)
        assert performance.measure(None, cost, None, object()) == {"vectorised": None}


def speed_with(monkeypatch, pairs):
    """Return what is said of the speed when the clocks show these ratios, one after the other."""
    left = iter(pairs)
    monkeypatch.setattr(performance, "_pair", lambda *_: (next(left), True))
    monkeypatch.setattr(performance, "MOMENT", 0.0)
    return performance.speed(performance.Bench(RNN, 0), RNN.performance.costs[0], None, None)


def test_who_seems_slow_is_measured_again_and_a_clock_that_stood_still_tells_nothing(monkeypatch):
    assert "takes 41 times as long" in speed_with(monkeypatch, [40.0, 41.0, 42.0, 40.0, 41.0, 42.0])
    assert speed_with(monkeypatch, [3e6, 3e6, 3e6, 1.0, 1.1, 0.9]) is None
    assert speed_with(monkeypatch, [None] * performance.MOST_PAIRS) is None
    assert speed_with(monkeypatch, [None, 1.0, None, 1.1, 0.9]) is None


# ------------------------------------------------------------------------------------------------------ words


def example(mask="full", name="e", **sizes):
    inputs = {"mask": np.ones(1, bool)} if mask != "none" else {}
    return store.Example(name, {"sizes": sizes, "mask": mask}, inputs, {}, {})


def test_when_it_fails_is_said_only_when_one_size_decides():
    assert words.when([example(T=1), example(T=1)], [example(T=2), example(T=5)]) == "fails whenever T ≥ 2, passes at T = 1"
    assert words.when([example(T=2)], [example(T=1)]) == "fails whenever T = 1, passes at T ≥ 2"
    assert words.when([example(T=3)], [example("holes", T=3)]) == "fails whenever something is masked, passes without a mask"
    assert words.when([example(T=1), example(T=2)], [example(T=2)]) == ""
    assert words.when([], [example(T=2)]) == ""


def test_sizes_are_told_shortly():
    assert words.sizes(example(N=1, T=2)) == "T = 2, all other sizes 1"
    assert words.sizes(example(N=1, T=1)) == "all sizes 1"
    assert words.sizes(example(N=3, T=2)) == "N = 3, T = 2"
