"""Encoder and decoder, attention between them, and search."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np

from autograder.exercises import lstm
from autograder.laws import ROUNDING, apart, no_gradient_behind_the_mask
from autograder.spec import (
    Assignment,
    Bonus,
    Choice,
    Cost,
    Draw,
    Exercise,
    Ids,
    Many,
    Mask,
    Milestone,
    Number,
    Performance,
    backward_of,
    law,
)
from autograder.training import clipped, departs, train, train_until, uniform_weights

# ------------------------------------------------------------------------------------------------------- laws

hidden_keys_get_no_gradient = no_gradient_behind_the_mask("hidden keys get no gradient", "dkeys", "The gradient of keys behind the mask is exactly 0.")


@law("holes", "ragged")
def hidden_keys_have_no_influence(call, case):
    """Whatever stands in keys where the mask is False, up to 1e6, changes neither context nor weights."""
    hidden = ~case["mask"]
    before = call(case)
    for value in (1e6, -1e6):
        keys = case["keys"].copy()
        keys[hidden] = value
        after = call(case, keys=keys)
        if name := next((name for name in ("context", "weights") if apart(after[name], before[name])), None):
            return f"filling the keys behind the mask with {value:g} changed {name}"
    return None


@law("typical", "holes")
def weights_stay_finite_and_sum_to_one(call, case):
    """With scores in the thousands the weights of a row with real keys still sum to 1."""
    weights = np.asarray(call(case, v=case["v"] * 1e4)["weights"], float)
    wrong = np.argwhere(~(np.abs(weights.sum(-1) - 1) <= ROUNDING))
    if len(wrong):
        n, t = map(int, wrong[0])
        return f"with v 10,000 times as large the weights of row [{n}, {t}] sum to {weights[n, t].sum():.6g}"
    return None


@law("typical")
def ignores_a_shift_of_all_scores(call, case):
    """Adding 1000 to every entry of by adds 1000 to all scores, and changes neither loss nor gradients."""
    before, after = call(case), call(case, params={**case["params"], "by": case["params"]["by"] + 1000.0})
    loss, moved = float(before["loss"]), float(after["loss"])
    if not abs(loss - moved) <= ROUNDING * max(1.0, abs(loss)):
        return f"adding 1000 to by changed the loss from {loss:.6g} to {moved:.6g}"
    return None


@law("typical")
def goes_on_until_max_len(call, case):
    """Where eos is never the best token, exactly max_len ids come out."""
    by = case["params"]["by"].copy()
    by[case["eos"]] -= NEVER
    ids = call(case, params={**case["params"], "by": by}, max_len=25)["ids"]
    return None if len(ids) == 25 else f"eos never wins and max_len is 25, but {len(ids)} ids come out"


@law("typical", "choice 1", "choice 2")
def ids_and_score_belong_together(call, case):
    """With any beam, the score is the log-probability of the ids (and of eos where it was reached) / length ** alpha."""
    for beam, alpha in ((2, 0.0), (3, 0.7), (5, 1.0)):
        found = call(case, beam=beam, alpha=alpha)
        ids, score = [int(i) for i in found["ids"]], float(found["score"])
        if len(ids) > case["max_len"] or case["eos"] in ids:
            return f"with beam {beam} the ids are {ids}: too many, or eos among them"
        expected = _score(call, case, ids, alpha)
        if not abs(score - expected) <= 1e-6 * max(1.0, abs(expected)):
            return f"with beam {beam} and alpha {alpha} the score is {score:.6g}, but the ids {ids} have {expected:.6g}"
    return None


def _score(call, case, ids, alpha):
    """Return log-probability / length ** alpha of a finished hypothesis by teacher forcing."""
    params, src, mask = case["params"], case["src"][None], np.ones((1, len(case["src"])), bool)
    said = ids if len(ids) == case["max_len"] else [*ids, case["eos"]]
    keys, h, c = call.plain("encode_forward", src, mask, params)
    scores, _ = call.plain("decode_forward", np.array([[case["bos"], *said[:-1]]]), h, c, keys, mask, params)
    shifted = scores[0] - scores[0].max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return float(log_p[np.arange(len(said)), said].sum()) / len(said) ** alpha


@law("typical", "long")
def only_equality_of_ids_counts(call, case):
    """Other names for the ids, every one 1024 times as large, leave the distance as it is."""
    before, after = call(case)["distance"], call(case, a=case["a"] * 1024, b=case["b"] * 1024)["distance"]
    return None if before == after else f"with all ids 1024 times as large the distance is {after} instead of {before}"


@law("typical")
def detours_are_never_shorter(call, case):
    """The triangle inequality: the distance from a to c is at most that from a to b and from b to c."""
    turned = [np.roll(np.arange(60), -4 * k) for k in range(6)]
    steps = sum(call(case, a=a, b=b)["distance"] for a, b in zip(turned, turned[1:], strict=False))
    direct = call(case, a=turned[0], b=turned[-1])["distance"]
    return None if direct <= steps else f"60 ids turned by 20 places are at distance {direct}, but five turns by 4 places add up to {steps}"


@law("typical")
def finite_at_a_thousand_steps(call, case):
    """At T = 1000, where every probability underflows, the loss and its gradient are finite."""
    scores = np.resize(case["scores"], (1000, *case["scores"].shape[1:]))
    found = call(case, scores=scores)
    finite = np.isfinite(float(found["loss"])) and np.isfinite(found["dscores"]).all()
    return None if finite else f"at T = 1000 the loss is {float(found['loss'])} or its gradient is not finite"


# ----------------------------------------------------------------------------------------------------- inputs

ENCODER = {"src_embedding": "Vs D", "enc_Wx": "D 4H", "enc_Wh": "H 4H", "enc_b": "4H"}
DECODER = {
    "tgt_embedding": "Vt D", "dec_Wx": "D 4H", "dec_Wh": "H 4H", "dec_b": "4H",
    "att_Wq": "H M", "att_Wk": "H M", "att_v": "M", "Wo": "2H H", "bo": "H", "Wy": "H Vt", "by": "Vt",
}  # fmt: skip
PARAMS = ENCODER | DECODER

#: Small enough for finite differences with all parameters.
SMALL = {"D": 2, "H": 4, "M": 3, "Vs": 5, "Vt": 6}

#: As many units as tokens, so that every token can have its own.
TALKATIVE = {"S": 3, "D": 5, "H": 6, "M": 3, "Vs": 7}

#: Stands in the plan of a search in place of a mask.
GARDEN_PATH, TWO_WORDS = "garden path", "two words"

#: Subtracted from the score of a token that must never be chosen.
NEVER = 1e4


def by_pick(*values):
    """Return a kind: the value that the plan's ``pick`` names; edges say which."""
    return Draw(lambda rng, sizes, plan: values[plan.pick % len(values)])


def sequence(length, vocabulary):
    """Return a kind: ids of a random length from 1 on."""
    return Draw(lambda rng, sizes, plan: rng.integers(0, sizes[vocabulary], rng.integers(1, sizes[length] + 1)))


def search_case(inputs, rng, plan):
    """Draw bos and eos; never let bos be chosen, since whether it then belongs to the ids is not said."""
    params = inputs["params"]
    if plan.fill == "ones":  # would tie all tokens, and rounding would choose
        params = {name: value * rng.standard_normal(value.shape) for name, value in params.items()}
    if plan.scale in ("unit", "damped"):
        params = talkative(params, rng)
    bos, eos = (int(i) for i in rng.choice(len(params["by"]), 2, replace=False))
    if plan.mask == GARDEN_PATH:
        params = garden_path(params, bos, eos)
    if plan.mask == TWO_WORDS:
        params = two_words(params, bos, eos)
    by = params["by"].copy()
    by[bos] -= NEVER
    return inputs | {"params": params | {"by": by}, "bos": bos, "eos": eos}


def talkative(params, rng):
    """Return parameters under which one token leads to another: random ones say one thing for ever."""
    tokens = len(params["tgt_embedding"])
    round_trip = rng.permutation(tokens)
    follows = np.zeros((tokens, tokens))
    follows[round_trip, np.roll(round_trip, -1)] = 3.0
    return _following(params, follows, 0.6)


def garden_path(params, bos, eos):
    """Return parameters that tempt: the likeliest first token leads nowhere, the second likeliest surely goes on and on."""
    tokens = len(params["tgt_embedding"])
    tempting, best, *others = (i for i in range(tokens) if i not in (bos, eos))
    follows = np.zeros((tokens, tokens))
    follows[bos, [tempting, best, eos]] = 2.3, 2.0, -1.0
    follows[tempting, tempting], follows[tempting, best], follows[best, best] = -1.0, -1.0, 5.0
    follows[:, others] -= 4.0
    return _following(params, follows, 0.02)


def two_words(params, bos, eos):
    """Return parameters under which the best sentence has two tokens before eos, so that its length, with and without eos, tells."""
    tokens = len(params["tgt_embedding"])
    first, second, *_ = (i for i in range(tokens) if i not in (bos, eos))
    follows = np.zeros((tokens, tokens))
    follows[[bos, first, second], [first, second, eos]] = 4.0
    return _following(params, follows, 0.3)


def _following(params, follows, part):
    """Return a part of the parameters, plus what makes the scores after token i about ``follows[i]``."""
    tokens, D = params["tgt_embedding"].shape
    H = len(params["Wo"]) // 2
    new = {name: part * value for name, value in params.items()}
    new["tgt_embedding"] += 3 * np.eye(tokens, D)
    new["dec_Wx"][:, 2 * H : 3 * H] += 2 * np.eye(D, H)
    new["dec_b"] += np.repeat([1.0, -1.0, 0.0, 1.0], H)
    new["Wo"][:H] += 2 * np.eye(H)
    new["Wy"] += np.eye(H, tokens) @ follows
    return new


def distance_case(inputs, rng, plan):
    """Make one sequence empty or both the same, where the plan's ``pick`` says so."""
    nothing = np.zeros(0, np.int64)
    changes = ({}, {"a": nothing}, {"b": nothing}, {"a": nothing, "b": nothing}, {"b": inputs["a"].copy()})
    return inputs | changes[plan.pick]


def ctc_case(inputs, rng, plan):
    """Draw a blank and targets that are possible: length + repeats <= T, without blanks."""
    T, N, V = inputs["scores"].shape
    blank = (0, V - 1, 1, 0, V - 1)[plan.pick]
    labels = np.delete(np.arange(V), blank)
    if plan.pick == 4:  # label 0 is not the first, so that whoever takes it for the blank finds no way at all
        return inputs | {"targets": [np.append(rng.permutation(labels[1:]), 0)[-T:] for _ in range(N)], "blank": blank}
    targets = [possible(rng.choice(labels[:1] if plan.pick == 3 else labels, rng.integers(1, T + 1)), T) for _ in range(N)]
    return inputs | {"targets": targets, "blank": blank}


def possible(target, T):
    """Return the longest beginning of a target that T steps can say; between equal labels they need a blank."""
    cost = np.cumsum(1 + np.append(False, target[1:] == target[:-1]))
    return target[cost <= T]


# -------------------------------------------------------------------------------------------------- exercises

BLANKS = {"blank is the last label": {"pick": 1}, "blank is label 1": {"pick": 2}}
PADS = {"pad is a real id": {"pick": 1}}

pad_batch = Exercise(
    "pad_batch",
    takes={"sequences": Many(sequence("S", "Vs"), "N"), "pad": by_pick(0, 2)},
    gives={"ids": Ids("N S", "Vs"), "mask": Mask("N S")},
    sizes={"S": 6, "Vs": 9},
    edges=PADS | {"long": {"sizes": {"S": 40}}},
    discrete=True,
    points=3,
)

make_targets = Exercise(
    "make_targets",
    takes={"sequences": Many(sequence("T", "Vt"), "N"), "pad": by_pick(0, 5), "bos": by_pick(1, 2), "eos": by_pick(2, 0)},
    gives={"tgt_in": Ids("N T+1", "Vt"), "tgt_out": Ids("N T+1", "Vt"), "mask": Mask("N T+1")},
    uses=("pad_batch",),
    sizes={"T": 6, "Vt": 9},
    edges=PADS | {"long": {"sizes": {"T": 40}}},
    discrete=True,
    points=4,
)

encode_forward = Exercise(
    "encode_forward",
    takes={"src": Ids("N S", "Vs"), "mask": Mask("N S"), "params": PARAMS},
    gives={"keys": "N S H", "h": "N H", "c": "N H"},
    uses=("lstm_forward",),
    sizes=SMALL,
    points=6,
    cache=True,
)
encode_backward = backward_of(encode_forward, "encode_backward", wrt={"params": ENCODER}, points=8, uses=("lstm_backward",))

additive_attention_forward = Exercise(
    "additive_attention_forward",
    takes={"q": "N T H", "keys": "N S H", "mask": Mask("N S", hides=("keys",)), "Wq": "H M", "Wk": "H M", "v": "M"},
    gives={"context": "N T H", "weights": "N T S"},
    laws=(hidden_keys_have_no_influence, weights_stay_finite_and_sum_to_one),
    points=10,
    cache=True,
)
additive_attention_backward = backward_of(
    additive_attention_forward,
    "additive_attention_backward",
    wrt="q keys Wq Wk v",
    upstream="context",
    laws=(hidden_keys_get_no_gradient,),
    points=16,
)

decode_forward = Exercise(
    "decode_forward",
    takes={
        "tgt_in": Ids("N T", "Vt"), "h0": "N H", "c0": "N H", "keys": "N S H",
        "src_mask": Mask("N S", hides=("keys",)), "params": PARAMS,
    },  # fmt: skip
    gives={"scores": "N T Vt", "weights": "N T S"},
    uses=("lstm_forward", "additive_attention_forward"),
    sizes=SMALL,
    points=8,
    cache=True,
)
decode_backward = backward_of(
    decode_forward,
    "decode_backward",
    wrt={"params": DECODER, "h0": None, "c0": None, "keys": None},
    upstream="scores",
    uses=("lstm_backward", "additive_attention_backward"),
    points=12,
)

seq2seq_loss = Exercise(
    "seq2seq_loss",
    takes={
        "params": PARAMS, "src": Ids("N S", "Vs"), "src_mask": Mask("N S"),
        "tgt_in": Ids("N T", "Vt"), "tgt_out": Ids("N T", "Vt"), "tgt_mask": Mask("N T"),
    },  # fmt: skip
    gives={"loss": Number(), "grads": PARAMS},
    wrt=("params",),
    uses=("encode_forward", "encode_backward", "decode_forward", "decode_backward"),
    laws=(ignores_a_shift_of_all_scores,),
    sizes=SMALL,
    points=5,
)

SEARCH = {"params": PARAMS, "src": Ids("S", "Vs"), "bos": Draw(lambda rng, sizes, plan: 0), "eos": Draw(lambda rng, sizes, plan: 1)}
SEARCH_USES = ("encode_forward", "decode_forward", "additive_attention_forward", "lstm_forward")
greedy_decode = Exercise(
    "greedy_decode",
    takes=SEARCH | {"max_len": Choice(6, 1, 3, 9)},
    gives={"ids": Ids("T", "Vt")},
    uses=SEARCH_USES,
    laws=(goes_on_until_max_len,),
    prepare=search_case,
    edges={"all tokens tie": {"scale": "zero"}},
    sizes=TALKATIVE | {"Vt": 6},
    discrete=True,
    points=4,
)

# The choices go together: a beam of 1 is greedy, 1000 is wider than all sequences; widths between are for the law.
beam_search = Exercise(
    "beam_search",
    takes=SEARCH | {"beam": Choice(1000, 1, 1000, 1000, 1000, 1000), "max_len": Choice(3, 4, 2, 4, 3, 3), "alpha": Choice(1.0, 0.0, 0.0, 0.6, 2.0, 0.0)},
    gives={"ids": Ids("T", "Vt"), "score": Number()},
    uses=(*SEARCH_USES, "greedy_decode"),
    laws=(ids_and_score_belong_together,),
    prepare=search_case,
    sizes=TALKATIVE | {"Vt": 4},
    edges={f"the best does not begin with the likeliest, {n}": {"mask": GARDEN_PATH, "pick": n} for n in (0, 3, 4, 5)}
    | {f"the best has two tokens, {n}": {"mask": TWO_WORDS, "pick": n} for n in (0, 3, 4)},
    discrete=True,
    points=8,
)

edit_distance = Exercise(
    "edit_distance",
    takes={"a": sequence("L", "V"), "b": sequence("L", "V")},
    gives={"distance": Number(whole=True)},
    laws=(only_equality_of_ids_counts, detours_are_never_shorter),
    prepare=distance_case,
    sizes={"L": 8, "V": 4},
    edges={
        "a is empty": {"pick": 1}, "b is empty": {"pick": 2}, "both are empty": {"pick": 3}, "the same": {"pick": 4},
        "long": {"sizes": {"L": 40}}, "large numbers": {"sizes": {"V": 300}},
    },  # fmt: skip
    points=4,
)

ctc_loss = Exercise(
    "ctc_loss",
    takes={"scores": "T N V", "targets": Draw(lambda rng, sizes, plan: []), "blank": Draw(lambda rng, sizes, plan: 0)},
    gives={"loss": Number(), "dscores": "T N V"},
    wrt=("scores",),
    laws=(finite_at_a_thousand_steps,),
    prepare=ctc_case,
    sizes={"V": 5},
    edges=BLANKS | {"one label over and over": {"pick": 3}, "no step to spare": {"pick": 4, "sizes": {"T": 4}}, "many steps": {"sizes": {"T": 150, "N": 1}}},
)
ctc_collapse = Exercise(
    "ctc_collapse",
    takes={"ids": Ids("T", "V"), "blank": by_pick(0, 2, 1)},
    gives={"ids": Ids("T", "V")},
    sizes={"T": 12, "V": 3},
    edges=BLANKS,
    discrete=True,
)

# -------------------------------------------------------------------------------------------------- milestone

LETTERS, SHORTEST, LONGEST, EMBEDDING, WIDTH, BATCH, TESTS, CLIP, FOLLOWED = 8, 6, 12, 16, 32, 32, 200, 1.0, 30

#: The part of the strings to be reversed, and how far that is ahead of what goes without attention.
REVERSED, AHEAD = 0.90, 0.20

BOS, EOS = LETTERS, LETTERS + 1

#: (steps, rate): the last phase settles what a constant rate leaves jumping.
PHASES = ((200, 0.01), (120, 0.002))


def reversal_task(seed: int):
    """Return initial parameters, strings to be tested on, and an endless stream of batches: say a string backwards."""
    rng = np.random.default_rng([seed, LONGEST])
    tokens, H = LETTERS + 2, WIDTH
    params = {
        "src_embedding": rng.standard_normal((LETTERS, EMBEDDING)),
        "tgt_embedding": rng.standard_normal((tokens, EMBEDDING)),
        "att_Wq": uniform_weights(rng, H, H), "att_Wk": uniform_weights(rng, H, H), "att_v": uniform_weights(rng, H),
        "Wo": uniform_weights(rng, 2 * H, H), "bo": np.zeros(H), "Wy": uniform_weights(rng, H, tokens), "by": np.zeros(tokens),
    }  # fmt: skip
    for part in ("enc", "dec"):
        params |= {f"{part}_Wx": uniform_weights(rng, EMBEDDING, 4 * H), f"{part}_Wh": uniform_weights(rng, H, 4 * H)}
        params[f"{part}_b"] = np.repeat([0.0, 1.0, 0.0, 0.0], H)

    def batches():
        while True:
            yield strings(rng, BATCH)

    return params, strings(rng, TESTS), batches()


def strings(rng, number: int):
    """Return ``src, src_mask, tgt_in, tgt_out, tgt_mask`` for random strings and their reversals."""
    lengths = rng.integers(SHORTEST, LONGEST + 1, (number, 1))
    longest = int(lengths.max())
    place, ids = np.arange(longest + 1), rng.integers(0, LETTERS, (number, longest))
    said = np.take_along_axis(ids, np.clip(lengths - 1 - place[:-1], 0, None), axis=1)
    tgt_in = np.where(place <= lengths, np.insert(said, 0, BOS, axis=1), 0)
    tgt_out = np.where(place < lengths, np.append(said, np.zeros_like(lengths), axis=1), EOS)
    src_mask = place[:-1] < lengths
    return np.where(src_mask, ids, 0), src_mask, tgt_in, tgt_out, place <= lengths


CLIPPED = clipped(CLIP)


def without_attention(grads):
    """Return clipped gradients that leave alone the rows of Wo that read the context, which are zero."""
    held = np.where(np.arange(2 * WIDTH)[:, None] < WIDTH, grads["Wo"], 0.0)
    return CLIPPED({**grads, "Wo": held})


def phases(loss_and_grads, params, batches, limit=CLIPPED):
    """Yield the losses of one training run."""
    for steps, rate in PHASES:
        losses = train(loss_and_grads, params, batches, rate, limit)
        for _ in range(steps):
            yield next(losses)


def reference_curve(loss_and_grads, seed):
    """Return the reference's losses over the first steps of training."""
    params, _, batches = reversal_task(seed)
    losses = phases(lambda p, batch: loss_and_grads("seq2seq_loss", p, *batch), params, batches)
    return np.array([next(losses) for _ in range(FOLLOWED)])


def exact(call, params, test) -> float:
    """Return which part of the strings is reversed without a mistake.

    Greedy search says the right string exactly when every next token is the likeliest after the right ones before it.
    """
    src, src_mask, tgt_in, tgt_out, tgt_mask = test
    keys, h, c = call("encode_forward", src, src_mask, params)
    scores, _ = call("decode_forward", tgt_in, h, c, keys, src_mask, params)
    scores = np.asarray(scores)
    right = (scores.argmax(-1) == tgt_out) & np.isfinite(scores).all(-1)
    return float(np.mean(np.all(right | ~tgt_mask, axis=1)))


def milestone(call, curve, seed):
    """Train to reverse strings, with attention and as long without; the loss follows the reference's, attention wins by far."""
    params, test, batches = reversal_task(seed)
    losses = phases(lambda p, batch: call("seq2seq_loss", p, *batch), params, batches)
    yield "follows the reference", departs(islice(losses, FOLLOWED), curve)
    steps, attending, sentence = train_until(REVERSED, lambda: exact(call, params, test), "of the strings are reversed", losses, FOLLOWED)
    if sentence:
        yield "reaches the goal", sentence
        return
    blind, test, batches = reversal_task(seed)
    blind["Wo"][WIDTH:] = 0.0
    for _ in islice(phases(lambda p, batch: call("seq2seq_loss", p, *batch), blind, batches, without_attention), steps):
        pass
    unaided = exact(call, blind, test)
    close = attending - unaided < AHEAD
    yield "reaches the goal", f"it reverses {attending:.0%} of the strings, and {unaided:.0%} without attention: does the context reach the output?" if close else None


# ------------------------------------------------------------------------------------------------- assignment

assignment = Assignment(
    name="seq2seq",
    title="Encoder, decoder, attention between them, and search",
    requires=("lstm",),
    prerequisites=tuple(replace(lstm.assignment.exercise(name), points=0, uses=()) for name in ("lstm_forward", "lstm_backward")),
    exercises=(
        pad_batch, make_targets, encode_forward, encode_backward, additive_attention_forward, additive_attention_backward,
        decode_forward, decode_backward, seq2seq_loss, greedy_decode, beam_search, edit_distance,
    ),  # fmt: skip
    performance=Performance(
        points=2,
        costs=(
            Cost("additive_attention_forward", vectorised="N T S", sizes={"N": 16, "T": 12, "S": 14, "H": 16, "M": 16}, calls=2),
            Cost("additive_attention_backward", vectorised="N T S", sizes={"N": 16, "T": 12, "S": 14, "H": 16, "M": 16}),
        ),
    ),
    milestone=Milestone(
        points=10,
        uses=("seq2seq_loss", "encode_forward", "decode_forward"),
        run=milestone,
        reference_curve=reference_curve,
        sentence="A training run learns to reverse strings, far better with attention than without.",
    ),
    bonus=(Bonus("ctc", 15, (ctc_loss, ctc_collapse)),),
)
