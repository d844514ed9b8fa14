"""A right answer that runs every step on the rows that are real there, with objects that hold state and gradients."""

import numpy as np


def _sigmoid(a):
    out = np.empty_like(a)
    positive = a > 0
    out[positive] = 1 / (1 + np.exp(-a[positive]))
    e = np.exp(a[~positive])
    out[~positive] = e / (1 + e)
    return out


class Cell:
    """One step of an LSTM on some rows."""

    def __init__(self, x, h, c, Wx, Wh, b):
        self.x, self.h, self.c, self.Wx, self.Wh = x, h, c, Wx, Wh
        a = x @ Wx + h @ Wh + b
        H = h.shape[1]
        self.sigmoids = _sigmoid(a)
        self.g = np.tanh(a[:, 2 * H : 3 * H])
        self.i, self.f, self.o = (self.sigmoids[:, k * H : (k + 1) * H] for k in (0, 1, 3))
        self.new_c = self.f * c + self.i * self.g

    def forward(self):
        """Return h and c."""
        return self.o * np.tanh(self.new_c), self.new_c.copy()

    def backward(self, dh, dc):
        """Return the gradients of everything that came in."""
        H = dh.shape[1]
        t = np.tanh(self.new_c)
        dc = dc + dh * self.o * (1 - t**2)
        da = np.empty((len(dh), 4 * H), dh.dtype)
        np.multiply(dc, self.g * self.i * (1 - self.i), out=da[:, :H])
        np.multiply(dc, self.c * self.f * (1 - self.f), out=da[:, H : 2 * H])
        np.multiply(dc, self.i * (1 - self.g**2), out=da[:, 2 * H : 3 * H])
        np.multiply(dh, t * self.o * (1 - self.o), out=da[:, 3 * H :])
        return da @ self.Wx.T, da @ self.Wh.T, dc * self.f, self.x.T @ da, self.h.T @ da, da.sum(axis=0)


def lstm_gates(x, h_prev, Wx, Wh, b):
    cell = Cell(x, h_prev, np.zeros_like(h_prev), Wx, Wh, b)
    return cell.i.copy(), cell.f.copy(), cell.g, cell.o.copy()


def lstm_step_forward(x, h_prev, c_prev, Wx, Wh, b):
    cell = Cell(x, h_prev, c_prev, Wx, Wh, b)
    return *cell.forward(), cell


def lstm_step_backward(dh, dc, cache):
    return cache.backward(dh, dc)


class Run:
    """An LSTM over sequences: the rows and the cell of every step."""

    def __init__(self, Wx, Wh, b):
        self.weights = (Wx, Wh, b)
        self.steps = []

    def forward(self, x, h0, c0, mask):
        """Return all states and the last cell state."""
        h, c = h0.copy(), c0.copy()
        self.shape = x.shape
        states = np.empty((*mask.shape, h.shape[1]), h.dtype)
        for t in range(mask.shape[1]):
            rows = np.flatnonzero(mask[:, t])
            cell = Cell(x[rows, t], h[rows], c[rows], *self.weights)
            h[rows], c[rows] = cell.forward()
            self.steps.append((rows, cell))
            states[:, t] = h
        return states, c

    def backward(self, dh, dc_last):
        """Return all gradients, and the norms of the gradients at the states."""
        carried_h, carried_c = np.zeros_like(dc_last), dc_last.copy()
        dx, norms = np.zeros(self.shape, dc_last.dtype), []
        grads = [np.zeros_like(w) for w in self.weights]
        for t in range(self.shape[1] - 1, -1, -1):
            carried_h += dh[:, t]
            norms.append(np.linalg.norm(carried_h))
            rows, cell = self.steps[t]
            dx[rows, t], carried_h[rows], carried_c[rows], *parts = cell.backward(carried_h[rows], carried_c[rows])
            for grad, part in zip(grads, parts):
                grad += part
        return (dx, carried_h, carried_c, *grads), norms[::-1]


def lstm_forward(x, h0, c0, Wx, Wh, b, mask):
    run = Run(Wx, Wh, b)
    return *run.forward(x, h0, c0, mask), run


def lstm_backward(dh, dc_last, cache):
    return cache.backward(dh, dc_last)[0]


def state_gradient_norms(dh_last, cache):
    dh = np.zeros((*cache.shape[:2], dh_last.shape[1]), dh_last.dtype)
    dh[:, -1] = dh_last
    return np.array(cache.backward(dh, np.zeros_like(dh_last))[1], dtype=dh_last.dtype)


def bilstm_forward(x, mask, forward_params, backward_params):
    N, T, H = *mask.shape, len(forward_params["Wh"])
    zero, h, runs = np.zeros((N, H), x.dtype), np.empty((N, T, 2 * H), x.dtype), []
    for params in (forward_params, backward_params):
        runs.append(Run(params["Wx"], params["Wh"], params["b"]))
    h[:, :, :H], _ = runs[0].forward(x, zero, zero, mask)
    h[:, ::-1, H:], _ = runs[1].forward(x[:, ::-1], zero, zero, mask[:, ::-1])
    return h, runs


def bilstm_backward(dh, cache):
    H = dh.shape[2] // 2
    zero = np.zeros((dh.shape[0], H), dh.dtype)
    (dx, _, _, *one), _ = cache[0].backward(dh[:, :, :H], zero)
    (back, _, _, *two), _ = cache[1].backward(dh[:, ::-1, H:], zero)
    named = [dict(Wx=Wx, Wh=Wh, b=b) for Wx, Wh, b in (one, two)]
    return dx + back[:, ::-1], named[0], named[1]


def init_lstm(normals_x, normals_h, forget_bias):
    b = np.zeros_like(normals_h[0])
    b.reshape(4, -1)[1] = forget_bias
    return np.divide(normals_x, len(normals_x) ** 0.5), np.divide(normals_h, len(normals_h) ** 0.5), b


class GatedRun:
    """A GRU over sequences."""

    def __init__(self, Wx, Wh, bx, bh):
        self.weights = (Wx, Wh, bx, bh)
        self.steps = []

    def forward(self, x, h0, mask):
        """Return all states."""
        Wx, Wh, bx, bh = self.weights
        h, H, self.shape = h0.copy(), h0.shape[1], x.shape
        states = np.empty((*mask.shape, H), h.dtype)
        for t in range(mask.shape[1]):
            rows = mask[:, t].nonzero()[0]
            old, x_t = h[rows], x[rows, t]
            u, v = x_t @ Wx + bx, old @ Wh + bh
            r, z = _sigmoid(u[:, :H] + v[:, :H]), _sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])
            n = np.tanh(u[:, 2 * H :] + r * v[:, 2 * H :])
            h[rows] = (1 - z) * n + z * old
            self.steps.append((rows, x_t, old, r, z, n, v[:, 2 * H :]))
            states[:, t] = h
        return states

    def backward(self, dh):
        """Return all gradients."""
        Wx, Wh, _, _ = self.weights
        dx, carried = np.zeros(self.shape, dh.dtype), np.zeros_like(dh[:, 0])
        grads = [np.zeros_like(w) for w in self.weights]
        for t in range(self.shape[1] - 1, -1, -1):
            carried += dh[:, t]
            rows, x_t, old, r, z, n, v = self.steps[t]
            up = carried[rows]
            dn = up * (1 - z) * (1 - n**2)
            dr, dz = dn * v * r * (1 - r), up * (old - n) * z * (1 - z)
            du, dv = np.column_stack([dr, dz, dn]), np.column_stack([dr, dz, dn * r])
            dx[rows, t], carried[rows] = du @ Wx.T, dv @ Wh.T + up * z
            for grad, part in zip(grads, (x_t.T @ du, old.T @ dv, du.sum(0), dv.sum(0))):
                grad += part
        return dx, carried, *grads


def gru_forward(x, h0, Wx, Wh, bx, bh, mask):
    run = GatedRun(Wx, Wh, bx, bh)
    return run.forward(x, h0, mask), run


def gru_backward(dh, cache):
    return cache.backward(dh)
