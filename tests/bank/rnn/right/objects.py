"""Layers are objects that remember their inputs; the functions of the contract only wrap them, caches are the objects."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Embedding:
    W: np.ndarray
    ids: np.ndarray = None

    def forward(self, ids):
        self.ids = ids
        return self.W[ids]

    def backward(self, dx):
        dW = np.zeros(self.W.shape, dx.dtype)
        for t in range(dx.shape[1]):
            np.add.at(dW, self.ids[:, t], dx[:, t])
        return dW


@dataclass
class Affine:
    W: np.ndarray
    b: np.ndarray
    h: np.ndarray = None

    def forward(self, h):
        self.h = h
        return h @ self.W + self.b

    def backward(self, dscores):
        dW = (self.h.swapaxes(1, 2) @ dscores).sum(axis=0)
        return dscores @ self.W.T, dW, dscores.sum(axis=1).sum(axis=0)


@dataclass(frozen=True)
class Step:
    """What one step needs to go back; ``slope`` is the derivative of tanh."""

    cell: "Cell"
    x: np.ndarray
    h_prev: np.ndarray
    slope: np.ndarray

    def backward(self, dh):
        da = dh * self.slope
        cell = self.cell
        return da @ cell.Wx.T, da @ cell.Wh.T, self.x.T @ da, self.h_prev.T @ da, da.sum(axis=0)


@dataclass
class Cell:
    Wx: np.ndarray
    Wh: np.ndarray
    b: np.ndarray

    def forward(self, x, h_prev):
        h = np.tanh(x @ self.Wx + h_prev @ self.Wh + self.b)
        return h, Step(self, x, h_prev, 1 - h**2)


@dataclass
class Recurrent:
    cell: Cell
    mask: np.ndarray
    steps: list = field(default_factory=list)

    def forward(self, x, h0):
        states, state = [], h0
        for t, real in enumerate(self.mask.T):
            new, step = self.cell.forward(np.where(real[:, None], x[:, t], 0), state)
            state = np.where(real[:, None], new, state)
            self.steps.append(step)
            states.append(state)
        return np.stack(states, axis=1)

    def backward(self, dh):
        cell = self.cell
        total = {"Wx": np.zeros_like(cell.Wx), "Wh": np.zeros_like(cell.Wh), "b": np.zeros_like(cell.b)}
        dx, carried = [None] * len(self.steps), np.zeros_like(dh[:, 0])
        for t in range(len(self.steps) - 1, -1, -1):
            arriving, real = carried + dh[:, t], self.mask[:, t, None]
            into_step, around_step = arriving * real, arriving * ~real
            dx[t], dh_prev, *parts = self.steps[t].backward(into_step)
            carried = dh_prev + around_step
            for name, part in zip(total, parts):
                total[name] = total[name] + part
        return np.stack(dx, axis=1), carried, *total.values()


def embedding_forward(ids, W):
    layer = Embedding(W)
    return layer.forward(ids), layer


def affine_forward(h, W, b):
    layer = Affine(W, b)
    return layer.forward(h), layer


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    return Cell(Wx, Wh, b).forward(x, h_prev)


def rnn_forward(x, h0, Wx, Wh, b, mask):
    layer = Recurrent(Cell(Wx, Wh, b), mask)
    return layer.forward(x, h0), layer


def embedding_backward(dx, cache):
    return cache.backward(dx)


def affine_backward(dscores, cache):
    return cache.backward(dscores)


def rnn_step_backward(dh, cache):
    return cache.backward(dh)


def rnn_backward(dh, cache):
    return cache.backward(dh)


def masked_cross_entropy(scores, targets, mask):
    scores = np.where(mask[..., None], scores, 0)
    z = scores - scores.max(-1, keepdims=True)
    p = np.exp(z)
    z_target = np.take_along_axis(z, targets[..., None], -1)
    losses = np.log(p.sum(-1, keepdims=True)) - z_target
    p /= p.sum(-1, keepdims=True)
    np.put_along_axis(p, targets[..., None], np.take_along_axis(p, targets[..., None], -1) - 1, -1)
    count = mask.sum() if mask.any() else 1
    return losses[mask].sum() / count, np.where(mask[..., None], p, 0) / p.dtype.type(count)


def clip_global_norm(grads, max_norm):
    norm = np.sqrt(sum(np.linalg.norm(g) ** 2 for g in grads.values()))
    clipped = {name: g.copy() for name, g in grads.items()}
    if norm > max_norm:
        clipped = {name: g / g.dtype.type(norm / max_norm) for name, g in clipped.items()}
    return clipped, norm


class CharacterModel:
    def __init__(self, params):
        self.embedding = Embedding(params["embedding"])
        self.cell = Cell(params["Wx"], params["Wh"], params["b"])
        self.output = Affine(params["Wy"], params["by"])

    def start(self, rows):
        return np.zeros((rows, len(self.cell.b)), self.cell.b.dtype)

    def loss(self, ids, targets, mask):
        recurrent = Recurrent(self.cell, mask)
        h = recurrent.forward(self.embedding.forward(ids), self.start(len(ids)))
        loss, dscores = masked_cross_entropy(self.output.forward(h), targets, mask)
        dh, dWy, dby = self.output.backward(dscores)
        dx, _, dWx, dWh, db = recurrent.backward(dh)
        return loss, {"embedding": self.embedding.backward(dx), "Wx": dWx, "Wh": dWh, "b": db, "Wy": dWy, "by": dby}

    def write(self, start, uniforms, temperature):
        state, last = self.start(1), start
        for u in uniforms:
            state, _ = self.cell.forward(self.embedding.W[[last]], state)
            scores = self.output.forward(state[:, None])[0, 0].astype(np.float64) / temperature
            p = np.exp(scores - scores.max())
            cdf = np.cumsum(p / p.sum())
            last = int(np.argmax(cdf > u)) if cdf[-1] > u else int(np.flatnonzero(p)[-1])
            yield last


def char_lm_loss(params, ids, targets, mask):
    return CharacterModel(params).loss(ids, targets, mask)


def sample(params, start, uniforms, temperature=1.0):
    return np.fromiter(CharacterModel(params).write(start, uniforms, temperature), np.int64, len(uniforms))
