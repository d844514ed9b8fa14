"""The isolation is observed: a layer that is left out is noticed, whatever the configuration says."""

import dataclasses
import os
import sys

import pytest

from autograder.sandbox import LEVELS, Isolation, Limits, Sandbox, at_least, levels, observe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")


def seen(**options):
    with Sandbox(limits=Limits(memory_mib=256), **options) as sandbox:
        return observe(sandbox), sandbox.bwrap


def possible(isolation):
    return {what for what, verdict in isolation.canary.items() if verdict == "POSSIBLE"}


def test_levels_are_ordered():
    assert at_least("namespaced", "filtered")
    assert at_least("limits", "limits")
    assert not at_least("process", "limits")


def test_every_need_of_a_level_is_attempted():
    assert tuple(levels.NEEDS) == LEVELS
    needs = [what for level in LEVELS for what in levels.NEEDS[level]]
    assert sorted(needs) == sorted(levels.ATTEMPTS)


@pytest.mark.parametrize("missing", list(levels.ATTEMPTS))
def test_one_hole_costs_its_level(missing):
    level = levels._level(set(levels.ATTEMPTS) - {missing})
    assert missing in levels.NEEDS[LEVELS[LEVELS.index(level) + 1]]


def test_everything_that_works_here_is_seen():
    isolation, bwrap = seen()
    assert isolation.level == ("namespaced" if bwrap else "filtered")
    assert set(isolation.canary.values()) <= {"blocked", "POSSIBLE"}
    assert dataclasses.asdict(isolation)["canary"]


def test_landlock_does_not_hide_that_a_file_exists():
    """The one thing that only namespaces hide: Landlock rules over opening a file, not over looking at it."""
    isolation, _ = seen(bwrap=False)
    assert isolation.level == "filtered"
    assert any(layer.startswith("landlock") for layer in isolation.layers)
    assert possible(isolation) == {"see that files exist", "share the kernel's namespaces"}


def test_a_kernel_without_landlock_is_still_filtered():
    isolation, _ = seen(bwrap=False, landlock=False)
    assert isolation.level == "filtered"
    assert "seccomp-noopen" in isolation.layers


def test_a_missing_filter_is_seen():
    isolation, _ = seen(bwrap=False, seccomp=False)
    assert isolation.level == "limits"
    assert "use the network" in possible(isolation)  # UDP: Landlock knows TCP only


@pytest.mark.skipif(os.geteuid() != 0, reason="root only")
def test_the_limit_on_processes_says_nothing_to_root(monkeypatch):
    monkeypatch.setattr("autograder.sandbox.launch._other_user", lambda: None)
    isolation, _ = seen(bwrap=False, seccomp=False)
    assert {"start processes", "start threads"} <= possible(isolation)


@pytest.mark.skipif(os.geteuid() != 0, reason="root only")
def test_a_worker_that_became_nobody_has_that_limit(monkeypatch):
    monkeypatch.setattr("autograder.sandbox.launch._other_user", lambda: 65534)
    isolation, _ = seen(bwrap=False, seccomp=False)
    assert not {"start processes", "start threads"} & possible(isolation)


def test_with_limits_only_nearly_everything_is_possible():
    isolation, _ = seen(level="limits")
    assert isolation.level == "limits"
    assert {"read files", "write files", "use the network", "signal other processes", "see that files exist"} <= possible(isolation)


def test_nothing_is_the_default():
    assert Isolation("none").canary == {}
