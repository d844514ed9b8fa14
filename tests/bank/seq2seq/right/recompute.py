"""The caches hold inputs only and every backward computes forward again; search over Python lists; CTC with rescaled probabilities."""

import heapq
import math

import numpy as np
from lstm import lstm_backward, lstm_forward

ENCODER = ("src_embedding", "enc_Wx", "enc_Wh", "enc_b")


def pad_batch(sequences, pad):
    S = max(len(s) for s in sequences)
    ids, mask = np.full((len(sequences), S), pad, np.int64), np.zeros((len(sequences), S), bool)
    for row, real, s in zip(ids, mask, sequences):
        row[: len(s)] = s
        real[: len(s)] = True
    return ids, mask


def make_targets(sequences, pad, bos, eos):
    out, mask = pad_batch([list(s) + [eos] for s in sequences], pad)
    inn = np.full_like(out, pad)
    inn[:, 0] = bos
    inn[:, 1:][mask[:, 1:]] = out[:, :-1][mask[:, 1:]]
    return inn, out, mask


def run_encoder(src, mask, params):
    E = params["src_embedding"]
    start = np.zeros((src.shape[0], params["enc_Wh"].shape[0]), E.dtype)
    return lstm_forward(E[src], start, start.copy(), params["enc_Wx"], params["enc_Wh"], params["enc_b"], mask)


def encode_forward(src, mask, params):
    keys, c, _ = run_encoder(src, mask, params)
    return keys, keys[:, -1, :].copy(), c, (src, mask, params)


def encode_backward(dkeys, dh, dc, cache):
    src, mask, params = cache
    _, _, inner = run_encoder(src, mask, params)
    total = np.concatenate([dkeys[:, :-1], (dkeys[:, -1] + dh)[:, None]], axis=1)
    dx, _, _, *rest = lstm_backward(total, dc, inner)
    table = np.zeros_like(params["src_embedding"])
    for id_ in np.unique(src):
        table[id_] = dx[src == id_].sum(axis=0)
    return dict(zip(ENCODER, (table, *rest)))


def attend(q, keys, mask, Wq, Wk, v):
    """The keys without what is masked, the hidden layer with its axes in another order (N, S, T, M), and the weights."""
    clean = keys * 1
    clean[~mask] = 0
    hidden = np.tanh((clean @ Wk)[:, :, None, :] + (q @ Wq)[:, None, :, :])
    scores = np.moveaxis(hidden @ v, 1, 2)
    weights = np.zeros_like(scores)
    some = mask.any(axis=1)
    masked = np.where(mask[some][:, None, :], scores[some], -np.inf)
    masked = np.exp(masked - masked.max(axis=2, keepdims=True))
    weights[some] = masked / masked.sum(axis=2, keepdims=True)
    return clean, hidden, weights


def additive_attention_forward(q, keys, mask, Wq, Wk, v):
    clean, _, weights = attend(q, keys, mask, Wq, Wk, v)
    return np.matmul(weights, clean), weights, (q, keys, mask, Wq, Wk, v)


def additive_attention_backward(dcontext, cache):
    q, _keys, mask, Wq, Wk, v = cache
    clean, hidden, weights = attend(*cache)
    # The Jacobian of softmax as the difference of two context-like averages: sum_s w_s (dw_s - mean).
    dw = np.matmul(dcontext, np.swapaxes(clean, 1, 2))
    ds = np.moveaxis(weights * (dw - np.sum(weights * dw, axis=2, keepdims=True)), 1, 2)[..., None]
    dv = np.sum(ds * hidden, axis=(0, 1, 2))
    dsum = ds * (1 - hidden) * (1 + hidden) * v
    from_keys, from_q = dsum.sum(axis=2), dsum.sum(axis=1)
    M, H = Wq.shape[1], Wq.shape[0]
    dkeys = np.matmul(np.swapaxes(weights, 1, 2), dcontext) + from_keys @ Wk.T
    dkeys[~mask] = 0
    dWq = q.reshape(-1, H).T @ from_q.reshape(-1, M)
    dWk = clean.reshape(-1, H).T @ from_keys.reshape(-1, M)
    return from_q @ Wq.T, dkeys, dWq, dWk, dv


def forward_parts(tgt_in, h0, c0, keys, src_mask, params):
    x = params["tgt_embedding"].take(tgt_in, axis=0)
    states, _, lstm_cache = lstm_forward(x, h0, c0, params["dec_Wx"], params["dec_Wh"], params["dec_b"], tgt_in == tgt_in)
    attention = additive_attention_forward(states, keys, src_mask, params["att_Wq"], params["att_Wk"], params["att_v"])
    joined = np.append(states, attention[0], axis=2)
    return joined, np.tanh(joined @ params["Wo"] + params["bo"]), lstm_cache, attention


def decode_forward(tgt_in, h0, c0, keys, src_mask, params):
    _, out, _, attention = forward_parts(tgt_in, h0, c0, keys, src_mask, params)
    return out @ params["Wy"] + params["by"], attention[1], (tgt_in, h0, c0, keys, src_mask, params)


def decode_backward(dscores, cache):
    tgt_in, h0, c0, _keys, _src_mask, params = cache
    joined, out, lstm_cache, (_, _, attention_cache) = forward_parts(*cache)
    H = h0.shape[1]
    flat = lambda a: a.reshape(-1, a.shape[-1])  # noqa: E731
    grads = {"Wy": flat(out).T @ flat(dscores), "by": flat(dscores).sum(0)}
    dz = (dscores @ params["Wy"].T) * (1 - out) * (1 + out)
    grads["Wo"], grads["bo"] = flat(joined).T @ flat(dz), flat(dz).sum(0)
    djoined = dz @ params["Wo"].T
    dq, dkeys, grads["att_Wq"], grads["att_Wk"], grads["att_v"] = additive_attention_backward(djoined[:, :, H:], attention_cache)
    dx, dh0, dc0, grads["dec_Wx"], grads["dec_Wh"], grads["dec_b"] = lstm_backward(djoined[:, :, :H] + dq, 0 * c0, lstm_cache)
    table = np.zeros_like(params["tgt_embedding"])
    for id_ in np.unique(tgt_in):
        table[id_] = dx[tgt_in == id_].sum(axis=0)
    grads["tgt_embedding"] = table
    return grads, dh0, dc0, dkeys


def seq2seq_loss(params, src, src_mask, tgt_in, tgt_out, tgt_mask):
    keys, h, c, encoder_cache = encode_forward(src, src_mask, params)
    scores, _, decoder_cache = decode_forward(tgt_in, h, c, keys, src_mask, params)
    n, t = np.nonzero(tgt_mask)
    dscores = np.zeros_like(scores)
    loss = 0.0
    if len(n):
        real = scores[n, t] - scores[n, t].max(axis=1, keepdims=True)
        p = np.exp(real)
        p /= p.sum(axis=1, keepdims=True)
        index = np.arange(len(n)), tgt_out[n, t]
        loss = float(np.mean(np.log(np.exp(real).sum(axis=1)) - real[index]))
        p[index] -= 1
        dscores[n, t] = p / len(n)
    grads, dh, dc, dkeys = decode_backward(dscores, decoder_cache)
    grads.update(encode_backward(dkeys, dh, dc, encoder_cache))
    return loss, grads


def next_scores(params, source, ids):
    keys, h, c = source
    scores, _, _ = decode_forward(np.array([ids]), h, c, keys, np.ones(keys.shape[:2], bool), params)
    return [float(s) for s in scores[0, -1]]


def greedy_decode(params, src, bos, eos, max_len):
    *source, _ = encode_forward(src.reshape(1, -1), np.ones((1, src.size), bool), params)
    said = [bos]
    for _ in range(max_len):
        scores = next_scores(params, source, said)
        token = scores.index(max(scores))
        if token == eos:
            break
        said.append(token)
    return np.array(said[1:], np.int64)


def beam_search(params, src, bos, eos, beam, max_len, alpha):
    *source, _ = encode_forward(src.reshape(1, -1), np.ones((1, src.size), bool), params)
    live, finished = [(0.0, [bos])], []
    for _ in range(max_len):
        longer = []
        for logp, ids in live:
            scores = next_scores(params, source, ids)
            top = max(scores)
            norm = top + math.log(math.fsum(math.exp(s - top) for s in scores))
            longer += [(logp + s - norm, ids + [token]) for token, s in enumerate(scores)]
        kept = heapq.nlargest(beam, longer, key=lambda one: one[0])
        finished += [one for one in kept if one[1][-1] == eos]
        live = [one for one in kept if one[1][-1] != eos]
    logp, ids = max(finished + live, key=lambda one: one[0] / (len(one[1]) - 1) ** alpha)
    said = ids[1:-1] if ids[-1] == eos else ids[1:]
    return np.array(said, np.int64), logp / (len(ids) - 1) ** alpha


def edit_distance(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0, :] = range(len(a) + 1), range(len(b) + 1)
    for i in range(len(a)):
        for j in range(len(b)):
            table[i + 1, j + 1] = table[i, j] if a[i] == b[j] else 1 + min(table[i, j], table[i, j + 1], table[i + 1, j])
    return table[-1, -1]


def chain(p, skips):
    """Rescaled forward variables (T, L), each row summing to 1, and the logarithms of the scales."""
    alpha, logs = np.zeros_like(p), np.zeros(len(p))
    row = np.zeros(p.shape[1])
    row[:2] = 1
    for t in range(len(p)):
        if t:
            moved = row.copy()
            moved[1:] += row[:-1]
            moved[2:] += row[:-2] * skips
            row = moved
        row = row * p[t]
        logs[t] = np.log(row.sum())
        row = row / row.sum()
        alpha[t] = row
    return alpha, logs


def ctc_loss(scores, targets, blank=0):
    shifted = np.asarray(scores, np.float64) - scores.max(axis=2, keepdims=True)
    # Far below the largest score a probability is 0 in float64; a floor keeps the only possible path possible.
    probability = np.exp(np.maximum(shifted, -600))
    probability /= probability.sum(axis=2, keepdims=True)
    exact = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    if shifted.min() < -30:
        return in_logs(exact, targets, blank, scores.dtype)
    loss, grad = 0.0, np.empty(scores.shape)
    for n, target in enumerate(targets):
        labels = [blank]
        for label in target:
            labels += [int(label), blank]
        labels = np.array(labels)
        skips = (labels[2:] != blank) & (labels[2:] != labels[:-2])
        p = probability[:, n][:, labels]
        alpha, logs = chain(p, skips)
        beta, _ = chain(p[::-1, ::-1], skips[::-1])
        there = alpha * beta[::-1, ::-1] / p
        there /= there.sum(axis=1, keepdims=True)
        loss -= logs.sum() + np.log(alpha[-1, -2:].sum())
        grad[:, n] = probability[:, n]
        for place, label in enumerate(labels):
            grad[:, n, label] -= there[:, place]
    return loss / len(targets), (grad / len(targets)).astype(scores.dtype)


def in_logs(log_p, targets, blank, dtype):
    """The same in logarithms with plain loops, for scores so far apart that probabilities vanish."""
    T, N, _ = log_p.shape
    loss, grad = 0.0, np.exp(log_p)
    for n, target in enumerate(targets):
        labels = [blank]
        for label in target:
            labels += [int(label), blank]
        L = len(labels)
        A, B = np.full((T, L), -np.inf), np.full((T, L), -np.inf)
        jump = [s >= 2 and labels[s] != blank and labels[s] != labels[s - 2] for s in range(L)]
        A[0, :2] = [log_p[0, n, label] for label in labels[:2]]
        for t in range(1, T):
            for s in range(L):
                ways = [A[t - 1, s], A[t - 1, s - 1] if s else -np.inf, A[t - 1, s - 2] if jump[s] else -np.inf]
                A[t, s] = np.logaddexp.reduce(ways) + log_p[t, n, labels[s]]
        B[-1, -2:] = 0
        for t in range(T - 2, -1, -1):
            for s in range(L):
                onto = [s, s + 1] + [s + 2] * (s + 2 < L and jump[s + 2])
                B[t, s] = np.logaddexp.reduce([B[t + 1, k] + log_p[t + 1, n, labels[k]] for k in onto if k < L])
        total = np.logaddexp(A[-1, -1], A[-1, -2])
        loss -= total
        for s, label in enumerate(labels):
            grad[:, n, label] -= np.exp(A[:, s] + B[:, s] - total)
    return loss / N, (grad / N).astype(dtype)


def ctc_collapse(ids, blank=0):
    said, before = [], None
    for label in ids:
        if label != before and label != blank:
            said.append(label)
        before = label
    return np.array(said, np.int64)
