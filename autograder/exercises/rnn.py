"""The recurrent network and backpropagation through time."""

from __future__ import annotations

import numpy as np

from autograder.laws import causal_in_time, no_gradient_behind_the_mask
from autograder.spec import (
    Assignment,
    Choice,
    Cost,
    Draw,
    Exercise,
    Ids,
    Mask,
    Milestone,
    Number,
    Performance,
    Uniforms,
    backward_of,
    law,
)
from autograder.training import graded_run, train, uniform_weights

# ------------------------------------------------------------------------------------------------------- laws


causal = causal_in_time("h", "h[:, t] must not depend on inputs that come after step t.", "typical", "long")
no_gradient_of_padding = no_gradient_behind_the_mask("padding gets no gradient", "dx", "The gradient of everything behind the mask is exactly 0.")
no_gradient_of_hidden_scores = no_gradient_behind_the_mask("padding gets no gradient", "dscores", "The gradient of everything behind the mask is exactly 0.")


@law("holes", "garbage behind the mask")
def padding_has_no_influence(call, case):
    """Where the mask is False the state is carried over unchanged, whatever stands in x."""
    states, mask, previous = call(case)["h"], case["mask"], case["h0"]
    for t in range(mask.shape[1]):
        stays = ~mask[:, t]
        if not np.array_equal(states[stays, t], previous[stays]):
            n = int(np.flatnonzero(stays)[0])
            return f"mask[{n}, {t}] is False, but h[{n}, {t}] is not the state of the step before"
        previous = states[:, t]
    return None


@law("typical")
def ignores_a_shift_of_all_scores(call, case):
    """Adding one number to all scores changes neither loss nor gradient, even where exp of a score would overflow."""
    before = call(case)
    for shift in (1000.0, -1000.0):
        after = call(case, scores=case["scores"] + shift)
        # "not <=" instead of ">": a NaN must not slip through.
        if not abs(float(before["loss"]) - float(after["loss"])) <= 1e-9:
            return f"adding {shift:g} to all scores changed the loss from {float(before['loss']):.6g} to {float(after['loss']):.6g}"
        if not np.abs(before["dscores"] - after["dscores"]).max() <= 1e-9:
            return f"adding {shift:g} to all scores changed dscores"
    return None


# -------------------------------------------------------------------------------------------------- exercises

embedding_forward = Exercise(
    "embedding_forward", takes={"ids": Ids("N T"), "W": "V D"}, gives={"x": "N T D"}, points=3, cache=True
)
embedding_backward = backward_of(embedding_forward, "embedding_backward", wrt="W", points=5)

affine_forward = Exercise(
    "affine_forward", takes={"h": "N T H", "W": "H V", "b": "V"}, gives={"scores": "N T V"}, points=2, cache=True
)
affine_backward = backward_of(affine_forward, "affine_backward", wrt="h W b", points=4)

rnn_step_forward = Exercise(
    "rnn_step_forward",
    takes={"x": "N D", "h_prev": "N H", "Wx": "D H", "Wh": "H H", "b": "H"},
    gives={"h": "N H"},
    points=6,
    cache=True,
)
rnn_step_backward = backward_of(rnn_step_forward, "rnn_step_backward", wrt="x h_prev Wx Wh b", points=12)

rnn_forward = Exercise(
    "rnn_forward",
    takes={"x": "N T D", "h0": "N H", "Wx": "D H", "Wh": "H H", "b": "H", "mask": Mask("N T", hides=("x",))},
    gives={"h": "N T H"},
    uses=("rnn_step_forward",),
    laws=(causal, padding_has_no_influence),
    points=8,
    cache=True,
)
rnn_backward = backward_of(
    rnn_forward, "rnn_backward", wrt="x h0 Wx Wh b", points=18, uses=("rnn_step_backward",), laws=(no_gradient_of_padding,)
)

masked_cross_entropy = Exercise(
    "masked_cross_entropy",
    takes={"scores": "N T V", "targets": Ids("N T"), "mask": Mask("N T", hides=("scores",))},
    gives={"loss": Number(), "dscores": "N T V"},
    wrt=("scores",),
    laws=(no_gradient_of_hidden_scores, ignores_a_shift_of_all_scores),
    points=8,
)

clip_global_norm = Exercise(
    "clip_global_norm",
    takes={"grads": {"Wx": "D H", "Wh": "H H", "b": "H"}, "max_norm": Choice(1.0, 1000.0, 0.25, 1e-5)},
    gives={"clipped": {"Wx": "D H", "Wh": "H H", "b": "H"}, "norm": Number()},
    # In the second one an epsilon added to the norm shows.
    edges={"zero gradients": {"scale": "zero"}, "small gradients, smaller limit": {"scale": "small", "pick": 3}},
    points=4,
)

PARAMS = {"embedding": "V D", "Wx": "D H", "Wh": "H H", "b": "H", "Wy": "H V", "by": "V"}
char_lm_loss = Exercise(
    "char_lm_loss",
    takes={"params": PARAMS, "ids": Ids("N T"), "targets": Ids("N T"), "mask": Mask("N T")},
    gives={"loss": Number(), "grads": PARAMS},
    wrt=("params",),
    uses=(
        "embedding_forward", "embedding_backward", "rnn_forward", "rnn_backward",
        "affine_forward", "affine_backward", "masked_cross_entropy",
    ),  # fmt: skip
    points=8,
)


def draws_at_the_ends(inputs, rng, plan):
    """Draw at 0 and just below 1, where the first and the last character have probability 0, exactly in any arithmetic."""
    if plan.zero == "uniforms":
        inputs["uniforms"][1::2] = np.nextafter(1.0, 0.0)
        inputs["params"]["by"] += 1000.0
        inputs["params"]["by"][[0, -1]] = -1e4
    return inputs


sample = Exercise(
    "sample",
    takes={
        "params": PARAMS,
        "start": Draw(lambda rng, sizes, plan: int(rng.integers(sizes["V"]))),
        "uniforms": Uniforms("L"),
        "temperature": Choice(1.0, 0.5, 2.0),
    },
    gives={"ids": Ids("L")},
    uses=("embedding_forward", "rnn_step_forward", "rnn_forward", "affine_forward"),
    discrete=True,
    edges={"draws at 0 and just below 1": {"zero": "uniforms"}},
    prepare=draws_at_the_ends,
    points=4,
)

# -------------------------------------------------------------------------------------------------- milestone

SYMBOLS, LAG, WIDTH, BATCH, FOLLOWED, STEPS, RATE = 6, 5, 64, 32, 30, 300, 0.007


def recall_task(seed: int, lag: int = LAG):
    """Return initial parameters and an endless stream of batches: name the first of ``lag`` random symbols at the end."""
    rng = np.random.default_rng(seed)
    blank, size = SYMBOLS, SYMBOLS + 1
    params = {
        "embedding": uniform_weights(rng, size, WIDTH),
        "Wx": uniform_weights(rng, WIDTH, WIDTH),
        # Spectral radius about 1: below, the state forgets before training begins, and some seeds do not get there in time.
        "Wh": np.sqrt(3) * uniform_weights(rng, WIDTH, WIDTH),
        "b": np.zeros(WIDTH),
        "Wy": uniform_weights(rng, WIDTH, size),
        "by": np.zeros(size),
    }

    def batches():
        while True:
            ids = rng.integers(0, SYMBOLS, (BATCH, lag))
            targets = np.full_like(ids, blank)
            targets[:, -1] = ids[:, 0]
            yield ids, targets, np.ones(ids.shape, bool)

    return params, batches()


def reference_curve(loss_and_grads, seed):
    """Return the reference's losses over the first steps of training."""
    params, batches = recall_task(seed)
    curve = train(lambda p, batch: loss_and_grads("char_lm_loss", p, *batch), params, batches, RATE)
    return np.array([next(curve) for _ in range(FOLLOWED)])


def milestone(call, curve, seed):
    """Train on the recall task; the loss curve is the reference's, and the first symbol comes to be recalled."""
    params, batches = recall_task(seed)
    losses = train(lambda p, batch: call("char_lm_loss", p, *batch), params, batches, RATE)
    tests = lambda: [next(batches) for _ in range(4)]  # noqa: E731
    return graded_run(losses, curve, STEPS, 0.95, "of the symbols are recalled", tests, lambda drawn: recalled(call, params, drawn))


def recalled(call, params, batches):
    """Return the part of the symbols that is recalled."""
    ids, targets, mask = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    x = call("embedding_forward", ids, params["embedding"])
    h = call("rnn_forward", x, np.zeros((len(ids), WIDTH)), params["Wx"], params["Wh"], params["b"], mask)
    scores = np.asarray(call("affine_forward", h, params["Wy"], params["by"]))
    return float(np.mean(scores[:, -1].argmax(-1) == targets[:, -1]))


# ------------------------------------------------------------------------------------------------- assignment

assignment = Assignment(
    name="rnn",
    title="The recurrent network and backpropagation through time",
    exercises=(
        embedding_forward, embedding_backward, affine_forward, affine_backward, rnn_step_forward, rnn_step_backward,
        rnn_forward, rnn_backward, masked_cross_entropy, clip_global_norm, char_lm_loss, sample,
    ),  # fmt: skip
    performance=Performance(
        points=8,
        costs=(
            Cost("embedding_backward", vectorised="N", sizes={"N": 64, "T": 32, "V": 50, "D": 32}, calls=3),
            Cost("affine_backward", vectorised="N", sizes={"N": 64, "T": 16, "H": 32, "V": 30}, calls=10),
            Cost("rnn_step_backward", vectorised="N", sizes={"N": 128, "D": 32, "H": 32}, calls=8),
            Cost("rnn_backward", vectorised="N", sizes={"N": 64, "T": 16, "D": 16, "H": 32}),
            Cost("masked_cross_entropy", vectorised="N", sizes={"N": 64, "T": 16, "V": 30}, calls=2),
            Cost("char_lm_loss", vectorised="N", sizes={"N": 64, "T": 16, "D": 16, "H": 32, "V": 30}),
        ),
    ),
    milestone=Milestone(
        points=10,
        uses=("char_lm_loss", "embedding_forward", "rnn_forward", "affine_forward"),
        run=milestone,
        reference_curve=reference_curve,
        sentence="A training run recalls a symbol seen five steps ago.",
    ),
)
