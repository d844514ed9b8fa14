"""Caches are functions: the forward returns its own backward as a closure."""

import numpy as np


def embedding_forward(ids, W):
    def backward(dx):
        # Sort the ids, then add up the runs of equal ones.
        flat, rows = ids.reshape(-1), dx.reshape(-1, dx.shape[-1])
        order = np.argsort(flat, kind="stable")
        present, starts = np.unique(flat[order], return_index=True)
        dW = np.zeros_like(dx, shape=W.shape)
        dW[present] = np.add.reduceat(rows[order], starts, axis=0)
        return dW

    return W[ids], backward


def embedding_backward(dx, cache):
    return cache(dx)


def affine_forward(h, W, b):
    def backward(dscores):
        rows = dscores.reshape(-1, W.shape[1])
        return dscores @ W.T, h.reshape(-1, W.shape[0]).T @ rows, rows.sum(0)

    return h @ W + b, backward


def affine_backward(dscores, cache):
    return cache(dscores)


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    h = np.tanh(x @ Wx + h_prev @ Wh + b)
    slope = 1 - h * h

    def backward(dh):
        da = dh * slope
        return da @ Wx.T, da @ Wh.T, x.T @ da, h_prev.T @ da, da.sum(0)

    return h, backward


def rnn_step_backward(dh, cache):
    return cache(dh)


def rnn_forward(x, h0, Wx, Wh, b, mask):
    N, T, _ = x.shape
    backwards, states, state = [], [], h0.copy()
    for t in range(T):
        candidate, backward = rnn_step_forward(x[:, t], state, Wx, Wh, b)
        state = np.where(mask[:, t][:, None], candidate, state)
        states.append(state)
        backwards.append(backward)

    def through_time(dh):
        dx = np.zeros_like(x)
        sums = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        flowing = np.zeros_like(h0)
        for t in range(T - 1, -1, -1):
            flowing = flowing + dh[:, t]
            keep = mask[:, t][:, None]
            dx[:, t], back, *parts = backwards[t](flowing * keep)
            flowing = np.where(keep, back, flowing)
            for total, part in zip(sums, parts):
                total += part
        return (dx, flowing, *sums)

    return np.stack(states, axis=1), through_time


def rnn_backward(dh, cache):
    return cache(dh)


def masked_cross_entropy(scores, targets, mask):
    count = np.count_nonzero(mask)
    if count == 0:
        return scores.dtype.type(0), np.zeros_like(scores)
    exp = np.exp(scores - scores.max(axis=2, keepdims=True))
    p = exp / exp.sum(axis=2, keepdims=True)
    # log p from the scores themselves, so that a probability that rounds to 0 has a finite logarithm.
    log_p = scores - scores.max(axis=2, keepdims=True) - np.log(exp.sum(axis=2, keepdims=True))
    hot = np.eye(scores.shape[2], dtype=scores.dtype)[targets]
    loss = -np.sum((log_p * hot).sum(axis=2)[mask]) / count
    return loss, ((p - hot) * mask[:, :, None]) / scores.dtype.type(count)


def clip_global_norm(grads, max_norm):
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in grads.values()]))
    if norm <= max_norm:
        return {name: g.copy() for name, g in grads.items()}, norm
    return {name: g * g.dtype.type(max_norm / norm) for name, g in grads.items()}, norm


def char_lm_loss(params, ids, targets, mask):
    p = params
    x, embedding_back = embedding_forward(ids, p["embedding"])
    h0 = np.zeros((ids.shape[0], p["Wh"].shape[0]), dtype=p["Wh"].dtype)
    h, rnn_back = rnn_forward(x, h0, p["Wx"], p["Wh"], p["b"], mask)
    scores, affine_back = affine_forward(h, p["Wy"], p["by"])
    loss, dscores = masked_cross_entropy(scores, targets, mask)
    dh, dWy, dby = affine_backward(dscores, affine_back)
    dx, dh0, dWx, dWh, db = rnn_backward(dh, rnn_back)
    return loss, dict(embedding=embedding_backward(dx, embedding_back), Wx=dWx, Wh=dWh, b=db, Wy=dWy, by=dby)


def sample(params, start, uniforms, temperature=1.0):
    def step(state, last):
        x, _ = embedding_forward(np.array([[last]]), params["embedding"])
        h, _ = rnn_forward(x, state, params["Wx"], params["Wh"], params["b"], np.ones((1, 1), bool))
        scores, _ = affine_forward(h, params["Wy"], params["by"])
        return h[:, -1], scores[0, 0].astype(np.float64)

    def draw(scores, u):
        z = scores / temperature
        p = np.exp(z - z.max())
        running = np.add.accumulate(p / p.sum())
        for v, reached in enumerate(running):
            if reached > u:
                return v
        return max(v for v in range(len(p)) if p[v] > 0)

    state, last, text = np.zeros((1, params["Wh"].shape[0])), start, []
    for u in uniforms:
        state, scores = step(state, last)
        last = draw(scores, u)
        text.append(last)
    return np.asarray(text, dtype=np.int64)
