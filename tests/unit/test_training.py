"""The grader's own training loop: Adam on nested parameters is PyTorch's, and a departure is told by its step."""

import numpy as np
import pytest
import torch

from autograder.training import EVERY, LEAST, Adam, departs, train, train_until
from autograder.tree import leaves, transform


def nested(rng):
    return {"table": rng.normal(size=(3, 2)), "blocks": [{"W": rng.normal(size=(2, 2)), "b": rng.normal(size=2)} for _ in range(2)]}


def test_adam_on_a_tree_is_pytorchs():
    rng = np.random.default_rng(0)
    params = nested(rng)
    theirs = [torch.tensor(leaf, requires_grad=True) for _, leaf in leaves(params)]
    ours, optimiser = Adam(params, 0.01), torch.optim.Adam(theirs, 0.01)
    for _ in range(5):
        grads = nested(rng)
        for tensor, (_, grad) in zip(theirs, leaves(grads), strict=True):
            tensor.grad = torch.tensor(grad)
        ours.update(params, grads)
        optimiser.step()
    for tensor, (path, leaf) in zip(theirs, leaves(params), strict=True):
        np.testing.assert_allclose(leaf, tensor.detach().numpy(), rtol=1e-12, err_msg=path)


def test_a_gradient_of_an_unknown_parameter_is_refused():
    params = nested(np.random.default_rng(0))
    with pytest.raises(KeyError):
        Adam(params, 0.01).update(params, {"tabel": np.zeros((3, 2))})


@pytest.mark.parametrize("shape", [(3, 1), (1, 2), (4, 3, 2), ()])
def test_a_gradient_that_numpy_would_stretch_is_refused(shape):
    params = nested(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"the gradient of table has shape .*, but should have \(3, 2\)"):
        Adam(params, 0.01).update(params, {"table": np.zeros(shape)})


def test_training_yields_the_loss_before_the_update_and_clips():
    params = {"layers": [{"w": np.array([4.0])}]}
    seen = []

    def loss_and_grads(p, batch):
        w = p["layers"][0]["w"]
        return float((w**2).sum()), {"layers": [{"w": 2 * w}]}

    def clip(grads):
        seen.append(grads["layers"][0]["w"].copy())
        return transform(grads, lambda g: 0 * g)

    assert list(train(loss_and_grads, params, range(3), 0.1, clip)) == [16.0, 16.0, 16.0]
    assert [g.item() for g in seen] == [8.0, 8.0, 8.0]
    losses = list(train(loss_and_grads, params, range(3), 0.1))
    assert losses[0] == 16.0 and losses[0] > losses[1] > losses[2]


def test_a_departure_names_its_step():
    curve = np.array([3.0, 2.0, 1.0])
    assert departs([3.0, 2.0 + 1e-7, 1.0], curve) is None
    assert "step 2" in departs([3.0, 2.1, 1.0], curve)
    assert "after 1 training steps the loss is nan" in departs([3.0, float("nan"), 1.0], curve)


def test_training_ends_where_the_goal_is_reached():
    losses, values = iter([1.0] * 1000), iter([0.2, 0.7, 0.96])
    assert train_until(0.95, lambda: next(values), "is learnt", losses, 30) == (LEAST + 2 * EVERY, 0.96, None)
    assert len(list(losses)) == 1000 - (LEAST + 2 * EVERY - 30)


@pytest.mark.parametrize("steps", [3, EVERY, LEAST, LEAST + 3])
def test_what_does_not_reach_the_goal_is_told_with_what_it_reached(steps):
    assert train_until(0.95, lambda: 0.5, "is learnt", [1.0] * steps, 0).sentence == f"after {steps} steps 50% is learnt, but 95% should be"


def test_a_loss_that_is_no_number_reaches_nothing():
    assert train_until(0.95, lambda: 1.0, "is learnt", [1.0, float("nan")], 30).sentence == "after 31 training steps the loss is nan"
