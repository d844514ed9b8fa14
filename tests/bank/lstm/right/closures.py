"""A right answer: a cache is a function, the backward pass itself, which the public backward merely calls."""

import numpy as np


def logistic(a):
    with np.errstate(over="ignore"):
        return np.reciprocal(1 + np.exp(-a))


def lstm_gates(x, h_prev, Wx, Wh, b):
    H = h_prev.shape[1]
    a = np.concatenate([x, h_prev], axis=1) @ np.concatenate([Wx, Wh], axis=0) + b
    return logistic(a[:, :H]), logistic(a[:, H : 2 * H]), np.tanh(a[:, 2 * H : 3 * H]), logistic(a[:, 3 * H :])


def lstm_step_forward(x, h_prev, c_prev, Wx, Wh, b):
    i, f, g, o = lstm_gates(x, h_prev, Wx, Wh, b)
    c = f * c_prev + i * g
    t = np.tanh(c)

    def backward(dh, dc):
        s = dc + dh * o * (1 - t) * (1 + t)
        da = np.hstack((s * g * i * (1 - i), s * c_prev * f * (1 - f), s * i * (1 - g) * (1 + g), dh * t * o * (1 - o)))
        return da @ Wx.T, da @ Wh.T, s * f, x.T @ da, h_prev.T @ da, np.sum(da, axis=0)

    return o * t, c, backward


def lstm_step_backward(dh, dc, cache):
    return cache(dh, dc)


def _carry(real, new, old):
    return np.where(real[:, None], new, old)


def _zero(real, value):
    return np.where(real[:, None], value, np.zeros_like(value))


def lstm_forward(x, h0, c0, Wx, Wh, b, mask):
    back = []
    states = np.zeros(mask.shape + h0.shape[1:], h0.dtype)
    h, c = h0, c0
    for t, real in enumerate(mask.T):
        new_h, new_c, step = lstm_step_forward(_zero(real, x[:, t]), h, c, Wx, Wh, b)
        h, c = _carry(real, new_h, h), _carry(real, new_c, c)
        states[:, t] = h
        back.append((real, step))

    def walk(dh, dc_last):
        """Yield what every step gives, last step first; ``dh`` is a function of the step."""
        towards_h, towards_c = np.zeros_like(dc_last), dc_last
        for t in range(len(back) - 1, -1, -1):
            real, step = back[t]
            total = towards_h + dh(t)
            dx, dh_prev, dc_prev, *weights = step(_zero(real, total), _zero(real, towards_c))
            towards_h, towards_c = _carry(real, dh_prev, total), _carry(real, dc_prev, towards_c)
            yield total, dx, towards_h, towards_c, weights

    return states, c, walk


def lstm_backward(dh, dc_last, cache):
    steps = list(cache(lambda t: dh[:, t], dc_last))[::-1]
    dx = np.stack([dx for _, dx, *_ in steps], axis=1)
    _, _, dh0, dc0, _ = steps[0]
    return dx, dh0, dc0, *(sum(parts) for parts in zip(*(weights for *_, weights in steps)))


def state_gradient_norms(dh_last, cache):
    upstream = [dh_last]
    walk = cache(lambda t: upstream.pop() if upstream else 0, np.zeros_like(dh_last))
    return np.array([np.linalg.norm(total) for total, *_ in walk], dtype=dh_last.dtype)[::-1].copy()


def bilstm_forward(x, mask, forward_params, backward_params):
    start = np.zeros((x.shape[0], forward_params["Wh"].shape[0]), x.dtype)
    ahead, _, one = lstm_forward(x, start, start, **forward_params, mask=mask)
    behind, _, two = lstm_forward(x[:, ::-1], start, start, **backward_params, mask=mask[:, ::-1])

    def backward(dh):
        left, right = dh[:, :, : dh.shape[2] // 2], dh[:, ::-1, dh.shape[2] // 2 :]
        (dx1, _, _, *w1), (dx2, _, _, *w2) = lstm_backward(left, start, one), lstm_backward(right, start, two)
        return dx1 + dx2[:, ::-1], dict(zip(("Wx", "Wh", "b"), w1)), dict(zip(("Wx", "Wh", "b"), w2))

    return np.concatenate((ahead, behind[:, ::-1]), 2), backward


def bilstm_backward(dh, cache):
    return cache(dh)


def init_lstm(normals_x, normals_h, forget_bias):
    b = np.where(np.arange(normals_h.shape[1]) // normals_h.shape[0] == 1, forget_bias, 0).astype(normals_h.dtype)
    return normals_x / len(normals_x) ** 0.5, normals_h / len(normals_h) ** 0.5, b


def _gru_step(x, h, Wx, Wh, bx, bh):
    H = h.shape[1]
    u, v = x @ Wx + bx, h @ Wh + bh
    rz = logistic(u[:, : 2 * H] + v[:, : 2 * H])
    r, z = rz[:, :H], rz[:, H:]
    n = np.tanh(u[:, 2 * H :] + r * v[:, 2 * H :])

    def backward(dh):
        dn = dh * (1 - z) * (1 - n * n)
        dr, dz = dn * v[:, 2 * H :] * r * (1 - r), dh * (h - n) * z * (1 - z)
        du, dv = np.hstack((dr, dz, dn)), np.hstack((dr, dz, dn * r))
        return du @ Wx.T, dv @ Wh.T + dh * z, x.T @ du, h.T @ dv, du.sum(0), dv.sum(0)

    return (1 - z) * n + z * h, backward


def gru_forward(x, h0, Wx, Wh, bx, bh, mask):
    h, back, states = h0, [], []
    for t, real in enumerate(mask.T):
        new, step = _gru_step(_zero(real, x[:, t]), h, Wx, Wh, bx, bh)
        h = _carry(real, new, h)
        states.append(h)
        back.append((real, step))
    return np.stack(states, 1), back


def gru_backward(dh, cache):
    carried, dxs, totals = np.zeros_like(dh[:, 0]), [], None
    for t in range(len(cache) - 1, -1, -1):
        real, step = cache[t]
        total = dh[:, t] + carried
        dx, dh_prev, *weights = step(_zero(real, total))
        carried = _carry(real, dh_prev, total)
        dxs.append(dx)
        totals = weights if totals is None else [a + b for a, b in zip(totals, weights)]
    return np.stack(dxs[::-1], 1), carried, *totals
