"""A right answer in the textbook's column vectors: time first, units before batch, the mask as numbers 0 and 1."""

import numpy as np


def _sigma(a):
    return np.tanh(a / 2) / 2 + 1 / 2


def _columns(x, mask):
    """Return x as (T, D, N), zero behind the mask, and the mask as (T, 1, N) numbers."""
    m = mask.T[:, None, :].astype(x.dtype)
    return np.where(mask, x.transpose(2, 0, 1), 0).transpose(2, 0, 1), m


def _gates(x, h, Wx, Wh, b):
    a = Wx.T @ x + Wh.T @ h + b[:, None]
    i, f, g, o = np.split(a, 4)
    return _sigma(i), _sigma(f), np.tanh(g), _sigma(o)


def _forward(x, h, c, Wx, Wh, b):
    i, f, g, o = _gates(x, h, Wx, Wh, b)
    new = f * c + i * g
    return o * np.tanh(new), new, (x, h, c, i, f, g, o, np.tanh(new))


def _backward(dh, dc, saved, Wx, Wh):
    x, h, c, i, f, g, o, s = saved
    epsilon = dc + dh * o * (1 - s * s)
    delta = np.vstack([epsilon * g * i * (1 - i), epsilon * c * f * (1 - f), epsilon * i * (1 - g * g), dh * s * o * (1 - o)])
    return Wx @ delta, Wh @ delta, epsilon * f, x @ delta.T, h @ delta.T, delta.sum(axis=1)


def lstm_gates(x, h_prev, Wx, Wh, b):
    return tuple(np.ascontiguousarray(gate.T) for gate in _gates(x.T, h_prev.T, Wx, Wh, b))


def lstm_step_forward(x, h_prev, c_prev, Wx, Wh, b):
    h, c, saved = _forward(x.T, h_prev.T, c_prev.T, Wx, Wh, b)
    return h.T, c.T, (saved, Wx, Wh)


def lstm_step_backward(dh, dc, cache):
    saved, Wx, Wh = cache
    dx, dh_prev, dc_prev, dWx, dWh, db = _backward(dh.T, dc.T, saved, Wx, Wh)
    return dx.T, dh_prev.T, dc_prev.T, dWx, dWh, db


def _run(x, m, h, c, Wx, Wh, b):
    states, saved = [], []
    for t in range(len(x)):
        new_h, new_c, step = _forward(x[t], h, c, Wx, Wh, b)
        h, c = m[t] * new_h + (1 - m[t]) * h, m[t] * new_c + (1 - m[t]) * c
        states.append(h)
        saved.append(step)
    return states, c, saved


def _run_back(dh, dc, saved, m, Wx, Wh):
    """Return dx (T, D, N), dh0, dc0, dWx, dWh, db and the list of the gradients at the states; dh is (T, H, N)."""
    carried, dx, arrived, total = 0 * dc, [], [], [0, 0, 0]
    for t in reversed(range(len(saved))):
        up = dh[t] + carried
        arrived.append(up)
        d, dh_prev, dc_prev, *weights = _backward(m[t] * up, m[t] * dc, saved[t], Wx, Wh)
        carried, dc = dh_prev + (1 - m[t]) * up, dc_prev + (1 - m[t]) * dc
        dx.append(d)
        total = [a + w for a, w in zip(total, weights)]
    return np.array(dx[::-1]), carried, dc, total, arrived[::-1]


def _rows(columns):
    """Return (T, D, N) as (N, T, D)."""
    return np.asarray(columns).transpose(2, 0, 1).copy()


def lstm_forward(x, h0, c0, Wx, Wh, b, mask):
    columns, m = _columns(x, mask)
    states, c, saved = _run(columns, m, h0.T, c0.T, Wx, Wh, b)
    return _rows(states), c.T, (saved, m, Wx, Wh)


def lstm_backward(dh, dc_last, cache):
    saved, m, Wx, Wh = cache
    dx, dh0, dc0, weights, _ = _run_back(dh.transpose(1, 2, 0), dc_last.T, saved, m, Wx, Wh)
    return _rows(dx), dh0.T, dc0.T, *weights


def state_gradient_norms(dh_last, cache):
    saved, m, Wx, Wh = cache
    dh = np.zeros((len(saved), *dh_last.T.shape), dh_last.dtype)
    dh[-1] = dh_last.T
    *_, arrived = _run_back(dh, 0 * dh_last.T, saved, m, Wx, Wh)
    return np.sqrt(np.sum(np.square(arrived), axis=(1, 2)))


def bilstm_forward(x, mask, forward_params, backward_params):
    columns, m = _columns(x, mask)
    zero = np.zeros((forward_params["Wh"].shape[0], x.shape[0]), x.dtype)
    one, _, saved_one = _run(columns, m, zero, zero, **forward_params)
    two, _, saved_two = _run(columns[::-1], m[::-1], zero, zero, **backward_params)
    return _rows(np.hstack([one, two[::-1]])), (saved_one, saved_two, m, forward_params, backward_params)


def bilstm_backward(dh, cache):
    saved_one, saved_two, m, p, q = cache
    one, two = np.split(dh.transpose(1, 2, 0), 2, axis=1)
    dx, _, _, first, _ = _run_back(one, np.zeros_like(one[0]), saved_one, m, p["Wx"], p["Wh"])
    dy, _, _, second, _ = _run_back(two[::-1], np.zeros_like(two[0]), saved_two, m[::-1], q["Wx"], q["Wh"])
    return _rows(dx + dy[::-1]), dict(zip(("Wx", "Wh", "b"), first)), dict(zip(("Wx", "Wh", "b"), second))


def init_lstm(normals_x, normals_h, forget_bias):
    scale_x, scale_h = (1 / np.sqrt(n.shape[0], dtype=n.dtype) for n in (normals_x, normals_h))
    one = np.zeros(4, normals_h.dtype)
    one[1] = forget_bias
    return normals_x * scale_x, normals_h * scale_h, np.repeat(one, normals_h.shape[0])


def _reset(x, h, Wx, Wh, bx, bh):
    (rx, zx, nx), (rh, zh, nh) = np.split(Wx.T @ x + bx[:, None], 3), np.split(Wh.T @ h + bh[:, None], 3)
    r, z = _sigma(rx + rh), _sigma(zx + zh)
    return r, z, np.tanh(nx + r * nh), nh


def gru_forward(x, h0, Wx, Wh, bx, bh, mask):
    columns, m = _columns(x, mask)
    h, states, saved = h0.T, [], []
    for t in range(len(columns)):
        r, z, n, nh = _reset(columns[t], h, Wx, Wh, bx, bh)
        saved.append((columns[t], h, r, z, n, nh))
        h = m[t] * ((1 - z) * n + z * h) + (1 - m[t]) * h
        states.append(h)
    return _rows(states), (saved, m, Wx, Wh)


def gru_backward(dh, cache):
    saved, m, Wx, Wh = cache
    dh, carried, dx, total = dh.transpose(1, 2, 0), 0, [], [0, 0, 0, 0]
    for t in reversed(range(len(saved))):
        x, h, r, z, n, nh = saved[t]
        up = dh[t] + carried
        used = m[t] * up
        dn = used * (1 - z) * (1 - n * n)
        dr, dz = dn * nh * r * (1 - r), used * (h - n) * z * (1 - z)
        outer, inner = np.vstack([dr, dz, dn]), np.vstack([dr, dz, dn * r])
        carried = Wh @ inner + used * z + (1 - m[t]) * up
        dx.append(Wx @ outer)
        total = [a + w for a, w in zip(total, (x @ outer.T, h @ inner.T, outer.sum(1), inner.sum(1)))]
    return _rows(dx[::-1]), carried.T, *total
