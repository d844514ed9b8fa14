"""The LSTM: gates, the cell state, and what they do to vanishing gradients."""

from __future__ import annotations

import numpy as np

from autograder.laws import apart, causal_in_time, no_gradient_behind_the_mask
from autograder.spec import Assignment, Bonus, Choice, Cost, Exercise, Mask, Milestone, Performance, backward_of, law
from autograder.training import clipped, graded_run, train, uniform_weights

#: How far two results may differ that are the same number by another order of operations.
ROUNDING = 1e-9

#: A pre-activation at which a gate is fully open or closed, and the contract's bound.
OPEN = 1e4


# ------------------------------------------------------------------------------------------------------- laws


causal = causal_in_time("h", "h[:, t] must not depend on inputs that come after step t.", "typical", "long")
no_gradient_of_padding = no_gradient_behind_the_mask("padding gets no gradient", "dx", "The gradient of everything behind the mask is exactly 0.")


@law("typical")
def gates_without_weights_are_half_open(call, case):
    """With all weights and biases zero, i, f and o are 1/2 and g is 0, whatever the input."""
    zero = {name: np.zeros_like(case[name]) for name in ("Wx", "Wh", "b")}
    gates = call(case, **zero)
    for name, expected in {"i": 0.5, "f": 0.5, "o": 0.5, "g": 0.0}.items():
        if apart(gates[name], np.full_like(gates[name], expected)):
            return f"with weights and biases of zero, {name} is {float(gates[name].flat[0]):.6g} instead of {expected:g}"
    return None


@law("typical")
def an_open_forget_gate_keeps_the_cell(call, case):
    """With the forget gate open and the input gate closed, c is c_prev, however large it is."""
    H = case["c_prev"].shape[1]
    b = np.repeat([-OPEN, OPEN, 0.0, 0.0], H)
    closed = {"Wx": np.zeros_like(case["Wx"]), "Wh": np.zeros_like(case["Wh"]), "b": b, "c_prev": 1000.0 * case["c_prev"]}
    c = call(case, **closed)["c"]
    return "with f = 1 and i = 0 the cell state is not carried over unchanged" if apart(c, closed["c_prev"]) else None


@law("holes", "empty row", "garbage behind the mask")
def padding_has_no_influence(call, case):
    """Where the mask is False, h and c are carried over exactly, whatever stands in x."""
    found, mask, previous = call(case), case["mask"], case["h0"]
    for t in range(mask.shape[1]):
        stays = ~mask[:, t]
        if not np.array_equal(found["h"][stays, t], previous[stays]):
            n = int(np.flatnonzero(stays)[0])
            return f"mask[{n}, {t}] is False, but h[{n}, {t}] is not the state of the step before"
        previous = found["h"][:, t]
    for n in np.flatnonzero(~mask.any(axis=1)):
        if not np.array_equal(found["c_last"][n], case["c0"][n]):
            return f"mask[{n}] is all False, but c_last[{n}] is not c0[{n}]"
    return None


@law("typical", "holes")
def two_halves_give_the_whole(call, case):
    """A long sequence fed in two parts, the second one starting from the last h and c of the first, gives the same states."""
    x, mask = np.tile(case["x"], (1, 12, 1)), np.tile(case["mask"], (1, 12))
    T = x.shape[1]
    cut = T // 2
    whole = call(case, x=x, mask=mask)
    first = call(case, x=x[:, :cut], mask=mask[:, :cut])
    second = call(case, x=x[:, cut:], mask=mask[:, cut:], h0=first["h"][:, -1].copy(), c0=first["c_last"])
    if apart(np.concatenate([first["h"], second["h"]], axis=1), whole["h"]):
        return f"{T} steps at once give other states h than {cut} steps and then {T - cut} more"
    if apart(second["c_last"], whole["c_last"]):
        return f"{T} steps at once give another c_last than {cut} steps and then {T - cut} more"
    return None


@law("typical")
def linear_in_the_upstream_gradients(call, case):
    """Upstream gradients that are a million times as large give gradients that are a million times as large."""
    before = call(case)
    after = call(case, **{name: value * 1e6 for name, value in case.items() if name in ("dh", "dc", "dc_last")})
    for name in (name for name in before if name.startswith("d")):
        if apart(after[name], before[name] * 1e6):
            return f"with upstream gradients a million times as large, {name} is not a million times as large"
    return None


@law("typical", "holes")
def symmetric_under_reversal(call, case):
    """Reversing the sequence and swapping the two directions' weights gives the same states reversed, the halves swapped."""
    H = case["forward_params"]["Wh"].shape[0]
    states = call(case)["h"]
    mirrored = call(
        case,
        x=case["x"][:, ::-1].copy(),
        mask=case["mask"][:, ::-1].copy(),
        forward_params=case["backward_params"],
        backward_params=case["forward_params"],
    )["h"]
    expected = np.concatenate([states[..., H:], states[..., :H]], axis=-1)[:, ::-1]
    return "reversed input and swapped weights do not give the reversed states with the halves swapped" if apart(mirrored, expected) else None


@law("typical")
def biases_start_at_zero_but_for_the_forget_gate(call, case):
    """b is exactly 0, and forget_bias in columns H to 2H, whatever forget_bias is."""
    H = case["normals_h"].shape[0]
    for forget_bias in (-2.5, 5.0):
        b = call(case, forget_bias=forget_bias)["b"]
        if not np.array_equal(b, np.repeat([0.0, forget_bias, 0.0, 0.0], H)):
            return f"with forget_bias = {forget_bias:g} b is {np.round(b, 6).tolist()[: 4 * H]}"
    return None


@law("typical", "holes")
def ends_with_the_norm_that_comes_in(call, case):
    """The last norm is that of dh_last itself, however large it is."""
    large = 1e9 * case["dh_last"]
    last, expected = float(call(case, dh_last=large)["norms"][-1]), float(np.linalg.norm(large))
    return f"the last norm is {last:.6g}, but dh_last has norm {expected:.6g}" if apart(last, expected) else None


# -------------------------------------------------------------------------------------------------- exercises

WEIGHTS = {"Wx": "D 4H", "Wh": "H 4H", "b": "4H"}


def as_large_as_promised(inputs, rng, plan):
    """Scale the weights of the example ``large numbers`` so that the largest pre-activation is 1e4."""
    if plan.scale != "large":
        return inputs
    largest = np.abs(inputs["x"] @ inputs["Wx"] + inputs["h_prev"] @ inputs["Wh"] + inputs["b"]).max()
    return inputs | {name: inputs[name] * (OPEN / largest) for name in WEIGHTS}


lstm_gates = Exercise(
    "lstm_gates",
    takes={"x": "N D", "h_prev": "N H", **WEIGHTS},
    gives={"i": "N H", "f": "N H", "g": "N H", "o": "N H"},
    prepare=as_large_as_promised,
    laws=(gates_without_weights_are_half_open,),
    points=6,
)

lstm_step_forward = Exercise(
    "lstm_step_forward",
    takes={"x": "N D", "h_prev": "N H", "c_prev": "N H", **WEIGHTS},
    gives={"h": "N H", "c": "N H"},
    prepare=as_large_as_promised,
    uses=("lstm_gates",),
    laws=(an_open_forget_gate_keeps_the_cell,),
    points=8,
    cache=True,
)
lstm_step_backward = backward_of(
    lstm_step_forward,
    "lstm_step_backward",
    wrt="x h_prev c_prev Wx Wh b",
    uses=("lstm_gates",),
    laws=(linear_in_the_upstream_gradients,),
    points=18,
)

lstm_forward = Exercise(
    "lstm_forward",
    takes={"x": "N T D", "h0": "N H", "c0": "N H", **WEIGHTS, "mask": Mask("N T", hides=("x",))},
    gives={"h": "N T H", "c_last": "N H"},
    uses=("lstm_gates", "lstm_step_forward"),
    laws=(causal, padding_has_no_influence, two_halves_give_the_whole),
    points=8,
    cache=True,
)
lstm_backward = backward_of(
    lstm_forward,
    "lstm_backward",
    wrt="x h0 c0 Wx Wh b",
    uses=("lstm_gates", "lstm_step_forward", "lstm_step_backward"),
    laws=(no_gradient_of_padding, linear_in_the_upstream_gradients),
    points=20,
)
state_gradient_norms = Exercise(
    "state_gradient_norms",
    takes={"dh_last": "N H"},
    gives={"norms": "T"},
    forward=lstm_forward,
    uses=("lstm_gates", "lstm_step_forward", "lstm_step_backward", "lstm_backward"),
    laws=(ends_with_the_norm_that_comes_in,),
    points=6,
)

bilstm_forward = Exercise(
    "bilstm_forward",
    takes={"x": "N T D", "mask": Mask("N T", hides=("x",)), "forward_params": WEIGHTS, "backward_params": WEIGHTS},
    gives={"h": "N T 2H"},
    uses=("lstm_gates", "lstm_step_forward", "lstm_forward"),
    laws=(symmetric_under_reversal,),
    points=5,
    cache=True,
)
bilstm_backward = backward_of(
    bilstm_forward,
    "bilstm_backward",
    wrt="x forward_params backward_params",
    uses=("lstm_gates", "lstm_step_forward", "lstm_step_backward", "lstm_forward", "lstm_backward"),
    laws=(no_gradient_of_padding,),
    points=7,
)

init_lstm = Exercise(
    "init_lstm",
    takes={"normals_x": "D 4H", "normals_h": "H 4H", "forget_bias": Choice(1.0, 0.0, 3.0)},
    gives=WEIGHTS,
    laws=(biases_start_at_zero_but_for_the_forget_gate,),
    points=4,
)

gru_forward = Exercise(
    "gru_forward",
    takes={"x": "N T D", "h0": "N H", "Wx": "D 3H", "Wh": "H 3H", "bx": "3H", "bh": "3H", "mask": Mask("N T", hides=("x",))},
    gives={"h": "N T H"},
    laws=(causal,),
    cache=True,
)
gru_backward = backward_of(gru_forward, "gru_backward", wrt="x h0 Wx Wh bx bh", laws=(no_gradient_of_padding,), points=0)

# -------------------------------------------------------------------------------------------------- milestone

SYMBOLS, LAG, WIDTH, BATCH, FORGET, FOLLOWED, STEPS, RATE, CLIP = 6, 15, 32, 48, 3.0, 30, 150, 0.01, 1.0


def recall_task(seed: int):
    """Return initial parameters and an endless stream of batches: the first of LAG random symbols is the target."""
    rng = np.random.default_rng([seed, LAG])
    params = {
        "Wx": uniform_weights(rng, SYMBOLS, 4 * WIDTH),
        "Wh": uniform_weights(rng, WIDTH, 4 * WIDTH),
        "b": np.repeat([0.0, FORGET, 0.0, 0.0], WIDTH),
        "Wy": uniform_weights(rng, WIDTH, SYMBOLS),
        "by": np.zeros(SYMBOLS),
    }

    def batches():
        while True:
            ids = rng.integers(0, SYMBOLS, (BATCH, LAG))
            yield np.eye(SYMBOLS)[ids], ids[:, 0], np.ones(ids.shape, bool)

    return params, batches()


def reference_curve(loss_and_grads, seed):
    """Return the reference's losses over the first steps of training."""
    params, batches = recall_task(seed)
    curve = train(lambda p, batch: loss_and_grads("recall_loss", p, *batch), params, batches, RATE, clipped(CLIP))
    return np.array([next(curve) for _ in range(FOLLOWED)])


def recall_step(call, params, batch):
    """Return loss and gradients: the LSTM is the student's, the output layer on its last state is the grader's."""
    x, target, mask = batch
    zero = np.zeros((len(x), WIDTH))
    inputs = (x, zero, zero, params["Wx"], params["Wh"], params["b"], mask)
    h = np.asarray(call("lstm_forward", *inputs)[0])
    loss, dscores = cross_entropy(h[:, -1] @ params["Wy"] + params["by"], target)
    dh = np.zeros_like(h)
    dh[:, -1] = dscores @ params["Wy"].T
    _, _, _, dWx, dWh, db = call("lstm_backward", *inputs, dh, zero)
    return loss, {"Wx": dWx, "Wh": dWh, "b": db, "Wy": h[:, -1].T @ dscores, "by": dscores.sum(axis=0)}


def cross_entropy(scores, target):
    """Return the mean loss in nats and its gradient."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    hits = np.eye(scores.shape[1])[target]
    return float(-np.mean(np.sum(hits * logs, axis=1))), (np.exp(logs) - hits) / len(scores)


def milestone(call, curve, seed):
    """Train on the recall task; the losses are the reference's, and the first of 15 symbols comes to be recalled."""
    params, batches = recall_task(seed)
    losses = train(lambda p, batch: recall_step(call, p, batch), params, batches, RATE, clipped(CLIP))
    tests = lambda: [next(batches) for _ in range(4)]  # noqa: E731
    return graded_run(losses, curve, STEPS, 0.95, "of the symbols are recalled", tests, lambda drawn: recalled(call, params, drawn))


def recalled(call, params, batches):
    """Return the part of the symbols that is recalled."""
    x, target, mask = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    zero = np.zeros((len(x), WIDTH))
    h = np.asarray(call("lstm_forward", x, zero, zero, params["Wx"], params["Wh"], params["b"], mask)[0])
    return float(np.mean((h[:, -1] @ params["Wy"] + params["by"]).argmax(axis=1) == target))


# ------------------------------------------------------------------------------------------------- assignment

LONG = {"N": 32, "T": 48, "D": 16, "H": 32}
assignment = Assignment(
    name="lstm",
    title="The LSTM: gates and the cell state",
    exercises=(
        lstm_gates, lstm_step_forward, lstm_step_backward, lstm_forward, lstm_backward, state_gradient_norms,
        bilstm_forward, bilstm_backward, init_lstm,
    ),  # fmt: skip
    performance=Performance(
        points=8,
        costs=(
            Cost("lstm_gates", vectorised="N H", sizes={"N": 64, "D": 32, "H": 32}, calls=8),
            Cost("lstm_step_backward", vectorised="N H", sizes={"N": 64, "D": 32, "H": 32}, calls=4),
            Cost("lstm_forward", vectorised="N H", speed=0, sizes=LONG),
            Cost("lstm_backward", vectorised="N H", sizes=LONG),
            # Long and narrow: what grows with the square of T then stands out from all that grows with T.
            Cost("lstm_backward", speed=0, memory="T", sizes={"N": 8, "T": 192, "D": 8, "H": 32}),
            Cost("state_gradient_norms", vectorised="N H", sizes=LONG),
            Cost("bilstm_forward", vectorised="N H", speed=0, sizes=LONG),
            Cost("bilstm_backward", vectorised="N H", sizes=LONG),
        ),
    ),
    milestone=Milestone(
        points=10,
        uses=("lstm_forward", "lstm_backward"),
        run=milestone,
        reference_curve=reference_curve,
        sentence="A training run recalls a symbol seen 15 steps ago.",
    ),
    bonus=(Bonus("gru", 10, (gru_forward, gru_backward)),),
)
