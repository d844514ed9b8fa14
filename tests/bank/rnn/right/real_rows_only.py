"""Nothing is computed for padding: every step takes out the rows that are real and puts them back."""

import numpy as np


def embedding_forward(ids, W):
    return W.take(ids, axis=0), (ids, W.shape)


def embedding_backward(dx, cache):
    ids, (V, D) = cache
    dW = np.zeros((V, D), dx.dtype)
    flat = ids.reshape(-1)
    count = np.zeros((V, len(flat)), dx.dtype)
    count[flat, np.arange(len(flat))] = 1
    return np.matmul(count, dx.reshape(-1, D), out=dW)


def affine_forward(h, W, b):
    scores = np.tensordot(h, W, axes=1)
    scores += b
    return scores, (h, W)


def affine_backward(dscores, cache):
    h, W = cache
    dh = np.tensordot(dscores, W, axes=(2, 1))
    dW = sum(h[:, t].T @ dscores[:, t] for t in range(h.shape[1]))
    db = sum(dscores[:, t].sum(0) for t in range(h.shape[1]))
    return dh, dW, db


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    a = x @ Wx
    a += h_prev @ Wh
    a += b
    return np.tanh(a), (x, h_prev, Wx, Wh, a)


def rnn_step_backward(dh, cache):
    x, h_prev, Wx, Wh, a = cache
    # 1 / cosh^2 is the derivative of tanh at a; cosh overflows to inf for large a, which is right in the limit.
    with np.errstate(over="ignore"):
        da = dh / np.cosh(a) / np.cosh(a)
    return da @ Wx.T, da @ Wh.T, x.T @ da, h_prev.T @ da, da.sum(0)


def rnn_forward(x, h0, Wx, Wh, b, mask):
    N, T, _ = x.shape
    h, state, tape = np.empty((N, T, h0.shape[1]), h0.dtype), h0.copy(), []
    for t in range(T):
        (rows,) = np.nonzero(mask[:, t])
        state[rows], cache = rnn_step_forward(x[rows, t], state[rows], Wx, Wh, b)
        h[:, t] = state
        tape.append((rows, cache))
    return h, (tape, x.shape)


def rnn_backward(dh, cache):
    tape, shape = cache
    dx = np.zeros(shape, dh.dtype)
    flow = np.zeros_like(dh[:, -1])
    dWx = dWh = db = None
    for t, (rows, step) in reversed(list(enumerate(tape))):
        flow += dh[:, t]
        dx[rows, t], flow[rows], a, c, d = rnn_step_backward(flow[rows], step)
        dWx, dWh, db = (a, c, d) if dWx is None else (dWx + a, dWh + c, db + d)
    return dx, flow, dWx, dWh, db


def masked_cross_entropy(scores, targets, mask):
    n, t = mask.nonzero()
    loss, dscores = 0.0, np.zeros_like(scores)
    if len(n):
        real = scores[n, t] - scores[n, t].max(1, keepdims=True)
        z = np.exp(real).sum(1)
        loss = (np.log(z) - real[np.arange(len(n)), targets[n, t]]).mean()
        dscores[n, t] = np.exp(real) / z[:, None]
        dscores[n, t, targets[n, t]] -= 1
        dscores /= len(n)
    return loss, dscores


def clip_global_norm(grads, max_norm):
    names, arrays = zip(*grads.items())
    norm = sum(float((a.astype(float) ** 2).sum()) for a in arrays) ** 0.5
    scale = max_norm / max(norm, max_norm)
    return dict(zip(names, [a * scale for a in arrays])), norm


def char_lm_loss(params, ids, targets, mask):
    x, c_embedding = embedding_forward(ids, params["embedding"])
    h, c_rnn = rnn_forward(x, np.zeros(x.shape[:1] + params["b"].shape, x.dtype), params["Wx"], params["Wh"], params["b"], mask)
    scores, c_affine = affine_forward(h, params["Wy"], params["by"])
    loss, dscores = masked_cross_entropy(scores, targets, mask)
    dh, dWy, dby = affine_backward(dscores, c_affine)
    dx, _, dWx, dWh, db = rnn_backward(dh, c_rnn)
    dW = embedding_backward(dx, c_embedding)
    return loss, {"embedding": dW, "Wx": dWx, "Wh": dWh, "b": db, "Wy": dWy, "by": dby}


def sample(params, start, uniforms, temperature=1.0):
    drawn, h, v = [], np.zeros((1, len(params["b"]))), start
    for u in uniforms:
        h, _ = rnn_step_forward(params["embedding"][v][None], h, params["Wx"], params["Wh"], params["b"])
        z = (h @ params["Wy"] + params["by"]).ravel() / temperature
        p = np.exp(z - z.max(), dtype=np.float64)
        cdf = p.cumsum() / p.sum()
        v = min(np.searchsorted(cdf, u, "right"), p.nonzero()[0].max())
        drawn.append(v)
    return np.array(drawn, np.int64)
