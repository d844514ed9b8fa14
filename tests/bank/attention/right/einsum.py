"""A right answer: einsum throughout, weights reshaped to (D, A, E), scores masked by a product after a shift."""

import numpy as np

EPS = 1e-5


def ein(formula, *arrays):
    return np.einsum(formula, *arrays, optimize=True)


def layer_norm_forward(x, gain, bias, eps):
    d = x.shape[-1]
    mean = ein("...d->...", x)[..., None] / d
    var = ein("...d,...d->...", x - mean, x - mean)[..., None] / d
    std = np.sqrt(var + eps)
    return (x - mean) / std * gain + bias, (x.copy(), mean, std, gain.copy())


def layer_norm_backward(dy, cache):
    x, mean, std, gain = cache
    d, z = x.shape[-1], x - mean
    dz = ein("...d,d->...d", dy, gain)
    dvar_part = ein("...d,...d->...", dz, z)[..., None] / (d * std**3)
    dz_over = dz / std
    dx = dz_over - dz_over.sum(-1, keepdims=True) / d - z * dvar_part
    return dx, ein("...d,...d->d", dy, z / std), dy.reshape(-1, d).sum(0)


def _softmax(scores, mask):
    mask = np.broadcast_to(mask, scores.shape)
    low = np.finfo(scores.dtype).min
    top = np.max(scores, axis=-1, keepdims=True, where=mask, initial=low)
    e = np.exp(np.minimum(scores - top, 0)) * mask
    total = ein("nats->nat", e)[..., None]
    return np.divide(e, total, out=np.zeros_like(e), where=total > 0)


def attention_forward(q, k, v, mask):
    root = float(np.sqrt(q.shape[-1]))
    p = _softmax((q / root) @ k.transpose(0, 1, 3, 2), mask)
    return ein("nats,nase->nate", p, v), (q.copy(), k.copy(), v.copy(), p, root)


def attention_backward(dout, cache):
    q, k, v, p, root = cache
    dp = ein("nate,nase->nats", dout, v)
    ds = p * dp - p * ein("nats,nats->nat", p, dp)[..., None]
    return ein("nats,nase->nate", ds, k) / root, ein("nats,nate->nase", ds, q) / root, ein("nats,nate->nase", p, dout)


def _weights(params, letter, heads):
    W, b = params["W" + letter], params["b" + letter]
    return W.reshape(len(W), heads, -1), b.reshape(heads, -1)


def _project(x, params, letter, heads):
    W, b = _weights(params, letter, heads)
    return ein("ntd,dae->nate", x, W) + b[:, None, :]


def multihead_forward(x, kv, params, heads, mask):
    q, k, v = _project(x, params, "q", heads), _project(kv, params, "k", heads), _project(kv, params, "v", heads)
    out, inner = attention_forward(q, k, v, mask)
    Wo = params["Wo"].reshape(heads, -1, x.shape[-1])
    return ein("nate,aed->ntd", out, Wo) + params["bo"], (x, kv, params, heads, out, inner)


def multihead_backward(dy, cache):
    x, kv, params, heads, out, inner = cache
    D = x.shape[-1]
    Wo = params["Wo"].reshape(heads, -1, D)
    grads = {"Wo": ein("nate,ntd->aed", out, dy).reshape(D, D), "bo": ein("ntd->d", dy)}
    into = {}
    for letter, d, source in zip("qkv", attention_backward(ein("ntd,aed->nate", dy, Wo), inner), (x, kv, kv)):
        W, _ = _weights(params, letter, heads)
        grads["W" + letter] = ein("ntd,nate->dae", source, d).reshape(D, D)
        grads["b" + letter] = ein("nate->ae", d).reshape(D)
        into[letter] = ein("nate,dae->ntd", d, W)
    return into["q"], into["k"] + into["v"], grads


def sinusoidal_positions(T, D):
    table = np.zeros((T, D + 1))
    angle = np.outer(np.arange(T), np.exp(-np.log(1e4) * np.arange(0, D, 2) / D))
    table[:, 0 : D + 1 : 2][:, : angle.shape[1]] = np.sin(angle)
    table[:, 1 : D + 1 : 2][:, : angle.shape[1]] = np.cos(angle)
    return table[:, :D].copy()


C = float(np.sqrt(2 / np.pi))


def feed_forward_forward(x, params):
    h = ein("ntd,df->ntf", x, params["W1"]) + params["b1"]
    t = np.tanh(C * h * (1 + 0.044715 * h**2))
    return ein("ntf,fd->ntd", h * (1 + t) / 2, params["W2"]) + params["b2"], (x, h, t, params)


def feed_forward_backward(dy, cache):
    x, h, t, params = cache
    slope = (1 + t) / 2 + h / 2 * (1 - t**2) * C * (1 + 0.134145 * h**2)
    dh = ein("ntd,fd->ntf", dy, params["W2"]) * slope
    grads = {
        "W1": ein("ntd,ntf->df", x, dh),
        "b1": ein("ntf->f", dh),
        "W2": ein("ntf,ntd->fd", h * (1 + t) / 2, dy),
        "b2": ein("ntd->d", dy),
    }
    return ein("ntf,df->ntd", dh, params["W1"]), grads


def _sub(params, prefix):
    return {k.split("_", 1)[1]: v for k, v in params.items() if k.split("_", 1)[0] == prefix}


def block_forward(x, params, heads, mask):
    a, c1 = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], EPS)
    b, c2 = multihead_forward(a, a, _sub(params, "att"), heads, mask)
    m = x + b
    d, c3 = layer_norm_forward(m, params["ln2_gain"], params["ln2_bias"], EPS)
    e, c4 = feed_forward_forward(d, _sub(params, "ffn"))
    return m + e, [c1, c2, c3, c4]


def block_backward(dy, cache):
    c1, c2, c3, c4 = cache
    dd, f = feed_forward_backward(dy, c4)
    dm, g2, b2 = layer_norm_backward(dd, c3)
    dm = dm + dy
    dq, dkv, a = multihead_backward(dm, c2)
    dx, g1, b1 = layer_norm_backward(dq + dkv, c1)
    named = {"ln1": {"gain": g1, "bias": b1}, "att": a, "ln2": {"gain": g2, "bias": b2}, "ffn": f}
    return dx + dm, {f"{p}_{k}": v for p, some in named.items() for k, v in some.items()}


def gpt_loss(params, ids, targets, mask, heads):
    emb, T = params["embedding"], ids.shape[1]
    onehot = np.eye(len(emb), dtype=emb.dtype)
    inputs, wanted = onehot[ids], onehot[targets]
    x = ein("ntv,vd->ntd", inputs, emb) + params["positions"][None, :T]
    caches = []
    for block in params["blocks"]:
        x, c = block_forward(x, block, heads, np.arange(T)[:, None] >= np.arange(T))
        caches.append(c)
    x, last = layer_norm_forward(x, params["lnf_gain"], params["lnf_bias"], EPS)
    scores = ein("ntd,vd->ntv", x, emb)
    scores = scores - scores.max(2, keepdims=True)
    lse = np.log(np.exp(scores).sum(2, keepdims=True))
    share = mask.astype(emb.dtype) / max(int(mask.sum()), 1)
    loss = ein("nt,ntv,ntv->", share, wanted, lse - scores)
    dscores = share[..., None] * (np.exp(scores - lse) - wanted)
    demb = ein("ntv,ntd->vd", dscores, x)
    dx, dg, db = layer_norm_backward(ein("ntv,vd->ntd", dscores, emb), last)
    grads = []
    for c in caches[::-1]:
        dx, g = block_backward(dx, c)
        grads.append(g)
    demb = demb + ein("ntv,ntd->vd", inputs, dx)
    dpos = np.concatenate([ein("ntd->td", dx), np.zeros_like(params["positions"][T:])])
    return float(loss), {"embedding": demb, "positions": dpos, "blocks": grads[::-1], "lnf_gain": dg, "lnf_bias": db}


def cached_step(x, params, heads, cache):
    past = [] if cache is None else cache
    normal = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], EPS)[0]
    att = _sub(params, "att")
    past = past + [(_project(normal, att, "k", heads), _project(normal, att, "v", heads))]
    k, v = (np.concatenate([pair[i] for pair in past], 2) for i in (0, 1))
    out = attention_forward(_project(normal, att, "q", heads), k, v, np.ones(k.shape[2], bool))[0]
    m = x + ein("nate,aed->ntd", out, att["Wo"].reshape(heads, -1, x.shape[-1])) + att["bo"]
    normal = layer_norm_forward(m, params["ln2_gain"], params["ln2_bias"], EPS)[0]
    return m + feed_forward_forward(normal, _sub(params, "ffn"))[0], past


def tiled_attention_forward(q, k, v, mask, tile):
    """All queries at a time, the keys in tiles: memory T * tile."""
    N, A, T, E = q.shape
    mask = np.broadcast_to(mask, (N, A, T, k.shape[2]))
    low = np.finfo(q.dtype).min
    m = np.full((N, A, T, 1), low, q.dtype)
    total, acc = np.zeros_like(m), np.zeros_like(q)
    for j in range(0, k.shape[2], tile):
        s = q @ k[:, :, j : j + tile].swapaxes(2, 3) / E**0.5
        ok = mask[..., j : j + tile]
        new = np.maximum(m, np.max(s, axis=-1, keepdims=True, where=ok, initial=low))
        p = np.exp(np.minimum(s - new, 0)) * ok
        scale = np.exp(m - new)
        total, acc, m = total * scale + p.sum(-1, keepdims=True), acc * scale + p @ v[:, :, j : j + tile], new
    safe = np.where(total > 0, total, 1)
    out = acc / safe
    return out, (q, k, v, mask, tile, m, safe, out.copy())


def tiled_attention_backward(dout, cache):
    q, k, v, mask, tile, m, safe, out = cache
    E = q.shape[-1]
    delta = ein("nate,nate->nat", dout, out)[..., None]
    dq, dk, dv = np.zeros(q.shape, q.dtype), np.empty(k.shape, k.dtype), np.empty(v.shape, v.dtype)
    for j in range(0, k.shape[2], tile):
        here = slice(j, j + tile)
        s = q @ k[:, :, here].swapaxes(2, 3) / E**0.5
        p = np.exp(np.minimum(s - m, 0)) * mask[..., here] / safe
        ds = p * (dout @ v[:, :, here].swapaxes(2, 3) - delta) / E**0.5
        dq += ds @ k[:, :, here]
        dk[:, :, here], dv[:, :, here] = ds.swapaxes(2, 3) @ q, p.swapaxes(2, 3) @ dout
    return dq, dk, dv


def rope(x, positions, base):
    E = x.shape[-1]
    angle = np.outer(positions, np.exp(-np.log(base) * np.arange(E // 2) * 2 / E))
    turn = np.stack([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).astype(x.dtype)
    pairs = x.reshape(*x.shape[:-1], E // 2, 2)
    return ein("ijtp,natpj->natpi", turn, pairs).reshape(x.shape)
