"""Layers as objects whose methods are forward and backward; the cache is a bound method. Search keeps a batch of states."""

import lstm
import numpy as np


def pad_batch(sequences, pad):
    lengths = list(map(len, sequences))
    ids = np.array([[*s, *[pad] * (max(lengths) - len(s))] for s in sequences], dtype=np.int64)
    return ids, np.array([[True] * n + [False] * (max(lengths) - n) for n in lengths])


def make_targets(sequences, pad, bos, eos):
    longest = max(len(s) for s in sequences)
    fill = lambda s: [pad] * (longest - len(s))  # noqa: E731
    tgt_in = np.array([[bos, *s, *fill(s)] for s in sequences], np.int64)
    tgt_out = np.array([[*s, eos, *fill(s)] for s in sequences], np.int64)
    return tgt_in, tgt_out, np.array([[True] * (len(s) + 1) + [False] * len(fill(s)) for s in sequences])


class Table:
    """Rows of an embedding."""

    def __init__(self, W, ids):
        self.W, self.ids = W, ids
        self.out = W[ids]

    def backward(self, d):
        flat = self.ids.ravel()
        order = np.argsort(flat, kind="stable")
        chosen, first = np.unique(flat[order], return_index=True)
        dW = np.zeros_like(self.W)
        dW[chosen] = np.add.reduceat(d.reshape(len(flat), -1)[order], first, axis=0)
        return dW


class Lstm:
    """An LSTM layer of the parameters with a prefix."""

    def __init__(self, params, prefix, x, h0, c0, mask):
        self.prefix = prefix
        weights = [params[f"{prefix}_{name}"] for name in ("Wx", "Wh", "b")]
        self.states, self.c, self.cache = lstm.lstm_forward(x, h0, c0, *weights, mask)

    def backward(self, dstates, dc):
        dx, dh0, dc0, *dweights = lstm.lstm_backward(dstates, dc, self.cache)
        return dx, dh0, dc0, {f"{self.prefix}_{name}": d for name, d in zip(("Wx", "Wh", "b"), dweights)}


class Affine:
    """x W + b over the last axis."""

    def __init__(self, x, W, b):
        self.x, self.W = x, W
        self.out = np.matmul(x, W) + b

    def backward(self, d):
        x, flat = self.x.reshape(-1, self.x.shape[-1]), d.reshape(-1, d.shape[-1])
        return np.matmul(d, self.W.T), np.matmul(x.T, flat), flat.sum(axis=0)


class Softmax:
    """Over the last axis, among what is real."""

    def __init__(self, scores, real):
        low = np.where(real, scores, -np.inf).max(-1, keepdims=True)
        with np.errstate(invalid="ignore"):
            e = np.where(real, np.exp(np.where(real, scores - low, 0)), 0)
        total = e.sum(-1, keepdims=True)
        total[total == 0] = 1
        self.out = (e / total).astype(scores.dtype)

    def backward(self, d):
        return self.out * d - self.out * np.sum(self.out * d, axis=-1, keepdims=True)


class Encoder:
    def __init__(self, src, mask, params):
        H = params["enc_Wh"].shape[0]
        self.table = Table(params["src_embedding"], src)
        zero = np.zeros((src.shape[0], H), self.table.out.dtype)
        self.layer = Lstm(params, "enc", self.table.out, zero, zero, mask)

    def backward(self, dkeys, dh, dc):
        d = np.array(dkeys)
        d[:, -1, :] += dh
        dx, _, _, grads = self.layer.backward(d, dc)
        return {"src_embedding": self.table.backward(dx), **grads}


def encode_forward(src, mask, params):
    encoder = Encoder(src, mask, params)
    keys = encoder.layer.states
    return keys.copy(), keys[:, -1].copy(), encoder.layer.c, encoder.backward


def encode_backward(dkeys, dh, dc, cache):
    return cache(dkeys, dh, dc)


class Attention:
    def __init__(self, q, keys, mask, Wq, Wk, v):
        self.mask = mask[..., None]
        self.keys = keys * 0
        np.copyto(self.keys, keys, where=self.mask)
        none = np.zeros(len(v), q.dtype)
        self.ask, self.answer, self.v = Affine(q, Wq, none), Affine(self.keys, Wk, none), v
        self.unit = np.tanh(np.expand_dims(self.ask.out, 2) + np.expand_dims(self.answer.out, 1))
        self.softmax = Softmax(self.unit.dot(v), np.broadcast_to(mask[:, None, :], (len(q), q.shape[1], mask.shape[1])))
        self.context = self.softmax.out @ self.keys

    def backward(self, d):
        dscores = self.softmax.backward(d @ self.keys.transpose(0, 2, 1))
        dunit = np.multiply.outer(dscores, self.v) * (1 - np.square(self.unit))
        dq, dWq, _ = self.ask.backward(dunit.sum(2))
        dkeys, dWk, _ = self.answer.backward(dunit.sum(1))
        dkeys = (dkeys + self.softmax.out.transpose(0, 2, 1) @ d) * self.mask
        return dq, dkeys.astype(d.dtype), dWq, dWk, (dscores[..., None] * self.unit).sum((0, 1, 2))


def additive_attention_forward(q, keys, mask, Wq, Wk, v):
    layer = Attention(q, keys, mask, Wq, Wk, v)
    return layer.context, layer.softmax.out.copy(), layer.backward


def additive_attention_backward(dcontext, cache):
    return cache(dcontext)


class Decoder:
    def __init__(self, tgt_in, h0, c0, keys, src_mask, params):
        self.table = Table(params["tgt_embedding"], tgt_in)
        self.layer = Lstm(params, "dec", self.table.out, h0, c0, np.full(tgt_in.shape, True))
        states = self.layer.states
        context, self.weights, self.attention = additive_attention_forward(states, keys, src_mask, *(params[f"att_{k}"] for k in ("Wq", "Wk", "v")))
        self.first = Affine(np.block([states, context]), params["Wo"], params["bo"])
        self.out = np.tanh(self.first.out)
        self.second = Affine(self.out, params["Wy"], params["by"])

    def backward(self, dscores):
        dout, dWy, dby = self.second.backward(dscores)
        dboth, dWo, dbo = self.first.backward(dout - dout * self.out**2)
        H = dboth.shape[-1] // 2
        dq, dkeys, dWq, dWk, dv = additive_attention_backward(dboth[..., H:], self.attention)
        dx, dh0, dc0, grads = self.layer.backward(dboth[..., :H] + dq, np.zeros(self.layer.c.shape, dq.dtype))
        grads |= {"tgt_embedding": self.table.backward(dx), "att_Wq": dWq, "att_Wk": dWk, "att_v": dv}
        return grads | {"Wo": dWo, "bo": dbo, "Wy": dWy, "by": dby}, dh0, dc0, dkeys


def decode_forward(tgt_in, h0, c0, keys, src_mask, params):
    decoder = Decoder(tgt_in, h0, c0, keys, src_mask, params)
    return decoder.second.out, decoder.weights, decoder.backward


def decode_backward(dscores, cache):
    return cache(dscores)


def seq2seq_loss(params, src, src_mask, tgt_in, tgt_out, tgt_mask):
    keys, h, c, back_to_params = encode_forward(src, src_mask, params)
    scores, _, back_to_encoder = decode_forward(tgt_in, h, c, keys, src_mask, params)
    softmax = Softmax(scores, np.ones(scores.shape, bool))
    count = np.maximum(tgt_mask.sum(), 1)
    place = (*np.indices(tgt_out.shape), tgt_out)
    top = scores.max(-1)
    nll = np.log(np.exp(scores - top[..., None]).sum(-1)) + top - scores[place]
    d = softmax.out.copy()
    d[place] -= 1
    grads, dh, dc, dkeys = back_to_encoder((d * tgt_mask[..., None] / count).astype(scores.dtype))
    return nll[tgt_mask].sum() / count, grads | back_to_params(dkeys, dh, dc)


def log_probabilities(params, ids, h, c, keys):
    layer = Lstm(params, "dec", params["tgt_embedding"][ids][:, None], h, c, np.ones((len(ids), 1), bool))
    keys = np.broadcast_to(keys, (len(ids), *keys.shape[1:]))
    context = Attention(layer.states, keys, np.ones(keys.shape[:2], bool), params["att_Wq"], params["att_Wk"], params["att_v"]).context
    scores = np.tanh(np.concatenate([layer.states, context], 2) @ params["Wo"] + params["bo"]) @ params["Wy"] + params["by"]
    scores = scores[:, 0].astype(np.float64)
    scores -= scores.max(1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True)), layer.states[:, 0], layer.c


def greedy_decode(params, src, bos, eos, max_len):
    ids, _ = beam_search(params, src, bos, eos, 1, max_len, 0.0)
    return ids


def beam_search(params, src, bos, eos, beam, max_len, alpha):
    keys, h, c, _ = encode_forward(src[np.newaxis], np.ones((1, src.shape[0]), bool), params)
    hypotheses, total, done = [[bos]], np.zeros((1, 1)), {}
    for length in range(1, max_len + 1):
        log_p, h, c = log_probabilities(params, np.array([ids[-1] for ids in hypotheses]), h, c, keys)
        flat = (total + log_p).ravel()
        best = sorted(range(flat.size), key=lambda k: (-flat[k], k))[:beam]
        chosen = [divmod(k, log_p.shape[1]) for k in best]
        for k, (row, token) in zip(best, chosen):
            if token == eos or length == max_len:
                done[tuple(hypotheses[row][1:] + [token] * (token != eos))] = flat[k] / length**alpha
        going = [(k, row, token) for k, (row, token) in zip(best, chosen) if token != eos]
        if not going:
            break
        hypotheses = [hypotheses[row] + [token] for _, row, token in going]
        rows = [row for _, row, _ in going]
        total, h, c = flat[[k for k, _, _ in going]][:, None], h[rows], c[rows]
    ids = max(done, key=done.get)
    return np.array(ids, dtype=np.int64), done[ids]


def edit_distance(a, b):
    """Shortest way through the table, diagonal by diagonal of equal distance."""
    reach, steps = {0: 0}, 0
    while True:
        for k in list(reach):
            i = reach[k]
            while i < len(a) and i + k < len(b) and a[i] == b[i + k]:
                i += 1
            reach[k] = i
        if reach.get(len(b) - len(a), -1) >= len(a):
            return steps
        steps += 1
        longer = {}
        for k, i in reach.items():
            for to, at in ((k, i + 1), (k - 1, i + 1), (k + 1, i)):
                if at <= len(a) and at + to <= len(b):
                    longer[to] = max(longer.get(to, -1), at)
        reach = longer


class Alignments:
    """All alignments of one target as a chain of logarithms; backward runs through the chain, with no backward variables."""

    def __init__(self, log_p, target, blank):
        self.labels = np.full(2 * len(target) + 1, blank)
        self.labels[1::2] = target
        differ = (self.labels[2:] != blank) & (self.labels[2:] != self.labels[:-2])
        self.closed = np.append([True, True], ~differ)
        self.emit, self.steps = log_p[:, self.labels], []
        self.alpha = np.where(np.arange(len(self.labels)) < 2, self.emit[0], -np.inf)
        for row in self.emit[1:]:
            self.alpha = self.step(row)
        self.total = np.logaddexp(self.alpha[-1], self.alpha[-2])

    def step(self, row):
        ways = np.full((3, len(self.alpha)), -np.inf)
        ways[0], ways[1, 1:], ways[2, 2:] = self.alpha, self.alpha[:-1], self.alpha[:-2]
        ways[2, self.closed] = -np.inf
        total = np.logaddexp.reduce(ways)
        self.steps.append(np.exp(ways - np.where(np.isfinite(total), total, 0)))
        return total + row

    def backward(self, V):
        """The gradient of the log-likelihood with respect to log_p."""
        d, demit = np.zeros(len(self.alpha)), []
        d[-2:] = np.exp(self.alpha[-2:] - self.total)
        for share in self.steps[::-1]:
            demit.append(d)
            stay, one, two = share * d
            d = stay + np.append(one[1:], 0) + np.append(two[2:], [0, 0])
        demit.append(d)
        out = np.zeros((len(demit), V))
        np.add.at(out, (slice(None), self.labels), np.array(demit[::-1]))
        return out


def ctc_loss(scores, targets, blank=0):
    V = scores.shape[2]
    log_p = scores.astype(np.float64) - scores.max(2, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(2, keepdims=True))
    all_of = [Alignments(log_p[:, n], target, blank) for n, target in enumerate(targets)]
    d = np.stack([one.backward(V) for one in all_of], axis=1) / -len(targets)
    dscores = d - np.exp(log_p) * d.sum(axis=2, keepdims=True)
    return -sum(one.total for one in all_of) / len(targets), dscores.astype(scores.dtype)


def ctc_collapse(ids, blank=0):
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    return np.array([label for label in ids[starts] if label != blank], dtype=np.int64)
