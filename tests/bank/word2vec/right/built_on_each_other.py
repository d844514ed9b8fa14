"""Few ideas, used again: pairs are read off the windows, and skip-gram is CBOW with a context of one word."""

import numpy as np


def log_sigmoid(x):
    return np.where(x < 0, x, 0) - np.log1p(np.exp(np.where(x < 0, x, -x)))


def cbow_windows(tokens, window):
    L = len(tokens)
    context = np.zeros((L, 2 * window), dtype=np.int64)
    mask = np.zeros((L, 2 * window), dtype=bool)
    for offset in range(1, min(window, L - 1) + 1):
        left, right = window - offset, window + offset - 1
        context[offset:, left], mask[offset:, left] = tokens[:-offset], True
        context[:-offset, right], mask[:-offset, right] = tokens[offset:], True
    return tokens.copy(), context, mask


def skipgram_pairs(tokens, window):
    centers, context, mask = cbow_windows(tokens, window)
    return np.column_stack([np.repeat(centers, mask.sum(axis=1)), context[mask]])


def keep_probability(counts, t):
    counts = counts.astype(np.float64)
    keep = np.ones(len(counts))
    seen = counts > 0
    keep[seen] = np.sqrt(t * counts.sum() / counts[seen])
    return np.clip(keep, None, 1.0)


def negative_distribution(counts, power=0.75):
    counts = counts.astype(np.float64)
    frequency = counts / counts.sum()
    return frequency**power / (frequency**power).sum()


def draw_negatives(p, targets, uniforms):
    ids = []
    for target, row in zip(targets, uniforms):
        words = np.array([v for v in range(len(p)) if v != target and p[v] > 0])
        cdf = np.cumsum(p[words].astype(np.float64))
        place = np.searchsorted(cdf, row * cdf[-1], side="right")
        ids.append(words[np.minimum(place, len(words) - 1)])
    return np.array(ids, dtype=np.int64)


def softmax(scores):
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def skipgram_softmax(center, outside, W_in, W_out):
    loss = 0
    dW_in, dW_out = np.zeros_like(W_in), np.zeros_like(W_out)
    for c, o in zip(center, outside):
        scores = W_out @ W_in[c]
        loss += np.max(scores) + np.log(np.sum(np.exp(scores - np.max(scores)))) - scores[o]
        error = softmax(scores)
        error[o] -= 1
        error /= len(center)
        dW_in[c] += W_out.T @ error
        dW_out += np.outer(error, W_in[c])
    return loss / len(center), dW_in, dW_out


def cbow_negative(context, mask, center, negatives, W_in, W_out):
    N = len(center)
    count = mask.sum(axis=1)
    count[count == 0] = 1
    hidden = np.where(mask[:, :, None], W_in[context], 0).sum(axis=1) / count[:, None].astype(W_in.dtype)
    u_true, u_noise = W_out[center], W_out[negatives]
    s_true = (u_true * hidden).sum(axis=1)
    s_noise = (u_noise * hidden[:, None]).sum(axis=2)
    loss = (-log_sigmoid(s_true) - log_sigmoid(-s_noise).sum(axis=1)).mean()
    g_true = -np.exp(log_sigmoid(-s_true)) / N
    g_noise = np.exp(log_sigmoid(s_noise)) / N
    dhidden = g_true[:, None] * u_true + (g_noise[:, :, None] * u_noise).sum(axis=1)
    d_out = np.concatenate([(g_true[:, None] * hidden)[:, None], g_noise[:, :, None] * hidden[:, None]], axis=1)
    d_context = np.where(mask[:, :, None], (dhidden / count[:, None].astype(dhidden.dtype))[:, None], 0)
    return loss, d_context, d_out


def skipgram_negative(center, outside, negatives, W_in, W_out):
    alone = center[:, None]
    loss, d_context, d_out = cbow_negative(alone, np.ones(alone.shape, bool), outside, negatives, W_in, W_out)
    return loss, d_context[:, 0].copy(), d_out


def sgd_update(W, rows, grads, lr):
    order = np.argsort(rows, kind="stable")
    sorted_rows = rows[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_rows[1:] != sorted_rows[:-1]]))
    W[sorted_rows[starts]] -= lr * np.add.reduceat(grads[order], starts, axis=0)


def nearest(W, query, k, exclude):
    norms = np.linalg.norm(W, axis=1)
    norms[norms == 0] = 1
    q = np.linalg.norm(query)
    cosine = (W @ query) / norms / (q if q > 0 else 1)
    left = [i for i in range(len(W)) if i not in set(np.asarray(list(exclude)).tolist())]
    best = sorted(left, key=lambda i: (-cosine[i], i))[:k]
    return np.array(best, dtype=np.int64), cosine[best]
