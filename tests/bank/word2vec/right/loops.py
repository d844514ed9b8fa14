"""One number at a time, the way the formulas are written."""

import math

import numpy as np


def one_log_sigmoid(x):
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


def log_sigmoid(x):
    y = np.empty_like(x)
    for index in np.ndindex(x.shape):
        y[index] = one_log_sigmoid(float(x[index]))
    return y


def skipgram_pairs(tokens, window):
    pairs = []
    for i in range(len(tokens)):
        for offset in range(-window, window + 1):
            if offset == 0 or i + offset < 0 or i + offset >= len(tokens):
                continue
            pairs.append([tokens[i], tokens[i + offset]])
    if not pairs:
        return np.zeros((0, 2), dtype=np.int64)
    return np.array(pairs, dtype=np.int64)


def cbow_windows(tokens, window):
    length = len(tokens)
    centers = np.zeros(length, dtype=np.int64)
    context = np.zeros((length, 2 * window), dtype=np.int64)
    mask = np.zeros((length, 2 * window), dtype=bool)
    for i in range(length):
        centers[i] = tokens[i]
        column = 0
        for j in range(i - window, i + window + 1):
            if j == i:
                continue
            if 0 <= j < length:
                context[i, column] = tokens[j]
                mask[i, column] = True
            column += 1
    return centers, context, mask


def keep_probability(counts, t):
    total = float(sum(counts))
    p = np.ones(len(counts))
    for v in range(len(counts)):
        if counts[v] > 0:
            p[v] = min(1.0, math.sqrt(t * total / float(counts[v])))
    return p


def negative_distribution(counts, power=0.75):
    weights = np.array([float(count) ** power for count in counts])
    return weights / weights.sum()


def draw_negatives(p, targets, uniforms):
    N, K = uniforms.shape
    ids = np.zeros((N, K), dtype=np.int64)
    for n in range(N):
        rest = sum(float(p[v]) for v in range(len(p)) if v != targets[n])
        for k in range(K):
            passed, word = 0.0, None
            for v in range(len(p)):
                if v == targets[n] or p[v] == 0:
                    continue
                word = v
                passed += float(p[v])
                if passed / rest > uniforms[n, k]:
                    break
            ids[n, k] = word
    return ids


def skipgram_softmax(center, outside, W_in, W_out):
    N, V = len(center), len(W_out)
    loss, dW_in, dW_out = 0.0, np.zeros_like(W_in), np.zeros_like(W_out)
    for n in range(N):
        v = W_in[center[n]]
        scores = [float(W_out[w] @ v) for w in range(V)]
        top = max(scores)
        total = sum(math.exp(score - top) for score in scores)
        loss -= (scores[outside[n]] - top - math.log(total)) / N
        for w in range(V):
            error = (math.exp(scores[w] - top) / total - (w == outside[n])) / N
            dW_in[center[n]] += error * W_out[w]
            dW_out[w] += error * v
    return loss, dW_in, dW_out


def one_example(v, word, negatives, W_out, N):
    """Loss, gradient of v and gradients of the output vectors of one example."""
    loss, dv, du = 0.0, np.zeros_like(v), []
    for u, is_true in [(W_out[word], True)] + [(W_out[w], False) for w in negatives]:
        score = float(u @ v)
        loss -= one_log_sigmoid(score if is_true else -score) / N
        error = (-math.exp(one_log_sigmoid(-score)) if is_true else math.exp(one_log_sigmoid(score))) / N
        dv += error * u
        du.append(error * v)
    return loss, dv, np.array(du)


def skipgram_negative(center, outside, negatives, W_in, W_out):
    N, K, D = len(center), negatives.shape[1], W_in.shape[1]
    loss, d_in, d_out = 0.0, np.zeros((N, D), W_in.dtype), np.zeros((N, K + 1, D), W_out.dtype)
    for n in range(N):
        one, d_in[n], d_out[n] = one_example(W_in[center[n]], outside[n], negatives[n], W_out, N)
        loss += one
    return loss, d_in, d_out


def cbow_negative(context, mask, center, negatives, W_in, W_out):
    N, C, D = *context.shape, W_in.shape[1]
    loss, d_context = 0.0, np.zeros((N, C, D), W_in.dtype)
    d_out = np.zeros((N, negatives.shape[1] + 1, D), W_out.dtype)
    for n in range(N):
        real = [c for c in range(C) if mask[n, c]]
        hidden = np.zeros(D, W_in.dtype)
        for c in real:
            hidden += W_in[context[n, c]] / len(real)
        one, dhidden, d_out[n] = one_example(hidden, center[n], negatives[n], W_out, N)
        loss += one
        for c in real:
            d_context[n, c] = dhidden / len(real)
    return loss, d_context, d_out


def sgd_update(W, rows, grads, lr):
    np.add.at(W, rows, -lr * grads)


def nearest(W, query, k, exclude):
    def length(vector):
        return math.sqrt(sum(float(x) ** 2 for x in vector))

    banned, found = set(int(i) for i in exclude), []
    for v in range(len(W)):
        if v in banned:
            continue
        norms = length(W[v]) * length(query)
        cosine = sum(float(a) * float(b) for a, b in zip(W[v], query)) / norms if norms > 0 else 0.0
        found.append((-cosine, v))
    found = sorted(found)[:k]
    return np.array([v for _, v in found], dtype=np.int64), np.array([-c for c, _ in found], dtype=W.dtype)
