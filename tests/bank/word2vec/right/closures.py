"""A small graph of operations: every one returns its value and a function for its gradient."""

import numpy as np


def log_sigmoid(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-abs(x)))


def gather(table, ids):
    return table[ids], lambda gradient: gradient


def dot(u, v):
    """Scores (N, K) of v (N, D) with every u (N, K, D)."""

    def back(gradient):
        return np.matmul(gradient[:, None, :], u)[:, 0, :], gradient[:, :, None] * v[:, None, :]

    return np.matmul(u, v[:, :, None])[:, :, 0], back


def logistic(scores):
    sign = np.ones(scores.shape, scores.dtype)
    sign[:, 1:] = -1

    def back(upstream):
        return -upstream * sign * np.exp(log_sigmoid(-sign * scores))

    return -log_sigmoid(sign * scores).sum(axis=1), back


def average(vectors, mask):
    share = np.zeros(mask.shape, vectors.dtype)
    for n in range(len(mask)):
        if mask[n].any():
            share[n, mask[n]] = 1 / mask[n].sum()
    return (share[:, :, None] * vectors).sum(axis=1), lambda gradient: share[:, :, None] * gradient[:, None, :]


def softmax_loss(scores, true):
    shifted = scores - scores.max(axis=1)[:, None]
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1))[:, None]

    def back(upstream):
        gradient = np.exp(log_p)
        np.subtract.at(gradient, (np.arange(len(true)), true), 1)
        return upstream * gradient

    return -np.take_along_axis(log_p, true[:, None], axis=1)[:, 0], back


def skipgram_pairs(tokens, window):
    def pairs():
        for i, center in enumerate(tokens):
            yield from ((center, outside) for outside in tokens[max(0, i - window) : i])
            yield from ((center, outside) for outside in tokens[i + 1 : i + 1 + window])

    found = list(pairs())
    return np.array(found, dtype=np.int64) if found else np.empty((0, 2), dtype=np.int64)


def cbow_windows(tokens, window):
    rows, masks = [], []
    for i in range(len(tokens)):
        left, right = list(tokens[max(0, i - window) : i]), list(tokens[i + 1 : i + 1 + window])
        before, after = window - len(left), window - len(right)
        rows.append([0] * before + left + right + [0] * after)
        masks.append([False] * before + [True] * (len(left) + len(right)) + [False] * after)
    return np.array(list(tokens)), np.array(rows), np.array(masks)


def keep_probability(counts, t):
    frequency = np.asarray(counts, dtype=float) / np.asarray(counts, dtype=float).sum()
    rare = frequency <= t
    return np.where(rare, 1.0, np.sqrt(t / np.where(rare, 1.0, frequency)))


def negative_distribution(counts, power=0.75):
    weights = [count**power for count in map(float, counts)]
    return np.array(weights) / sum(weights)


def draw_negatives(p, targets, uniforms):
    def row(target, us):
        q = np.array(p, dtype=np.float64)
        q[target] = 0.0
        q /= q.sum()
        cdf, choices = np.cumsum(q), np.flatnonzero(q)
        return [next((v for v in choices if cdf[v] > u), choices[-1]) for u in us]

    return np.array([row(target, us) for target, us in zip(targets, uniforms)], dtype=np.int64)


def skipgram_softmax(center, outside, W_in, W_out):
    v = W_in[center]
    losses, back = softmax_loss(v @ W_out.T, outside)
    gradient = back(1 / len(center))
    dW_in = np.zeros_like(W_in)
    np.add.at(dW_in, center, gradient @ W_out)
    return losses.mean(), dW_in, gradient.T @ v


def predict(v, words, W_out):
    u, from_u = gather(W_out, words)
    scores, from_scores = dot(u, v)
    losses, from_losses = logistic(scores)
    dv, du = from_scores(from_losses(1 / len(v)))
    return losses.mean(), dv, from_u(du)


def skipgram_negative(center, outside, negatives, W_in, W_out):
    return predict(W_in[center], np.append(outside[:, None], negatives, axis=1), W_out)


def cbow_negative(context, mask, center, negatives, W_in, W_out):
    hidden, from_hidden = average(W_in[context], mask)
    loss, dhidden, d_out = predict(hidden, np.append(center[:, None], negatives, axis=1), W_out)
    return loss, from_hidden(dhidden), d_out


def sgd_update(W, rows, grads, lr):
    unique, inverse = np.unique(rows, return_inverse=True)
    total = np.zeros((len(unique), W.shape[1]), W.dtype)
    np.add.at(total, inverse, grads)
    W[unique] = W[unique] - lr * total


def nearest(W, query, k, exclude):
    def cosine(row):
        size = np.sqrt(row @ row) * np.sqrt(query @ query)
        return row @ query / size if size else W.dtype.type(0)

    everything = np.array([cosine(row) for row in W], W.dtype)
    taken = []
    free = np.ones(len(W), bool)
    for i in exclude:
        free[i] = False
    for _ in range(k):
        best = max(np.flatnonzero(free), key=lambda i: everything[i])
        taken.append(best)
        free[best] = False
    return np.array(taken), everything[taken]
