"""Caches hold only the inputs; every backward computes what it needs again. Nothing is shared between functions."""

import numpy as np


def embedding_forward(ids, W):
    N, T = ids.shape
    x = np.empty((N, T, W.shape[1]), W.dtype)
    for t in range(T):
        x[:, t] = W[ids[:, t]]
    return x, (ids.copy(), W.shape[0])


def embedding_backward(dx, cache):
    ids, V = cache
    D = dx.shape[2]
    cells = ids.reshape(-1, 1) * D + np.arange(D)
    # bincount adds in float64 whatever comes in.
    return np.bincount(cells.ravel(), weights=dx.ravel(), minlength=V * D).reshape(V, D).astype(dx.dtype)


def affine_forward(h, W, b):
    return np.matmul(h, W) + b, [h, W, b]


def affine_backward(dscores, cache):
    h, W, b = cache
    dW, db = np.zeros_like(W), np.zeros_like(b)
    for t in range(h.shape[1]):
        dW += h[:, t].T @ dscores[:, t]
        db += dscores[:, t].sum(axis=0)
    return np.matmul(dscores, W.T), dW, db


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    return np.tanh(x @ Wx + h_prev @ Wh + b), (x, h_prev, Wx, Wh, b)


def rnn_step_backward(dh, cache):
    x, h_prev, Wx, Wh, b = cache
    tanh = np.tanh(x @ Wx + h_prev @ Wh + b)
    da = (1 + tanh) * (1 - tanh) * dh
    return da.dot(Wx.T), da.dot(Wh.T), x.T.dot(da), h_prev.T.dot(da), np.sum(da, 0)


def _states(x, h0, Wx, Wh, b, mask):
    h = np.empty((x.shape[0], x.shape[1] + 1, h0.shape[1]), h0.dtype)
    h[:, 0] = h0
    for t in range(x.shape[1]):
        h[:, t + 1] = h[:, t]
        live = mask[:, t]
        h[live, t + 1] = np.tanh(x[live, t] @ Wx + h[live, t] @ Wh + b)
    return h


def rnn_forward(x, h0, Wx, Wh, b, mask):
    return _states(x, h0, Wx, Wh, b, mask)[:, 1:].copy(), (x, h0, Wx, Wh, b, mask)


def rnn_backward(dh, cache):
    x, h0, Wx, Wh, b, mask = cache
    h = _states(*cache)
    dx, dWx, dWh, db = (np.zeros_like(a) for a in (x, Wx, Wh, b))
    back = np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        back += dh[:, t]
        live = mask[:, t]
        da = back[live] * (1 - h[live, t + 1] ** 2)
        dx[live, t] = da @ Wx.T
        dWx += x[live, t].T @ da
        dWh += h[live, t].T @ da
        db += da.sum(0)
        back[live] = da @ Wh.T
    return dx, back, dWx, dWh, db


def masked_cross_entropy(scores, targets, mask):
    dscores = np.zeros_like(scores)
    real = scores[mask]
    if real.size == 0:
        return 0, dscores
    rows = np.arange(len(real))
    real = real - real.max(axis=1, keepdims=True)
    log_p = real - np.log(np.exp(real).sum(axis=1, keepdims=True))
    loss = -log_p[rows, targets[mask]].mean()
    grad = np.exp(log_p)
    grad[rows, targets[mask]] -= 1
    dscores[mask] = grad / len(real)
    return loss, dscores


def clip_global_norm(grads, max_norm):
    total = 0.0
    for g in grads.values():
        total += float(np.square(g, dtype=np.float64).sum())
    norm = total**0.5
    clipped = {}
    for name in grads:
        clipped[name] = np.array(grads[name])
        if norm > max_norm:
            clipped[name] *= max_norm / norm
    return clipped, norm


def char_lm_loss(params, ids, targets, mask):
    embedding, Wx, Wh, b, Wy, by = (params[k] for k in ("embedding", "Wx", "Wh", "b", "Wy", "by"))
    x = embedding[ids]
    h0 = np.zeros((len(x), len(b)), x.dtype)
    h, rnn_cache = rnn_forward(x, h0, Wx, Wh, b, mask)
    loss, dscores = masked_cross_entropy(h @ Wy + by, targets, mask)
    dx, _, dWx, dWh, db = rnn_backward(dscores @ Wy.T, rnn_cache)
    grads = {"Wx": dWx, "Wh": dWh, "b": db}
    grads["Wy"] = np.tensordot(h, dscores, [[0, 1], [0, 1]])
    grads["by"] = dscores.sum((0, 1))
    grads["embedding"] = embedding_backward(dx, (ids, len(embedding)))
    return loss, grads


def sample(params, start, uniforms, temperature=1.0):
    """Feed the whole text again for every character: slow, but there is no state to forget."""
    text = [start]
    for u in uniforms:
        x = params["embedding"][np.array([text])]
        h0 = np.zeros((1, len(params["b"])), x.dtype)
        h = _states(x, h0, params["Wx"], params["Wh"], params["b"], np.ones((1, len(text)), bool))[0, -1]
        z = np.float64(h @ params["Wy"] + params["by"]) / temperature
        p = np.exp(z - np.logaddexp.reduce(z))
        text.append(min(int((np.cumsum(p) <= u).sum()), int(np.flatnonzero(p > 0).max())))
    return np.array(text[1:], dtype=np.int64)
