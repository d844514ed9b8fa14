"""Loops over the batch, vectors within; gradients are collected in lists and stacked at the end."""

import numpy as np


def log_sigmoid(x):
    y = np.array(x)
    negative = x < 0
    y[negative] = x[negative] - np.log1p(np.exp(x[negative]))
    y[~negative] = -np.log1p(np.exp(-x[~negative]))
    return y


def sigmoid(x):
    return np.where(x < 0, np.exp(x) / (1 + np.exp(np.minimum(x, 0))), 1 / (1 + np.exp(-np.maximum(x, 0))))


def neighbours(length, i, window):
    return [j for j in range(i - window, i + window + 1) if j != i and 0 <= j < length]


def skipgram_pairs(tokens, window):
    blocks = [np.zeros((0, 2), np.int64)]
    for i in range(len(tokens)):
        outside = tokens[neighbours(len(tokens), i, window)] if len(tokens) > 1 else tokens[:0]
        blocks.append(np.stack([np.full(len(outside), tokens[i]), outside], axis=1))
    return np.concatenate(blocks)


def cbow_windows(tokens, window):
    L = len(tokens)
    mask = np.zeros((L, 2 * window), bool)
    context = np.zeros((L, 2 * window), np.int64)
    for i in range(L):
        for j in neighbours(L, i, window):
            column = j - i + window - (j > i)
            mask[i, column], context[i, column] = True, tokens[j]
    return np.array(tokens, copy=True), context, mask


def keep_probability(counts, t):
    p = np.ones(counts.shape)
    total = counts.sum(dtype=np.float64)
    for v in np.flatnonzero(counts):
        p[v] = min(1, np.sqrt(t / (float(counts[v]) / total)))
    return p


def negative_distribution(counts, power=0.75):
    q = (counts / counts.sum(dtype=np.float64)) ** np.float64(power)
    return q / q.sum()


def draw_negatives(p, targets, uniforms):
    ids = np.empty(uniforms.shape, dtype=np.int64)
    for n in range(len(targets)):
        words = np.delete(np.arange(len(p)), targets[n])
        q = p[words].astype(np.float64)
        cdf = np.cumsum(q / q.sum())
        for k, u in enumerate(uniforms[n]):
            above = words[(cdf > u) & (q > 0)]
            ids[n, k] = above[0] if len(above) else words[q > 0][-1]
    return ids


def skipgram_softmax(center, outside, W_in, W_out):
    N = len(center)
    losses = []
    dW_in, dW_out = np.zeros_like(W_in), np.zeros_like(W_out)
    for n in range(N):
        scores = W_out @ W_in[center[n]]
        e = np.exp(scores - scores.max())
        p = e / e.sum()
        losses.append(scores.max() + np.log(e.sum()) - scores[outside[n]])
        dW_out += p[:, None] * W_in[center[n]] / N
        dW_out[outside[n]] -= W_in[center[n]] / N
        dW_in[center[n]] += (p @ W_out - W_out[outside[n]]) / N
    return np.mean(losses), dW_in, dW_out


def word_loss(hidden, word, noise, W_out):
    u = W_out[np.concatenate([[word], noise])]
    scores = u @ hidden
    losses = np.concatenate([-log_sigmoid(scores[:1]), -log_sigmoid(-scores[1:])])
    errors = np.concatenate([-sigmoid(-scores[:1]), sigmoid(scores[1:])])
    return losses.sum(), errors @ u, np.outer(errors, hidden)


def skipgram_negative(center, outside, negatives, W_in, W_out):
    N = len(center)
    rows = [word_loss(W_in[c], o, k, W_out) for c, o, k in zip(center, outside, negatives)]
    losses, d_in, d_out = zip(*rows)
    return sum(losses) / N, np.stack(d_in) / N, np.stack(d_out) / N


def cbow_negative(context, mask, center, negatives, W_in, W_out):
    N, D = len(center), W_in.shape[1]
    losses, d_context, d_out = [], np.zeros((*context.shape, D), W_in.dtype), []
    for n in range(N):
        real = context[n][mask[n]]
        hidden = W_in[real].mean(axis=0) if len(real) else np.zeros(D, W_in.dtype)
        loss, dhidden, du = word_loss(hidden, center[n], negatives[n], W_out)
        losses.append(loss)
        d_out.append(du / N)
        d_context[n, mask[n]] = dhidden / (N * max(len(real), 1))
    return np.mean(losses), d_context, np.stack(d_out)


def sgd_update(W, rows, grads, lr):
    step = grads * -lr
    np.add.at(W, rows, step)


def nearest(W, query, k, exclude):
    size = np.linalg.norm(query)
    direction = query / size if size > 0 else query
    cosine = np.array([row @ direction / (np.linalg.norm(row) or 1) for row in W], dtype=W.dtype)
    keep = np.ones(len(W), dtype=bool)
    keep[np.fromiter(exclude, dtype=np.int64)] = False
    ids = np.flatnonzero(keep)
    ids = ids[np.argsort(-cosine[ids], kind="stable")][:k]
    return ids, cosine[ids]
