"""A right answer: the cache is a function that runs the backward pass; real and imaginary parts rotate the positions."""

import numpy as np


def layer_norm_forward(x, gain, bias, eps):
    mean, var = np.mean(x, axis=-1, keepdims=True), np.var(x, axis=-1, keepdims=True)
    hat, std = (x - mean) / np.sqrt(var + eps), np.sqrt(var + eps)

    def back(dy):
        flat, flat_hat = dy.reshape(-1, dy.shape[-1]), hat.reshape(-1, dy.shape[-1])
        d = dy * gain
        d = d - hat * np.mean(d * hat, axis=-1, keepdims=True)
        return (d - np.mean(d, axis=-1, keepdims=True)) / std, np.sum(flat * flat_hat, axis=0), np.sum(flat, axis=0)

    return hat * gain + bias, back


def layer_norm_backward(dy, cache):
    return cache(dy)


def _weights(q, k, mask):
    scores = np.matmul(q, np.moveaxis(k, -1, -2)) / float(np.sqrt(q.shape[-1]))
    allowed = np.broadcast_to(mask, scores.shape)
    scores[~allowed] = -np.inf
    nothing = ~allowed.any(axis=-1)
    scores[nothing] = 0
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    scores[nothing] = 0
    return scores


def attention_forward(q, k, v, mask):
    w = _weights(q, k, mask)

    def back(dout):
        dw = np.matmul(dout, np.moveaxis(v, -1, -2))
        ds = w * dw
        ds -= w * ds.sum(axis=-1, keepdims=True)
        ds /= float(np.sqrt(q.shape[-1]))
        return np.matmul(ds, k), np.matmul(np.moveaxis(ds, -1, -2), q), np.matmul(np.moveaxis(w, -1, -2), dout)

    return np.matmul(w, v), back


def attention_backward(dout, cache):
    return cache(dout)


def _affine(x, W, b):
    def back(dy):
        axes = tuple(range(x.ndim - 1))
        return np.matmul(dy, W.T), np.tensordot(x, dy, (axes, axes)), dy.sum(axis=axes)

    return np.matmul(x, W) + b, back


def _split(x, heads):
    return np.stack(np.split(x, heads, axis=-1), axis=1)


def _merge(x):
    return np.moveaxis(x, 1, 2).reshape(x.shape[0], x.shape[2], -1)


def multihead_forward(x, kv, params, heads, mask):
    made = {n: _affine(s, params["W" + n], params["b" + n]) for n, s in (("q", x), ("k", kv), ("v", kv))}
    out, back_att = attention_forward(*(_split(made[n][0], heads) for n in "qkv"), mask)
    y, back_out = _affine(_merge(out), params["Wo"], params["bo"])

    def back(dy):
        grads = {}
        dout, grads["Wo"], grads["bo"] = back_out(dy)
        into = {}
        for n, d in zip("qkv", attention_backward(_split(dout, heads), back_att)):
            into[n], grads["W" + n], grads["b" + n] = made[n][1](_merge(d))
        return into["q"], into["k"] + into["v"], grads

    return y, back


def multihead_backward(dy, cache):
    return cache(dy)


def sinusoidal_positions(T, D):
    i = np.arange((D + 1) // 2)
    turn = np.exp(1j * np.arange(T)[:, None] * 10000.0 ** (-2 * i / D))
    return np.stack([turn.imag, turn.real], axis=-1).reshape(T, -1)[:, :D].copy()


def _gelu(h):
    a, c = 0.044715, float((2 / np.pi) ** 0.5)
    gate = 1 / (1 + np.exp(-np.clip(2 * c * (h + a * h**3), -80, 80)))

    def back(dg):
        return dg * (gate + h * gate * (1 - gate) * 2 * c * (1 + 3 * a * h**2))

    return h * gate, back


def feed_forward_forward(x, params):
    h, back1 = _affine(x, params["W1"], params["b1"])
    g, back_g = _gelu(h)
    y, back2 = _affine(g, params["W2"], params["b2"])

    def back(dy):
        dg, dW2, db2 = back2(dy)
        dx, dW1, db1 = back1(back_g(dg))
        return dx, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    return y, back


def feed_forward_backward(dy, cache):
    return cache(dy)


def _sub(params, prefix):
    return {k[4:]: v for k, v in params.items() if k[:4] == prefix}


def block_forward(x, params, heads, mask):
    n1, back1 = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], 1e-5)
    a, back2 = multihead_forward(n1, n1, _sub(params, "att_"), heads, mask)
    n2, back3 = layer_norm_forward(x + a, params["ln2_gain"], params["ln2_bias"], 1e-5)
    f, back4 = feed_forward_forward(n2, _sub(params, "ffn_"))

    def back(dy):
        grads = {}
        dn2, ffn = feed_forward_backward(dy, back4)
        dm, grads["ln2_gain"], grads["ln2_bias"] = layer_norm_backward(dn2, back3)
        dq, dkv, att = multihead_backward(dm + dy, back2)
        dx, grads["ln1_gain"], grads["ln1_bias"] = layer_norm_backward(dq + dkv, back1)
        grads.update({"ffn_" + k: v for k, v in ffn.items()} | {"att_" + k: v for k, v in att.items()})
        return dx + dm + dy, grads

    return x + a + f, back


def block_backward(dy, cache):
    return cache(dy)


def gpt_loss(params, ids, targets, mask, heads):
    E, T = params["embedding"], ids.shape[1]
    x, backs = E[ids] + params["positions"][:T], []
    for block in params["blocks"]:
        x, back = block_forward(x, block, heads, np.tril(np.ones((1, 1, T, T), bool)))
        backs.append(back)
    x, back_ln = layer_norm_forward(x, params["lnf_gain"], params["lnf_bias"], 1e-5)
    rows, wanted = x[mask], targets[mask]
    scores = rows @ E.T
    dE, dx = np.zeros_like(E), np.zeros_like(x)
    loss = 0.0
    if len(rows):
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        top = scores.max(axis=1)
        at = np.arange(len(rows)), wanted
        loss = float(np.mean(np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top - scores[at]))
        p[at] -= 1
        p /= len(rows)
        dE, dx[mask] = p.T @ rows, p @ E
    dx, dgain, dbias = layer_norm_backward(dx, back_ln)
    blocks = []
    for back in backs[::-1]:
        dx, grads = block_backward(dx, back)
        blocks = [grads, *blocks]
    np.add.at(dE, ids.ravel(), dx.reshape(-1, E.shape[1]))
    dpos = np.zeros_like(params["positions"])
    dpos[:T] += dx.sum(axis=0)
    return loss, {"embedding": dE, "positions": dpos, "blocks": blocks, "lnf_gain": dgain, "lnf_bias": dbias}


def cached_step(x, params, heads, cache):
    n1, _ = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], 1e-5)
    before = np.zeros((len(x), 0, 2 * x.shape[2]), x.dtype) if cache is None else cache
    new = np.concatenate([n1 @ params["att_W" + n] + params["att_b" + n] for n in "kv"], axis=2)
    kv = np.concatenate([before, new], axis=1)
    k, v = np.split(kv, 2, axis=2)
    q = _split(n1 @ params["att_Wq"] + params["att_bq"], heads)
    out, _ = attention_forward(q, _split(k, heads), _split(v, heads), np.array(True))
    m = x + (_merge(out) @ params["att_Wo"] + params["att_bo"])
    n2, _ = layer_norm_forward(m, params["ln2_gain"], params["ln2_bias"], 1e-5)
    return m + feed_forward_forward(n2, _sub(params, "ffn_"))[0], kv


def tiled_attention_forward(q, k, v, mask, tile):
    """Tiles of queries only: a tile of rows sees all its keys at once."""
    mask = np.broadcast_to(mask, (*q.shape[:3], k.shape[2]))
    pieces = [slice(i, i + tile) for i in range(0, q.shape[2], tile)]
    out = np.concatenate([np.matmul(_weights(q[:, :, i], k, mask[:, :, i]), v) for i in pieces], axis=2)

    def back(dout):
        dq, dk, dv = [], 0, 0
        for i in pieces:
            _, back_piece = attention_forward(q[:, :, i], k, v, mask[:, :, i])
            a, b, c = back_piece(dout[:, :, i])
            dq.append(a)
            dk, dv = dk + b, dv + c
        return np.concatenate(dq, axis=2), dk, dv

    return out, back


def tiled_attention_backward(dout, cache):
    return cache(dout)


def rope(x, positions, base):
    E = x.shape[-1]
    z = x[..., ::2] + 1j * x[..., 1::2]
    z = z * np.exp(1j * positions[:, None] * base ** (-2 * np.arange(E // 2) / E))
    return np.stack([z.real, z.imag], axis=-1).reshape(x.shape).astype(x.dtype)
