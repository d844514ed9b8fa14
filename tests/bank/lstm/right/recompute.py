"""A right answer that keeps only inputs and states, and computes the gates again in the backward pass."""

from typing import NamedTuple

import numpy as np


class Sequence(NamedTuple):
    """What a pass over a sequence starts from, and the states before every step."""

    x: np.ndarray
    Wx: np.ndarray
    Wh: np.ndarray
    b: np.ndarray
    mask: np.ndarray
    before: list


def _sigmoid(a):
    return np.exp(-np.logaddexp(np.zeros((), a.dtype), -a))


def lstm_gates(x, h_prev, Wx, Wh, b):
    a = (x @ Wx + h_prev @ Wh + b).reshape(x.shape[0], 4, h_prev.shape[1])
    return _sigmoid(a[:, 0]), _sigmoid(a[:, 1]), np.tanh(a[:, 2]), _sigmoid(a[:, 3])


def lstm_step_forward(x, h_prev, c_prev, Wx, Wh, b):
    i, f, g, o = lstm_gates(x, h_prev, Wx, Wh, b)
    c = np.multiply(f, c_prev) + np.multiply(i, g)
    return o * np.tanh(c), c, (x, h_prev, c_prev, Wx, Wh, b)


def lstm_step_backward(dh, dc, cache):
    x, h_prev, c_prev, Wx, Wh, b = cache
    i, f, g, o = lstm_gates(x, h_prev, Wx, Wh, b)
    squashed = np.tanh(f * c_prev + i * g)
    dc = dc + dh * o - dh * o * squashed**2
    slopes = (i * (1 - i) * g, f * (1 - f) * c_prev, (1 - g**2) * i)
    da = np.concatenate([dc * slope for slope in slopes] + [dh * squashed * o * (1 - o)], axis=-1)
    joint = np.concatenate([x, h_prev], axis=1).T @ da
    back = da @ np.concatenate([Wx, Wh]).T
    D = x.shape[1]
    return back[:, :D].copy(), back[:, D:].copy(), dc * f, joint[:D].copy(), joint[D:].copy(), np.ones(len(da), da.dtype) @ da


def lstm_forward(x, h0, c0, Wx, Wh, b, mask):
    x = np.where(np.expand_dims(mask, 2), x, np.zeros_like(x))
    h, c, before = [h0], [c0], []
    for t in range(x.shape[1]):
        before.append((h[-1], c[-1]))
        new_h, new_c, _ = lstm_step_forward(x[:, t], h[-1], c[-1], Wx, Wh, b)
        h.append(np.where(mask[:, [t]], new_h, h[-1]))
        c.append(np.where(mask[:, [t]], new_c, c[-1]))
    return np.stack(h[1:], axis=1), c[-1], Sequence(x, Wx, Wh, b, mask, before)


def _steps_back(dh, dc, cache):
    """Yield (t, gradient at h_t, results of the step), last step first; ``dh`` maps a step to its upstream gradient."""
    carried = np.zeros_like(dc)
    for t in range(cache.mask.shape[1])[::-1]:
        total, real = carried + dh(t), cache.mask[:, [t]]
        given = lstm_step_backward(total * real, dc * real, (cache.x[:, t], *cache.before[t], cache.Wx, cache.Wh, cache.b))
        carried, dc = np.where(real, given[1], total), np.where(real, given[2], dc)
        yield t, total, (given[0], carried, dc, *given[3:])


def lstm_backward(dh, dc_last, cache):
    dx = np.empty_like(cache.x)
    dWx, dWh, db = np.zeros_like(cache.Wx), np.zeros_like(cache.Wh), np.zeros_like(cache.b)
    for t, _, given in _steps_back(lambda t: dh[:, t], dc_last, cache):
        dx[:, t] = given[0]
        dWx += given[3]
        dWh += given[4]
        db += given[5]
    return dx, given[1], given[2], dWx, dWh, db


def state_gradient_norms(dh_last, cache):
    T = cache.mask.shape[1]
    norms = np.zeros(T, dtype=dh_last.dtype)
    for t, total, _ in _steps_back(lambda t: dh_last if t == T - 1 else 0, np.zeros_like(dh_last), cache):
        norms[t] = np.sqrt((total * total).sum())
    return norms


def _both(x, mask, params):
    zeros = np.zeros((x.shape[0], params["Wh"].shape[0]), dtype=x.dtype)
    h, _, cache = lstm_forward(x, zeros, zeros, params["Wx"], params["Wh"], params["b"], mask)
    return h, cache


def bilstm_forward(x, mask, forward_params, backward_params):
    ahead, _ = _both(x, mask, forward_params)
    behind, _ = _both(x[:, ::-1], mask[:, ::-1], backward_params)
    return np.concatenate([ahead, behind[:, ::-1]], axis=2), (x, mask, forward_params, backward_params)


def bilstm_backward(dh, cache):
    x, mask, forward_params, backward_params = cache
    H, zeros = dh.shape[2] // 2, np.zeros((dh.shape[0], dh.shape[2] // 2), dtype=dh.dtype)
    _, ahead = _both(x, mask, forward_params)
    _, behind = _both(x[:, ::-1], mask[:, ::-1], backward_params)
    dx, _, _, *one = lstm_backward(dh[:, :, :H], zeros, ahead)
    dx_behind, _, _, *two = lstm_backward(dh[:, ::-1, H:], zeros, behind)
    dx += dx_behind[:, ::-1]
    return dx, {"Wx": one[0], "Wh": one[1], "b": one[2]}, {"Wx": two[0], "Wh": two[1], "b": two[2]}


def init_lstm(normals_x, normals_h, forget_bias):
    D, H = normals_x.shape[0], normals_h.shape[0]
    zeros = np.zeros(H, dtype=normals_h.dtype)
    return normals_x / D**0.5, normals_h / H**0.5, np.concatenate([zeros, zeros + np.asarray(forget_bias, zeros.dtype), zeros, zeros])


def _gru_gates(x, h, Wx, Wh, bx, bh):
    (rx, zx, nx), (rh, zh, nh) = np.hsplit(x @ Wx + bx, 3), np.hsplit(h @ Wh + bh, 3)
    r, z = _sigmoid(rx + rh), _sigmoid(zx + zh)
    return r, z, np.tanh(nx + r * nh), nh


def gru_forward(x, h0, Wx, Wh, bx, bh, mask):
    x = np.where(np.expand_dims(mask, 2), x, np.zeros_like(x))
    states = [h0]
    for t in range(x.shape[1]):
        _, z, n, _ = _gru_gates(x[:, t], states[-1], Wx, Wh, bx, bh)
        states.append(np.where(mask[:, [t]], n - z * n + z * states[-1], states[-1]))
    return np.stack(states[1:], axis=1), (x, Wx, Wh, bx, bh, mask, states)


def gru_backward(dh, cache):
    x, Wx, Wh, bx, bh, mask, states = cache
    dx, carried = np.empty_like(x), 0
    sums = [np.zeros_like(w) for w in (Wx, Wh, bx, bh)]
    for t in range(mask.shape[1])[::-1]:
        h = states[t]
        r, z, n, nh = _gru_gates(x[:, t], h, Wx, Wh, bx, bh)
        total = dh[:, t] + carried
        used = total * mask[:, [t]]
        dn = used * (1 - z) * (1 - n * n)
        dz = used * (h - n) * z * (1 - z)
        outer = np.hstack([dn * nh * r * (1 - r), dz, dn])
        inner = np.hstack([dn * nh * r * (1 - r), dz, dn * r])
        dx[:, t] = outer @ Wx.T
        for total_grad, part in zip(sums, (x[:, t].T @ outer, h.T @ inner, outer.sum(0), inner.sum(0))):
            total_grad += part
        carried = np.where(mask[:, [t]], inner @ Wh.T + used * z, total)
    return dx, carried, *sums
