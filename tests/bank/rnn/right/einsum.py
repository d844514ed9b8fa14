"""Everything is an einsum; rnn_forward projects all inputs at once, rnn_backward collects da and contracts it once."""

import numpy as np


def embedding_forward(ids, W):
    return np.take(W, ids, axis=0), {"ids": ids, "V": len(W)}


def embedding_backward(dx, cache):
    dW = np.zeros((cache["V"], dx.shape[-1]), dx.dtype)
    np.add.at(dW, cache["ids"].ravel(), dx.reshape(-1, dx.shape[-1]))
    return dW


def affine_forward(h, W, b):
    return np.einsum("nth,hv->ntv", h, W, optimize=True) + b, (h, W)


def affine_backward(dscores, cache):
    h, W = cache
    dh = np.einsum("ntv,hv->nth", dscores, W, optimize=True)
    dW = np.einsum("nth,ntv->hv", h, dscores, optimize=True)
    return dh, dW, np.einsum("ntv->v", dscores)


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    a = np.einsum("nd,dh->nh", x, Wx, optimize=True) + np.einsum("ng,gh->nh", h_prev, Wh, optimize=True) + b
    return np.tanh(a), {"x": x, "h_prev": h_prev, "Wx": Wx, "Wh": Wh, "h": np.tanh(a)}


def rnn_step_backward(dh, cache):
    da = np.einsum("nh,nh->nh", dh, 1 - cache["h"] ** 2)
    return (
        np.einsum("nh,dh->nd", da, cache["Wx"], optimize=True),
        np.einsum("nh,gh->ng", da, cache["Wh"], optimize=True),
        np.einsum("nd,nh->dh", cache["x"], da, optimize=True),
        np.einsum("ng,nh->gh", cache["h_prev"], da, optimize=True),
        np.einsum("nh->h", da),
    )


def rnn_forward(x, h0, Wx, Wh, b, mask):
    projected = np.einsum("ntd,dh->nth", x, Wx, optimize=True) + b
    states = [h0]
    for t in range(x.shape[1]):
        new = np.tanh(projected[:, t] + np.einsum("ng,gh->nh", states[-1], Wh, optimize=True))
        states.append(np.where(mask[:, t, np.newaxis], new, states[-1]))
    h = np.stack(states, axis=1)
    return h[:, 1:].copy(), (x, Wx, Wh, mask, h)


def rnn_backward(dh, cache):
    x, Wx, Wh, mask, h = cache
    da = np.zeros_like(dh)
    carried = np.zeros_like(dh[:, 0])
    for t in range(dh.shape[1])[::-1]:
        carried = carried + dh[:, t]
        real = mask[:, t, np.newaxis]
        da[:, t] = np.where(real, carried * (1 - h[:, t + 1] ** 2), 0)
        carried = np.where(real, np.einsum("nh,gh->ng", da[:, t], Wh, optimize=True), carried)
    dx = np.einsum("nth,dh->ntd", da, Wx, optimize=True)
    dWx = np.einsum("ntd,nth->dh", x, da, optimize=True)
    dWh = np.einsum("ntg,nth->gh", h[:, :-1], da, optimize=True)
    return dx, carried, dWx, dWh, np.einsum("nth->h", da)


def masked_cross_entropy(scores, targets, mask):
    largest = scores.max(-1)
    log_z = largest + np.log(np.einsum("ntv->nt", np.exp(scores - largest[..., None])))
    n, t = np.nonzero(mask)
    dscores = np.zeros_like(scores)
    if not len(n):
        return 0.0, dscores
    v = targets[n, t]
    dscores[n, t] = np.exp(scores[n, t] - log_z[n, t, None])
    dscores[n, t, v] -= 1
    return float(np.mean(log_z[n, t] - scores[n, t, v])), dscores / scores.dtype.type(len(n))


def clip_global_norm(grads, max_norm):
    norm = float(np.sqrt(sum(np.einsum("i,i->", g.ravel(), g.ravel()) for g in grads.values())))
    factor = min(1.0, max_norm / norm) if norm > 0 else 1.0
    return {key: g * factor for key, g in grads.items()}, norm


def char_lm_loss(params, ids, targets, mask):
    x, c1 = embedding_forward(ids, params["embedding"])
    h, c2 = rnn_forward(x, np.zeros_like(x, shape=(x.shape[0], params["b"].size)), params["Wx"], params["Wh"], params["b"], mask)
    scores, c3 = affine_forward(h, params["Wy"], params["by"])
    loss, dscores = masked_cross_entropy(scores, targets, mask)
    dh, dWy, dby = affine_backward(dscores, c3)
    dx, _, dWx, dWh, db = rnn_backward(dh, c2)
    return loss, {"embedding": embedding_backward(dx, c1), "Wx": dWx, "Wh": dWh, "b": db, "Wy": dWy, "by": dby}


def sample(params, start, uniforms, temperature=1.0):
    ids = np.empty(len(uniforms), np.int64)
    h, v = np.zeros((1, params["b"].size)), start
    for i, u in enumerate(uniforms):
        h, _ = rnn_step_forward(params["embedding"][[v]], h, params["Wx"], params["Wh"], params["b"])
        scores = (np.einsum("nh,hv->nv", h, params["Wy"]) + params["by"])[0].astype(np.float64) / temperature
        p = np.exp(scores - np.max(scores))
        above = np.cumsum(p / p.sum()) > u
        v = ids[i] = np.argmax(above) if above.any() else np.max(np.nonzero(p))
    return ids
