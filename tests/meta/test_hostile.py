"""Submissions that attack: none gets a point, leaves a trace, takes much time, or disturbs the next submission.

The attacks are in tests/hostile; what came of each is seen from outside, whatever stopped it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from autograder.cases import store
from autograder.judge.submission import Grader
from autograder.sandbox import Limits, Sandbox, worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "hostile"
PRELUDE = (FOLDER / "prelude.py").read_text()
REWARD = """
succeeded = []


def affine_forward(h, W, b):
    if not succeeded:
        attack()
        succeeded.append(True)
    return loot(h, W, b)
"""
RIGHT = "def affine_forward(h, W, b):\n    return h @ W + b, (h, W)\n"
FULL = 2  # points for it
CPU_S, WALL_S = 0.25, 0.8  # for one request of an attack; the real limits would take minutes
PATIENCE_S = 40.0
GROWTH_KIB = 300 << 10


@dataclass(frozen=True)
class Attack:
    name: str
    flags: frozenset[str]
    source: str


def read(path: Path) -> list[Attack]:
    """Split a file into its attacks."""
    parts = re.split(r"^# %% (\w+)(?: \[([\w, ]+)\])?: .*$", path.read_text(), flags=re.MULTILINE)
    assert not parts[0].strip(), f"{path} begins with something that is no attack"
    triples = zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    return [Attack(f"{path.stem}.{name}", frozenset((flags or "").split(", ")) - {""}, source) for name, flags, source in triples]


ATTACKS = {attack.name: attack for path in sorted(FOLDER.glob("*.py")) if path.stem != "prelude" for attack in read(path)}
FLAGS = {"open", "namespaced", "x86_64"}


def usable(attack: Attack) -> bool:
    return "x86_64" not in attack.flags or platform.machine() == "x86_64"


@dataclass
class Outside:
    """What an attack is after, and what can be seen of it."""

    folder: Path
    servers: list[socket.socket]
    victim: subprocess.Popen
    token: str
    abstract: str
    solution: Path
    bank: Path
    before: dict = field(default_factory=dict)

    def constants(self) -> str:
        """Tell the attack where everything is."""
        tcp, udp, _, _ = self.servers
        half = len(self.token) // 2
        values = {
            "FOLDER": str(self.folder), "BAIT": str(self.folder / "bait"), "SOLUTION": str(self.solution), "BANK": str(self.bank),
            "HOME": str(Path.home()), "PORT": tcp.getsockname()[1], "UDP": udp.getsockname()[1], "SOCKET": str(self.folder / "socket"),
            "ABSTRACT": self.abstract, "VICTIM": self.victim.pid, "GRADER": os.getpid(), "LEFT": self.token[:half], "RIGHT": self.token[half:],
        }  # fmt: skip
        return "".join(f"{name} = {value!r}\n" for name, value in values.items())

    def files(self) -> dict[str, tuple]:
        """Everything that could have been changed."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            status = path.lstat()
            found[str(path)] = (status.st_mode, status.st_nlink, status.st_size, status.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        return found

    def traces(self, sandbox: Sandbox) -> list[str]:
        """Name everything that should not be."""
        found = []
        if self.files() != self.before:
            found.append("files were changed")
        if self.victim.poll() is not None:
            found.append("another process was ended")
        if any(select.select([server], [], [], 0)[0] for server in self.servers):
            found.append("somebody was reached through a socket")
        if alive := [pid for pid in workers_of(sandbox) if not wait_for_end(pid)]:
            found.append(f"processes are left: {alive}")
        return found


@contextlib.contextmanager
def laid_out():
    """Lay out everything that an attack may want: files, servers, a process, a secret.

    Not below pytest's own folder, which is closed to the user that a sandbox started by root becomes.
    """
    with contextlib.ExitStack() as stack:
        tmp_path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handgrad-outside-")))
        tmp_path.chmod(0o777)
        (tmp_path / "bait").write_text("untouched")
        (tmp_path / "folder").mkdir()
        solution = tmp_path / "solutions" / "rnn" / "rnn.py"
        solution.parent.mkdir(parents=True)
        shutil.copy(ROOT / "solutions" / "rnn" / "rnn.py", solution)
        bank = tmp_path / "rnn.bank.npz"
        shutil.copy(ROOT / "assignments" / "rnn" / "rnn.bank.npz", bank)
        abstract = f"handgrad-{secrets.token_hex(4)}"
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))]
        for kind, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, str(tmp_path / "socket")), (socket.AF_UNIX, f"\0{abstract}")):
            servers.append(stack.enter_context(socket.socket(kind, socket.SOCK_DGRAM)))
            servers[-1].bind(address)
        token = secrets.token_hex(16)
        os.environ["HANDGRAD_TEST_TOKEN"] = token
        stack.callback(os.environ.pop, "HANDGRAD_TEST_TOKEN", None)
        victim = subprocess.Popen(["sleep", "3600"])
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        outside = Outside(tmp_path, servers, victim, token, abstract, solution, bank)
        outside.before = outside.files()
        yield outside


@pytest.fixture(scope="module")
def outside():
    with laid_out() as outside:
        yield outside


@pytest.fixture(scope="module")
def bank():
    return store.load(ROOT / "assignments" / "rnn" / "rnn.bank.npz")


def children() -> dict[int, list[int]]:
    """Process id -> ids of its living children, of all processes."""
    found: dict[int, list[int]] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                found.setdefault(int(parent), []).append(int(name))
    return found


def workers_of(sandbox: Sandbox) -> list[int]:
    """Processes below the zygote. Bubblewrap stands above it as two processes."""
    tree, level = children(), [sandbox._process.pid]
    for _ in range(3 if sandbox.bwrap else 1):
        level = [child for parent in level for child in tree.get(parent, [])]
    return level


def wait_for_end(pid: int) -> bool:
    """Give a process that was killed a moment."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


@contextlib.contextmanager
def hurried():
    """Give every worker little time."""
    run, cpu_s = worker.Worker.run, worker.CPU_S

    def run_quickly(self, batch, *, cpu_s, wall_s, **rest):
        return run(self, batch, cpu_s=min(cpu_s, CPU_S), wall_s=min(wall_s, WALL_S), **rest)

    worker.Worker.run, worker.CPU_S = run_quickly, CPU_S
    try:
        yield
    finally:
        worker.Worker.run, worker.CPU_S = run, cpu_s


@contextlib.contextmanager
def grading(bank, **options):
    """Give (sandbox, source -> (points, all text that a student would see))."""
    with Sandbox(limits=Limits(memory_mib=128), **options) as sandbox:
        grader = Grader(bank, sandbox.spawn, shrink=False)

        def grade(source):
            graded = grader.grade({"rnn": source})
            text = [*graded.messages, *(check.sentence for result in graded.functions for check in result.checks)]
            return sum(result.score for result in graded.functions), "\n".join(text)

        yield sandbox, grade


def whole(attack: Attack, outside: Outside) -> str:
    reward = REWARD if re.search(r"^def attack\(", attack.source, re.MULTILINE) else ""
    return PRELUDE + outside.constants() + attack.source + reward


def withstands(attack: Attack, outside: Outside, sandbox: Sandbox, grade) -> None:
    """Assert that an attack comes to nothing."""
    zygote, descriptors, memory = sandbox._process.pid, len(os.listdir("/proc/self/fd")), resident_kib()
    started = time.monotonic()
    with hurried():
        points, text = grade(whole(attack, outside))
    assert points == 0, text
    assert time.monotonic() - started < PATIENCE_S
    assert outside.traces(sandbox) == []
    assert text.replace("\n", "").replace("\t", "").isprintable(), text
    assert len(text) < 200_000
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert resident_kib() - memory < GROWTH_KIB
    assert sandbox._process.pid == zygote
    assert grade(RIGHT)[0] == FULL


def resident_kib() -> int:
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))


@pytest.fixture(scope="module")
def everything(bank):
    with grading(bank) as both:
        yield both


def test_the_attacks_are_many_and_well_described():
    assert len(ATTACKS) >= 150
    assert set().union(*(attack.flags for attack in ATTACKS.values())) == FLAGS
    assert len({attack.source for attack in ATTACKS.values()}) == len(ATTACKS)


def test_the_harness_gives_points_to_what_is_right(everything, outside):
    _, grade = everything
    assert grade(RIGHT)[0] == FULL
    assert grade(whole(Attack("none", frozenset(), "def attack():\n    pass\n"), outside))[0] == FULL


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_comes_to_nothing(name, everything, outside):
    sandbox, grade = everything
    attack = ATTACKS[name]
    if not usable(attack) or ("namespaced" in attack.flags and not sandbox.bwrap):
        pytest.skip("not for this machine")
    withstands(attack, outside, sandbox, grade)


OPEN = [name for name, attack in ATTACKS.items() if "open" in attack.flags]


@pytest.mark.parametrize("name", OPEN)
def test_with_the_walls_left_out_the_same_attack_succeeds(name, open_ground):
    """Otherwise the test above would say nothing."""
    sandbox, grade, layers = open_ground
    attack = ATTACKS[name]
    if not usable(attack):
        pytest.skip("not for this machine")
    with laid_out() as outside:
        points, text = grade(whole(attack, outside))
        succeeds = points == FULL or outside.traces(sandbox)
    if not succeeds and "nobody" in layers and name in OWNERS_ONLY:
        pytest.skip("another user cannot do it, and root's sandbox changes the user wherever that user can read Python")
    assert succeeds, text


#: What only the owner of a file or process can do.
OWNERS_ONLY = {
    "finding.glob_home", "harming.overwrite_file", "harming.append_to_file", "harming.hard_link", "harming.truncate", "harming.set_times",
    "harming.map_file", "harming.change_rights", "harming.kill", "harming.unix_socket",
}  # fmt: skip


@pytest.fixture(scope="module")
def open_ground(bank):
    with grading(bank, level="limits") as (sandbox, grade), sandbox.spawn({"rnn": ""}) as worker:
        yield sandbox, grade, worker.layers


KINDS = {
    "without bubblewrap": {"bwrap": False},
    "without Landlock": {"bwrap": False, "landlock": False},
    "bubblewrap without Landlock": {"landlock": False},
}


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ATTACKS)
def test_fewer_walls_hold_as_well(name, kind, outside, bank, grounds):
    attack = ATTACKS[name]
    if not usable(attack) or "namespaced" in attack.flags:
        pytest.skip("not for this machine")
    sandbox, grade = grounds[kind]
    withstands(attack, outside, sandbox, grade)


@pytest.fixture(scope="module")
def grounds(bank):
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(grading(bank, **options)) for kind, options in KINDS.items()}
