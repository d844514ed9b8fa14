"""Training loops for milestones: every random number and every update is the grader's, only loss and gradients are the student's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from autograder.tree import leaves, transform


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) on a tree of arrays, dicts and lists, in place."""

    def __init__(self, params, rate: float, decay: tuple[float, float] = (0.9, 0.999)):
        self.rate, self.decay, self.step = rate, decay, 0
        self.mean = {path: np.zeros_like(value) for path, value in leaves(params)}
        self.square = {path: np.zeros_like(value) for path, value in leaves(params)}

    def update(self, params, grads) -> None:
        """Change ``params`` by one step along ``grads``, a tree of the same form; ``ValueError`` where a shape differs."""
        self.step += 1
        first, second = self.decay
        values = dict(leaves(params))
        for path, grad in leaves(grads):
            if np.shape(grad) != values[path].shape:  # NumPy would stretch both
                raise ValueError(f"the gradient of {path} has shape {np.shape(grad)}, but should have {values[path].shape}")
            self.mean[path] += (1 - first) * (grad - self.mean[path])
            self.square[path] += (1 - second) * (grad * grad - self.square[path])
            mean = self.mean[path] / (1 - first**self.step)
            square = self.square[path] / (1 - second**self.step)
            values[path] -= self.rate * mean / (np.sqrt(square) + 1e-8)


def train(loss_and_grads: Callable, params: dict, batches: Iterable, rate: float, clip: Callable | None = None) -> Iterator[float]:
    """Yield the loss of every step, before its update; ``params`` change in place.

    Parameters
    ----------
    loss_and_grads : callable
        ``loss_and_grads(params, batch) -> loss, grads``.
    clip : callable
        ``clip(grads) -> grads``, e.g. the student's ``clip_global_norm``.
    """
    optimiser = Adam(params, rate)
    for batch in batches:
        loss, grads = loss_and_grads(params, batch)
        yield float(loss)
        optimiser.update(params, transform(clip(grads) if clip else grads, lambda grad: np.asarray(grad, float)))


def clipped(limit: float) -> Callable[[dict], dict]:
    """Return a function that scales gradients down to a global norm of ``limit`` at most."""

    def clip(grads):
        norm = float(np.sqrt(sum(np.sum(np.square(grad)) for grad in grads.values())))
        return {name: grad * min(1.0, limit / norm) if norm > 0 else grad for name, grad in grads.items()}

    return clip


def uniform_weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return weights drawn uniformly from ±1/sqrt(rows)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(shape[0])


def departs(losses: Iterable[float], curve: np.ndarray, tolerance: float = 1e-6) -> str | None:
    """Return a sentence when the losses leave the reference's curve, else None."""
    for step, (loss, expected) in enumerate(zip(losses, curve, strict=True), start=1):
        if not np.isfinite(loss):
            return f"after {step - 1} training steps the loss is {loss}, but should be {expected:.6g}"
        if abs(loss - expected) > tolerance * max(1.0, abs(expected)):
            return f"at training step {step} the loss is {loss:.6g}, but should be {expected:.6g}"
    return None


#: A training run is measured whenever it has made so many steps, but not in the first ones: what a function keeps between calls shows late.
EVERY, LEAST = 25, 100


class Outcome(NamedTuple):
    """What came of a training run: its steps, what was measured last, and a sentence when that is not enough."""

    steps: int
    value: float
    sentence: str | None


def train_until(goal: float, measure: Callable[[], float], what: str, losses: Iterable[float], done: int) -> Outcome:
    """Go on training until the goal is reached or the losses end; what would follow costs time and shows nothing more.

    Parameters
    ----------
    goal : float
        What ``measure()`` has to return at least; a part of 1.
    what : str
        What is measured, e.g. ``of the symbols are recalled``.
    losses : iterable
        The rest of the run, as :func:`train` gives it.
    done : int
        Steps that it has behind it.
    """
    steps, value = done, 0.0
    for steps, loss in enumerate(losses, start=done + 1):
        if not np.isfinite(loss):
            return Outcome(steps, value, f"after {steps - 1} training steps the loss is {loss}")
        if _is_measured(steps) and (value := measure()) >= goal:
            return Outcome(steps, value, None)
    if not _is_measured(steps):
        value = measure()
    return Outcome(steps, value, None if value >= goal else f"after {steps} steps {value:.0%} {what}, but {goal:.0%} should be")


def _is_measured(steps: int) -> bool:
    return steps >= LEAST and steps % EVERY == 0


def graded_run(losses: Iterator[float], curve: np.ndarray, steps: int, goal: float, what: str, draw: Callable, measure: Callable) -> Iterator[tuple[str, str | None]]:
    """Yield ``(check, None | sentence)`` for a run of so many steps: its first losses are the curve's, and it reaches its goal.

    ``draw()`` gives what is tested, after the steps that are compared: it may take batches of the run. ``measure(drawn)`` is the
    part that is right.
    """
    yield "follows the reference", departs(islice(losses, len(curve)), curve)
    drawn = draw()
    rest = islice(losses, steps - len(curve))
    yield "reaches the goal", train_until(goal, lambda: measure(drawn), what, rest, len(curve)).sentence
