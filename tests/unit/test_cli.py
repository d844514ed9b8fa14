"""The command: what it prints, how it ends, and that every wrong use is one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import __version__, cli, paths
from autograder.cases.store import Bank, save
from autograder.course import grading, isolation
from autograder.report.jsonfile import validate
from tests.unit.test_run import played

ROOT = Path(__file__).resolve().parents[2]
SOLUTION = paths.solution("rnn").read_text()
STUB = paths.public_bank("rnn").with_name("rnn.py").read_text()


@pytest.fixture
def handgrad(monkeypatch, tmp_path, capsys):
    """Run the command in a folder of its own; gives exit code, what was printed, and the error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["handgrad", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, error = capsys.readouterr()
        assert "Traceback" not in error
        return ended.value.code, out, error

    monkeypatch.chdir(tmp_path)
    return call


@pytest.fixture
def sandbox(monkeypatch):
    """A sandbox that is played."""
    seen = {"level": "limits", "layers": ["rlimits"], "canary": {"read files": "POSSIBLE"}}
    monkeypatch.setattr(isolation, "observed", lambda: seen)
    monkeypatch.setattr(grading, "open_grader", played)
    return seen


def test_the_version_is_told(handgrad):
    assert handgrad("--version") == (0, f"handgrad {__version__}\n", "")


def test_without_words_there_is_help(handgrad):
    code, out, error = handgrad()
    assert code == 2
    assert "check" in out + error


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["frobnicate"], "No such command"),
        (["check", "--wrong"], "No such option"),
        (["check", "sleep"], "there is no assignment 'sleep'. There are: attention, lstm, rnn, seq2seq, word2vec."),
        (["check"], "there is no file of an assignment here. Say which one to check"),
        (["check", "rnn", "--function", "rnn_froward", "--file", ROOT / "solutions/rnn/rnn.py"], "rnn has no function 'rnn_froward'"),
        (["check", "--file", "other.py"], "say which assignment it is"),
        (["check", "rnn", "--bank", "nowhere.npz", "--file", ROOT / "solutions/rnn/rnn.py"], "there is no example bank at nowhere.npz"),
        (["grade", "."], "Missing option"),
        (["grade", ".", "--assignment", "sleep"], "there is no assignment 'sleep'"),
        (["grade", ".", "--assignment", "rnn", "--jobs", "0"], "Invalid value"),
        (["grade", ".", "--assignment", "rnn", "--require-isolation", "steel"], "there is no isolation level 'steel'"),
        (["grade", ".", "--assignment", "rnn", "--out", "x"], "lies among the submissions"),
        (["bank"], "Usage"),
        (["bank", "verify", "nowhere.npz"], "there is no example bank at nowhere.npz"),
        (["bank", "build", "rnn"], "Missing option"),
        (["bank", "build", "sleep", "--out", "x.npz"], "there is no assignment 'sleep'"),
        (["bank", "build", "rnn", "--out", "ann.py/x.npz"], "the folder ann.py cannot be made: File exists."),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(handgrad, words, line):
    Path("ann.py").touch()
    code, out, error = handgrad(*words)
    assert code == 2
    assert line in out + error
    if error:
        assert error.startswith("handgrad: ")
        assert error.count("\n") == 1


# ------------------------------------------------------------------------------------------------------ check


def test_a_right_file_passes(handgrad):
    Path("rnn.py").write_text(SOLUTION)
    code, out, _ = handgrad("check")
    assert code == 0
    assert "✓  rnn_forward" in out
    assert "12 of 12 passed" in out


def test_the_stub_is_not_written_yet(handgrad):
    Path("rnn.py").write_text(STUB)
    code, out, _ = handgrad("check", "rnn")
    assert code == 1
    assert out.count("not written yet") == 12


def test_one_function_is_checked(handgrad):
    Path("mine.py").write_text(SOLUTION + "\n\ndef affine_forward(h, W, b):\n    return h @ W, None\n")
    code, out, _ = handgrad("check", "rnn", "--file", "mine.py", "-f", "affine_forward", "-f", "sample")
    assert code == 1
    assert "scores[0, 0, 0] is" in out
    assert [line.split()[1] for line in out.splitlines() if line[0] in "✓✗–?"] == ["affine_forward", "sample"]


def test_the_newer_of_two_files_is_checked(handgrad):
    Path("rnn.py").write_text(SOLUTION)
    Path("rnn.ipynb").write_text('{"cells": []}')
    os.utime("rnn.ipynb", (1, 1))
    assert "Checking rnn.py, which is newer than rnn.ipynb." in handgrad("check", "rnn", "-f", "sample")[1]


def test_a_notebook_is_checked_and_problems_named_by_cell(handgrad):
    cells = ["import numpy as np", "\ndef embedding_forward(ids, W):\n    raise ValueError('no')"]
    Path("rnn.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}))
    code, out, _ = handgrad("check", "--function", "embedding_forward")
    assert code == 1
    assert "ValueError: no (cell 2, line 3)" in out


def test_a_cell_that_cannot_be_read_is_named_when_something_of_it_is_needed(handgrad):
    cells = ["import numpy as np\ndef rows(ids, W:\n    return W[ids]", "def embedding_forward(ids, W):\n    return rows(ids, W), (ids, W.shape)"]
    Path("rnn.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}))
    _, out, _ = handgrad("check", "--function", "embedding_forward")
    assert out.startswith("Cell 1 defines rows, but cannot be read (line 2: ")
    assert "NameError" in out


def test_a_script_that_fails_beside_its_functions_is_checked_as_it_is_graded(handgrad):
    Path("rnn.py").write_text("print(1 / 0)\n" + SOLUTION + "\n\ndef affine_forward(h, W, b):\n    raise ValueError('no')\n")
    code, out, _ = handgrad("check", "rnn", "-f", "affine_forward", "-f", "embedding_forward")
    assert code == 1
    assert out.splitlines()[:2] == ["rnn.py could not be loaded: ZeroDivisionError: division by zero (line 1)", "What the graded functions need was taken out of it and judged."]
    assert f"ValueError: no (line {2 + SOLUTION.count(chr(10)) + 3})" in out
    assert "✓  embedding_forward" in out


def test_the_assignment_that_is_worked_on_is_guessed(handgrad):
    Path("lstm.py").write_text("")
    Path("seq2seq.py").write_text("")
    from autograder.course.selfcheck import target

    assert target(None, None, Path.cwd()).assignment == "seq2seq"
    Path("rnn.py").write_text("")
    assert "here are files of rnn and seq2seq. Say which one to check" in handgrad("check")[2]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("def f(:\n", "rnn.py could not be loaded: SyntaxError: invalid syntax (line 1)"),
        ("raise SystemExit(0)", "rnn.py could not be loaded: SystemExit: 0 (line 1)"),
        ("raise ValueError('\\x1b[31m' + 'a\\nb')", r"rnn.py could not be loaded: ValueError: \x1b[31ma b (line 1)"),
        (None, "there is no rnn.py or rnn.ipynb here. Go to its folder, or name it with --file."),
    ],
)
def test_what_cannot_be_checked_is_exit_code_3(handgrad, content, line):
    if content is not None:
        Path("rnn.py").write_text(content)
    assert handgrad("check", "rnn") == (3, "", f"handgrad: {line}\n")


def test_a_check_needs_numpy_typer_and_rich_only_and_starts_at_once(tmp_path):
    (tmp_path / "rnn.py").write_text(SOLUTION)
    script = "import sys\nfor name in ('torch', 'hypothesis', 'pebble', 'jsonschema'): sys.modules[name] = None\nfrom autograder.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", script, "check", "rnn"], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------------------ grade


def test_a_class_is_graded_from_the_command_line(handgrad, sandbox):
    for student, words in {"ann": "right", "bob": "wrong", "[red]eve": "right"}.items():
        Path(f"sub/{student}").mkdir(parents=True)
        Path(f"sub/{student}/rnn.py").write_text(words)
    code, out, error = handgrad("grade", "sub", "--assignment", "rnn", "--out", "out", "--jobs", "1", "--require-isolation", "limits")
    assert (code, error) == (0, "")
    assert "[red]eve" in out
    assert "draw a private bank" in out
    assert "out/grades.csv" in out
    validate(json.loads(Path("out/results/ann.json").read_text()))
    assert "3 of 3 were done before" in handgrad("grade", "sub", "-a", "rnn", "--out", "out", "--require-isolation", "limits")[1]


def test_below_the_required_isolation_nothing_runs(handgrad, sandbox):
    Path("sub").mkdir()
    Path("sub/ann.py").write_text("right")
    code, _, error = handgrad("grade", "sub", "-a", "rnn", "--out", "out")
    assert code == 5
    assert "The isolation here is 'limits', but 'filtered' is required; student code could: read files." in error
    assert "--require-isolation limits" in error
    assert not list(Path("out/results").iterdir())


def test_an_empty_folder_is_exit_code_3(handgrad, sandbox):
    Path("sub").mkdir()
    code, _, error = handgrad("grade", "sub", "-a", "rnn")
    assert code == 3
    assert "holds no submissions" in error


def test_a_student_without_a_file_is_exit_code_3_and_the_others_are_graded(handgrad, sandbox):
    Path("sub/bob").mkdir(parents=True)
    Path("sub/ann.py").write_text("right")
    code, out, _ = handgrad("grade", "sub", "-a", "rnn", "--out", "out", "--require-isolation", "none")
    assert code == 3
    assert "There is no rnn.py and no rnn.ipynb." in out
    assert Path("out/results/ann.json").exists()


def test_ctrl_c_leaves_a_state_that_can_be_resumed_and_says_so(handgrad, sandbox, monkeypatch):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("autograder.course.run.run", stopped)
    Path("sub").mkdir()
    code, _, error = handgrad("grade", "sub", "-a", "rnn", "--out", "out")
    assert code == 130
    assert "are graded and kept in out. Run the same command again to go on." in error


def test_a_fault_of_the_kit_is_exit_code_4(handgrad, sandbox, monkeypatch):
    def broken(*args):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("autograder.course.run.run", broken)
    code, _, error = handgrad("grade", "sub", "-a", "rnn", "--out", "out")
    assert code == 4
    assert error == "handgrad: a fault of the kit: ZeroDivisionError: oh. Set HANDGRAD_TRACEBACK=1 and run it again to see where.\n"


def test_isolation_is_told(handgrad, sandbox):
    code, out, _ = handgrad("isolation")
    assert code == 0
    assert out == "isolation: limits\nlayers: rlimits\n  POSSIBLE  read files\n"
    sandbox["trouble"] = "cannot be run safely here"
    assert handgrad("isolation")[0] == 5


# ------------------------------------------------------------------------------------------------------- bank


def test_a_bank_is_verified(handgrad):
    code, out, _ = handgrad("bank", "verify", paths.public_bank("rnn"))
    assert code == 0
    assert "whole. rnn, public," in out
    save(Bank("rnn", False, {}), Path("bank.npz"))
    assert "has no examples for embedding_forward" in handgrad("bank", "verify", "bank.npz")[2]
    Path("bank.npz").write_bytes(Path("bank.npz").read_bytes()[:-50])
    assert handgrad("bank", "verify", "bank.npz")[0] == 2


def test_a_bank_is_built(handgrad, monkeypatch):
    monkeypatch.setattr("autograder.judge.banks.make", lambda name, seed, progress: Bank(name, False, {}, {"seed": seed}))
    code, out, _ = handgrad("bank", "build", "rnn", "--seed", "7", "--out", "bank.npz")
    assert code == 0
    assert "bank.npz: rnn, 0 examples, seed 7, sha256 " in out
    assert os.listdir() == ["bank.npz"]


# ------------------------------------------------------------------------------------------------------- demo


def test_the_demo_makes_a_class_of_30(handgrad, sandbox):
    from autograder.course.demo import make_class
    from autograder.course.submissions import find
    from autograder.exercises import load
    from autograder.ours import CourseError

    assert make_class(Path("demo/submitted")) == 30
    assert make_class(Path("demo/submitted")) == 30
    found = find(Path("demo/submitted"), load("rnn")).submissions
    assert len(found) == 30
    assert {s.student for s in found if s.problem} == {"broken_link", "broken_no_file", "broken_not_a_notebook", "broken_not_utf8", "broken_two_files"}
    Path("mine").mkdir()
    Path("mine/thesis.txt").touch()
    with pytest.raises(CourseError, match="Choose another --out"):
        make_class(Path("mine"))


# ------------------------------------------------------------------------------------------------ where it is printed


def ended(*words, **named):
    """Return exit code, what was printed where that was a pipe, and what was said as an error."""
    with subprocess.Popen([sys.executable, "-m", "autograder", *map(str, words)], text=True, stderr=subprocess.PIPE, cwd=ROOT, **named) as process:
        if "env" not in named and process.stdout:
            process.stdout.close()  # a reader that has gone
            process.stdout = None
        out, error = process.communicate()
    return process.returncode, out, error.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize("stdout", ["full", "closed", "gone"])
def test_nobody_has_to_listen(stdout, tmp_path):
    for student in ("ann", "josé", "李雷"):
        (tmp_path / "submitted" / student).mkdir(parents=True)
    words = ["grade", tmp_path / "submitted", "-a", "rnn", "--out", tmp_path / "out"]
    with open("/dev/full", "w") as full:
        how = {"full": {"stdout": full}, "closed": {"preexec_fn": lambda: os.close(1)}, "gone": {"stdout": subprocess.PIPE}}
        code, _, error = ended(*words, **how[stdout])
    assert code == 3
    dropped = "handgrad: what is printed cannot be written: No space left on device. The rest of it is dropped, and the work goes on."
    assert error == (dropped if stdout == "full" else "")
    assert len((tmp_path / "out" / "grades.csv").read_text().splitlines()) == 4


def test_a_name_needs_no_letters_of_the_terminal(tmp_path):
    (tmp_path / "submitted" / "李雷").mkdir(parents=True)
    words = ("grade", tmp_path / "submitted", "-a", "rnn", "--out", tmp_path / "out")
    code, out, _ = ended(*words, stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert code == 3
    assert "\\u674e\\u96f7" in out
    assert "李雷" in (tmp_path / "out" / "grades.csv").read_text(encoding="utf-8")
