"""What the right answer is: the PyTorch reference, its gradients by autograd, and how far rounding can move them.

The only module of the engine, with ``cases/build.py`` above it, that imports torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from autograder.spec import Exercise, Number
from autograder.tree import leaves, transform

torch.set_num_threads(1)

#: Size of the relative noise for the envelope: far above roundoff, far below what would change the mathematics.
NOISE = 2.0**-40
NOISY_RUNS = 3


class Oracle:
    """The reference of one assignment."""

    def __init__(self, assignment: str):
        self.module = importlib.import_module(f"reference.{assignment}")

    def answers(self, group: tuple[Exercise, ...], inputs: Mapping) -> dict[str, dict[str, np.ndarray]]:
        """Return function -> result path -> value for one group on one case, computed in float64."""
        tensors = {name: _tensor(value) for name, value in inputs.items()}
        head = group[0].forward or group[0]
        wrt = {name for exercise in group for name in exercise.wrt}
        tensors = {name: _require_grad(value) if name in wrt else value for name, value in tensors.items()}
        outputs = self._call(head.oracle, [tensors[name] for name in head.takes])
        return {exercise.function: self._answer(exercise, head, tensors, outputs) for exercise in group}

    def _answer(self, exercise, head, tensors, outputs):
        if exercise.forward and not exercise.wrt:
            outputs = self._call(exercise.reference or exercise.function, [tensors[name] for name in exercise.inputs])
            named = dict(zip(exercise.gives, outputs, strict=True))
        elif exercise.forward:
            named = _gradients(exercise, head, tensors, outputs)
        elif exercise.wrt:
            named = _loss_and_gradients(exercise, tensors, outputs[0])
        else:
            named = dict(zip(exercise.gives, outputs, strict=True))
        return {path: _array(leaf) for path, leaf in leaves(named)}

    def _call(self, name, args):
        function = getattr(self.module, name)
        result = function(*args)
        return tuple(result) if isinstance(result, tuple) else (result,)

    def loss_and_grads(self, function: str, params: Mapping, *args):
        """Return the reference's loss and the gradients of all ``params`` as NumPy, for a training run."""
        tensors = {name: _require_grad(_tensor(value)) for name, value in params.items()}
        loss = getattr(self.module, function)(tensors, *(_tensor(value) for value in args))
        grads = _grad([loss], tensors, [torch.ones_like(loss)])
        return float(loss.detach()), transform(grads, _array)

    def function(self, name: str):
        """Return a reference function that takes and gives NumPy values, without gradients."""
        return lambda *args: transform(getattr(self.module, name)(*(_tensor(value) for value in args)), _array)


def envelope(oracle: Oracle, group, inputs, clean) -> dict[str, dict[str, float]]:
    """Return the largest change of every result per unit of relative noise on every operand and result.

    Monte Carlo arithmetic (Parker 1997): the tolerance that follows from it needs no constant per function.
    """
    found = {function: dict.fromkeys(results, 0.0) for function, results in clean.items()}
    for run in range(NOISY_RUNS):
        with Noise(NOISE, run):
            noisy = oracle.answers(group, inputs)
        for function, results in clean.items():
            for path, value in results.items():
                if value.dtype.kind == "f" and value.size:
                    change = float(np.abs(noisy[function][path] - value).max()) / NOISE
                    found[function][path] = max(found[function][path], change)
    return found


class Noise(TorchDispatchMode):
    """Multiply every float operand and result of every operation that computes by ``1 + size * U(-1, 1)``."""

    MOVES_ONLY = {
        "aten::detach", "aten::clone", "aten::_to_copy", "aten::stack", "aten::cat", "aten::zeros", "aten::zeros_like",
        "aten::new_zeros", "aten::ones", "aten::ones_like", "aten::empty", "aten::empty_like", "aten::full",
        "aten::full_like", "aten::new_full", "aten::new_ones", "aten::new_empty", "aten::scalar_tensor", "aten::where",
        "aten::masked_fill", "aten::index", "aten::gather", "aten::flip", "aten::constant_pad_nd", "aten::arange",
        "aten::_local_scalar_dense", "aten::lift_fresh", "aten::new_empty_strided", "aten::copy_", "aten::slice_backward",
        "aten::select_backward", "aten::argmax", "aten::sort", "aten::max", "aten::amax", "aten::gt", "aten::lt", "aten::ge",
        "aten::le", "aten::eq", "aten::ne", "aten::isfinite", "aten::searchsorted", "aten::topk", "aten::nonzero",
    }  # fmt: skip

    def __init__(self, size, seed):
        super().__init__()
        self.size = size
        self.generator = torch.Generator().manual_seed(seed)
        self.computes = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function not in self.computes:
            schema = function._schema
            views = any(result.alias_info for result in schema.returns)
            self.computes[function] = not views and schema.name not in self.MOVES_ONLY
        if not self.computes[function]:
            return function(*args, **kwargs)
        result = function(*(self._noisy(arg) for arg in args), **kwargs)
        if isinstance(result, tuple | list):
            return type(result)(map(self._noisy, result))
        return self._noisy(result)

    def _noisy(self, value):
        if not (isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel()):
            return value
        random = torch.empty(value.shape, dtype=value.dtype).uniform_(-1, 1, generator=self.generator)
        return value * (1 + self.size * random)


def _tensor(value):
    def convert(leaf):
        if not isinstance(leaf, np.ndarray):
            return leaf
        tensor = torch.from_numpy(np.array(leaf))
        return tensor.double() if tensor.is_floating_point() else tensor

    return transform(value, convert)


def _require_grad(value):
    return transform(value, lambda leaf: leaf.requires_grad_() if torch.is_tensor(leaf) and leaf.is_floating_point() else leaf)


def _array(value):
    return np.array(value.detach().numpy() if torch.is_tensor(value) else value)


def _grad(outputs, wanted, upstream):
    """Return the gradients for a tree of leaves, in the same tree; zeros where nothing flows."""
    flat = [leaf for _, leaf in leaves(wanted)]
    live = [(o, u) for o, u in zip(outputs, upstream, strict=True) if o.requires_grad]
    found = [None] * len(flat)
    if live:
        found = torch.autograd.grad([o for o, _ in live], flat, [u for _, u in live], allow_unused=True)
    grads = iter([torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(flat, found, strict=True)])
    return transform(wanted, lambda leaf: next(grads))


def _wanted(exercise, tensors, kinds):
    """Return the leaves that get a gradient: whole arguments, or of a dict the keys that are declared."""
    wanted = {}
    for name, declared in zip(exercise.wrt, kinds, strict=True):
        value = tensors[name]
        wanted[name] = {key: value[key] for key in declared} if isinstance(declared, Mapping) else value
    return wanted


def _gradients(exercise, head, tensors, outputs):
    named = dict(zip(head.gives, outputs, strict=True))
    wanted = _wanted(exercise, tensors, exercise.gives.values())
    upstream = [tensors[name] for name in exercise.takes]
    grads = _grad([named[name[1:]] for name in exercise.takes], wanted, upstream)
    return dict(zip(exercise.gives, grads.values(), strict=True))


def _loss_and_gradients(exercise, tensors, loss):
    (loss_name, kind), *rest = exercise.gives.items()
    if not isinstance(kind, Number):
        raise TypeError(f"{exercise.function}: the first result of a loss must be Number()")
    grads = _grad([loss], _wanted(exercise, tensors, [k for _, k in rest]), [torch.ones_like(loss)])
    return {loss_name: loss, **dict(zip((name for name, _ in rest), grads.values(), strict=True))}
