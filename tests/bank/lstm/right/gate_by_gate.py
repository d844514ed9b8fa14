"""A right answer: every gate with weights of its own, caches are dicts, no function calls another."""

import numpy as np

GATES = "ifgo"


def _squash(name, a):
    if name == "g":
        return np.tanh(a)
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1, e) / (1 + e)


def _slope(name, y):
    return 1 - y * y if name == "g" else y - y * y


def _cut(W, names=GATES):
    H = W.shape[-1] // len(names)
    return {name: W[..., k * H : (k + 1) * H] for k, name in enumerate(names)}


def lstm_gates(x, h_prev, Wx, Wh, b):
    U, W, bias = _cut(Wx), _cut(Wh), _cut(b)
    return tuple(_squash(k, x.dot(U[k]) + h_prev.dot(W[k]) + bias[k]) for k in GATES)


def lstm_step_forward(x, h_prev, c_prev, Wx, Wh, b):
    U, W, bias = _cut(Wx), _cut(Wh), _cut(b)
    y = {k: _squash(k, x.dot(U[k]) + h_prev.dot(W[k]) + bias[k]) for k in GATES}
    c = y["f"] * c_prev + y["i"] * y["g"]
    h = y["o"] * np.tanh(c)
    return h, c, {"x": x, "h": h_prev, "c": c_prev, "U": U, "W": W, "y": y, "squashed": np.tanh(c)}


def lstm_step_backward(dh, dc, cache):
    y, squashed = cache["y"], cache["squashed"]
    inside = dc + y["o"] * (1 - squashed**2) * dh
    along = {"i": inside * y["g"], "f": inside * cache["c"], "g": inside * y["i"], "o": dh * squashed}
    da = {k: along[k] * _slope(k, y[k]) for k in GATES}
    dx = sum(da[k].dot(cache["U"][k].T) for k in GATES)
    dh_prev = sum(da[k].dot(cache["W"][k].T) for k in GATES)
    dWx = np.hstack([cache["x"].T.dot(da[k]) for k in GATES])
    dWh = np.hstack([cache["h"].T.dot(da[k]) for k in GATES])
    return dx, dh_prev, y["f"] * inside, dWx, dWh, np.hstack([da[k].sum(0) for k in GATES])


def lstm_forward(x, h0, c0, Wx, Wh, b, mask):
    U, W, bias = _cut(Wx), _cut(Wh), _cut(b)
    x = x.copy()
    x[~mask] = 0
    h, c, steps, states = h0, c0, [], []
    for t in range(x.shape[1]):
        y = {k: _squash(k, x[:, t].dot(U[k]) + h.dot(W[k]) + bias[k]) for k in GATES}
        c_new = y["f"] * c + y["i"] * y["g"]
        steps.append({"h": h, "c": c, "y": y, "squashed": np.tanh(c_new)})
        real = mask[:, t : t + 1]
        h = np.where(real, y["o"] * np.tanh(c_new), h)
        c = np.where(real, c_new, c)
        states.append(h)
    return np.stack(states, 1), np.array(c), {"x": x, "U": U, "W": W, "mask": mask, "steps": steps}


def _step_back(dh, dc, step, U, W, real):
    y, squashed = step["y"], step["squashed"]
    used_h, used_c = dh * real, dc * real
    inside = used_c + y["o"] * (1 - squashed**2) * used_h
    along = {"i": inside * y["g"], "f": inside * step["c"], "g": inside * y["i"], "o": used_h * squashed}
    da = {k: along[k] * _slope(k, y[k]) for k in GATES}
    dh_prev = sum(da[k].dot(W[k].T) for k in GATES) + dh * ~real
    return da, dh_prev, y["f"] * inside + dc * ~real


def lstm_backward(dh, dc_last, cache):
    x, U, W, mask = (cache[k] for k in ("x", "U", "W", "mask"))
    dx = np.zeros_like(x)
    dU, dW, db = ({k: np.zeros_like(v) for k, v in weights.items()} for weights in (U, W, {k: U[k][0] for k in GATES}))
    dh_prev, dc = np.zeros_like(dc_last), dc_last.copy()
    for t in range(x.shape[1])[::-1]:
        step = cache["steps"][t]
        da, dh_prev, dc = _step_back(dh[:, t] + dh_prev, dc, step, U, W, mask[:, t : t + 1])
        for k in GATES:
            dx[:, t] += da[k].dot(U[k].T)
            dU[k] += x[:, t].T.dot(da[k])
            dW[k] += step["h"].T.dot(da[k])
            db[k] += da[k].sum(0)
    return dx, dh_prev, dc, *(np.hstack([d[k] for k in GATES]) for d in (dU, dW, db))


def state_gradient_norms(dh_last, cache):
    dh, dc, norms = dh_last, np.zeros_like(dh_last), []
    for t in range(cache["x"].shape[1])[::-1]:
        norms.insert(0, np.linalg.norm(dh))
        _, dh, dc = _step_back(dh, dc, cache["steps"][t], cache["U"], cache["W"], cache["mask"][:, t : t + 1])
    return np.array(norms, dh_last.dtype)


def bilstm_forward(x, mask, forward_params, backward_params):
    zero = np.zeros((len(x), len(forward_params["Wh"])), x.dtype)
    one, _, cache_one = lstm_forward(x, zero, zero, forward_params["Wx"], forward_params["Wh"], forward_params["b"], mask)
    two, _, cache_two = lstm_forward(np.flip(x, 1), zero, zero, backward_params["Wx"], backward_params["Wh"], backward_params["b"], np.flip(mask, 1))
    return np.dstack([one, np.flip(two, 1)]), {"one": cache_one, "two": cache_two}


def bilstm_backward(dh, cache):
    one, two = np.split(dh, 2, axis=2)
    zero = np.zeros_like(one[:, 0])
    dx_one, _, _, dWx, dWh, db = lstm_backward(one, zero, cache["one"])
    dx_two, _, _, eWx, eWh, eb = lstm_backward(np.flip(two, 1), zero, cache["two"])
    return dx_one + np.flip(dx_two, 1), {"Wx": dWx, "Wh": dWh, "b": db}, {"Wx": eWx, "Wh": eWh, "b": eb}


def init_lstm(normals_x, normals_h, forget_bias):
    H = normals_h.shape[0]
    b = np.array([0.0] * H + [forget_bias] * H + [0.0] * 2 * H, normals_h.dtype)
    return normals_x * normals_x.shape[0] ** -0.5, normals_h * H**-0.5, b


def gru_forward(x, h0, Wx, Wh, bx, bh, mask):
    U, W, p, q = (_cut(w, "rzn") for w in (Wx, Wh, bx, bh))
    x = x * mask[..., None]
    h, steps, states = h0, [], []
    for t in range(x.shape[1]):
        r = _squash("r", x[:, t].dot(U["r"]) + p["r"] + h.dot(W["r"]) + q["r"])
        z = _squash("z", x[:, t].dot(U["z"]) + p["z"] + h.dot(W["z"]) + q["z"])
        inner = h.dot(W["n"]) + q["n"]
        n = np.tanh(x[:, t].dot(U["n"]) + p["n"] + r * inner)
        steps.append({"h": h, "r": r, "z": z, "n": n, "inner": inner})
        h = np.where(mask[:, t : t + 1], n + z * (h - n), h)
        states.append(h)
    return np.stack(states, 1), {"x": x, "U": U, "W": W, "mask": mask, "steps": steps}


def gru_backward(dh, cache):
    x, U, W = cache["x"], cache["U"], cache["W"]
    dx, carried = np.zeros_like(x), np.zeros_like(dh[:, 0])
    dU, dW = ({k: np.zeros_like(v) for k, v in weights.items()} for weights in (U, W))
    dp, dq = ({k: np.zeros_like(U[k][0]) for k in "rzn"} for _ in range(2))
    for t in range(x.shape[1])[::-1]:
        h, r, z, n, inner = (cache["steps"][t][k] for k in ("h", "r", "z", "n", "inner"))
        real = cache["mask"][:, t : t + 1]
        full = dh[:, t] + carried
        used = full * real
        dn = used * (1 - z) * (1 - n * n)
        da = {"r": dn * inner * (r - r * r), "z": used * (h - n) * (z - z * z), "n": dn}
        inside = {"r": da["r"], "z": da["z"], "n": dn * r}
        carried = used * z + full * ~real
        for k in "rzn":
            dx[:, t] += da[k].dot(U[k].T)
            carried = carried + inside[k].dot(W[k].T)
            dU[k] += x[:, t].T.dot(da[k])
            dW[k] += h.T.dot(inside[k])
            dp[k] += da[k].sum(0)
            dq[k] += inside[k].sum(0)
    return dx, carried, *(np.hstack([d[k] for k in "rzn"]) for d in (dU, dW, dp, dq))
