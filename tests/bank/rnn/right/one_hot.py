"""Ids become one-hot vectors, masks become factors 0 and 1, as in a text that has no indexing."""

import numpy as np


def one_hot(ids, V, dtype):
    return (ids[..., None] == np.arange(V)).astype(dtype)


def embedding_forward(ids, W):
    hot = one_hot(ids, W.shape[0], W.dtype)
    return hot @ W, hot


def embedding_backward(dx, cache):
    return np.tensordot(cache, dx, axes=[(0, 1), (0, 1)])


def affine_forward(h, W, b):
    N, T, H = h.shape
    return (h.reshape(N * T, H) @ W + b).reshape(N, T, -1), (h, W)


def affine_backward(dscores, cache):
    h, W = cache
    N, T, V = dscores.shape
    rows = dscores.reshape(N * T, V)
    dh = (rows @ W.T).reshape(h.shape)
    dW = h.reshape(N * T, -1).T @ rows
    db = np.ones(N * T, dscores.dtype) @ rows
    return dh, dW, db


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    h = np.tanh(np.dot(x, Wx) + np.dot(h_prev, Wh) + b)
    return h, (x.copy(), h_prev.copy(), Wx.copy(), Wh.copy(), h.copy())


def rnn_step_backward(dh, cache):
    x, h_prev, Wx, Wh, h = cache
    da = dh - dh * h**2
    ones = np.ones(len(da), da.dtype)
    return np.dot(da, Wx.T), np.dot(da, Wh.T), np.dot(x.T, da), np.dot(h_prev.T, da), np.dot(ones, da)


def rnn_forward(x, h0, Wx, Wh, b, mask):
    T = x.shape[1]
    factor = mask.astype(x.dtype)[:, :, None]
    h = {-1: h0}
    caches = {}
    for t in range(T):
        new, caches[t] = rnn_step_forward(x[:, t], h[t - 1], Wx, Wh, b)
        h[t] = factor[:, t] * new + (1 - factor[:, t]) * h[t - 1]
    return np.array([h[t] for t in range(T)]).transpose(1, 0, 2).copy(), (factor, caches)


def rnn_backward(dh, cache):
    factor, caches = cache
    T = dh.shape[1]
    dstate = np.zeros(dh[:, 0].shape, dh.dtype)
    dx = {}
    dWx = dWh = db = 0
    for t in range(T - 1, -1, -1):
        dstate = dstate + dh[:, t]
        dx[t], through, a, c, d = rnn_step_backward(factor[:, t] * dstate, caches[t])
        dWx, dWh, db = dWx + a, dWh + c, db + d
        dstate = through + (1 - factor[:, t]) * dstate
    return np.array([dx[t] for t in range(T)]).transpose(1, 0, 2), dstate, dWx, dWh, db


def masked_cross_entropy(scores, targets, mask):
    hot = one_hot(targets, scores.shape[-1], scores.dtype)
    z = scores - np.max(scores, axis=-1, keepdims=True)
    log_z = np.log(np.sum(np.exp(z), axis=-1, keepdims=True))
    weight = mask[..., None].astype(scores.dtype) / scores.dtype.type(max(mask.sum(), 1))
    loss = (weight * hot * (log_z - z)).sum()
    return loss, weight * (np.exp(z - log_z) - hot)


def clip_global_norm(grads, max_norm):
    norm = np.sqrt(np.sum([np.vdot(g, g) for g in grads.values()]))
    with np.errstate(divide="ignore"):
        scale = np.minimum(1, max_norm / norm)
    return {name: np.multiply(g, scale, dtype=g.dtype) for name, g in grads.items()}, norm


def char_lm_loss(params, ids, targets, mask):
    x, hot = embedding_forward(ids, params["embedding"])
    h0 = x[:, 0] @ params["Wx"] * 0
    h, steps = rnn_forward(x, h0, params["Wx"], params["Wh"], params["b"], mask)
    scores, layer = affine_forward(h, params["Wy"], params["by"])
    loss, dscores = masked_cross_entropy(scores, targets, mask)
    grads = {}
    dh, grads["Wy"], grads["by"] = affine_backward(dscores, layer)
    dx, _, grads["Wx"], grads["Wh"], grads["b"] = rnn_backward(dh, steps)
    grads["embedding"] = embedding_backward(dx, hot)
    return loss, {name: grads[name] for name in params}


def sample(params, start, uniforms, temperature=1.0):
    V = len(params["by"])
    x, h, drawn = one_hot(np.array([start]), V, np.float64), np.zeros((1, len(params["b"]))), []
    for u in uniforms:
        h = np.tanh(x @ params["embedding"] @ params["Wx"] + h @ params["Wh"] + params["b"])
        z = (h @ params["Wy"] + params["by"]) / temperature
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        below = np.cumsum(p, axis=1) <= u
        v = min(below.sum(), np.nonzero(p[0])[0][-1])
        x = one_hot(np.array([v]), V, np.float64)
        drawn.append(v)
    return np.array(drawn).astype(np.int64)
