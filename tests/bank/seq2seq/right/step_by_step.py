"""One target step after the other, attention called for each; loops over sentences and over attention units; caches are dicts."""

import numpy as np
from lstm import lstm_backward, lstm_forward


def pad_batch(sequences, pad):
    count, longest = len(sequences), 0
    for sequence in sequences:
        longest = max(longest, len(sequence))
    ids, mask = np.empty((count, longest), dtype="int64"), np.empty((count, longest), dtype="bool")
    for n in range(count):
        for s in range(longest):
            mask[n, s] = s < len(sequences[n])
            ids[n, s] = sequences[n][s] if mask[n, s] else pad
    return ids, mask


def make_targets(sequences, pad, bos, eos):
    count = len(sequences)
    T = 1 + max(len(sequence) for sequence in sequences)
    tgt_in, tgt_out = pad * np.ones((count, T), dtype=np.int64), pad * np.ones((count, T), dtype=np.int64)
    mask = np.zeros((count, T), dtype=bool)
    for n, sequence in enumerate(sequences):
        tgt_in[n, 0] = bos
        for t, token in enumerate(sequence):
            tgt_out[n, t] = tgt_in[n, t + 1] = token
        tgt_out[n, len(sequence)] = eos
        mask[n, : len(sequence) + 1] = 1
    return tgt_in, tgt_out, mask


def encode_forward(src, mask, params):
    """Every sentence on its own."""
    width, dtype = params["enc_Wh"].shape[0], params["enc_Wh"].dtype
    keys, h, c = np.empty((*src.shape, width), dtype), np.empty((len(src), width), dtype), np.empty((len(src), width), dtype)
    inner = []
    for n, sentence in enumerate(src):
        x = np.stack([params["src_embedding"][word] for word in sentence])
        nothing = np.zeros((1, width), dtype)
        states, last, cache = lstm_forward(x[None], nothing, nothing, params["enc_Wx"], params["enc_Wh"], params["enc_b"], mask[n : n + 1])
        keys[n], h[n], c[n] = states[0], states[0, -1], last[0]
        inner.append(cache)
    return keys, h, c, {"src": src, "inner": inner, "params": params}


def encode_backward(dkeys, dh, dc, cache):
    names = ["src_embedding", "enc_Wx", "enc_Wh", "enc_b"]
    grads = {name: np.zeros_like(cache["params"][name]) for name in names}
    for n, inner in enumerate(cache["inner"]):
        dstates = dkeys[n : n + 1].copy()
        dstates[0, -1] = dstates[0, -1] + dh[n]
        dx, _, _, dWx, dWh, db = lstm_backward(dstates, dc[n : n + 1], inner)
        for name, grad in zip(names[1:], (dWx, dWh, db)):
            grads[name] += grad
        for s, word in enumerate(cache["src"][n]):
            grads["src_embedding"][word] += dx[0, s]
    return grads


def additive_attention_forward(q, keys, mask, Wq, Wk, v):
    """Attention units one at a time, so that nothing has four axes."""
    real = mask[:, None, :] & np.ones((1, q.shape[1], 1), bool)
    keys = np.where(mask[..., None], keys, 0).astype(q.dtype)
    queries, sources = q @ Wq, keys @ Wk
    scores = np.zeros(real.shape, q.dtype)
    for m in range(len(v)):
        scores += v[m] * np.tanh(queries[:, :, None, m] + sources[:, None, :, m])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True, where=real, initial=-1e30), where=real, out=np.zeros_like(scores))
    weights = np.divide(weights, weights.sum(-1, keepdims=True), where=real, out=np.zeros_like(scores))
    cache = {"q": q, "keys": keys, "real": mask[..., None], "Wq": Wq, "Wk": Wk, "v": v, "queries": queries, "sources": sources, "weights": weights * 1}
    return np.einsum("nts,nsh->nth", weights, keys), weights, cache


def additive_attention_backward(dcontext, cache):
    weights, keys = cache["weights"], cache["keys"]
    gain = np.einsum("nth,nsh->nts", dcontext, keys)
    dscores = weights * (gain - np.einsum("nts,nts->nt", weights, gain)[:, :, None])
    dqueries, dsources, dv = np.empty_like(cache["queries"]), np.empty_like(cache["sources"]), np.empty_like(cache["v"])
    for m in range(len(dv)):
        unit = np.tanh(cache["queries"][:, :, None, m] + cache["sources"][:, None, :, m])
        dv[m] = (dscores * unit).sum()
        change = dscores * cache["v"][m] * (1 - unit**2)
        dqueries[:, :, m], dsources[:, :, m] = change.sum(2), change.sum(1)
    dkeys = np.einsum("nts,nth->nsh", weights, dcontext) + np.einsum("nsm,hm->nsh", dsources, cache["Wk"])
    dWq, dWk = np.einsum("nth,ntm->hm", cache["q"], dqueries), np.einsum("nsh,nsm->hm", keys, dsources)
    return dqueries @ cache["Wq"].T, np.where(cache["real"], dkeys, 0), dWq, dWk, dv


def decode_forward(tgt_in, h0, c0, keys, src_mask, params):
    p, h, c, T = params, h0, c0, tgt_in.shape[1]
    scores = np.zeros((*tgt_in.shape, p["by"].size), h0.dtype)
    weights = np.zeros((*tgt_in.shape, keys.shape[1]), h0.dtype)
    steps = []
    for t in range(T):
        x = p["tgt_embedding"][tgt_in[:, t]][:, None]
        state, c, lstm_cache = lstm_forward(x, h, c, p["dec_Wx"], p["dec_Wh"], p["dec_b"], np.ones((len(x), 1), bool))
        h = state[:, 0]
        context, weights[:, t : t + 1], attention_cache = additive_attention_forward(
            state, keys, src_mask, p["att_Wq"], p["att_Wk"], p["att_v"]
        )
        both = np.hstack([h, context[:, 0]])
        out = np.tanh(both @ p["Wo"] + p["bo"])
        scores[:, t] = out @ p["Wy"] + p["by"]
        steps.append({"ids": tgt_in[:, t], "lstm": lstm_cache, "attention": attention_cache, "both": both, "out": out})
    return scores, weights, {"steps": steps, "params": p, "keys": keys, "c0": c0}


def decode_backward(dscores, cache):
    p, H = cache["params"], cache["c0"].shape[1]
    names = ["tgt_embedding", "dec_Wx", "dec_Wh", "dec_b", "att_Wq", "att_Wk", "att_v", "Wo", "bo", "Wy", "by"]
    grads = {name: np.zeros_like(p[name]) for name in names}
    dh, dc, dkeys = np.zeros_like(cache["c0"]), np.zeros_like(cache["c0"]), np.zeros_like(cache["keys"])
    for t in range(len(cache["steps"]) - 1, -1, -1):
        step, d = cache["steps"][t], dscores[:, t]
        grads["Wy"] += step["out"].T @ d
        grads["by"] += d.sum(axis=0)
        dz = d @ p["Wy"].T * (1 - step["out"] ** 2)
        grads["Wo"] += step["both"].T @ dz
        grads["bo"] += dz.sum(axis=0)
        dboth = dz @ p["Wo"].T
        dq, more, dWq, dWk, dv = additive_attention_backward(dboth[:, None, H:], step["attention"])
        dkeys += more
        for name, grad in (("att_Wq", dWq), ("att_Wk", dWk), ("att_v", dv)):
            grads[name] += grad
        dstate = (dh + dboth[:, :H] + dq[:, 0])[:, None]
        dx, dh, dc, dWx, dWh, db = lstm_backward(dstate, dc, step["lstm"])
        for name, grad in (("dec_Wx", dWx), ("dec_Wh", dWh), ("dec_b", db)):
            grads[name] += grad
        for n, word in enumerate(step["ids"]):
            grads["tgt_embedding"][word] += dx[n, 0]
    return grads, dh, dc, dkeys


def seq2seq_loss(params, src, src_mask, tgt_in, tgt_out, tgt_mask):
    keys, h, c, encoder_cache = encode_forward(src, src_mask, params)
    scores, _, decoder_cache = decode_forward(tgt_in, h, c, keys, src_mask, params)
    loss, dscores, tokens = 0.0, np.zeros_like(scores), np.count_nonzero(tgt_mask)
    for n, t in zip(*np.nonzero(tgt_mask)):
        row, right = scores[n, t], tgt_out[n, t]
        p = np.exp(row - np.max(row))
        p /= p.sum()
        loss += (np.log(np.sum(np.exp(row - np.max(row)))) + np.max(row) - row[right]) / tokens
        p[right] -= 1
        dscores[n, t] = p / tokens
    decoder_grads, dh, dc, dkeys = decode_backward(dscores, decoder_cache)
    return loss, {**decoder_grads, **encode_backward(dkeys, dh, dc, encoder_cache)}


class Decoder:
    """The state of a search: one source and the step after a token."""

    def __init__(self, params, src):
        self.p, self.mask = params, np.ones((1, len(src)), bool)
        self.keys, self.h, self.c, _ = encode_forward(src[None, :], self.mask, params)

    def step(self, token, h, c):
        """Log-probabilities after one token, and the state behind it."""
        p = self.p
        x = p["tgt_embedding"][[[token]]]
        states, c, _ = lstm_forward(x, h, c, p["dec_Wx"], p["dec_Wh"], p["dec_b"], np.array([[True]]))
        context, _, _ = additive_attention_forward(states, self.keys, self.mask, p["att_Wq"], p["att_Wk"], p["att_v"])
        row = np.tanh(np.concatenate([states[0, 0], context[0, 0]]) @ p["Wo"] + p["bo"]) @ p["Wy"] + p["by"]
        row = row - row.max()
        return row - np.log(np.exp(row).sum()), states[:, 0], c


def greedy_decode(params, src, bos, eos, max_len):
    decoder, token, said = Decoder(params, src), bos, []
    h, c = decoder.h, decoder.c
    while len(said) < max_len:
        row, h, c = decoder.step(token, h, c)
        token = int(np.argmax(row))
        if token == eos:
            break
        said.append(token)
    return np.asarray(said, np.int64)


def beam_search(params, src, bos, eos, beam, max_len, alpha):
    decoder = Decoder(params, src)
    live, best_score, best_ids = [(0.0, (), bos, decoder.h, decoder.c)], -float("inf"), ()
    for length in range(1, max_len + 1):
        candidates = []
        for logp, said, last, h, c in live:
            row, h, c = decoder.step(last, h, c)
            for token in range(len(row)):
                candidates.append((logp + float(row[token]), said, token, h, c))
        candidates.sort(key=lambda one: one[0], reverse=True)
        live = []
        for logp, said, token, h, c in candidates[:beam]:
            ended = token == eos
            whole = said if ended else (*said, token)
            if ended or length == max_len:
                if logp / length**alpha > best_score:
                    best_score, best_ids = logp / length**alpha, whole
            else:
                live.append((logp, whole, token, h, c))
        if not live:
            break
    return np.array(best_ids, dtype=np.int64), best_score


def edit_distance(a, b):
    """Between ever longer beginnings, remembered in a dict."""
    known = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            known[i, j] = min(known[i - 1, j] + 1, known[i, j - 1] + 1, known[i - 1, j - 1] + int(a[i - 1] != b[j - 1]))
    return known[len(a), len(b)]


def add(*logs):
    """log of a sum of a few numbers given by their logs, without NumPy."""
    top = max(logs)
    return top if top == -np.inf else top + float(np.log(sum([2.718281828459045 ** (x - top) for x in logs])))


def ctc_loss(scores, targets, blank=0):
    T, N, _V = scores.shape
    loss, dscores = 0.0, np.zeros_like(scores)
    for n in range(N):
        rows = scores[:, n].astype(float)
        rows = rows - rows.max(axis=1)[:, None]
        rows = rows - np.log(np.exp(rows).sum(axis=1))[:, None]
        labels = [blank] + [label for one in targets[n].tolist() for label in (one, blank)]
        emit, L = rows[:, labels].tolist(), len(labels)
        before = [[s] + [s - 1] * (s > 0) + [s - 2] * (s > 1 and labels[s] != blank and labels[s] != labels[s - 2]) for s in range(L)]
        after = [[s for s in range(L) if place in before[s]] for place in range(L)]
        ahead = [[emit[0][s] if s < 2 else -np.inf for s in range(L)]]
        for t in range(1, T):
            ahead.append([add(*(ahead[-1][k] for k in before[s])) + emit[t][s] for s in range(L)])
        behind = [[0.0 if s >= L - 2 else -np.inf for s in range(L)]]
        for t in range(T - 2, -1, -1):
            behind.append([add(*(behind[-1][k] + emit[t + 1][k] for k in after[s])) for s in range(L)])
        behind.reverse()
        total = add(ahead[-1][-1], ahead[-1][-2])
        loss -= total / N
        dscores[:, n] = np.exp(rows) / N
        there = np.exp(np.array(ahead) + np.array(behind) - total)
        for s, label in enumerate(labels):
            dscores[:, n, label] -= (there[:, s] / N).astype(scores.dtype)
    return loss, dscores


def ctc_collapse(ids, blank=0):
    said = []
    for t in range(len(ids)):
        if (t == 0 or ids[t] != ids[t - 1]) and ids[t] != blank:
            said.append(ids[t])
    return np.array(said, dtype=np.int64)
