"""The grader's side of the sandbox: workers, deadlines, faults, serving, and what is left behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from autograder.sandbox import Failed, Fault, Limits, LoadError, Opaque, Ref, Refused, Sandbox, Served, Step, launch
from autograder.sandbox import box as box_module

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")

WORK = {
    "work": """
import numpy as np

def double(x):
    return 2 * x

def tanh_forward(x):
    y = np.tanh(x)
    return y, {"y": y}

def tanh_backward(dy, cache):
    return dy * (1 - cache["y"] ** 2)

def both(x):
    y, cache = tanh_forward(x)
    return y, tanh_backward(y, cache)

def burn(seconds):
    import time
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def spin():
    while True:
        pass

def sleep(seconds=1000):
    import time
    time.sleep(seconds)

def leave(code):
    import os
    os._exit(code)

def crash():
    import ctypes
    ctypes.string_at(0)

def take(mib):
    return float(np.ones(mib << 17).sum())

def say(text):
    print(text)

def environment():
    import os
    return dict(os.environ)
"""
}
X = np.arange(6.0).reshape(2, 3)


def call(worker, name, *args, **options):
    return worker.run([[Step(name, args)]], **options)[0][0]


@pytest.fixture(scope="module")
def box():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def worker(box):
    with box.spawn(WORK) as worker:
        yield worker


def alive(pid):
    """Tell whether there is such a process and it runs, zombies not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pid, seconds=5.0):
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)


# --- what works ----------------------------------------------------------------------------------------------------
def test_a_batch_is_answered(worker):
    answers = worker.run([[Step("double", (X,))], [Step("tanh_forward", (X,), keep=True, send=(0,), cache=True), Step("tanh_backward", (X, Ref(0, -1)))]])
    assert np.array_equal(answers[0][0].value, 2 * X)
    assert np.allclose(answers[1][1].value, X * (1 - np.tanh(X) ** 2))


def test_a_prepared_batch_runs_in_any_worker(box, worker):
    batch = worker.prepare([[Step("double", (X,))]])
    with box.spawn(WORK) as other:
        assert np.array_equal(worker.run(batch)[0][0].value, other.run(batch)[0][0].value)


def test_the_names_of_all_modules_are_known(box, worker):
    assert "tanh_forward" in worker.names()
    with box.spawn({"first": "def f(): return 1", "second": "import first\ndef g(): return first.f() + 1\n_hidden = len"}) as both:
        assert both.names() == ["f", "g"]
        assert call(both, "g").value == 2


def test_workers_are_strangers_to_each_other(box):
    source = {"m": "n = 0\ndef f():\n    global n\n    n += 1\n    return n"}
    with box.spawn(source) as one, box.spawn(source) as two:
        assert [call(one, "f").value, call(one, "f").value, call(two, "f").value] == [1, 2, 1]


def test_a_worker_starts_with_nothing_of_the_graders(worker):
    assert set(call(worker, "environment").value) <= {*launch.ENVIRONMENT, "PWD", "LC_CTYPE"}
    descriptors = {os.readlink(f"/proc/{worker.pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{worker.pid}/fd")}
    assert descriptors <= {"/dev/null", "socket", "/memfd"}
    assert os.readlink(f"/proc/{worker.pid}/cwd") == "/"


def test_a_secret_in_the_environment_stays_with_the_grader(monkeypatch):
    monkeypatch.setenv("HANDGRAD_TEST_SECRET", "0123456789")
    with Sandbox() as sandbox, sandbox.spawn(WORK) as worker:
        assert "HANDGRAD_TEST_SECRET" not in call(worker, "environment").value
        for pid in (worker.pid, sandbox._process.pid):
            assert b"HANDGRAD_TEST_SECRET" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_the_random_state_is_the_same_in_every_worker(box):
    source = {"m": "import random\nimport numpy as np\ndef f(): return random.random(), np.random.rand(), hash('a')"}
    values = []
    for _ in range(2):
        with box.spawn(source) as worker:
            values.append(call(worker, "f").value)
    assert values[0] == values[1]


def test_ordinary_code_runs(box):
    source = """
import collections, dataclasses, functools, itertools, json, math, random, re, string, time, typing, warnings
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
@dataclasses.dataclass
class Cache:
    x: np.ndarray
@functools.lru_cache
def f(n):
    return Cache(np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0])
def g():
    print("hello")
    time.sleep(0.001)
    return np.einsum("ij,kj->ik", f(4).x, f(4).x), np.fft.fft(np.ones(4)), sliding_window_view(np.arange(5), 2)
"""
    with box.spawn({"m": source}) as worker:
        assert np.allclose(call(worker, "g").value[0], np.eye(4))


# --- loading -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "kind", "line"),
    [
        ("def f(:\n", "SyntaxError", 1),
        ("\n1 / 0", "ZeroDivisionError", 2),
        ("import torch", "ModuleNotFoundError", 1),
        ("import sys; sys.exit()", "SystemExit", 1),
    ],
)
def test_a_source_that_does_not_load_is_a_load_error(box, source, kind, line):
    with pytest.raises(LoadError) as caught:
        box.spawn({"work": source})
    assert (caught.value.module, caught.value.type, caught.value.line) == ("work", kind, line)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import os; os._exit(3)", "died"),
        ("import ctypes; ctypes.string_at(0)", "died"),
        ("import os, time; os.write(3, bytes(100)); time.sleep(9)", "protocol"),
    ],
)
def test_a_source_that_ends_its_worker_is_a_fault(box, source, kind):
    with pytest.raises(Fault) as caught:
        box.spawn({"work": source})
    assert caught.value.kind == kind


def test_a_source_that_hangs_is_a_fault(box, monkeypatch):
    monkeypatch.setattr("autograder.sandbox.worker.CPU_S", 0.2)
    with pytest.raises(Fault, match="did not finish within"):
        box.spawn({"work": "while True: pass"})


def test_nothing_is_left_of_a_worker_that_did_not_load(box):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(LoadError):
            box.spawn({"work": "1 / 0"})
    assert len(os.listdir("/proc/self/fd")) == before


# --- time ----------------------------------------------------------------------------------------------------------
def test_what_computes_is_stopped_by_its_own_clock(worker):
    started = time.monotonic()
    with pytest.raises(Fault) as caught:
        call(worker, "spin", cpu_s=0.3, wall_s=60)
    assert (caught.value.kind, caught.value.detail) == ("timeout", "did not finish within 0.3 seconds")
    assert 0.3 <= worker.cpu_ns() / 1e9 < 0.6
    assert time.monotonic() - started < 20
    assert gone(worker.pid)


def test_what_sleeps_is_stopped_by_the_clock_on_the_wall(worker):
    with pytest.raises(Fault) as caught:
        call(worker, "sleep", cpu_s=60, wall_s=0.3)
    assert caught.value.detail == "did not finish within 0.3 seconds"


def test_a_dead_worker_says_the_same_again(worker):
    for _ in range(2):
        with pytest.raises(Fault, match="did not finish"):
            call(worker, "spin", cpu_s=0.1)


def test_the_cpu_clock_is_the_kernels(worker):
    before = worker.cpu_ns()
    call(worker, "burn", 0.2)
    assert 0.18 <= (worker.cpu_ns() - before) / 1e9 <= 0.4
    before = worker.cpu_ns()
    call(worker, "sleep", 0.1)
    assert (worker.cpu_ns() - before) / 1e9 < 0.05


def test_no_clock_inside_changes_what_is_measured(box):
    source = (
        WORK["work"]
        + """
import time
end = time.process_time
time.time = time.monotonic = time.perf_counter = time.process_time = lambda: 0.0
def cheat():
    start = end()
    while end() < start + 0.2:
        pass
"""
    )
    with box.spawn({"work": source}) as worker:
        before = worker.cpu_ns()
        call(worker, "cheat")
        assert (worker.cpu_ns() - before) / 1e9 > 0.18


# --- memory and output ---------------------------------------------------------------------------------------------
def test_memory_is_limited():
    with Sandbox(limits=Limits(memory_mib=128)) as sandbox, sandbox.spawn(WORK) as worker:
        assert call(worker, "take", 64).value == 64 << 17
        assert call(worker, "take", 256).error.type == "MemoryError"
        assert call(worker, "double", 1).value == 2


def test_a_request_that_does_not_fit_is_a_memory_fault():
    with Sandbox(limits=Limits(memory_mib=64)) as sandbox, sandbox.spawn(WORK) as worker:
        with pytest.raises(Fault) as caught:
            call(worker, "double", np.ones(16 << 20))
        assert (caught.value.kind, caught.value.detail) == ("memory", "needs more memory than the 64 MiB allowed")


def test_the_peak_of_memory_is_seen_from_outside_and_can_be_reset(worker):
    worker.reset_peak()
    before = worker.peak_kib()
    call(worker, "take", 100)
    assert 100 << 10 <= worker.peak_kib() - before < 120 << 10
    worker.reset_peak()
    assert worker.peak_kib() - before < 20 << 10


def test_output_is_kept_up_to_a_limit_and_cleaned(worker):
    call(worker, "say", "hello \x1b[31m")
    assert worker.output == "hello \ufffd[31m\n"
    call(worker, "say", "a" * 900)
    for _ in range(300):
        assert call(worker, "say", "a" * 900).error is None
    assert 50_000 < len(worker.output) <= 1 << 16
    worker.close()
    assert worker.output.startswith("hello")


# --- faults --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "args", "kind", "detail"),
    [
        ("leave", (3,), "died", "ended by itself (exit code 3)"),
        ("leave", (0,), "died", "ended by itself (exit code 0)"),
        ("crash", (), "died", "crashed (signal SIGSEGV)"),
    ],
)
def test_faults_say_what_happened(worker, name, args, kind, detail):
    with pytest.raises(Fault) as caught:
        call(worker, name, *args)
    assert (caught.value.kind, caught.value.detail) == (kind, detail)


def test_too_many_bytes_in_reply_are_a_wrong_return(worker):
    assert "far more than a right answer has" in call(worker, "double", X, cap_bytes=40).error.message
    assert call(worker, "double", X, cap_bytes=48).error is None


def test_a_reply_before_the_request_is_a_fault(box):
    with box.spawn({"m": "import os\ndef f(): return 1\ndef g():\n    os.write(3, b'x')\n    return 1"}) as worker:
        with pytest.raises(Fault) as caught:
            call(worker, "g")
        assert caught.value.kind == "protocol"


def test_a_second_reply_is_a_fault_now_or_at_the_next_request(box):
    source = """
import os, sys
def f():
    frame = sys._getframe()
    while not hasattr(frame.f_locals.get("self"), "nonce"):
        frame = frame.f_back
    inside = frame.f_locals["self"]
    wire = sys.modules["sandbox.wire"]
    reply = wire.encode(("done", (((0, 42),),)))
    wire.send(3, reply, inside.nonce)
    return 1
"""
    with box.spawn({"m": source}) as worker, pytest.raises(Fault) as caught:
        for _ in range(3):
            call(worker, "f")
            time.sleep(0.05)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize(
    "reply",
    [
        "('error', [], (1, 2, 3))",
        "('error', 'work', None)",
        "('error', 'other', ('A', 'b', '', 0, ''))",
        "('done', 'names')",
        "('done', (['a'],))",
        "('done',)",
        "([],)",
        "()",
        "1",
        "('ask', 'f', ())",
    ],
)
def test_a_made_up_reply_to_loading_is_a_fault(box, reply):
    source = f"""
import sys
frame = sys._getframe()
while not hasattr(frame.f_locals.get("self"), "nonce"):
    frame = frame.f_back
wire = sys.modules["sandbox.wire"]
wire.send(3, wire.encode({reply}), frame.f_locals["self"].nonce)
while True:
    pass
"""
    with pytest.raises(Fault) as caught:
        box.spawn({"work": source})
    assert caught.value.kind == "protocol"


ANSWERS = {
    "too few scripts": "()",
    "too few answers": "((),)",
    "no answer": "((3,),)",
    "too short": "(((1,),),)",
    "too long": "(((1, 2, None, (), (), 0, (), 8),),)",
    "a count that is none": "(((-1, None),),)",
    "a count that is a bool": "(((True, None),),)",
    "a tuple that says it is none": "((('float', (1, 2)),),)",
    "a number that says it is a tuple": "(((2, 1.0),),)",
    "a tuple of another length": "(((3, (1, 2)),),)",
    "a value beside an error": "((('', 1, ('A', 'b', '', 0, '')),),)",
    "an error that is none": "((('', None, 'A'),),)",
    "changed names that are none": "((('float', 1.0, None, (1,)),),)",
    "arguments nobody asked for": "((('float', 1.0, None, (), (), 0, (1,)),),)",
    "bytecodes below zero": "((('float', 1.0, None, (), (), -1),),)",
}


@pytest.mark.parametrize("what", ANSWERS)
def test_a_made_up_answer_has_to_have_the_right_form(box, what):
    source = f"""
import sys
def f():
    frame = sys._getframe()
    while not hasattr(frame.f_locals.get("self"), "nonce"):
        frame = frame.f_back
    wire = sys.modules["sandbox.wire"]
    wire.send(3, wire.encode(("done", {ANSWERS[what]})), frame.f_locals["self"].nonce)
    while True:
        pass
"""
    with box.spawn({"m": source}) as worker, pytest.raises(Fault) as caught:
        call(worker, "f")
    assert caught.value.kind == "protocol"


def test_a_question_nobody_allowed_is_a_fault(box):
    source = """
import sys
def f():
    frame = sys._getframe(1)
    while not hasattr(frame.f_locals.get("self"), "ask"):
        frame = frame.f_back
    return frame.f_locals["self"].ask("solution", ())
"""
    with box.spawn({"m": source}) as worker, pytest.raises(Fault) as caught:
        call(worker, "f", serve=lambda name, args: 1)
    assert caught.value.kind == "protocol"


# --- serving -------------------------------------------------------------------------------------------------------
@pytest.fixture
def served(box):
    with Served(lambda: box.spawn(WORK), {"tanh_forward"}) as served:
        yield served


def test_served_functions_stand_in_for_the_students(box, served):
    wrong = WORK["work"].replace("1 - cache", "2 - cache")
    with box.spawn({"work": wrong}) as worker:
        assert not np.allclose(call(worker, "both", X).value[1], np.tanh(X) * (1 - np.tanh(X) ** 2))
        worker.serve({"tanh_forward", "tanh_backward"})
        answer = call(worker, "both", X, serve=served)
        assert np.allclose(answer.value[1], np.tanh(X) * (1 - np.tanh(X) ** 2))
        worker.serve(())
        assert not np.allclose(call(worker, "both", X).value[1], answer.value[1])


def test_functions_can_be_served_from_the_beginning(box, served):
    with box.spawn({"work": "def both(x): return tanh_forward(x)[0]"}, served={"tanh_forward"}) as worker:
        assert np.allclose(call(worker, "both", X, serve=served).value, np.tanh(X))


def test_a_cache_of_ours_never_reaches_the_student(box, served):
    with box.spawn({"work": "def look(x): return tanh_forward(x)[1]"}, served={"tanh_forward"}) as worker:
        assert isinstance(call(worker, "look", X, serve=served).value, Opaque)


def test_caches_are_forgotten_between_submissions(served):
    _, cache = served("tanh_forward", (X,))
    served.drop()
    with pytest.raises(Refused):
        served("tanh_backward", (X, cache))
    _, other = served("tanh_forward", (X,))
    assert other != cache
    assert served("tanh_backward", (X, other)).shape == X.shape


def test_a_cache_that_was_made_up_is_refused(served):
    served("tanh_forward", (X,))
    for number in (5, 10**9):
        with pytest.raises(Refused):
            served("tanh_backward", (X, {"nested": [Opaque(number)]}))


def test_our_own_worker_is_replaced_when_it_dies(served):
    _, cache = served("tanh_forward", (X,))
    with pytest.raises(Refused):
        served("leave", (3,))
    with pytest.raises(Refused, match="does not exist any more"):
        served("tanh_backward", (X, cache))
    assert np.array_equal(served("double", (X,)), 2 * X)


def test_a_student_sees_a_refusal_as_an_error_of_the_call(box, served):
    with box.spawn({"work": "def f(x): return tanh_backward(x, 3)"}, served={"tanh_backward"}) as worker:
        error = call(worker, "f", X, serve=served).error
        assert error.type == "RuntimeError"
        assert "tanh_backward cannot be computed for these arguments" in error.message
        assert call(worker, "f", X, serve=served).error is not None


def test_a_call_of_our_own_code_that_raises_says_so(worker):
    with pytest.raises(Failed, match="TypeError"):
        worker.call("double", ())
    assert worker.call("double", (2,)) == 4


def test_the_graders_own_work_does_not_run_down_the_wall_clock(box):
    with box.spawn({"work": "def f(x): return g(x)"}, served={"g"}) as worker:

        def serve(name, args):
            time.sleep(0.6)
            return 7

        assert call(worker, "f", 1, serve=serve, wall_s=0.5).value == 7


# --- ended by somebody else ----------------------------------------------------------------------------------------
def test_a_worker_that_somebody_else_ends_is_no_fault_of_the_submission(box):
    with box.spawn(WORK) as worker:
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(Fault) as caught:
            call(worker, "double", 1)
        assert caught.value.kind == "killed"


def test_a_submission_that_closes_its_channel_and_stays_has_died(box, monkeypatch):
    monkeypatch.setattr("autograder.sandbox.worker._EXIT_S", 0.1)
    with box.spawn({"work": "import os\ndef f():\n    os.close(3)\n    while True: pass"}) as worker, pytest.raises(Fault) as caught:
        call(worker, "f")
    assert caught.value.kind == "died"


def test_our_own_worker_that_somebody_else_ends_is_a_fault_of_the_kit(box):
    with Served(lambda: box.spawn(WORK)) as served:
        assert served("double", (2,)) == 4
        os.kill(served._worker.pid, signal.SIGKILL)
        with pytest.raises(Fault) as caught:
            served("double", (2,))
        assert caught.value.kind == "zygote"


# --- the zygote ----------------------------------------------------------------------------------------------------
def test_a_zygote_that_dies_is_replaced_and_its_workers_are_gone():
    # Without namespaces only the signal that the kernel was asked to send ends the workers.
    with Sandbox(bwrap=False) as sandbox:
        worker = sandbox.spawn(WORK)
        os.kill(sandbox._process.pid, signal.SIGKILL)
        assert gone(worker.pid)
        with pytest.raises(Fault) as caught:
            call(worker, "double", 1)
        assert caught.value.kind == "zygote"
        with sandbox.spawn(WORK) as other:
            assert call(other, "double", 1).value == 2


def test_a_zygote_that_dies_again_and_again_is_a_fault(monkeypatch):
    with Sandbox(bwrap=False) as sandbox:
        monkeypatch.setattr(sandbox, "_try_fork", lambda: None)
        with pytest.raises(Fault) as caught:
            sandbox.spawn(WORK)
        assert caught.value.kind == "zygote"


@pytest.mark.skipif(not shutil.which("bwrap"), reason="needs bubblewrap")
def test_a_zygote_that_is_killed_while_it_starts_costs_no_wall(monkeypatch):
    said, killed = Sandbox._said, []

    def kill_first(self, seconds):
        if not killed:
            killed.append(self._process.pid)
            os.kill(self._process.pid, signal.SIGKILL)
        return said(self, seconds)

    monkeypatch.setattr(Sandbox, "_said", kill_first)
    try:
        with Sandbox(bwrap=True):
            pass
    except Fault:
        pytest.skip("bubblewrap does not work here")
    killed.clear()
    with Sandbox() as sandbox:
        assert killed
        assert sandbox.bwrap


def test_a_zygote_that_is_killed_again_and_again_is_a_fault(monkeypatch):
    monkeypatch.setattr(launch, "_BOOT", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(Fault, match="ended by somebody else while it starts"):
        Sandbox()


def test_a_zygote_that_does_not_start_says_why(monkeypatch):
    monkeypatch.setattr(launch, "_BOOT", "raise SystemExit('no NumPy today')")
    with pytest.raises(Fault, match="no NumPy today"):
        Sandbox()


def test_a_closed_sandbox_spawns_nothing():
    sandbox = Sandbox(bwrap=False)
    sandbox.close()
    sandbox.close()
    with pytest.raises(Fault, match="closed"):
        sandbox.spawn(WORK)


def test_bubblewrap_that_does_not_work_is_done_without(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(launch.shutil, "which", lambda name: str(fake))
    with Sandbox() as sandbox, sandbox.spawn(WORK) as worker:
        assert not sandbox.bwrap
        assert "bwrap" not in worker.layers
        assert call(worker, "double", 1).value == 2
    with pytest.raises(Fault, match="Permission denied"):
        Sandbox("namespaced")
    monkeypatch.setattr(launch.shutil, "which", lambda name: None)
    with pytest.raises(Fault, match="not installed"):
        Sandbox("namespaced")


def test_a_sandbox_does_not_become_weaker_when_it_starts_again(box, monkeypatch):
    if not box.bwrap:
        pytest.skip("bubblewrap does not work here")
    with Sandbox() as sandbox:
        monkeypatch.setattr(launch.shutil, "which", lambda name: None)
        os.kill(sandbox._process.pid, signal.SIGKILL)
        sandbox._process.wait()
        with pytest.raises(Fault, match="not installed"):
            sandbox.spawn(WORK)


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="unknown level"):
        Sandbox("strong")


def test_other_systems_are_told_what_to_do(monkeypatch):
    monkeypatch.setattr(box_module.sys, "platform", "darwin")
    with pytest.raises(Fault, match="needs Linux"):
        Sandbox()


def test_many_threads_may_spawn_at_once(box):
    found = []

    def go():
        with box.spawn(WORK) as worker:
            found.append(call(worker, "double", 1).value)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2] * 8


# --- what is left behind -------------------------------------------------------------------------------------------
def test_nothing_is_left_behind():
    before = set(os.listdir("/proc/self/fd")), set(os.listdir("/tmp"))
    sandbox = Sandbox()
    pids = []
    for source in ("def f(): return 1", "def f():\n    while True: pass"):
        worker = sandbox.spawn({"m": source})
        pids.append(worker.pid)
        with contextlib.suppress(Fault):
            call(worker, "f", cpu_s=0.1)
    forgotten = sandbox.spawn(WORK)
    pids += [forgotten.pid, sandbox._process.pid]
    del forgotten
    sandbox.close()
    assert all(gone(pid) for pid in pids)
    after = set(os.listdir("/proc/self/fd")), set(os.listdir("/tmp"))
    assert len(after[0]) == len(before[0])
    assert not {name for name in after[1] - before[1] if "handgrad" in name}


@pytest.mark.parametrize("bwrap", [None, False])
def test_a_grader_that_is_killed_takes_everything_with_it(bwrap):
    program = f"""
import sys
from autograder.sandbox import Sandbox
box = Sandbox(bwrap={bwrap})
worker = box.spawn({{"m": "def f():\\n    while True: pass"}})
print(box._process.pid, worker.pid, flush=True)
from autograder.sandbox import Step
worker.run([[Step("f", ())]], cpu_s=1000)
"""
    root = Path(__file__).resolve().parents[2]
    grader = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=root)
    with grader.stdout:
        pids = [int(pid) for pid in grader.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(alive, pids))
    grader.kill()
    grader.wait()
    assert all(gone(pid) for pid in pids)


def test_the_memory_of_the_grader_is_hidden(box):
    assert os.stat("/proc/self/environ").st_uid == 0  # no longer its user's, whoever that is


# --- without some of the layers --------------------------------------------------------------------------------------
KINDS = {
    "without bubblewrap": {"bwrap": False},
    "without Landlock": {"landlock": False},
    "without either": {"bwrap": False, "landlock": False},
    "without a filter": {"seccomp": False},
    "limits only": {"level": "limits"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_work_needs_none_of_the_layers(kind):
    with Sandbox(**KINDS[kind]) as sandbox, sandbox.spawn(WORK) as worker:
        assert np.array_equal(call(worker, "double", X).value, 2 * X)
        assert worker.cpu_ns() > 0
        with pytest.raises(Fault):
            call(worker, "spin", cpu_s=0.1)


def test_the_layers_that_hold_are_told():
    with Sandbox(bwrap=False, landlock=False) as sandbox, sandbox.spawn(WORK) as worker:
        assert "seccomp-noopen" in worker.layers
        assert not [layer for layer in worker.layers if layer.startswith(("bwrap", "landlock"))]
    with Sandbox("limits") as sandbox, sandbox.spawn(WORK) as worker:
        assert set(worker.layers) <= {"rlimits", "nocaps", "nobody"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_worker_of_root_becomes_nobody_and_still_dies_with_its_zygote(monkeypatch):
    # The change of user clears what setpdeathsig has set: the order in `jail.confine` matters.
    monkeypatch.setattr(launch, "_other_user", lambda: 65534)
    with Sandbox(bwrap=False) as sandbox:
        worker = sandbox.spawn(WORK)
        assert "nobody" in worker.layers
        assert os.stat(f"/proc/{worker.pid}/task").st_uid in (0, 65534)
        assert "Uid:\t65534\t65534\t65534" in Path(f"/proc/{worker.pid}/status").read_text()
        assert call(worker, "double", 1).value == 2
        worker.reset_peak()
        assert worker.peak_kib() > 0
        os.kill(sandbox._process.pid, signal.SIGKILL)
        assert gone(worker.pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_a_worker_of_root_has_no_capabilities():
    with Sandbox(bwrap=False) as sandbox, sandbox.spawn(WORK) as worker:
        status = Path(f"/proc/{worker.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "CapPrm:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status


def test_python_in_a_folder_of_roots_own_is_not_left_for_nobody(tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "library").mkdir(mode=0o755)
    assert not launch._open_to_all(str(hidden / "library"))
    if os.geteuid() == 0:
        assert launch._open_to_all("/usr/lib")


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_inside_bubblewrap_there_is_nothing_but_what_is_needed(tmp_path):
    (tmp_path / "secret").write_text("x")
    with Sandbox(landlock=False, seccomp=False) as sandbox:
        if not sandbox.bwrap:
            pytest.skip("bubblewrap does not work here")
        with sandbox.spawn({"m": "import os\ndef there(path): return os.path.exists(path)\ndef ls(path): return sorted(os.listdir(path))"}) as worker:
            root = Path(__file__).resolve().parents[2]
            for path in (tmp_path / "secret", root / "reference", root / "solutions", root / "autograder" / "judge", Path("/etc/passwd"), Path.home() / ".ssh"):
                assert call(worker, "there", str(path)).value is False, path
            site = Path(np.__file__).parents[1]
            assert set(call(worker, "ls", str(site)).value) <= {"numpy", "numpy.libs"}
