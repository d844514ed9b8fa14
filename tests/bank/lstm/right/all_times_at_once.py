"""A right answer: whatever does not depend on the state is computed for all times at once, with einsum on (N, T, 4, H)."""

import numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _activate(a):
    gates = _sigmoid(a)
    gates[..., 2, :] = np.tanh(a[..., 2, :])
    return gates


def lstm_gates(x, h_prev, Wx, Wh, b):
    a = np.einsum("nd,dk->nk", x, Wx) + np.einsum("nh,hk->nk", h_prev, Wh) + b
    gates = _activate(a.reshape(len(x), 4, -1))
    return tuple(gates[:, k].copy() for k in range(4))


def lstm_step_forward(x, h_prev, c_prev, Wx, Wh, b):
    a = np.einsum("nd,dk->nk", x, Wx) + np.einsum("nh,hk->nk", h_prev, Wh) + b
    gates = _activate(a.reshape(len(x), 4, -1))
    c = gates[:, 1] * c_prev + gates[:, 0] * gates[:, 2]
    return gates[:, 3] * np.tanh(c), c, (x, h_prev, c_prev, Wx, Wh, gates, c.copy())


def _through_the_gates(dh, dc, gates, c_prev, c):
    i, f, g, o = np.moveaxis(gates, 1, 0)
    tanh_c = np.tanh(c)
    dc = dc + dh * o * (1 - tanh_c**2)
    da = np.stack([dc * g, dc * c_prev, dc * i, dh * tanh_c], axis=1)
    slope = gates * (1 - gates)
    slope[:, 2] = 1 - g**2
    return (da * slope).reshape(len(dh), -1), dc * f


def lstm_step_backward(dh, dc, cache):
    x, h_prev, c_prev, Wx, Wh, gates, c = cache
    da, dc_prev = _through_the_gates(dh, dc, gates, c_prev, c)
    dx, dh_prev = np.einsum("nk,dk->nd", da, Wx), np.einsum("nk,hk->nh", da, Wh)
    return dx, dh_prev, dc_prev, np.einsum("nd,nk->dk", x, da), np.einsum("nh,nk->hk", h_prev, da), np.einsum("nk->k", da)


def lstm_forward(x, h0, c0, Wx, Wh, b, mask):
    N, T, _ = x.shape
    H = h0.shape[1]
    x = np.where(mask[..., None], x, np.zeros((), x.dtype))
    a = (np.einsum("ntd,dk->ntk", x, Wx, optimize=True) + b).reshape(N, T, 4, H)
    hs = np.concatenate([h0[:, None], np.empty((N, T, H), x.dtype)], axis=1)
    cs = np.concatenate([c0[:, None], np.empty((N, T, H), x.dtype)], axis=1)
    for t in range(T):
        a[:, t] = _activate(a[:, t] + (hs[:, t] @ Wh).reshape(N, 4, H))
        i, f, g, o = np.moveaxis(a[:, t], 1, 0)
        cs[:, t + 1] = np.where(mask[:, t, None], f * cs[:, t] + i * g, cs[:, t])
        hs[:, t + 1] = np.where(mask[:, t, None], o * np.tanh(cs[:, t + 1]), hs[:, t])
    return hs[:, 1:].copy(), cs[:, -1].copy(), (x, Wx, Wh, mask, a, hs, cs)


def lstm_backward(dh, dc_last, cache):
    x, Wx, Wh, mask, gates, hs, cs = cache
    das = np.zeros((*mask.shape, Wx.shape[1]), x.dtype)
    carried, dc = np.zeros_like(dc_last), dc_last.copy()
    for t in range(mask.shape[1] - 1, -1, -1):
        real = mask[:, t, None]
        total = dh[:, t] + carried
        da, dc_prev = _through_the_gates(total, dc, gates[:, t], cs[:, t], cs[:, t + 1])
        das[:, t] = np.where(real, da, 0)
        carried = np.where(real, das[:, t] @ Wh.T, total)
        dc = np.where(real, dc_prev, dc)
    dWx = np.tensordot(x, das, axes=((0, 1), (0, 1)))
    dWh = np.tensordot(hs[:, :-1], das, axes=((0, 1), (0, 1)))
    return das @ Wx.T, carried, dc, dWx, dWh, np.einsum("ntk->k", das)


def state_gradient_norms(dh_last, cache):
    _, _, Wh, mask, gates, _, cs = cache
    arriving, dc = dh_last.copy(), np.zeros_like(dh_last)
    norms = np.zeros(mask.shape[1], dh_last.dtype)
    for t in range(mask.shape[1] - 1, -1, -1):
        norms[t] = np.einsum("nh,nh->", arriving, arriving) ** 0.5
        da, dc_prev = _through_the_gates(arriving, dc, gates[:, t], cs[:, t], cs[:, t + 1])
        arriving = np.where(mask[:, t, None], da @ Wh.T, arriving)
        dc = np.where(mask[:, t, None], dc_prev, dc)
    return norms


def bilstm_forward(x, mask, forward_params, backward_params):
    H = forward_params["b"].size // 4
    zeros = np.zeros((x.shape[0], H), x.dtype)
    caches, halves = [], []
    for params, order in ((forward_params, slice(None)), (backward_params, slice(None, None, -1))):
        h, _, cache = lstm_forward(x[:, order], zeros, zeros, params["Wx"], params["Wh"], params["b"], mask[:, order])
        halves.append(h[:, order])
        caches.append(cache)
    return np.concatenate(halves, axis=2), caches


def bilstm_backward(dh, cache):
    halves, zeros = np.split(dh, 2, axis=2), np.zeros(dh[:, 0].shape, dh.dtype)[:, : dh.shape[2] // 2]
    dx, grads = 0, []
    for half, part, order in zip(halves, cache, (slice(None), slice(None, None, -1))):
        d, _, _, dWx, dWh, db = lstm_backward(half[:, order], zeros, part)
        dx = dx + d[:, order]
        grads.append({"Wx": dWx, "Wh": dWh, "b": db})
    return dx, *grads


def init_lstm(normals_x, normals_h, forget_bias):
    b = np.zeros((4, normals_h.shape[0]), normals_h.dtype)
    b[1] += forget_bias
    return normals_x / float(normals_x.shape[0]) ** 0.5, normals_h / float(normals_h.shape[0]) ** 0.5, b.ravel()


def gru_forward(x, h0, Wx, Wh, bx, bh, mask):
    N, T, _ = x.shape
    x = np.where(mask[..., None], x, np.zeros((), x.dtype))
    from_x = (np.einsum("ntd,dk->ntk", x, Wx, optimize=True) + bx).reshape(N, T, 3, -1)
    hs = np.concatenate([h0[:, None], np.empty((N, T, h0.shape[1]), x.dtype)], axis=1)
    gates, inner = np.empty_like(from_x), np.empty_like(hs[:, 1:])
    for t in range(T):
        from_h = (hs[:, t] @ Wh + bh).reshape(N, 3, -1)
        gates[:, t, :2] = _sigmoid(from_x[:, t, :2] + from_h[:, :2])
        inner[:, t] = from_h[:, 2]
        gates[:, t, 2] = np.tanh(from_x[:, t, 2] + gates[:, t, 0] * inner[:, t])
        new = gates[:, t, 2] + gates[:, t, 1] * (hs[:, t] - gates[:, t, 2])
        hs[:, t + 1] = np.where(mask[:, t, None], new, hs[:, t])
    return hs[:, 1:].copy(), (x, Wx, Wh, mask, gates, inner, hs)


def gru_backward(dh, cache):
    x, Wx, Wh, mask, gates, inner, hs = cache
    N, T, _, H = gates.shape
    outer, within = np.zeros((N, T, 3, H), x.dtype), np.zeros((N, T, 3, H), x.dtype)
    carried = np.zeros((N, H), x.dtype)
    for t in reversed(range(T)):
        r, z, n = gates[:, t, 0], gates[:, t, 1], gates[:, t, 2]
        real, total = mask[:, t, None], dh[:, t] + carried
        used = np.where(real, total, 0)
        outer[:, t, 2] = used * (1 - z) * (1 - n**2)
        outer[:, t, 1] = used * (hs[:, t] - n) * z * (1 - z)
        outer[:, t, 0] = outer[:, t, 2] * inner[:, t] * r * (1 - r)
        within[:, t] = outer[:, t]
        within[:, t, 2] *= r
        carried = np.where(real, within[:, t].reshape(N, -1) @ Wh.T + used * z, total)
    outer, within = outer.reshape(N, T, -1), within.reshape(N, T, -1)
    both = ((0, 1), (0, 1))
    return outer @ Wx.T, carried, np.tensordot(x, outer, both), np.tensordot(hs[:, :-1], within, both), outer.sum((0, 1)), within.sum((0, 1))
