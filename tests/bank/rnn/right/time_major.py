"""Time comes first inside; rows [x, h, 1] meet one stacked matrix, so that each step is a single product."""

import numpy as np


def embedding_forward(ids, W):
    return W[ids.T].swapaxes(0, 1).copy(), (ids, W)


def embedding_backward(dx, cache):
    ids, W = cache
    dW = np.zeros(W.shape, dx.dtype)
    for v in np.unique(ids):
        dW[v] = dx[ids == v].sum(axis=0)
    return dW


def _with_one(x):
    return np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype)], axis=-1)


def affine_forward(h, W, b):
    stacked = np.concatenate([W, b[None]])
    return _with_one(h) @ stacked, (_with_one(h), stacked)


def affine_backward(dscores, cache):
    rows, stacked = cache
    grad = rows.reshape(-1, rows.shape[-1]).T @ dscores.reshape(-1, dscores.shape[-1])
    return (dscores @ stacked.T)[..., :-1].copy(), grad[:-1].copy(), grad[-1].copy()


def _stack(Wx, Wh, b):
    return np.concatenate([Wx, Wh, b[None]], axis=0)


def _split(grad, D):
    return grad[:D].copy(), grad[D:-1].copy(), grad[-1].copy()


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    row = _with_one(np.concatenate([x, h_prev], axis=1))
    W = _stack(Wx, Wh, b)
    h = np.tanh(row @ W)
    return h.copy(), (row, W, h, x.shape[1])


def rnn_step_backward(dh, cache):
    row, W, h, D = cache
    da = dh * (1 - h**2)
    drow = da @ W.T
    return (drow[:, :D].copy(), drow[:, D:-1].copy(), *_split(row.T @ da, D))


def rnn_forward(x, h0, Wx, Wh, b, mask):
    N, T, D = x.shape
    W = _stack(Wx, Wh, b)
    rows = np.ones((T, N, len(W)), x.dtype)
    rows[:, :, :D] = np.where(mask[..., None], x, 0).swapaxes(0, 1)
    states = np.empty((T, N, len(b)), x.dtype)
    state = h0
    for t in range(T):
        rows[t, :, D:-1] = state
        state = np.where(mask[:, t, None], np.tanh(rows[t] @ W), state)
        states[t] = state
    return states.swapaxes(0, 1).copy(), (rows, states, W, mask.T[..., None], D)


def rnn_backward(dh, cache):
    rows, states, W, real, D = cache
    dh = dh.swapaxes(0, 1)
    T, N, H = dh.shape
    drows = np.empty_like(rows)
    da = np.zeros((T, N, H), dh.dtype)
    dstate = np.zeros((N, H), dh.dtype)
    for t in range(T - 1, -1, -1):
        dstate = dstate + dh[t]
        da[t] = dstate * (1 - states[t] ** 2) * real[t]
        drows[t] = da[t] @ W.T
        dstate = dstate * ~real[t] + drows[t, :, D:-1]
    grad = rows.reshape(T * N, -1).T @ da.reshape(T * N, H)
    return (drows[:, :, :D].swapaxes(0, 1).copy(), dstate, *_split(grad, D))


def _log_softmax(scores):
    z = scores - scores.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def masked_cross_entropy(scores, targets, mask):
    V = scores.shape[-1]
    log_p = _log_softmax(scores.reshape(-1, V))
    target, real = targets.ravel(), mask.ravel()
    token = np.arange(len(target))
    count = real.sum()
    dscores = np.exp(log_p)
    dscores[token, target] -= 1
    dscores[~real] = 0
    if count:
        dscores /= count
    return float(-(log_p[token, target] * real).sum() / (count or 1)), dscores.reshape(scores.shape)


def clip_global_norm(grads, max_norm):
    norm = np.hypot.reduce([np.linalg.norm(g.astype(np.float64)) for g in grads.values()])
    scale = 1.0 if norm == 0 else float(min(1.0, max_norm / norm))
    return {name: scale * g for name, g in grads.items()}, norm


def char_lm_loss(params, ids, targets, mask):
    x, tokens = embedding_forward(ids, params["embedding"])
    start = np.zeros((len(ids), len(params["b"])), x.dtype)
    h, unrolled = rnn_forward(x, start, params["Wx"], params["Wh"], params["b"], mask)
    scores, output = affine_forward(h, params["Wy"], params["by"])
    loss, gradient = masked_cross_entropy(scores, targets, mask)
    gradient, dWy, dby = affine_backward(gradient, output)
    gradient, _, dWx, dWh, db = rnn_backward(gradient, unrolled)
    dW = embedding_backward(gradient, tokens)
    return loss, {"by": dby, "Wy": dWy, "b": db, "Wh": dWh, "Wx": dWx, "embedding": dW}


def sample(params, start, uniforms, temperature=1.0):
    W = _stack(params["Wx"], params["Wh"], params["b"]).astype(np.float64)
    h, last, drawn = np.zeros(len(params["b"])), int(start), []
    for u in uniforms:
        h = np.tanh(np.concatenate([params["embedding"][last], h, [1.0]]) @ W)
        p = np.exp(_log_softmax((h @ params["Wy"] + params["by"]).astype(np.float64) / temperature))
        candidates = np.flatnonzero(np.cumsum(p) > u)
        last = int(candidates[0]) if len(candidates) else int(np.flatnonzero(p)[-1])
        drawn.append(last)
    return np.array(drawn, dtype="int64")
