"""A right answer: classes that compute in float64 inside and hand back what came in; the cache is an object."""

import numpy as np


class Layer:
    """Something that runs forward once, remembers, and runs backward as often as asked."""

    def __init__(self, dtype):
        self.dtype = dtype

    def out(self, *arrays):
        made = tuple(np.array(a, dtype=self.dtype) for a in arrays)
        return made if len(made) > 1 else made[0]

    def out_dict(self, grads):
        return {name: self.out(grad) for name, grad in grads.items()}


def double(*arrays):
    made = tuple(np.asarray(a, dtype=np.float64) for a in arrays)
    return made if len(made) > 1 else made[0]


def transposed(a):
    return np.swapaxes(a, -2, -1)


class LayerNorm(Layer):
    def __init__(self, x, gain, bias, eps):
        super().__init__(x.dtype)
        x, self.gain, bias = double(x, gain, bias)
        mean = x.sum(-1, keepdims=True) / x.shape[-1]
        square = ((x - mean) ** 2).sum(-1, keepdims=True) / x.shape[-1]
        self.root = np.sqrt(square + eps)
        self.centred = x - mean
        self.y = self.out(self.centred / self.root * self.gain + bias)

    def backward(self, dy):
        dy = double(dy)
        D, lead = dy.shape[-1], tuple(range(dy.ndim - 1))
        normal = self.centred / self.root
        dcentred = dy * self.gain / self.root
        droot = -(dy * self.gain * self.centred).sum(-1, keepdims=True) / self.root**2
        dcentred = dcentred + droot / self.root * self.centred / D
        return self.out(dcentred - dcentred.mean(-1, keepdims=True), np.sum(dy * normal, axis=lead), np.sum(dy, axis=lead))


class Attention(Layer):
    def __init__(self, q, k, v, mask):
        super().__init__(q.dtype)
        self.q, self.k, self.v = double(q, k, v)
        self.q = self.q * self.q.shape[-1] ** -0.25
        self.k = self.k * self.k.shape[-1] ** -0.25
        scores = self.q @ transposed(self.k)
        shown = np.broadcast_to(mask, scores.shape)
        lowest = np.where(shown, scores, np.inf).min(-1, keepdims=True)
        top = np.where(shown, scores, lowest).max(-1, keepdims=True, initial=-np.inf)
        gap = np.where(shown, scores - np.where(np.isfinite(top), top, 0), -np.inf)
        powers = np.exp(gap)
        self.weights = powers / np.fmax(powers.sum(-1, keepdims=True), np.finfo(float).tiny)
        self.y = self.out(self.weights @ self.v)

    def backward(self, dout):
        dout = double(dout)
        dweights = dout @ transposed(self.v)
        share = np.einsum("...s,...s->...", self.weights, dweights)[..., np.newaxis]
        dscores = self.weights * (dweights - share)
        root = self.q.shape[-1] ** -0.25
        return self.out(dscores @ self.k * root, transposed(dscores) @ self.q * root, transposed(self.weights) @ dout)


class Linear(Layer):
    def __init__(self, x, W, b):
        super().__init__(x.dtype)
        self.x, self.W = double(x, W)
        self.y = self.x @ self.W + double(b)

    def backward(self, dy):
        flat = double(dy).reshape(-1, dy.shape[-1])
        return dy @ self.W.T, self.x.reshape(-1, self.x.shape[-1]).T @ flat, flat.sum(axis=0)


class Multihead(Layer):
    def __init__(self, x, kv, params, heads, mask):
        super().__init__(x.dtype)
        self.heads = heads
        self.maps = {n: Linear(x if n == "q" else kv, params["W" + n], params["b" + n]) for n in "qkv"}
        out, self.inner = attention_forward(*(self.split(self.maps[n].y) for n in "qkv"), mask)
        self.last = Linear(self.merge(out), params["Wo"], params["bo"])
        self.y = self.out(self.last.y)

    def split(self, x):
        return np.transpose(np.reshape(x, (*x.shape[:2], self.heads, -1)), (0, 2, 1, 3))

    def merge(self, x):
        moved = np.transpose(x, (0, 2, 1, 3))
        return np.reshape(moved, (*moved.shape[:2], -1))

    def backward(self, dy):
        dmerged, dWo, dbo = self.last.backward(double(dy))
        grads, into = {"Wo": dWo, "bo": dbo}, {}
        for n, d in zip("qkv", attention_backward(self.split(dmerged), self.inner)):
            into[n], grads["W" + n], grads["b" + n] = self.maps[n].backward(self.merge(d))
        return (*self.out(into["q"], into["k"] + into["v"]), self.out_dict(grads))


class FeedForward(Layer):
    ROOT = np.sqrt(2 / np.pi)

    def __init__(self, x, params):
        super().__init__(x.dtype)
        self.first = Linear(x, params["W1"], params["b1"])
        self.h = self.first.y
        self.tanh = np.tanh(self.ROOT * self.h + self.ROOT * 0.044715 * self.h**3)
        self.last = Linear(self.h * (0.5 + 0.5 * self.tanh), params["W2"], params["b2"])
        self.y = self.out(self.last.y)

    def backward(self, dy):
        dg, dW2, db2 = self.last.backward(double(dy))
        slope = self.ROOT * (1 + 3 * 0.044715 * self.h**2) / np.cosh(np.clip(self.ROOT * self.h * (1 + 0.044715 * self.h**2), -300, 300)) ** 2
        dx, dW1, db1 = self.first.backward(dg * (0.5 + 0.5 * self.tanh + 0.5 * self.h * slope))
        return self.out(dx), self.out_dict({"W1": dW1, "b1": db1, "W2": dW2, "b2": db2})


class Block(Layer):
    def __init__(self, x, params, heads, mask):
        super().__init__(x.dtype)
        parts = {}
        for name, value in params.items():
            prefix, _, rest = name.partition("_")
            parts.setdefault(prefix, {})[rest] = value
        x = double(x)
        normal, self.ln1 = layer_norm_forward(x, parts["ln1"]["gain"], parts["ln1"]["bias"], 1e-5)
        mixed, self.att = multihead_forward(normal, normal, parts["att"], heads, mask)
        normal, self.ln2 = layer_norm_forward(x + mixed, parts["ln2"]["gain"], parts["ln2"]["bias"], 1e-5)
        changed, self.ffn = feed_forward_forward(normal, parts["ffn"])
        self.y = self.out(x + mixed + changed)

    def backward(self, dy):
        dy = double(dy)
        dnormal, ffn = feed_forward_backward(dy, self.ffn)
        dmixed, gain2, bias2 = layer_norm_backward(dnormal, self.ln2)
        dmixed = dmixed + dy
        dq, dkv, att = multihead_backward(dmixed, self.att)
        dx, gain1, bias1 = layer_norm_backward(dq + dkv, self.ln1)
        parts = {"ln1": {"gain": gain1, "bias": bias1}, "att": att, "ln2": {"gain": gain2, "bias": bias2}, "ffn": ffn}
        return self.out(dx + dmixed), self.out_dict({f"{p}_{n}": g for p, grads in parts.items() for n, g in grads.items()})


def layer_norm_forward(x, gain, bias, eps):
    layer = LayerNorm(x, gain, bias, eps)
    return layer.y, layer


def layer_norm_backward(dy, cache):
    return cache.backward(dy)


def attention_forward(q, k, v, mask):
    layer = Attention(q, k, v, mask)
    return layer.y, layer


def attention_backward(dout, cache):
    return cache.backward(dout)


def multihead_forward(x, kv, params, heads, mask):
    layer = Multihead(x, kv, params, heads, mask)
    return layer.y, layer


def multihead_backward(dy, cache):
    return cache.backward(dy)


def sinusoidal_positions(T, D):
    pairs = -(-D // 2)
    angles = np.multiply.outer(np.arange(float(T)), 1 / np.power(10000.0, 2 * np.arange(pairs) / D))
    both = np.concatenate([np.sin(angles)[:, :, None], np.cos(angles)[:, :, None]], axis=2)
    return np.array(both.reshape(T, 2 * pairs)[:, :D])


def feed_forward_forward(x, params):
    layer = FeedForward(x, params)
    return layer.y, layer


def feed_forward_backward(dy, cache):
    return cache.backward(dy)


def block_forward(x, params, heads, mask):
    layer = Block(x, params, heads, mask)
    return layer.y, layer


def block_backward(dy, cache):
    return cache.backward(dy)


class Gpt(Layer):
    def __init__(self, params, ids, heads):
        super().__init__(params["embedding"].dtype)
        self.params, self.ids, self.T = params, ids, ids.shape[1]
        x = np.take(double(params["embedding"]), ids, axis=0) + params["positions"][: self.T]
        self.blocks = []
        for block in params["blocks"]:
            x, cache = block_forward(x, block, heads, np.tri(self.T, self.T, 0, bool))
            self.blocks.append(cache)
        self.x, self.last = layer_norm_forward(x, params["lnf_gain"], params["lnf_bias"], 1e-5)
        self.scores = self.x @ double(params["embedding"]).T

    def backward(self, dscores):
        table = double(self.params["embedding"])
        dtable = np.tensordot(dscores, self.x, ((0, 1), (0, 1)))
        dx, gain, bias = layer_norm_backward(dscores @ table, self.last)
        blocks = []
        for cache in self.blocks[::-1]:
            dx, grads = block_backward(dx, cache)
            blocks.insert(0, self.out_dict(grads))
        np.add.at(dtable, self.ids, dx)
        positions = np.zeros(self.params["positions"].shape)
        positions[: self.T] = dx.sum(axis=0)
        return self.out_dict({"embedding": dtable, "positions": positions, "lnf_gain": gain, "lnf_bias": bias}) | {"blocks": blocks}


def gpt_loss(params, ids, targets, mask, heads):
    model = Gpt(params, ids, heads)
    top = model.scores.max(axis=-1, keepdims=True)
    log_p = model.scores - top - np.log(np.exp(model.scores - top).sum(axis=-1, keepdims=True))
    weight = (mask / max(1, np.count_nonzero(mask)))[:, :, None]
    hot = np.zeros_like(log_p)
    np.put_along_axis(hot, targets[:, :, None], 1.0, axis=2)
    return np.sum(-hot * log_p * weight), model.backward((np.exp(log_p) - hot) * weight)


class Memory:
    """Keys and values so far; a new step makes a new memory."""

    def __init__(self, k, v):
        self.k, self.v = k, v

    def longer(self, k, v):
        return Memory(np.append(self.k, k, axis=2), np.append(self.v, v, axis=2))


def cached_step(x, params, heads, cache):
    names = {n: n.partition("_") for n in params}
    parts = {p: {r: params[n] for n, (q, _, r) in names.items() if q == p} for p in ("ln1", "att", "ln2", "ffn")}
    normal, _ = layer_norm_forward(x, parts["ln1"]["gain"], parts["ln1"]["bias"], 1e-5)
    def split(a):
        return a.reshape(len(a), 1, heads, -1).swapaxes(1, 2)
    q, k, v = (split(normal @ parts["att"]["W" + n] + parts["att"]["b" + n]) for n in "qkv")
    cache = Memory(k, v) if cache is None else cache.longer(k, v)
    out, _ = attention_forward(q, cache.k, cache.v, np.ones((1, 1, 1, 1), bool))
    x = x + out.swapaxes(1, 2).reshape(x.shape) @ parts["att"]["Wo"] + parts["att"]["bo"]
    normal, _ = layer_norm_forward(x, parts["ln2"]["gain"], parts["ln2"]["bias"], 1e-5)
    return x + feed_forward_forward(normal, parts["ffn"])[0], cache


class Tiled(Layer):
    def __init__(self, q, k, v, mask, tile):
        super().__init__(q.dtype)
        self.q, self.k, self.v = double(q, k, v)
        self.mask = np.broadcast_to(mask, (*q.shape[:3], k.shape[2]))
        self.tile = tile
        self.shift = np.full((*q.shape[:3], 1), -np.inf)
        self.total, summed = np.zeros(self.shift.shape), np.zeros(q.shape)
        for at in range(0, k.shape[2], tile):
            for start in range(0, q.shape[2], tile):
                self.add(summed, slice(start, start + tile), slice(at, at + tile))
        self.result = np.divide(summed, self.total, out=np.zeros(q.shape), where=self.total > 0)
        self.y = self.out(self.result)

    def scores(self, rows, columns):
        s = self.q[:, :, rows] @ transposed(self.k[:, :, columns]) / np.sqrt(self.q.shape[-1])
        return np.where(self.mask[:, :, rows, columns], s, -np.inf)

    def add(self, summed, rows, columns):
        s = self.scores(rows, columns)
        old = self.shift[:, :, rows]
        new = np.maximum(old, s.max(axis=-1, keepdims=True))
        finite = np.where(new == -np.inf, 0, new)
        p, keep = np.exp(s - finite), np.exp(old - finite)
        self.shift[:, :, rows] = new
        self.total[:, :, rows] = keep * self.total[:, :, rows] + p.sum(axis=-1, keepdims=True)
        summed[:, :, rows] = keep * summed[:, :, rows] + p @ self.v[:, :, columns]

    def backward(self, dout):
        dout = double(dout)
        dq, dk, dv = np.zeros(self.q.shape), np.zeros(self.k.shape), np.zeros(self.v.shape)
        inner = np.sum(dout * self.result, axis=-1, keepdims=True)
        shift, total = np.where(self.shift == -np.inf, 0, self.shift), np.where(self.total > 0, self.total, 1)
        for start in range(0, self.q.shape[2], self.tile):
            rows = slice(start, start + self.tile)
            for at in range(0, self.k.shape[2], self.tile):
                columns = slice(at, at + self.tile)
                p = np.exp(self.scores(rows, columns) - shift[:, :, rows]) / total[:, :, rows]
                ds = p * (dout[:, :, rows] @ transposed(self.v[:, :, columns]) - inner[:, :, rows]) / np.sqrt(self.q.shape[-1])
                dq[:, :, rows] += ds @ self.k[:, :, columns]
                dk[:, :, columns] += transposed(ds) @ self.q[:, :, rows]
                dv[:, :, columns] += transposed(p) @ dout[:, :, rows]
        return self.out(dq, dk, dv)


def tiled_attention_forward(q, k, v, mask, tile):
    layer = Tiled(q, k, v, mask, tile)
    return layer.y, layer


def tiled_attention_backward(dout, cache):
    return cache.backward(dout)


def rope(x, positions, base):
    E = x.shape[-1]
    y = np.array(x, dtype=np.float64)
    for i in range(0, E, 2):
        cos, sin = np.cos(positions * base ** (-i / E)), np.sin(positions * base ** (-i / E))
        y[..., i], y[..., i + 1] = cos * x[..., i] - sin * x[..., i + 1], sin * x[..., i] + cos * x[..., i + 1]
    return y.astype(x.dtype)
