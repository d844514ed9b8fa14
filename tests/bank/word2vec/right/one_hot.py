"""Words as one-hot rows and everything as a matrix product, as in the derivation."""

import numpy as np


def one_hot(ids, V, dtype):
    return (np.asarray(ids)[..., None] == np.arange(V)).astype(dtype)


def log_sigmoid(x):
    return -np.logaddexp(np.zeros_like(x), -x)


def sigmoid(x):
    return np.exp(log_sigmoid(x))


def skipgram_pairs(tokens, window):
    length = len(tokens)
    distance = np.arange(length)[None, :] - np.arange(length)[:, None]
    i, j = np.nonzero((np.abs(distance) <= window) & (distance != 0))
    return np.stack([tokens[i], tokens[j]], axis=1).astype(np.int64)


def cbow_windows(tokens, window):
    padded = np.pad(tokens, window)
    real = np.pad(np.ones(len(tokens), bool), window)
    width = 2 * window + 1
    columns = np.delete(np.arange(width), window)
    context = np.lib.stride_tricks.sliding_window_view(padded, width)[:, columns]
    mask = np.lib.stride_tricks.sliding_window_view(real, width)[:, columns]
    return np.array(tokens), context.copy(), mask.copy()


def keep_probability(counts, t):
    frequency = counts / np.sum(counts, dtype=float)
    with np.errstate(divide="ignore"):
        return np.minimum(np.sqrt(t / frequency.astype(float)), 1.0)


def negative_distribution(counts, power=0.75):
    weights = np.power(counts.astype(float), power)
    return weights / np.sum(weights)


def draw_negatives(p, targets, uniforms):
    p = p.astype(float)
    others = np.where(one_hot(targets, len(p), bool), 0.0, p)
    others = others / others.sum(axis=1, keepdims=True)
    cdf = others.cumsum(axis=1)
    above = (cdf[:, None, :] > uniforms[:, :, None]) & (others > 0)[:, None, :]
    last = len(p) - 1 - (others > 0)[:, ::-1].argmax(axis=1)
    return np.where(above.any(axis=2), above.argmax(axis=2), last[:, None])


def skipgram_softmax(center, outside, W_in, W_out):
    N, V = len(center), len(W_in)
    x, y = one_hot(center, V, W_in.dtype), one_hot(outside, V, W_in.dtype)
    v = x @ W_in
    scores = v @ W_out.T
    scores = scores - scores.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    error = (np.exp(log_p) - y) / N
    return -(y * log_p).sum() / N, x.T @ (error @ W_out), error.T @ v


def negative(v, u):
    truth = np.zeros(u.shape[:2], v.dtype)
    truth[:, 0] = 1
    scores = (u @ v[:, :, None])[:, :, 0]
    loss = -(truth * log_sigmoid(scores) + (1 - truth) * log_sigmoid(-scores)).sum(axis=1).mean()
    # sigmoid(s) - 1 = -sigmoid(-s), which loses no digits where s is large
    error = np.where(truth > 0, -sigmoid(-scores), sigmoid(scores)) / len(v)
    return loss, (error[:, None, :] @ u)[:, 0], error[:, :, None] * v[:, None, :]


def skipgram_negative(center, outside, negatives, W_in, W_out):
    ids = np.hstack([outside.reshape(-1, 1), negatives])
    return negative(W_in[center], W_out[ids])


def cbow_negative(context, mask, center, negatives, W_in, W_out):
    weights = mask.astype(W_in.dtype)
    number = weights.sum(axis=1, keepdims=True)
    weights = weights / np.where(number == 0, 1, number)
    hidden = (weights[:, None, :] @ W_in[context])[:, 0]
    ids = np.hstack([center.reshape(-1, 1), negatives])
    loss, dhidden, d_out = negative(hidden, W_out[ids])
    return loss, weights[:, :, None] * dhidden[:, None, :], d_out


def sgd_update(W, rows, grads, lr):
    named, place = np.unique(rows, return_inverse=True)
    total = one_hot(place, len(named), grads.dtype).T @ grads
    W[named] -= lr * total


def nearest(W, query, k, exclude):
    def unit(rows):
        length = np.sqrt((rows**2).sum(axis=-1, keepdims=True))
        return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)

    cosine = unit(W) @ unit(query)
    allowed = np.setdiff1d(np.arange(len(W)), np.array(list(exclude), dtype=int))
    order = allowed[np.lexsort((allowed, -cosine[allowed]))]
    return order[:k], cosine[order[:k]]
