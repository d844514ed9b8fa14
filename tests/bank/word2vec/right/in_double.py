"""Everything is computed in float64 and handed back in the dtype that came in; small classes hold what belongs together."""

import numpy as np


class Window:
    def __init__(self, tokens, window):
        self.tokens, self.window = tokens, window
        self.offsets = [d for d in range(-window, window + 1) if d]

    def at(self, i):
        for column, d in enumerate(self.offsets):
            if 0 <= i + d < len(self.tokens):
                yield column, self.tokens[i + d]


class Binary:
    """A logistic classifier of true against noise words, on float64 copies."""

    def __init__(self, v, u):
        self.v, self.u = v.astype(np.float64), u.astype(np.float64)
        self.scores = np.einsum("nkd,nd->nk", self.u, self.v)
        self.truth = np.zeros(self.scores.shape, bool)
        self.truth[:, 0] = True

    def loss(self):
        return np.where(self.truth, np.logaddexp(0, -self.scores), np.logaddexp(0, self.scores)).sum() / len(self.v)

    def gradients(self):
        right = np.where(self.truth, self.scores, -self.scores)
        error = np.where(self.truth, -1.0, 1.0) * np.exp(-np.logaddexp(0, right)) / len(self.v)
        return np.einsum("nk,nkd->nd", error, self.u), np.einsum("nk,nd->nkd", error, self.v)


def log_sigmoid(x):
    return (-np.logaddexp(0, -x.astype(np.float64))).astype(x.dtype)


def skipgram_pairs(tokens, window):
    around = Window(tokens, window)
    flat = [word for i in range(len(tokens)) for _, other in around.at(i) for word in (tokens[i], other)]
    return np.array(flat, dtype=np.int64).reshape(len(flat) // 2, 2)


def cbow_windows(tokens, window):
    around = Window(tokens, window)
    context = np.full((len(tokens), 2 * window), -1)
    for i in range(len(tokens)):
        for column, other in around.at(i):
            context[i, column] = other
    mask = context >= 0
    return tokens + 0, context * mask, mask


def keep_probability(counts, t):
    share = counts.astype(np.float64) / counts.astype(np.float64).sum()
    return np.array([1.0 if f <= t else (t / f) ** 0.5 for f in share])


def negative_distribution(counts, power=0.75):
    logs = np.full(len(counts), -np.inf)
    seen = counts > 0
    logs[seen] = power * np.log(counts[seen].astype(np.float64))
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()


def draw_negatives(p, targets, uniforms):
    # The target's part of the line is skipped instead of removed: a draw beyond it is moved on by its length.
    p = p.astype(np.float64)
    cdf = np.cumsum(p)
    before = np.concatenate([[0.0], cdf])[targets][:, None]
    own = p[targets][:, None]
    points = uniforms * (cdf[-1] - own)
    points = np.where(points >= before, points + own, points)
    ids = np.searchsorted(cdf, points, side="right")
    last = np.flatnonzero(p)
    ends = np.where(last[-1] == targets, last[-2], last[-1])
    return np.minimum(ids, ends[:, None])


def skipgram_softmax(center, outside, W_in, W_out):
    U, v = W_out.astype(np.float64), W_in.astype(np.float64)[center]
    scores = np.einsum("vd,nd->nv", U, v)
    top = scores.max(axis=1)
    log_total = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    rows = np.arange(len(center))
    loss = (log_total - scores[rows, outside]).mean()
    error = np.exp(scores - log_total[:, None])
    error[rows, outside] -= 1.0
    error /= len(center)
    dW_in = np.zeros(W_in.shape)
    for n, c in enumerate(center):
        dW_in[c] += error[n] @ U
    return loss, dW_in.astype(W_in.dtype), np.einsum("nv,nd->vd", error, v).astype(W_out.dtype)


def skipgram_negative(center, outside, negatives, W_in, W_out):
    classifier = Binary(W_in[center], W_out[np.c_[outside, negatives]])
    d_in, d_out = classifier.gradients()
    return classifier.loss(), d_in.astype(W_in.dtype), d_out.astype(W_out.dtype)


def cbow_negative(context, mask, center, negatives, W_in, W_out):
    number = np.maximum(mask.sum(axis=1), 1)[:, None]
    vectors = W_in.astype(np.float64)[context]
    vectors[~mask] = 0
    classifier = Binary(vectors.sum(axis=1) / number, W_out[np.c_[center, negatives]])
    dhidden, d_out = classifier.gradients()
    d_context = np.repeat((dhidden / number)[:, None], context.shape[1], axis=1)
    d_context[~mask] = 0
    return classifier.loss(), d_context.astype(W_in.dtype), d_out.astype(W_out.dtype)


def sgd_update(W, rows, grads, lr):
    W[rows[:0]] = 0
    np.add.at(W, (rows[:, None], np.arange(W.shape[1])), -(lr * grads))


def nearest(W, query, k, exclude):
    W64, q = W.astype(np.float64), query.astype(np.float64)
    lengths = np.sqrt(np.einsum("vd,vd->v", W64, W64)) * np.sqrt(q @ q)
    cosine = np.zeros(len(W))
    np.divide(W64 @ q, lengths, out=cosine, where=lengths > 0)
    order = [int(i) for i in np.argsort(-cosine, kind="stable")]
    for i in set(map(int, exclude)):
        order.remove(i)
    return np.array(order[:k]), cosine[order[:k]].astype(W.dtype)
