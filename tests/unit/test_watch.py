"""Watching: a check now and after every save, whatever an editor does to save, until Ctrl-C."""

import os
from pathlib import Path

import pytest

from autograder import paths
from autograder.course import selfcheck, watch
from autograder.exercises import load
from tests.unit.test_cli import handgrad  # noqa: F401

SOLUTION = paths.solution("rnn").read_text()


def runs(files, *happens):
    """Watch while one thing after the other happens; return how often there was a check after each."""
    counts, steps = [0], iter(happens)

    def act():
        counts[-1] += 1

    def sleep(seconds):
        assert 0 < seconds < 1
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        counts.append(0)
        step()

    with pytest.raises(KeyboardInterrupt):
        watch.watch(files, act, sleep)
    return counts


@pytest.fixture
def path(tmp_path):
    (tmp_path / "rnn.py").write_text("x = 1\n")
    return tmp_path / "rnn.py"


def replaced(path, text):
    other = path.with_name("other")
    other.write_text(text)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


def test_it_checks_at_once_and_after_every_save(path):
    assert runs([path], lambda: None, lambda: path.write_text("x = 22\n"), lambda: None) == [1, 0, 1, 0]


def test_saving_by_replacing_is_seen_even_with_the_same_time_and_size(path):
    assert runs([path], lambda: replaced(path, "x = 2\n")) == [1, 1]


def test_a_file_that_is_gone_for_a_moment_is_waited_for(path):
    assert runs([path], path.unlink, lambda: None, lambda: path.write_text("x = 3\n")) == [1, 0, 0, 1]


def test_a_second_file_may_come_later(path):
    other = path.with_name("word2vec.py")
    assert runs([path, other], lambda: None, other.touch) == [1, 0, 1]


def test_what_is_saved_during_a_check_is_checked_again(path):
    done = []

    def act():
        done.append(path.read_text())
        if len(done) == 1:
            path.write_text("saved meanwhile\n")

    def sleep(_):
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch.watch([path], act, sleep)
    assert done == ["x = 1\n", "saved meanwhile\n"]


def test_all_files_that_a_check_may_read_are_watched():
    names = {path.name for path in selfcheck.files(load("seq2seq"), Path("here/seq2seq.ipynb"))}
    assert names == {"seq2seq.ipynb", *(f"{name}{suffix}" for name in load("seq2seq").requires for suffix in (".py", ".ipynb"))}


def test_the_command_checks_again_says_what_is_broken_and_ends_cleanly(handgrad, monkeypatch, tmp_path):  # noqa: F811
    file = tmp_path / "rnn.py"
    file.write_text(SOLUTION)
    saves = iter([SOLUTION.replace("return h @ W + b,", "return h @ W,"), "def affine_forward(:\n", SOLUTION])

    def sleep(_):
        text = next(saves, None)
        if text is None:
            raise KeyboardInterrupt
        replaced(file, text)

    monkeypatch.setattr(watch.watch, "__defaults__", (sleep,))
    code, out, error = handgrad("check", "--watch", "--function", "affine_forward")
    assert code == 0
    assert out.count("watching; Ctrl-C ends") == 4
    assert [line for line in out.splitlines() if line.startswith("rnn:")] == [
        "rnn: 1 of 1 passed, 2 of 2 points here", "rnn: 0 of 1 passed, 0 of 2 points here", "rnn: 1 of 1 passed, 2 of 2 points here"]  # fmt: skip
    assert "SyntaxError" in error
    assert "\x1b" not in out


def test_a_wrong_call_is_said_and_not_watched(handgrad):  # noqa: F811
    Path("rnn.py").write_text(SOLUTION)
    assert handgrad("check", "--watch", "--function", "nonsense")[0] == 2
    assert handgrad("check", "lstm", "--watch")[0] == 3
