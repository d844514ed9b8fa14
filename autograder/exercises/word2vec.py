"""Word vectors from raw text: skip-gram and CBOW."""

from __future__ import annotations

from itertools import chain, islice

import numpy as np

from autograder.fill import draw_floats
from autograder.laws import no_gradient_behind_the_mask
from autograder.spec import Assignment, Choice, Cost, Draw, Exercise, Float64, Ids, Mask, Milestone, Number, Uniforms, law
from autograder.training import departs, train

# ------------------------------------------------------------------------------------------------------- inputs


def some_numbers(rng, sizes, plan):
    """Return an array whose number of axes depends on the example: one, two or three."""
    shape = {0: (sizes["N"], sizes["D"]), 1: (sizes["D"],), 2: (2, sizes["N"], sizes["D"])}[plan.pick]
    return draw_floats(rng, shape, plan)


def far_out(inputs, rng, plan):
    """On the example ``far out``: numbers from where exp overflows, and from where log(1 + e) loses all digits."""
    if plan.scale == "large upstream":
        sizes = [0.0, 1e-300, 1e-9, 0.5, 17.0, 30.0, 36.7, 37.5, 100.0, 690.0, 708.0, 709.5, 710.0, 745.2, 1e3, 1e4]
        inputs["x"] = np.array([sizes, [-x for x in sizes]])
    return inputs


def counts_of_words(rng, sizes, plan):
    """Return how often every word occurs: int64 or float, some 0, at least one positive."""
    if plan.fill == "ones":
        counts = np.ones(sizes["V"], np.int64)
    else:
        counts = rng.integers(0, 30, sizes["V"])
        counts[rng.integers(sizes["V"])] += 1
    if plan.scale == "large":
        counts = counts * 10**9
    return counts / 8 if plan.scale == "small" or plan.dtype == "float32" else counts


def word_distribution(rng, sizes, plan):
    """Return probabilities of words, some of them 0, at least two of them positive."""
    weights = np.ones(sizes["V"]) if plan.fill == "ones" else rng.random(sizes["V"]) ** 2 + 0.01
    if plan.fill == "normal":
        weights[rng.permutation(sizes["V"])[2:]] *= rng.random(sizes["V"] - 2) < 0.7
    return weights / weights.sum()


def garbage_words(inputs, rng, plan):
    """On the example with garbage, whatever is masked is word 0, whose vector is huge, and nothing real is word 0."""
    if plan.garbage:
        mask = inputs["mask"]
        inputs["context"] = np.where(mask, 1 + inputs["context"] % (plan.sizes["V"] - 1), 0)
        inputs["W_in"][0] = 1e6
    return inputs


def choose_excluded(inputs, rng, plan):
    """Fill in what is excluded and how many are asked for, and plant zero vectors where the example wants them."""
    words = len(inputs["W"])
    excluded = rng.permutation(words)[: rng.integers(0, words)] if plan.pick != 1 else np.empty(0, np.int64)
    left = words - len(excluded)
    as_given = (list, tuple, np.array)[plan.seed % 3]
    inputs["exclude"] = as_given([int(i) for i in excluded]) if len(excluded) else []
    inputs["k"] = left if plan.pick == 1 else int(rng.integers(1, left + 1))
    if plan.pick == 2:
        inputs["W"][rng.permutation(words)[:3]] = 0.0
        inputs["exclude"], inputs["k"] = [0], words - 1
    if plan.pick == 3:
        inputs["query"][:] = 0.0
    return inputs


# --------------------------------------------------------------------------------------------------------- laws


masked_context_gets_no_gradient = no_gradient_behind_the_mask(
    "masked context gets no gradient", "d_context", "The gradient of every context vector behind the mask is exactly 0."
)


@law("typical")
def names_of_words_do_not_matter(call, case):
    """Words may have any ids, also large ones: renaming the words renames the result and changes nothing else."""
    tokens = case["tokens"]
    before, after = call(case), call(case, tokens=tokens * 1_000_003 + 7)
    if "pairs" in before:
        same = np.array_equal(after["pairs"], before["pairs"] * 1_000_003 + 7)
    else:
        renamed = np.where(before["mask"], before["context"] * 1_000_003 + 7, 0)
        same = np.array_equal(after["mask"], before["mask"]) and np.array_equal(after["context"], renamed)
    return None if same else f"with ids around {int(tokens.max()) * 1_000_003} the result is another one"


@law("typical")
def power_is_three_quarters_unless_given(call, case):
    """Called without a power, the function takes 0.75."""
    given = np.asarray(call.plain("negative_distribution", case["counts"]))
    expected = np.asarray(call.plain("negative_distribution", case["counts"], 0.75))
    return None if np.array_equal(given, expected) else "negative_distribution(counts) is not negative_distribution(counts, 0.75)"


@law("typical")
def a_draw_on_a_boundary_takes_the_next_word(call, case):
    """With cumulative probabilities 0, 1/4, 1/2, 1 the draws 0, 1/4 and 1/2 give the words 1, 2 and 3: the smallest v with cdf[v] > u."""
    p, uniforms = np.array([0.0, 0.125, 0.125, 0.25, 0.5]), np.array([[0.0, 0.25, 0.5]])
    drawn = np.asarray(call(case, p=p, targets=np.array([4]), uniforms=uniforms)["ids"])
    return None if np.array_equal(drawn, [[1, 2, 3]]) else f"the draws 0, 1/4, 1/2 gave {drawn.ravel().tolist()}"


@law("typical")
def equal_cosines_come_in_order_of_id(call, case):
    """Where cosines are equal, the lower id comes first, and a zero vector has cosine 0."""
    W = np.array([[0, 4.0], [2, 0], [0, 0], [1, 0], [0, 1], [-1, 0], [8, 0]])
    found = call(case, W=W, query=np.array([0.5, 0.0]), k=6, exclude=(3,))
    ids, cosine = np.asarray(found["ids"]).tolist(), np.asarray(found["cosine"]).tolist()
    if ids != [1, 6, 0, 2, 4, 5] or cosine != [1.0, 1.0, 0.0, 0.0, 0.0, -1.0]:
        return f"for rows along, across and against the query the ids are {ids}, but should be [1, 6, 0, 2, 4, 5]"
    return None


# ---------------------------------------------------------------------------------------------------- exercises

log_sigmoid = Exercise(
    "log_sigmoid",
    takes={"x": Draw(some_numbers)},
    gives={"y": "N D"},
    sizes={"N": 3, "D": 4},
    edges={"one axis": {"pick": 1}, "three axes": {"pick": 2}, "far out": {"scale": "large upstream"}},
    prepare=far_out,
    entrywise=1e-13,
    points=4,
)

skipgram_pairs = Exercise(
    "skipgram_pairs",
    takes={"tokens": Ids("L"), "window": Choice(2, 1, 5, 30)},
    gives={"pairs": Ids("P 2")},
    uses=("cbow_windows",),
    laws=(names_of_words_do_not_matter,),
    discrete=True,
    points=6,
)

cbow_windows = Exercise(
    "cbow_windows",
    takes={"tokens": Ids("L"), "window": Choice(2, 1, 5, 30)},
    gives={"centers": Ids("L"), "context": Ids("L 2w"), "mask": Mask("L 2w")},
    uses=("skipgram_pairs",),
    laws=(names_of_words_do_not_matter,),
    discrete=True,
    points=6,
)

keep_probability = Exercise(
    "keep_probability",
    takes={"counts": Draw(counts_of_words), "t": Choice(0.05, 1.0, 1e-5)},
    gives={"p": Float64("V")},
    sizes={"V": 11},
    points=4,
)

negative_distribution = Exercise(
    "negative_distribution",
    takes={"counts": Draw(counts_of_words), "power": Choice(0.75, 1.0, 0.5)},
    gives={"p": Float64("V")},
    sizes={"V": 11},
    laws=(power_is_three_quarters_unless_given,),
    points=4,
)

draw_negatives = Exercise(
    "draw_negatives",
    takes={"p": Draw(word_distribution), "targets": Ids("N"), "uniforms": Uniforms("N K")},
    gives={"ids": Ids("N K")},
    sizes={"K": 6},
    laws=(a_draw_on_a_boundary_takes_the_next_word,),
    discrete=True,
    points=6,
)

TABLES = {"W_in": "V D", "W_out": "V D"}

#: So many that surely some negative has a large positive score, and some a large negative one.
LARGE_SCORES = {"large numbers": {"scale": "large", "sizes": {"N": 8, "K": 7}}}
skipgram_softmax = Exercise(
    "skipgram_softmax",
    takes={"center": Ids("N"), "outside": Ids("N"), **TABLES},
    gives={"loss": Number(), "dW_in": "V D", "dW_out": "V D"},
    wrt=("W_in", "W_out"),
    points=14,
)

skipgram_negative = Exercise(
    "skipgram_negative",
    takes={"center": Ids("N"), "outside": Ids("N"), "negatives": Ids("N K"), **TABLES},
    gives={"loss": Number(), "d_in": "N D", "d_out": "N K+1 D"},
    uses=("log_sigmoid", "cbow_negative"),
    edges=LARGE_SCORES,
    points=18,
)

cbow_negative = Exercise(
    "cbow_negative",
    takes={"context": Ids("N C"), "mask": Mask("N C"), "center": Ids("N"), "negatives": Ids("N K"), **TABLES},
    gives={"loss": Number(), "d_context": "N C D", "d_out": "N K+1 D"},
    uses=("log_sigmoid", "skipgram_negative"),
    laws=(masked_context_gets_no_gradient,),
    edges={"garbage behind the mask": {"mask": "empty row", "garbage": True}, **LARGE_SCORES},
    prepare=garbage_words,
    points=14,
)

sgd_update = Exercise(
    "sgd_update",
    takes={"W": "V D", "rows": Ids("R"), "grads": "R D", "lr": Choice(0.5, 1.0, 0.025)},
    gives={"W": "V D"},
    inplace=("W",),
    edges={"readonly": None},
    # Many calls on a large table: handing it over takes longer than a dense update of it, and is done once.
    cost=Cost("sgd_update", vectorised="R", sizes={"V": 50_000, "D": 8, "R": 16}, calls=100),
    points=8,
)

nearest = Exercise(
    "nearest",
    takes={"W": "V D", "query": "D", "k": Choice(1), "exclude": Choice(())},
    gives={"ids": Ids("k"), "cosine": "k"},
    sizes={"D": 3},
    # With one dimension every cosine is 1, 0 or -1, and with ones all are equal: rounding would decide the order.
    edges={
        "tiny": None, "tiny, D = 2": None, "tiny, V = 3": None, "D = 1": None, "integers": None,
        "two words": {"sizes": {"V": 2, "D": 2}},
        "all words": {"pick": 1},
        "zero vectors": {"pick": 2},
        "zero query": {"pick": 3},
    },
    prepare=choose_excluded,
    laws=(equal_cosines_come_in_order_of_id,),
    discrete=True,
    points=6,
)  # fmt: skip

# -------------------------------------------------------------------------------------------------- milestone

CLASSES, MEMBERS, LENGTH, WINDOW = 12, 15, 6000, 2
WIDTH, NEGATIVES, BATCH, RATE = 16, 5, 256, 0.03
FOLLOWED, STEPS, FRESH, NEIGHBOURS, ASKED, PIECES = 30, 150, 60, 5, 60, 3
WORDS = CLASSES * MEMBERS
MODELS = ("skipgram_negative", "cbow_negative")


def planted_corpus(rng):
    """Return tokens and the class of every word: classes follow each other in a circle, words of a class are exchangeable."""
    jumps = np.where(rng.random(LENGTH) < 0.1, rng.integers(0, CLASSES, LENGTH), 0)
    words = rng.permutation(WORDS).reshape(CLASSES, MEMBERS)
    tokens = words[(np.arange(LENGTH) + np.cumsum(jumps)) % CLASSES, rng.integers(0, MEMBERS, LENGTH)]
    return tokens, np.argsort(words, axis=None) // MEMBERS


def new_tables(rng):
    """Return both tables of vectors; small, but no zeros, so that every gradient matters from the first step."""
    return {name: rng.uniform(-0.1, 0.1, (WORDS, WIDTH)) for name in ("W_in", "W_out")}


def made_batches(model, tokens, rng):
    """Yield batches that need none of the student's functions: random positions, negatives all equally likely."""
    offsets = np.array([*range(-WINDOW, 0), *range(1, WINDOW + 1)])
    for _ in range(FOLLOWED):
        positions = rng.integers(WINDOW, LENGTH - WINDOW, BATCH)
        context, center = tokens[positions[:, None] + offsets], tokens[positions]
        negatives = rng.integers(0, WORDS, (BATCH, NEGATIVES))
        if model == "skipgram_negative":
            yield center, context[np.arange(BATCH), rng.integers(0, 2 * WINDOW, BATCH)], negatives
        else:
            yield context, rng.random(context.shape) < 0.8, center, negatives


def batches_of_text(call, model, tokens, rng):
    """Yield batches that the student's functions make from the corpus; after some, the same again.

    The corpus comes in pieces: who compares every position with every other needs memory for the square of the length.
    """
    pieces = np.split(tokens, PIECES)
    if model == "skipgram_negative":
        center, outside = np.concatenate([call("skipgram_pairs", piece, WINDOW) for piece in pieces]).T
        columns, predicted = (center, outside), outside
    else:
        center, context, mask = map(np.concatenate, zip(*(call("cbow_windows", piece, WINDOW) for piece in pieces), strict=True))
        columns, predicted = (context, mask, center), center
    p = call("negative_distribution", np.bincount(tokens, minlength=WORDS))
    made = []
    for step in range(STEPS - FOLLOWED):
        if step < FRESH:
            rows = rng.permutation(len(predicted))[:BATCH]
            negatives = call("draw_negatives", p, predicted[rows], rng.random((BATCH, NEGATIVES)))
            made.append((*(column[rows] for column in columns), negatives))
        yield made[step % FRESH]


def loss_and_dense_gradients(call, model):
    """Return the student's loss with the gradients of rows added up in whole tables."""

    def compute(params, batch):
        loss, d_in, d_out = call(model, *batch, params["W_in"], params["W_out"])
        predicted = batch[-2]
        grads = {name: np.zeros_like(table) for name, table in params.items()}
        np.add.at(grads["W_in"], batch[0], d_in)
        np.add.at(grads["W_out"], np.concatenate([predicted[:, None], batch[-1]], axis=1), d_out)
        return loss, grads

    return compute


def reference_curve(loss_and_grads, seed):
    """Return the reference's losses over the first steps of training, one row per model."""
    curves = []
    for model in MODELS:
        rng = np.random.default_rng(seed)
        tokens, _ = planted_corpus(rng)
        params, batches = new_tables(rng), made_batches(model, tokens, rng)
        curves.append(list(train(lambda p, batch, model=model: loss_and_grads(f"{model}_loss", p, *batch), params, batches, RATE)))
    return np.array(curves)


def training_run(call, model, seed):
    """Return the tables, an iterator over the losses of a run that changes them, and the class of every word."""
    rng = np.random.default_rng(seed)
    tokens, classes = planted_corpus(rng)
    params = new_tables(rng)
    batches = chain(made_batches(model, tokens, rng), batches_of_text(call, model, tokens, rng))
    return params, train(loss_and_dense_gradients(call, model), params, batches, RATE), classes


def recovered(call, W, classes):
    """Return how many of the nearest neighbours of a word are of its class."""
    asked = np.arange(0, WORDS, WORDS // ASKED)
    found = [np.asarray(call("nearest", W, W[word], NEIGHBOURS, [int(word)])[0]) for word in asked]
    return float(np.mean(classes[np.array(found)] == classes[asked, None]))


def milestone(call, curves, seed):
    """Train both models on the planted corpus; losses are the reference's, and neighbours are of one class at the end."""
    runs = {model: training_run(call, model, seed) for model in MODELS}
    left = [departs(islice(runs[model][1], FOLLOWED), curve) for model, curve in zip(MODELS, curves, strict=True)]
    yield "follows the reference", next((f"{model}: {sentence}" for model, sentence in zip(MODELS, left, strict=True) if sentence), None)
    sentences = [_goal(call, model, *runs[model]) for model in MODELS]
    yield "reaches the goal", next(filter(None, sentences), None)


def _goal(call, model, params, losses, classes):
    for _ in range(STEPS - FOLLOWED):
        loss = next(losses)
    right = recovered(call, params["W_in"], classes)
    reached = np.isfinite(loss) and right >= 0.95
    return None if reached else f"{model}: after {STEPS} steps {right:.0%} of the nearest neighbours are of the same class, but 95% should be"


# ------------------------------------------------------------------------------------------------- assignment

assignment = Assignment(
    name="word2vec",
    title="Word vectors from raw text: skip-gram and CBOW",
    exercises=(
        log_sigmoid, skipgram_pairs, cbow_windows, keep_probability, negative_distribution, draw_negatives,
        skipgram_softmax, skipgram_negative, cbow_negative, sgd_update, nearest,
    ),  # fmt: skip
    milestone=Milestone(
        points=10,
        uses=(
            "skipgram_pairs", "cbow_windows", "negative_distribution", "draw_negatives", "skipgram_negative", "cbow_negative",
            "nearest",
        ),
        run=milestone,
        reference_curve=reference_curve,
        sentence="Skip-gram and CBOW find the classes of words that are planted in a corpus.",
    ),
)
