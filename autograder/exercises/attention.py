"""The Transformer, and why memory traffic rules it."""

from __future__ import annotations

import numpy as np

from autograder.fill import GARBAGE
from autograder.laws import apart, causal_in_time
from autograder.spec import (
    Assignment,
    Bonus,
    Choice,
    Cost,
    Draw,
    Exercise,
    Float64,
    Ids,
    Many,
    Mask,
    Milestone,
    Number,
    Performance,
    backward_of,
    kind,
    law,
)
from autograder.training import graded_run, train, uniform_weights

# ------------------------------------------------------------------------------------------------------ inputs

HEADS = Draw(lambda rng, sizes, plan: sizes["A"])


def size(symbol):
    """Return a kind: the size itself, as a Python int."""
    return Draw(lambda rng, sizes, plan: sizes[symbol])


def leading_axes(inputs, rng, plan):
    """Give x and dy other leading axes than N and T where the plan says so in place of a mask."""
    shapes = {"(D,)": (), "(N, D)": (-1,), "four axes": (1, 2, -1)}
    if plan.mask not in shapes:
        return inputs
    lead = shapes[plan.mask]

    def shaped(x):
        rows = x.reshape(-1, x.shape[-1])
        return rows[0] if not lead else rows[: len(rows) // 2 * 2].reshape(*lead, x.shape[-1])

    return inputs | {name: shaped(inputs[name]) for name in ("x", "dy") if name in inputs}


def without_biases(inputs, rng, plan):
    """Set biases to 0 where the plan says so: a forward that forgets one is right there, and its backward can be judged."""
    if plan.mask != "biases = 0":
        return inputs
    return inputs | {"params": {name: value * (name.split("_")[-1][0] != "b") for name, value in inputs["params"].items()}}


def mask_forms(inputs, rng, plan):
    """Give the mask the number of axes that it would have in practice, and put garbage behind it.

    A full mask has no axis at all, a padding mask is (N, 1, 1, S), a causal one (T, S).
    """
    inputs = without_biases(inputs, rng, plan)
    full = inputs["mask"]
    forms = {
        "full": lambda m: np.array(True),
        "ragged": lambda m: m[:, :1, :1],
        "keys": lambda m: m[0, 0, 0],
        "heads": lambda m: m[0],
        "one head for all": lambda m: m[:, :1],
        "causal": lambda m: np.tri(*m.shape[2:], dtype=bool),
        "causal and padding": lambda m: np.tri(*m.shape[2:], dtype=bool) & m[:, :1, :1],
    }
    inputs = inputs | {"mask": forms.get(plan.mask, lambda m: m)(full)}
    return _behind(inputs, np.broadcast_to(inputs["mask"], full.shape), rng) if plan.garbage else inputs


def _behind(inputs, mask, rng):
    """Fill with garbage the keys and values that no query may see, and the queries that see nothing."""
    keys, queries = ~mask.any(2), ~mask.any(3)
    hidden = {"q": queries, "k": keys, "v": keys, "x": queries.all(1), "kv": keys.all(1)}
    return inputs | {name: _garbage(inputs[name], at, rng) for name, at in hidden.items() if name in inputs}


def _garbage(array, at, rng):
    array = array.copy()
    array[at] = rng.uniform(-GARBAGE, GARBAGE, array[at].shape)
    return array


ZEROED = {"biases = 0": {"mask": "biases = 0"}}
MASKS = {
    "causal": {"mask": "causal"},
    "large numbers, masked": {"mask": "holes", "scale": "large"},
    "causal and padding": {"mask": "causal and padding"},
    "mask of shape (S,)": {"mask": "keys"},
    "mask of shape (A, T, S)": {"mask": "heads"},
    "mask of shape (N, 1, T, S)": {"mask": "one head for all"},
    "garbage behind the mask": {"mask": "hidden keys", "garbage": True},
    "garbage beside the padding": {"mask": "ragged", "garbage": True},
}

# ------------------------------------------------------------------------------------------------------- laws


causal = causal_in_time("y", "Under a causal mask y[:, t] must not depend on x after step t.", "causal")


@law("holes", "causal", "garbage behind the mask")
def what_is_hidden_gets_no_gradient(call, case):
    """A key that no query may see, and a query that sees nothing, get a gradient of exactly 0."""
    given = call(case)
    mask = np.broadcast_to(case["mask"], (*case["q"].shape[:3], case["k"].shape[2]))
    for name, hidden in (("dq", ~mask.any(3)), ("dk", ~mask.any(2)), ("dv", ~mask.any(2))):
        if np.any(given[name][hidden] != 0):
            return f"{name} is not 0 where the mask hides everything"
    return None


@law("typical")
def x_may_be_kv(call, case):
    """In self-attention kv is x, the very same array; dx and dkv still come apart, and dx does not hold the sum."""
    same = call(case, kv=case["x"])
    other = call(case, kv=case["x"].copy())
    for name in ("dx", "dkv"):
        if apart(same[name], other[name], 1.0):
            return f"{name} changes when kv is the same array as x, and not only an equal one"
    return None


@law("typical")
def only_distances_matter(call, case):
    """Scores of rotated queries and keys stay when all positions move on by the same number."""
    keys = case["x"][:, :, ::-1].copy()

    def scores(move):
        q, k = (call(case, x=x, positions=case["positions"] + move)["y"] for x in (case["x"], keys))
        return q @ np.swapaxes(k, -1, -2)

    return "moving all positions on by 1000 changes the scores of queries with keys" if apart(scores(1000), scores(0), 1.0) else None


# -------------------------------------------------------------------------------------------------- exercises

layer_norm_forward = Exercise(
    "layer_norm_forward",
    takes={"x": "N T D", "gain": "D", "bias": "D", "eps": Choice(1e-5, 0.1)},
    gives={"y": "N T D"},
    prepare=leading_axes,
    edges={f"x of shape {form}": {"mask": form} for form in ("(D,)", "(N, D)")} | {"x of four axes": {"mask": "four axes"}},
    points=4,
    cache=True,
)
layer_norm_backward = backward_of(layer_norm_forward, "layer_norm_backward", wrt="x gain bias", points=8)

QKV = {"q": "N A T E", "k": "N A S E", "v": "N A S E", "mask": Mask("N A T S")}
attention_forward = Exercise(
    "attention_forward",
    takes=QKV,
    gives={"out": "N A T E"},
    prepare=mask_forms,
    edges=MASKS,
    points=8,
    cache=True,
)
attention_backward = backward_of(
    attention_forward, "attention_backward", wrt="q k v", laws=(what_is_hidden_gets_no_gradient,), points=14
)

PROJECTIONS = {
    "Wq": "A*E A*E", "bq": "A*E", "Wk": "A*E A*E", "bk": "A*E", "Wv": "A*E A*E", "bv": "A*E", "Wo": "A*E A*E", "bo": "A*E",
}  # fmt: skip
HEAD_SIZES = {"A": 2, "E": 3}
MORE_HEADS = {"three heads": {"sizes": {"A": 3, "E": 2}}, "four heads of width 1": {"sizes": {"A": 4, "E": 1}}}

multihead_forward = Exercise(
    "multihead_forward",
    takes={"x": "N T A*E", "kv": "N S A*E", "params": PROJECTIONS, "heads": HEADS, "mask": Mask("N A T S")},
    gives={"y": "N T A*E"},
    uses=("attention_forward",),
    prepare=mask_forms,
    edges=MASKS | MORE_HEADS | ZEROED,
    sizes=HEAD_SIZES,
    points=8,
    cache=True,
)
multihead_backward = backward_of(
    multihead_forward, "multihead_backward", wrt="x kv params", uses=("attention_backward",), laws=(x_may_be_kv,), points=13
)

sinusoidal_positions = Exercise(
    "sinusoidal_positions",
    takes={"T": size("T"), "D": size("D")},
    gives={"table": Float64("T D")},
    sizes={"T": 5, "D": 6},
    edges={
        "odd D": {"sizes": {"D": 7}},
        "T = 1": {"sizes": {"T": 1}},
        "D = 1": {"sizes": {"D": 1}},
        "D = 2": {"sizes": {"D": 2}},
        "wide": {"sizes": {"T": 3, "D": 64}},
        "long": {"sizes": {"T": 300, "D": 8}},
    },
    points=4,
)

LAYERS = {"W1": "A*E F", "b1": "F", "W2": "F A*E", "b2": "A*E"}
feed_forward_forward = Exercise(
    "feed_forward_forward",
    takes={"x": "N T D", "params": {"W1": "D F", "b1": "F", "W2": "F D", "b2": "D"}},
    gives={"y": "N T D"},
    prepare=without_biases,
    edges=ZEROED,
    points=2,
    cache=True,
)
feed_forward_backward = backward_of(feed_forward_forward, "feed_forward_backward", wrt="x params", points=4)

BLOCK = {
    "ln1_gain": "A*E", "ln1_bias": "A*E",
    **{f"att_{name}": shape for name, shape in PROJECTIONS.items()},
    "ln2_gain": "A*E", "ln2_bias": "A*E",
    **{f"ffn_{name}": shape for name, shape in LAYERS.items()},
}  # fmt: skip
PARTS = ("layer_norm_forward", "multihead_forward", "attention_forward", "feed_forward_forward")
BACK = ("layer_norm_backward", "multihead_backward", "attention_backward", "feed_forward_backward")


block_forward = Exercise(
    "block_forward",
    takes={"x": "N T A*E", "params": BLOCK, "heads": HEADS, "mask": Mask("N A T T")},
    gives={"y": "N T A*E"},
    uses=PARTS,
    prepare=mask_forms,
    # Nothing is hidden from the residual path, so there is no garbage to put anywhere.
    edges={name: changes for name, changes in MASKS.items() if "garbage" not in changes} | MORE_HEADS | ZEROED,
    sizes=HEAD_SIZES,
    laws=(causal,),
    points=4,
    cache=True,
)
block_backward = backward_of(block_forward, "block_backward", wrt="x params", uses=PARTS + BACK, points=7)

PARAMS = {
    "embedding": "V A*E", "positions": "T+2 A*E", "blocks": Many(kind(BLOCK), "B"), "lnf_gain": "A*E", "lnf_bias": "A*E",
}  # fmt: skip
gpt_loss = Exercise(
    "gpt_loss",
    takes={"params": PARAMS, "ids": Ids("N T"), "targets": Ids("N T"), "mask": Mask("N T"), "heads": HEADS},
    gives={"loss": Number(), "grads": PARAMS},
    wrt=("params",),
    uses=("block_forward", "block_backward") + PARTS + BACK,
    edges={"three heads": {"sizes": {"A": 3, "E": 2}}},
    sizes=HEAD_SIZES | {"F": 5},
    points=6,
)

# ------------------------------------------------------------------------------------------------ bonus parts


def step_by_step(inputs, Step, Ref):
    """Feed one position after the other; then go back to an old cache, take a branch, and resume the first way."""
    x, params, heads = inputs["x"], inputs["params"], inputs["heads"]
    T = x.shape[1]

    def step(t, after):
        cache = None if after < 0 else Ref(after, -1)
        return Step("cached_step", (x[:, t : t + 1], params, heads, cache), keep=True, cache=True, send=(0,))

    steps = [step(t, t - 1) for t in range(T)] + [step(T - 1, T // 2 - 1), step(T - 1, T - 2)]

    def read(answers):
        y = [answer[0] for answer in answers]
        return {"y": np.concatenate(y[:T], 1), "branch": y[T], "resumed": y[T + 1]}

    return steps, read


cached_step = Exercise(
    "cached_step",
    takes={"x": "N T A*E", "params": BLOCK, "heads": HEADS},
    gives={"y": "N T A*E", "branch": "N 1 A*E", "resumed": "N 1 A*E"},
    uses=("layer_norm_forward", "attention_forward", "feed_forward_forward"),
    edges=MORE_HEADS,
    sizes=HEAD_SIZES,
    drive=step_by_step,
)


def draw_tile(rng, sizes, plan):
    """Return a tile size: 1 where everything is tiny, what the plan asks for, or some small number."""
    return int(rng.choice([2, 3, 5])) if sizes["tile"] == 2 else sizes["tile"]


tiled_attention_forward = Exercise(
    "tiled_attention_forward",
    takes=QKV | {"tile": Draw(draw_tile)},
    gives={"out": "N A T E"},
    prepare=mask_forms,
    edges=MASKS | {"tile of 1": {"sizes": {"tile": 1}, "mask": "holes"}, "one tile for all": {"sizes": {"tile": 64}, "mask": "holes"}},
    sizes={"tile": 2},
    uses=("attention_forward",),
    cache=True,
)
tiled_attention_backward = backward_of(
    tiled_attention_forward, "tiled_attention_backward", wrt="q k v", points=0, laws=(what_is_hidden_gets_no_gradient,)
)

rope = Exercise(
    "rope",
    takes={
        "x": "N A T 2P",
        "positions": Draw(lambda rng, sizes, plan: rng.integers(0, 50, sizes["T"])),
        "base": Choice(10000.0, 10.0),
    },
    gives={"y": "N A T 2P"},
    laws=(only_distances_matter,),
)

# -------------------------------------------------------------------------------------------------- milestone

SYMBOLS, LENGTH, STAYS, BATCH = 5, 16, 0.75, 32
WIDTH, HIDDEN, BLOCKS, HEADS_TRAINED = 32, 64, 2, 2
RATE, FOLLOWED, STEPS, RECALLED = 0.003, 30, 500, 0.95


def induction_batch(rng, examples):
    """Return ids, targets and mask: every example walks through a permutation of its own, and now and then jumps.

    What follows a symbol can be known only from an earlier place in the same example: find the symbol there, and look
    one step further. Counted are the tokens that are known in this way, and whose symbol has never been left by a jump.
    """
    follower, row = rng.random((examples, SYMBOLS)).argsort(1), np.arange(examples)
    walk = [rng.integers(0, SYMBOLS, examples)]
    for _ in range(LENGTH):
        walk.append(np.where(rng.random(examples) < STAYS, follower[row, walk[-1]], rng.integers(0, SYMBOLS, examples)))
    ids, targets = np.stack(walk[:-1], 1), np.stack(walk[1:], 1)
    regular = targets == np.take_along_axis(follower, ids, 1)
    earlier = (ids[:, :, None] == ids[:, None, :]) & np.tri(LENGTH, k=-1, dtype=bool)
    return ids, targets, regular & earlier.any(-1) & ~(earlier & ~regular[:, None, :]).any(-1)


def initial_block(rng):
    """Return the parameters of one block before training."""
    shapes = {name: shape.split() for name, shape in BLOCK.items()}
    sizes = {"A*E": WIDTH, "F": HIDDEN}
    weights = {name: uniform_weights(rng, *(sizes[s] for s in shape)) for name, shape in shapes.items() if len(shape) == 2}
    # Attention that is a little sharper from the start finds the pattern sooner, and with every seed.
    weights |= {name: 1.5 * weights[name] for name in ("att_Wq", "att_Wk")}
    others = {name: np.full(sizes[shape[0]], float("gain" in name)) for name, shape in shapes.items() if len(shape) == 1}
    return weights | others


def induction_task(seed: int):
    """Return initial parameters and an endless stream of batches."""
    rng = np.random.default_rng(seed)
    params = {
        "embedding": 2 * rng.standard_normal((SYMBOLS, WIDTH)) / np.sqrt(WIDTH),
        "positions": 2 * rng.standard_normal((LENGTH, WIDTH)) / np.sqrt(WIDTH),
        "blocks": [initial_block(rng) for _ in range(BLOCKS)],
        "lnf_gain": np.ones(WIDTH),
        "lnf_bias": np.zeros(WIDTH),
    }
    return params, iter(lambda: induction_batch(rng, BATCH), None)


def reference_curve(loss_and_grads, seed):
    """Return the reference's losses over the first steps of training."""
    params, batches = induction_task(seed)
    curve = train(lambda p, batch: loss_and_grads("gpt_loss", p, *batch, HEADS_TRAINED), params, batches, RATE)
    return np.array([next(curve) for _ in range(FOLLOWED)])


def predicted(call, params, ids):
    """Return the most probable next symbols, computed with the student's blocks."""
    x = params["embedding"][ids] + params["positions"]
    for block in params["blocks"]:
        x = np.asarray(call("block_forward", x, block, HEADS_TRAINED, np.tri(LENGTH, dtype=bool)))
    x = np.asarray(call("layer_norm_forward", x, params["lnf_gain"], params["lnf_bias"], 1e-5))
    return (x @ params["embedding"].T).argmax(-1)


def milestone(call, curve, seed):
    """Train a small GPT; its loss curve is the reference's, and it comes to continue what it has seen once."""
    params, batches = induction_task(seed)
    losses = train(lambda p, batch: call("gpt_loss", p, *batch, HEADS_TRAINED), params, batches, RATE)
    tests = lambda: induction_batch(np.random.default_rng([seed, 1]), 256)  # noqa: E731
    return graded_run(losses, curve, STEPS, RECALLED, "of the symbols are foreseen", tests, lambda drawn: foreseen(call, params, *drawn))


def foreseen(call, params, ids, targets, mask):
    """Return the part of the symbols that is foreseen."""
    return float(np.mean((predicted(call, params, ids) == targets)[mask]))


# ------------------------------------------------------------------------------------------------- assignment

WIDE = {"N": 4, "A": 4, "E": 16, "T": 48, "S": 48, "F": 128}

assignment = Assignment(
    name="attention",
    title="The Transformer, and why memory traffic rules it",
    exercises=(
        layer_norm_forward, layer_norm_backward, attention_forward, attention_backward, multihead_forward,
        multihead_backward, sinusoidal_positions, feed_forward_forward, feed_forward_backward, block_forward,
        block_backward, gpt_loss,
    ),  # fmt: skip
    performance=Performance(
        points=8,
        costs=(
            Cost("layer_norm_backward", vectorised="N T", sizes={"N": 32, "T": 32, "D": 64}, calls=2),
            Cost("attention_backward", vectorised="N A T S", memory="T", sizes={"N": 8, "A": 4, "T": 96, "S": 96, "E": 16}),
            Cost("multihead_backward", vectorised="N A T S", memory="T", sizes=WIDE | {"N": 8, "T": 64, "S": 64}),
            Cost("sinusoidal_positions", vectorised="T", sizes={"T": 2048, "D": 64}),
            Cost("feed_forward_backward", vectorised="N T", sizes={"N": 16, "T": 32, "D": 32, "F": 128}, calls=2),
            Cost("block_backward", vectorised="N T", sizes=WIDE),
            Cost("gpt_loss", vectorised="N T", sizes=WIDE | {"V": 30, "B": 2}),
        ),
    ),
    milestone=Milestone(
        points=10,
        uses=("gpt_loss", "block_forward", "layer_norm_forward"),
        run=milestone,
        reference_curve=reference_curve,
        sentence="A small GPT finds what followed a symbol earlier in the text, which no bigram statistics can tell.",
    ),
    bonus=(
        Bonus("cached", 10, (cached_step,), costs=(Cost("cached_step", speed=8.0, sizes={"N": 1, "T": 400, "A": 4, "E": 16, "F": 256}),)),
        Bonus(
            "tiled",
            20,
            (tiled_attention_forward, tiled_attention_backward),
            costs=(Cost("tiled_attention_backward", speed=0.0, memory="T", sizes={"N": 1, "A": 1, "T": 1024, "S": 1024, "E": 16, "tile": 128}),),
        ),
        Bonus("rope", 6, (rope,)),
    ),
)
