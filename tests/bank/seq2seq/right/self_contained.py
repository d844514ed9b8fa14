"""Does not use the lstm module: a small LSTM of its own, feature-major weights, attention over real keys only, numbers in float64 inside."""

import numpy as np


def pad_batch(sequences, pad):
    lengths = np.fromiter((len(s) for s in sequences), int)
    ids = np.full((lengths.size, lengths.max()), np.int64(pad))
    for row, sequence in enumerate(sequences):
        np.put(ids[row], np.arange(len(sequence)), sequence)
    return ids, np.arange(ids.shape[1])[None] < lengths[:, None]


def make_targets(sequences, pad, bos, eos):
    ids, mask = pad_batch(sequences, pad)
    n = np.arange(len(ids))
    lengths = mask.sum(axis=1)
    tgt_in = np.insert(ids, 0, bos, axis=1)
    tgt_out = np.append(ids, np.full((len(ids), 1), pad), axis=1)
    tgt_out[n, lengths] = eos
    return tgt_in, tgt_out, np.insert(mask, 0, True, axis=1)


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def run(x, h, c, Wx, Wh, b, mask):
    """States (N, T, H), the last c, and what each step needs for its derivative."""
    states, steps = [], []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ Wx + h @ Wh + b, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        m = mask[:, t, None]
        new = f * c + i * g
        steps.append((x[:, t], h, c, i, f, g, o, np.tanh(new), m))
        h, c = np.where(m, o * np.tanh(new), h), np.where(m, new, c)
        states.append(h)
    return np.stack(states, 1), c, (steps, Wx, Wh)


def unroll(dstates, dc, cache):
    steps, Wx, Wh = cache
    dh, dxs, dWx, dWh, db = 0 * dc, [], np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[1], Wh.dtype)
    for t in range(len(steps) - 1, -1, -1):
        x, h, c, i, f, g, o, tc, m = steps[t]
        dh = dh + dstates[:, t]
        here, cell = np.where(m, dh, 0), np.where(m, dc, 0)
        cell = cell + here * o * (1 - tc * tc)
        gates = np.hstack([cell * g * i * (1 - i), cell * c * f * (1 - f), cell * i * (1 - g * g), here * tc * o * (1 - o)])
        dWx += x.T @ gates
        dWh += h.T @ gates
        db += gates.sum(0)
        dxs.append(gates @ Wx.T)
        dh, dc = np.where(m, gates @ Wh.T, dh), np.where(m, cell * f, dc)
    return np.stack(dxs[::-1], 1), dh, dc, dWx, dWh, db


def encode_forward(src, mask, params):
    E, Wh = params["src_embedding"], params["enc_Wh"]
    zero = np.zeros((len(src), len(Wh)), E.dtype)
    keys, c, cache = run(E[src], zero, zero, params["enc_Wx"], Wh, params["enc_b"], mask)
    return keys, keys[:, -1].copy(), c, (src, E, cache)


def encode_backward(dkeys, dh, dc, cache):
    src, E, inner = cache
    pad = np.zeros_like(dkeys)
    pad[:, -1] = dh
    dx, _, _, dWx, dWh, db = unroll(dkeys + pad, dc, inner)
    dE = np.stack([np.bincount(src.ravel(), dx[..., d].ravel(), len(E)) for d in range(E.shape[1])], 1).astype(E.dtype)
    return {"enc_b": db, "enc_Wh": dWh, "enc_Wx": dWx, "src_embedding": dE}


def additive_attention_forward(q, keys, mask, Wq, Wk, v):
    keys = np.where(mask[:, :, None], keys, 0)
    z = (q @ Wq)[:, :, None, :] + (keys @ Wk)[:, None, :, :]
    scores = np.tanh(z) @ v
    bias = np.where(mask, 0, -1e30).astype(q.dtype)[:, None, :]
    scores = scores + bias
    weights = np.exp(scores - np.logaddexp.reduce(scores, axis=2, keepdims=True)) * mask.any(1)[:, None, None]
    weights = weights * mask[:, None, :]
    return (weights[..., None] * keys[:, None]).sum(2), weights, (q, keys, mask, Wq, Wk, v, z, weights * 1.0)


def additive_attention_backward(dcontext, cache):
    q, keys, mask, Wq, Wk, v, z, weights = cache
    mean = (weights[..., None] * keys[:, None]).sum(2)
    # ds = w (k - context) . dcontext: what moving weight to a key does to the context.
    ds = weights * np.sum((keys[:, None] - mean[:, :, None]) * dcontext[:, :, None], axis=-1)
    dz = ds[..., None] * v / np.cosh(np.clip(z, -300, 300).astype(np.float64)) ** 2
    dz = dz.astype(q.dtype)
    dkeys = np.sum(weights[..., None] * dcontext[:, :, None], axis=1) + np.dot(dz.sum(1), Wk.T)
    dWq = np.einsum("nth,ntsm->hm", q, dz)
    dWk = np.einsum("nsh,ntsm->hm", keys, dz)
    return np.dot(dz.sum(2), Wq.T), dkeys * mask[:, :, None], dWq, dWk, np.einsum("nts,ntsm->m", ds, np.tanh(z))


def decode_forward(tgt_in, h0, c0, keys, src_mask, params):
    p = params
    states, _, inner = run(p["tgt_embedding"][tgt_in], h0, c0, p["dec_Wx"], p["dec_Wh"], p["dec_b"], np.ones(tgt_in.shape, bool))
    context, weights, asked = additive_attention_forward(states, keys, src_mask, p["att_Wq"], p["att_Wk"], p["att_v"])
    both = np.concatenate((states, context), 2)
    out = np.tanh(both @ p["Wo"] + p["bo"])
    return out @ p["Wy"] + p["by"], weights, {"ids": tgt_in, "p": p, "inner": inner, "asked": asked, "both": both, "out": out}


def decode_backward(dscores, cache):
    p, out, both, H = cache["p"], cache["out"], cache["both"], cache["both"].shape[2] // 2
    dz = np.dot(dscores, p["Wy"].T)
    dz *= 1 - out * out
    dboth = np.dot(dz, p["Wo"].T)
    dstates, dkeys, dWq, dWk, dv = additive_attention_backward(dboth[:, :, H:], cache["asked"])
    dx, dh0, dc0, dWx, dWh, db = unroll(dstates + dboth[:, :, :H], np.zeros_like(both[:, 0, :H]), cache["inner"])
    E = p["tgt_embedding"]
    dE = np.stack([np.bincount(cache["ids"].ravel(), dx[..., d].ravel(), len(E)) for d in range(E.shape[1])], 1).astype(E.dtype)
    grads = {
        "tgt_embedding": dE, "dec_Wx": dWx, "dec_Wh": dWh, "dec_b": db, "att_Wq": dWq, "att_Wk": dWk, "att_v": dv,
        "Wo": np.tensordot(both, dz, ([0, 1], [0, 1])), "bo": dz.sum((0, 1)),
        "Wy": np.tensordot(out, dscores, ([0, 1], [0, 1])), "by": dscores.sum((0, 1)),
    }  # fmt: skip
    return grads, dh0, dc0, dkeys


def seq2seq_loss(params, src, src_mask, tgt_in, tgt_out, tgt_mask):
    keys, h, c, enc = encode_forward(src, src_mask, params)
    scores, _, dec = decode_forward(tgt_in, h, c, keys, src_mask, params)
    log_z = np.logaddexp.reduce(scores, axis=-1, keepdims=True)
    chosen = np.arange(scores.shape[-1]) == tgt_out[:, :, None]
    real = tgt_mask[:, :, None] / max(1, tgt_mask.sum())
    loss = float(((log_z - scores) * chosen * real).sum())
    dscores = ((np.exp(scores - log_z) - chosen) * real).astype(scores.dtype)
    grads, dh, dc, dkeys = decode_backward(dscores, dec)
    grads.update(encode_backward(dkeys, dh, dc, enc))
    return loss, grads


def greedy_decode(params, src, bos, eos, max_len):
    mask = np.ones((1, len(src)), bool)
    keys, h, c, _ = encode_forward(src[None], mask, params)
    ids = np.full((1, max_len + 1), bos)
    for t in range(max_len):
        scores, _, _ = decode_forward(ids[:, : t + 1], h, c, keys, mask, params)
        ids[0, t + 1] = scores[0, t].argmax()
        if ids[0, t + 1] == eos:
            return ids[0, 1 : t + 1].copy()
    return ids[0, 1:].copy()


def beam_search(params, src, bos, eos, beam, max_len, alpha):
    mask = np.ones((1, len(src)), bool)
    keys, h, c, _ = encode_forward(src[None], mask, params)

    def extensions(ids, logp):
        scores, _, _ = decode_forward(np.array([ids]), h, c, keys, mask, params)
        row = scores[0, -1] - np.logaddexp.reduce(scores[0, -1])
        return [(ids + [token], logp + row[token]) for token in range(len(row))]

    live, finished = [([bos], 0.0)], []
    for _ in range(max_len):
        live = sorted((new for ids, logp in live for new in extensions(ids, logp)), key=lambda new: new[1])[::-1][:beam]
        finished.extend(new for new in live if new[0][-1] == eos)
        live = [new for new in live if new[0][-1] != eos]
    score = lambda new: new[1] / (len(new[0]) - 1) ** alpha  # noqa: E731
    best = max(finished + live, key=score)
    return np.array([i for i in best[0][1:] if i != eos], np.int64), score(best)


def edit_distance(a, b):
    if len(a) < len(b):
        a, b = b, a
    row = np.arange(len(b) + 1)
    for x in a:
        diagonal, row[0] = row[0], row[0] + 1
        for j in range(1, len(row)):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (b[j - 1] != x))
    return int(row[-1])


def ctc_loss(scores, targets, blank=0):
    """A transition matrix between the places of the extended target; each step is a product in the log domain."""
    T, N, _V = scores.shape
    z = scores.astype(np.float64)
    log_p = z - np.logaddexp.reduce(z, axis=2, keepdims=True)
    dscores, losses = np.exp(log_p), []
    for n, target in enumerate(targets):
        labels = np.insert(np.full(len(target) + 1, blank), np.arange(1, len(target) + 1), target)
        step = np.subtract.outer(np.arange(len(labels)), np.arange(len(labels)))
        may = (step == 0) | (step == 1) | ((step == 2) & (labels != blank)[:, None] & (labels[:, None] != labels[None]))
        A = np.where(may, 0.0, -np.inf)
        e = log_p[:, n, labels]
        forth, back = np.full(e.shape, -np.inf), np.full(e.shape, -np.inf)
        forth[0, :2], back[-1, -2:] = e[0, :2], 0
        for t in range(1, T):
            forth[t] = np.logaddexp.reduce(A + forth[t - 1], axis=1) + e[t]
            back[-1 - t] = np.logaddexp.reduce(A.T + (back[-t] + e[-t]), axis=1)
        total = np.logaddexp.reduce(forth[-1] + back[-1])
        losses.append(-total)
        share = np.exp(forth + back - total)
        for label in np.unique(labels):
            dscores[:, n, label] -= share[:, labels == label].sum(axis=1)
    return np.mean(losses), (dscores / N).astype(scores.dtype)


def ctc_collapse(ids, blank=0):
    from itertools import groupby

    return np.array([label for label, _ in groupby(ids.tolist()) if label != blank], np.int64)
