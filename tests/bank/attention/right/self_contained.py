"""A right answer: no function calls another one of the contract; heads are folded into the batch, projections packed."""

import numpy as np


def layer_norm_forward(x, gain, bias, eps):
    shape = x.shape
    x = x.reshape(-1, shape[-1])
    mu = x.mean(1)[:, None]
    sigma = np.sqrt(np.mean(np.square(x - mu), 1)[:, None] + eps)
    z = (x - mu) / sigma
    return (z * gain[None] + bias[None]).reshape(shape), {"z": z, "sigma": sigma, "gain": gain, "shape": shape}


def layer_norm_backward(dy, cache):
    z, D = cache["z"], cache["shape"][-1]
    dy = dy.reshape(-1, D)
    project = dy * cache["gain"]
    coefficients = np.stack([project.sum(1), (project * z).sum(1)], 1) / np.array(D, z.dtype)
    dx = (project - coefficients[:, :1] - coefficients[:, 1:] * z) / cache["sigma"]
    return dx.reshape(cache["shape"]), (dy * z).sum(0), dy.sum(0)


def _softmax(s, mask):
    """s (B, T, S); mask broadcast to it."""
    s = np.where(mask, s, -np.inf)
    m = s.max(2)[:, :, None]
    m[m == -np.inf] = 0
    e = np.exp(s - m)
    z = e.sum(2)[:, :, None]
    return e / (z + (z == 0))


def _forward(q, k, v, mask):
    """Attention on (B, T, E)."""
    p = _softmax(np.matmul(q, k.transpose(0, 2, 1)) / q.shape[2] ** 0.5, mask)
    return np.matmul(p, v), p


def _backward(dout, q, k, v, p):
    dp = np.matmul(dout, v.transpose(0, 2, 1))
    ds = p * (dp - np.sum(p * dp, 2)[:, :, None]) / q.shape[2] ** 0.5
    return np.matmul(ds, k), np.matmul(ds.transpose(0, 2, 1), q), np.matmul(p.transpose(0, 2, 1), dout)


def _flat(x):
    return x.reshape(-1, *x.shape[2:])


def attention_forward(q, k, v, mask):
    N, A, T, _ = q.shape
    full = _flat(np.broadcast_to(mask, (N, A, T, k.shape[2])))
    out, p = _forward(_flat(q), _flat(k), _flat(v), full)
    return out.reshape(q.shape), (q, k, v, p)


def attention_backward(dout, cache):
    q, k, v, p = cache
    grads = _backward(_flat(dout), _flat(q), _flat(k), _flat(v), p)
    return tuple(g.reshape(a.shape) for g, a in zip(grads, (q, k, v)))


def _fold(x, heads):
    """(N, T, D) -> (A * N, T, E): the heads outside, the examples inside."""
    N, T, D = x.shape
    return np.moveaxis(x.reshape(N, T, heads, D // heads), 2, 0).reshape(heads * N, T, D // heads)


def _unfold(x, heads):
    B, T, E = x.shape
    return np.moveaxis(x.reshape(heads, B // heads, T, E), 0, 2).reshape(B // heads, T, heads * E)


def _fold_mask(mask, N, heads, T, S):
    return np.broadcast_to(mask, (N, heads, T, S)).swapaxes(0, 1).reshape(heads * N, T, S)


def _multihead(x, kv, p, heads, mask):
    (N, T, D), S = x.shape, kv.shape[1]
    q = x @ p["Wq"] + p["bq"]
    both = kv @ np.hstack([p["Wk"], p["Wv"]]) + np.hstack([p["bk"], p["bv"]])
    q, k, v = _fold(q, heads), _fold(both[..., :D], heads), _fold(both[..., D:], heads)
    out, w = _forward(q, k, v, _fold_mask(mask, N, heads, T, S))
    out = _unfold(out, heads)
    return out @ p["Wo"] + p["bo"], (x, kv, p, heads, q, k, v, w, out)


def _rows(a):
    return a.reshape(-1, a.shape[-1])


def _multihead_gradients(dy, cache):
    x, kv, p, heads, q, k, v, w, out = cache
    D = x.shape[2]
    dq, dk, dv = (_unfold(g, heads) for g in _backward(_fold(dy @ p["Wo"].T, heads), q, k, v, w))
    both = np.concatenate([dk, dv], 2)
    dW, db = _rows(kv).T @ _rows(both), _rows(both).sum(0)
    grads = {"Wq": _rows(x).T @ _rows(dq), "bq": _rows(dq).sum(0), "Wo": _rows(out).T @ _rows(dy), "bo": _rows(dy).sum(0)}
    grads |= {"Wk": dW[:, :D].copy(), "Wv": dW[:, D:].copy(), "bk": db[:D].copy(), "bv": db[D:].copy()}
    return dq @ p["Wq"].T, both @ np.hstack([p["Wk"], p["Wv"]]).T, grads


def multihead_forward(x, kv, params, heads, mask):
    return _multihead(x, kv, params, heads, mask)


def multihead_backward(dy, cache):
    return _multihead_gradients(dy, cache)


def sinusoidal_positions(T, D):
    d = np.arange(D)
    phase = np.where(d % 2, np.pi / 2, 0.0)
    return np.sin(np.arange(T)[:, None] * 10000.0 ** (-2.0 * (d // 2) / D) + phase)


K0, K1 = 0.7978845608028654, 0.7978845608028654 * 0.044715


def _feed(x, p):
    h = x @ p["W1"] + p["b1"]
    t = np.tanh(h * (K0 + K1 * h * h))
    return (0.5 * h + 0.5 * h * t) @ p["W2"] + p["b2"], (x, p, h, t)


def _feed_gradients(dy, cache):
    x, p, h, t = cache
    dh = (dy @ p["W2"].T) * (0.5 + 0.5 * t + 0.5 * h * (1 - t) * (1 + t) * (K0 + 3 * K1 * h * h))
    g = 0.5 * h + 0.5 * h * t
    return dh @ p["W1"].T, {"W1": _rows(x).T @ _rows(dh), "b1": _rows(dh).sum(0), "W2": _rows(g).T @ _rows(dy), "b2": _rows(dy).sum(0)}


def feed_forward_forward(x, params):
    return _feed(x, params)


def feed_forward_backward(dy, cache):
    return _feed_gradients(dy, cache)


def _norm(x, gain, bias):
    z = x - x.mean(-1, keepdims=True)
    s = np.sqrt(np.mean(z * z, -1, keepdims=True) + 1e-5)
    return z / s * gain + bias, (z / s, s, gain)


def _norm_gradients(dy, cache):
    z, s, gain = cache
    d = dy * gain
    dx = (d - d.mean(-1, keepdims=True) - z * (d * z).mean(-1, keepdims=True)) / s
    return dx, _rows(dy * z).sum(0), _rows(dy).sum(0)


def _part(p, prefix):
    return {n.replace(prefix, ""): v for n, v in p.items() if n.startswith(prefix)}


def _block(x, p, heads, mask):
    a, ca = _norm(x, p["ln1_gain"], p["ln1_bias"])
    b, cb = _multihead(a, a, _part(p, "att_"), heads, mask)
    x = x + b
    c, cc = _norm(x, p["ln2_gain"], p["ln2_bias"])
    d, cd = _feed(c, _part(p, "ffn_"))
    return x + d, (ca, cb, cc, cd)


def _block_gradients(dy, cache):
    ca, cb, cc, cd = cache
    g = {}
    d, f = _feed_gradients(dy, cd)
    d, g["ln2_gain"], g["ln2_bias"] = _norm_gradients(d, cc)
    middle = dy + d
    dq, dkv, m = _multihead_gradients(middle, cb)
    d, g["ln1_gain"], g["ln1_bias"] = _norm_gradients(dq + dkv, ca)
    for n, v in f.items():
        g["ffn_" + n] = v
    for n, v in m.items():
        g["att_" + n] = v
    return middle + d, g


def block_forward(x, params, heads, mask):
    return _block(x, params, heads, mask)


def block_backward(dy, cache):
    return _block_gradients(dy, cache)


def gpt_loss(params, ids, targets, mask, heads):
    E, T = params["embedding"], ids.shape[1]
    x = E.take(ids, 0) + params["positions"][:T]
    causal = np.subtract.outer(np.arange(T), np.arange(T)) >= 0
    kept = []
    for p in params["blocks"]:
        x, c = _block(x, p, heads, causal)
        kept.append(c)
    x, last = _norm(x, params["lnf_gain"], params["lnf_bias"])
    weight = mask.astype(x.dtype) / (mask.sum() if mask.any() else 1)
    scores = np.dot(x, E.T)
    scores = scores - scores.max(-1, keepdims=True)
    total = np.exp(scores).sum(-1)
    picked = np.take_along_axis(scores, targets[..., None], -1)[..., 0]
    loss = np.vdot(weight, np.log(total) - picked)
    d = np.exp(scores) / total[..., None]
    np.put_along_axis(d, targets[..., None], np.take_along_axis(d, targets[..., None], -1) - 1, -1)
    d = (d * weight[..., None]).astype(x.dtype)
    grads = {"embedding": _rows(d).T @ _rows(x)}
    dx, grads["lnf_gain"], grads["lnf_bias"] = _norm_gradients(d @ E, last)
    grads["blocks"] = [None] * len(kept)
    for i in reversed(range(len(kept))):
        dx, grads["blocks"][i] = _block_gradients(dx, kept[i])
    order = np.argsort(ids, axis=None, kind="stable")
    which, first = np.unique(ids.ravel()[order], return_index=True)
    grads["embedding"][which] += np.add.reduceat(_rows(dx)[order], first, axis=0)
    grads["positions"] = np.pad(dx.sum(0), ((0, len(params["positions"]) - T), (0, 0)))
    return loss, grads


def cached_step(x, params, heads, cache):
    p = _part(params, "att_")
    a, _ = _norm(x, params["ln1_gain"], params["ln1_bias"])
    new = [a @ p["W" + n] + p["b" + n] for n in "kv"]
    kv = [np.concatenate(pair, 1) for pair in zip(cache, new)] if cache else new
    q = a @ p["Wq"] + p["bq"]
    out, _ = _forward(_fold(q, heads), _fold(kv[0], heads), _fold(kv[1], heads), np.array(True))
    x = x + _unfold(out, heads) @ p["Wo"] + p["bo"]
    c, _ = _norm(x, params["ln2_gain"], params["ln2_bias"])
    return x + _feed(c, _part(params, "ffn_"))[0], tuple(kv)


def _online(q, k, v, mask, tile):
    """One tile of queries against all tiles of keys: result, shift and sum of every row."""
    acc, shift, total = np.zeros_like(q), np.full(q.shape[:2], -np.inf, q.dtype), np.zeros(q.shape[:2], q.dtype)
    for j in range(0, k.shape[1], tile):
        s = np.where(mask[:, :, j : j + tile], np.matmul(q, k[:, j : j + tile].transpose(0, 2, 1)) / q.shape[2] ** 0.5, -np.inf)
        higher = np.maximum(shift, s.max(2))
        base = np.where(higher == -np.inf, 0, higher)
        e, old = np.exp(s - base[:, :, None]), np.exp(shift - base)
        acc, total, shift = acc * old[:, :, None] + np.matmul(e, v[:, j : j + tile]), total * old + e.sum(2), higher
    seen = total > 0
    return acc / np.where(seen, total, 1)[:, :, None], np.where(seen, shift, 0), np.where(seen, total, 1)


def tiled_attention_forward(q, k, v, mask, tile):
    N, A, T, _ = q.shape
    full = np.broadcast_to(mask, (N, A, T, k.shape[2]))
    out = np.zeros(q.shape, q.dtype)
    stats = np.zeros((2, N, A, T), q.dtype)
    for i in range(0, T, tile):
        for a in range(A):
            here = (slice(None), a, slice(i, i + tile))
            out[here], stats[0][here], stats[1][here] = _online(q[here], k[:, a], v[:, a], full[here], tile)
    return out, (q, k, v, full, tile, stats, out.copy())


def tiled_attention_backward(dout, cache):
    q, k, v, full, tile, stats, out = cache
    dq, dk, dv = np.zeros(q.shape, q.dtype), np.zeros(k.shape, k.dtype), np.zeros(v.shape, v.dtype)
    for a in range(q.shape[1]):
        for i in range(0, q.shape[2], tile):
            for j in range(0, k.shape[2], tile):
                rows, columns = (slice(None), a, slice(i, i + tile)), (slice(None), a, slice(j, j + tile))
                s = np.matmul(q[rows], k[columns].transpose(0, 2, 1)) / q.shape[3] ** 0.5
                s = np.where(full[rows][:, :, j : j + tile], s, -np.inf)
                p = np.exp(s - stats[0][rows][:, :, None]) / stats[1][rows][:, :, None]
                d = np.matmul(dout[rows], v[columns].transpose(0, 2, 1)) - (dout[rows] * out[rows]).sum(2)[:, :, None]
                ds = p * d / q.shape[3] ** 0.5
                dq[rows] += np.matmul(ds, k[columns])
                dk[columns] += np.matmul(ds.transpose(0, 2, 1), q[rows])
                dv[columns] += np.matmul(p.transpose(0, 2, 1), dout[rows])
    return dq, dk, dv


def rope(x, positions, base):
    half = x.shape[-1] // 2
    angle = (positions[:, None] / base ** (np.arange(half) / half)).astype(x.dtype)
    y = np.zeros_like(x)
    for parity, sign in ((0, -1), (1, 1)):
        y[..., parity::2] = x[..., parity::2] * np.cos(angle) + sign * x[..., 1 - parity :: 2] * np.sin(angle)
    return y
