"""The wire under fire: whatever a worker sends, only the wire's own errors come out, and nothing is kept."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from autograder.sandbox import Fault, Limits, wire
from autograder.sandbox.deadline import Wall
from autograder.sandbox.link import Link
from autograder.sandbox.messages import answer_tree
from autograder.sandbox.steps import Answer, LoadError, Step
from autograder.sandbox.worker import Failed, Worker
from tests.soak import fuzz

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")

MINUTES = float(os.environ.get("HANDGRAD_FUZZ_MINUTES", "10"))
FLAT_KIB = 64


def test_damaged_frames_are_read_or_refused():
    tally = fuzz.run(seed=20260, frames=4_000)
    assert tally.read > 300
    assert len(tally.refused) > 30
    assert tally.grown_kib < FLAT_KIB


@pytest.mark.soak
def test_damaged_frames_at_length(capsys):
    tally = fuzz.run(seed=random.SystemRandom().randrange(1 << 32), seconds=60 * MINUTES)
    with capsys.disabled():
        print(f"\n{tally}\n" + "\n".join(f"  {count:>9,}  {why}" for why, count in tally.refused.most_common()))
    assert tally.grown_kib < FLAT_KIB


# ----------------------------------------------------------------------------------------- the state of a session

BATCH = [[Step("f", (np.arange(3.0),))]]
GOOD = wire.encode(("done", ((answer_tree(Answer(np.arange(2.0), returned="ndarray")),),)))
ASK = wire.encode(("ask", "g", (np.arange(2.0),)))
EMPTY = wire.encode(("done", ()))


@pytest.fixture(scope="module")
def remains():
    """A process that has ended and is not waited for: its id is nobody else's, and to kill it does nothing."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


class Liar:
    """The other end of a worker's channel: it reads a request and sends what it was told to."""

    def __init__(self, pid: int) -> None:
        ours, self.channel = socket.socketpair()
        ours.setblocking(False)
        output = os.memfd_create("output")
        self.worker = Worker(Link(1, pid, ours, output, [], lambda: {"signal": 9, "code": -9, "peak_kib": 0, "cpu_s": 0.0}), Limits())

    def ask(self, request, answers) -> None:
        """Make a request that is answered like that; only the sandbox's own exceptions may come of it."""
        peer = threading.Thread(target=self._answer, args=(answers,))
        peer.start()
        with contextlib.suppress(Fault, LoadError, Failed):
            request(self.worker)
        peer.join(10)
        assert not peer.is_alive()

    def _answer(self, answers) -> None:
        try:
            nonce = wire.receive(self.channel.fileno(), Wall(2), None, wire.Caps()).nonce
            for answer in answers:
                self.send(answer, nonce)
        except (wire.Closed, wire.Late, OSError):
            return  # the grader has had enough

    def send(self, answer, nonce=bytes(16)) -> None:
        """Send a valid frame, bytes as they are, or nothing any more."""
        if isinstance(answer, wire.Encoded):
            wire.send(self.channel.fileno(), answer, nonce, Wall(2))
        elif answer is None:
            self.channel.shutdown(socket.SHUT_RDWR)
        else:
            self.channel.sendall(answer.replace(fuzz.NONCE, nonce))

    def close(self) -> None:
        self.worker.close()
        self.channel.close()


ANSWERS = st.lists(
    st.one_of(
        st.sampled_from([GOOD, ASK, EMPTY, None, wire.encode(("memory",)), wire.encode(("done", ("f",)))]),
        st.integers(0, 1 << 32).map(lambda seed: fuzz.frame(random.Random(seed))),
        st.binary(max_size=60),
    ),
    max_size=3,
)
REQUESTS = {
    "run": lambda worker: worker.run(BATCH, cpu_s=0.05, wall_s=0.05, serve=lambda name, args: args[0]),
    "run without serving": lambda worker: worker.run(BATCH, cpu_s=0.05, wall_s=0.05),
    "call": lambda worker: worker.call("f", (1,), cpu_s=0.05, wall_s=0.05),
}


class Conversation(RuleBasedStateMachine):
    """Requests and answers in any order; a worker that has been ended stays ended, for the same reason."""

    pid = 0

    @initialize()
    def begin(self):
        self.liar, self.fault = Liar(self.pid), None
        self.liar.worker._served = frozenset(["g"])

    # What is dead depends on time as well, so that no choice of Hypothesis's may depend on it: every rule can always be taken.

    @rule(name=st.sampled_from(sorted(REQUESTS)), answers=ANSWERS)
    def request(self, name, answers):
        if self.dead():
            self.stays_dead(name)
        else:
            self.liar.ask(REQUESTS[name], answers or [GOOD])

    @rule()
    def a_true_answer_is_taken(self):
        found = []
        if not self.dead():
            self.liar.ask(lambda worker: found.append(worker.run(BATCH, cpu_s=5)), [GOOD])
            assert (len(found) == 1) == (not self.dead())
        assert not found or np.array_equal(found[0][0][0].value, [0, 1])

    @rule(answer=st.sampled_from([GOOD, b"x", fuzz.VALID[0][0]]))
    def speak_unasked(self, answer):
        if not self.dead():
            with contextlib.suppress(OSError, wire.Closed):
                self.liar.send(answer)
            self.liar.ask(REQUESTS["run"], [])
        assert self.dead()

    def stays_dead(self, name):
        fault = self.liar.worker._fault
        with pytest.raises(Fault) as caught:
            REQUESTS[name](self.liar.worker)
        assert (caught.value.kind, caught.value.detail) == (fault.kind, fault.detail)

    def dead(self):
        return self.liar.worker._fault is not None

    def teardown(self):
        if hasattr(self, "liar"):
            self.liar.close()


def _converse(pid, examples):
    descriptors = len(os.listdir("/proc/self/fd"))
    machine = type("Conversation", (Conversation,), {"pid": pid})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    )
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_conversation_with_a_liar_ends_in_a_fault_or_in_truth(remains):
    _converse(remains, 40)


@pytest.mark.soak
def test_many_conversations_with_a_liar(remains):
    _converse(remains, 3_000)
