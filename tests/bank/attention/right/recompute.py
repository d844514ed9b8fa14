"""A right answer: caches hold the inputs only, the backward computes everything it needs once more."""

import numpy as np


def _normal(x, eps):
    mean = x.mean(axis=-1, keepdims=True)
    inverse = (x.var(axis=-1, keepdims=True) + eps) ** -0.5
    return (x - mean) * inverse, inverse


def layer_norm_forward(x, gain, bias, eps):
    return _normal(x, eps)[0] * gain + bias, (x, gain, eps)


def layer_norm_backward(dy, cache):
    x, gain, eps = cache
    n, inverse = _normal(x, eps)
    D = x.shape[-1]
    d = dy * gain
    dx = (inverse / D) * (D * d - np.sum(d, axis=-1, keepdims=True) - n * np.sum(d * n, axis=-1, keepdims=True))
    return dx, (dy * n).reshape(-1, D).sum(axis=0), dy.reshape(-1, D).sum(axis=0)


def _probabilities(q, k, mask):
    s = (q @ k.swapaxes(2, 3)) * (1 / float(np.sqrt(q.shape[3])))
    s = np.where(mask, s, np.array(-1e30, s.dtype))
    e = np.where(mask, np.exp(s - s.max(axis=3, keepdims=True)), np.array(0, s.dtype))
    z = e.sum(axis=3, keepdims=True)
    z[z == 0] = 1
    return e / z


def attention_forward(q, k, v, mask):
    return _probabilities(q, k, mask) @ v, (q, k, v, mask)


def attention_backward(dout, cache):
    q, k, v, mask = cache
    p = _probabilities(q, k, mask)
    out = p @ v
    ds = p * (dout @ v.swapaxes(2, 3) - np.sum(dout * out, axis=3, keepdims=True)) / float(np.sqrt(q.shape[3]))
    return ds @ k, ds.swapaxes(2, 3) @ q, p.swapaxes(2, 3) @ dout


def _heads(x, heads):
    return x.reshape(x.shape[0], x.shape[1], heads, -1).swapaxes(1, 2)


def _columns(x):
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def _qkv(x, kv, params, heads):
    sources = {"q": x, "k": kv, "v": kv}
    return [_heads(source @ params[f"W{n}"] + params[f"b{n}"], heads) for n, source in sources.items()]


def multihead_forward(x, kv, params, heads, mask):
    out, _ = attention_forward(*_qkv(x, kv, params, heads), mask)
    return _columns(out) @ params["Wo"] + params["bo"], (x, kv, params, heads, mask)


def multihead_backward(dy, cache):
    x, kv, params, heads, mask = cache
    D = x.shape[-1]

    def weights(source, d):
        return source.reshape(-1, D).T @ d.reshape(-1, D), d.reshape(-1, D).sum(axis=0)

    out, inner = attention_forward(*_qkv(x, kv, params, heads), mask)
    grads = dict(zip(("Wo", "bo"), weights(_columns(out), dy)))
    dq, dk, dv = (_columns(d) for d in attention_backward(_heads(dy @ params["Wo"].T, heads), inner))
    for n, source, d in (("q", x, dq), ("k", kv, dk), ("v", kv, dv)):
        grads[f"W{n}"], grads[f"b{n}"] = weights(source, d)
    return dq @ params["Wq"].T, dk @ params["Wk"].T + dv @ params["Wv"].T, grads


def sinusoidal_positions(T, D):
    table = np.empty((T, D))
    for d in range(D):
        angle = np.arange(T) / 10000 ** (2 * (d // 2) / D)
        table[:, d] = np.cos(angle) if d % 2 else np.sin(angle)
    return table


def _tanh_part(h):
    return np.tanh(float(np.sqrt(2 / np.pi)) * (h + 0.044715 * h * h * h))


def feed_forward_forward(x, params):
    h = x @ params["W1"] + params["b1"]
    return (h / 2 + h / 2 * _tanh_part(h)) @ params["W2"] + params["b2"], (x, params)


def feed_forward_backward(dy, cache):
    x, params = cache
    h = x @ params["W1"] + params["b1"]
    t = _tanh_part(h)
    dg = dy @ params["W2"].T
    dt = dg * h / 2
    dh = dg * (1 + t) / 2 + dt * (1 - t * t) * float(np.sqrt(2 / np.pi)) * (1 + 3 * 0.044715 * h * h)
    g = h / 2 + h / 2 * t
    axes = ([0, 1], [0, 1])
    grads = {"b2": dy.sum(axis=(0, 1)), "W2": np.tensordot(g, dy, axes), "b1": dh.sum(axis=(0, 1)), "W1": np.tensordot(x, dh, axes)}
    return dh @ params["W1"].T, grads


def _take(params, prefix):
    return {k: params[prefix + k] for k in [name[len(prefix) :] for name in params if name.startswith(prefix)]}


def _middle(x, params, heads, mask):
    n1, c1 = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], 1e-5)
    a, c2 = multihead_forward(n1, n1, _take(params, "att_"), heads, mask)
    return x + a, c1, c2


def block_forward(x, params, heads, mask):
    m, _, _ = _middle(x, params, heads, mask)
    n2, _ = layer_norm_forward(m, params["ln2_gain"], params["ln2_bias"], 1e-5)
    return m + feed_forward_forward(n2, _take(params, "ffn_"))[0], (x, params, heads, mask)


def block_backward(dy, cache):
    x, params, heads, mask = cache
    m, c1, c2 = _middle(x, params, heads, mask)
    n2, c3 = layer_norm_forward(m, params["ln2_gain"], params["ln2_bias"], 1e-5)
    _, c4 = feed_forward_forward(n2, _take(params, "ffn_"))
    grads = {}
    dn2, some = feed_forward_backward(dy, c4)
    grads |= {"ffn_" + k: v for k, v in some.items()}
    dm, grads["ln2_gain"], grads["ln2_bias"] = layer_norm_backward(dn2, c3)
    dm = dy + dm
    dq, dkv, some = multihead_backward(dm, c2)
    grads |= {"att_" + k: v for k, v in some.items()}
    dx, grads["ln1_gain"], grads["ln1_bias"] = layer_norm_backward(dq + dkv, c1)
    return dm + dx, grads


def gpt_loss(params, ids, targets, mask, heads):
    """Gradient checkpointing: only the inputs of the blocks are kept."""
    N, T = ids.shape
    E = params["embedding"]
    causal = np.tril(np.ones((T, T), dtype=bool))
    layers = [E[ids] + params["positions"][:T]]
    for block in params["blocks"]:
        layers.append(block_forward(layers[-1], block, heads, causal)[0])
    x, last = layer_norm_forward(layers[-1], params["lnf_gain"], params["lnf_bias"], 1e-5)
    s = (x @ E.T).reshape(N * T, -1)
    s = s - s.max(axis=1)[:, None]
    p = np.exp(s)
    z = p.sum(axis=1)
    each, y, m = np.arange(N * T), targets.reshape(-1), mask.reshape(-1)
    count = int(m.sum()) or 1
    loss = float(((np.log(z) - s[each, y]) * m).sum() / count)
    ds = p / z[:, None]
    ds[each, y] -= 1
    ds *= m[:, None] / np.array(count, s.dtype)
    ds = ds.astype(E.dtype)
    dE = ds.T @ x.reshape(N * T, -1)
    dx, dgain, dbias = layer_norm_backward((ds @ E).reshape(x.shape), last)
    blocks = []
    for at in range(len(params["blocks"]) - 1, -1, -1):
        dx, g = block_backward(dx, block_forward(layers[at], params["blocks"][at], heads, causal)[1])
        blocks.append(g)
    hot = (ids.reshape(-1)[None] == np.arange(len(E))[:, None]).astype(E.dtype)
    rest = np.zeros((len(params["positions"]) - T, E.shape[1]), E.dtype)
    return loss, {
        "embedding": dE + hot @ dx.reshape(N * T, -1),
        "positions": np.vstack([dx.sum(axis=0), rest]),
        "blocks": blocks[::-1],
        "lnf_gain": dgain,
        "lnf_bias": dbias,
    }


def cached_step(x, params, heads, cache):
    """The cache holds the normalised inputs; keys and values of all positions are projected again at every step."""
    n1, _ = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], 1e-5)
    seen = n1 if cache is None else np.concatenate((cache, n1), axis=1)
    m = x + multihead_forward(n1, seen, _take(params, "att_"), heads, np.array(True))[0]
    n2, _ = layer_norm_forward(m, params["ln2_gain"], params["ln2_bias"], 1e-5)
    return m + feed_forward_forward(n2, _take(params, "ffn_"))[0], seen


def _pieces(mask, q, k, tile):
    full = np.broadcast_to(mask, (*q.shape[:3], k.shape[2]))
    for i in range(0, q.shape[2], tile):
        for j in range(0, k.shape[2], tile):
            rows, columns = slice(i, i + tile), slice(j, j + tile)
            yield rows, columns, full[:, :, rows, columns]


def _tile_scores(q, k, rows, columns, allowed):
    s = q[:, :, rows] @ k[:, :, columns].swapaxes(2, 3) / float(np.sqrt(q.shape[3]))
    return np.where(allowed, s, np.array(-np.inf, s.dtype))


def _log_sums(q, k, mask, tile):
    """Return log sum exp of every row of scores by numbers that never overflow; -inf for rows that see nothing."""
    total = np.full((*q.shape[:3], 1), -np.inf, q.dtype)
    with np.errstate(divide="ignore"):
        for rows, columns, allowed in _pieces(mask, q, k, tile):
            s = _tile_scores(q, k, rows, columns, allowed)
            top = np.maximum(s.max(axis=3, keepdims=True), np.finfo(s.dtype).min)
            here = np.log(np.exp(s - top).sum(axis=3, keepdims=True)) + top
            total[:, :, rows] = np.logaddexp(total[:, :, rows], here)
    return np.where(total == -np.inf, np.array(np.inf, q.dtype), total)


def tiled_attention_forward(q, k, v, mask, tile):
    """Two passes: first the sums, then the weighted values."""
    logs = _log_sums(q, k, mask, tile)
    out = np.zeros_like(q)
    for rows, columns, allowed in _pieces(mask, q, k, tile):
        out[:, :, rows] += np.exp(_tile_scores(q, k, rows, columns, allowed) - logs[:, :, rows]) @ v[:, :, columns]
    return out, (q, k, v, mask, tile, logs)


def tiled_attention_backward(dout, cache):
    q, k, v, mask, tile, logs = cache
    delta = np.zeros_like(logs)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for last in (False, True):
        for rows, columns, allowed in _pieces(mask, q, k, tile):
            p = np.exp(_tile_scores(q, k, rows, columns, allowed) - logs[:, :, rows])
            dp = dout[:, :, rows] @ v[:, :, columns].swapaxes(2, 3)
            if not last:
                delta[:, :, rows] += (p * dp).sum(axis=3, keepdims=True)
                continue
            ds = p * (dp - delta[:, :, rows]) / float(np.sqrt(q.shape[3]))
            dq[:, :, rows] += ds @ k[:, :, columns]
            dk[:, :, columns] += ds.swapaxes(2, 3) @ q[:, :, rows]
            dv[:, :, columns] += p.swapaxes(2, 3) @ dout[:, :, rows]
    return dq, dk, dv


def rope(x, positions, base):
    E = x.shape[-1]
    rate = np.repeat(np.power(float(base), -np.arange(0, E, 2) / E), 2)
    angle = np.asarray(positions)[:, None] * rate[None]
    turned = np.empty(x.shape, x.dtype)
    turned[..., 0::2], turned[..., 1::2] = -x[..., 1::2], x[..., 0::2]
    return (x * np.cos(angle) + turned * np.sin(angle)).astype(x.dtype)
