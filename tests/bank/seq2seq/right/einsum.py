"""Everything as einsum; one-hot matrices in place of scatter-adds; CTC for the whole batch at once."""

import numpy as np
from lstm import lstm_backward, lstm_forward


def one_hot(ids, size, dtype):
    return np.eye(size, dtype=dtype)[ids]


def pad_batch(sequences, pad):
    width = max(map(len, sequences))
    rows = [np.pad(np.asarray(s, np.int64), (0, width - len(s)), constant_values=pad) for s in sequences]
    return np.stack(rows), np.stack([np.arange(width) < len(s) for s in sequences])


def make_targets(sequences, pad, bos, eos):
    whole, mask = pad_batch([np.concatenate([[bos], s, [eos]]) for s in sequences], pad)
    tgt_in = np.where(mask[:, 1:], whole[:, :-1], pad)
    return tgt_in, whole[:, 1:].copy(), mask[:, 1:].copy()


def encode_forward(src, mask, params):
    E = params["src_embedding"]
    chosen = one_hot(src, len(E), E.dtype)
    N, H = len(src), params["enc_Wh"].shape[0]
    keys, c, cache = lstm_forward(
        np.einsum("nsv,vd->nsd", chosen, E), np.zeros((N, H), E.dtype), np.zeros((N, H), E.dtype),
        params["enc_Wx"], params["enc_Wh"], params["enc_b"], mask,
    )  # fmt: skip
    return keys, np.array(keys[:, -1]), c, (chosen, cache)


def encode_backward(dkeys, dh, dc, cache):
    chosen, inner = cache
    last = one_hot(np.full(len(dh), dkeys.shape[1] - 1), dkeys.shape[1], dkeys.dtype)
    dx, _, _, dWx, dWh, db = lstm_backward(dkeys + np.einsum("ns,nh->nsh", last, dh), dc, inner)
    return {"src_embedding": np.einsum("nsv,nsd->vd", chosen, dx), "enc_Wx": dWx, "enc_Wh": dWh, "enc_b": db}


def additive_attention_forward(q, keys, mask, Wq, Wk, v):
    real = mask.astype(q.dtype)
    keys = np.where(mask[..., None], keys, q.dtype.type(0))
    u = np.tanh(np.einsum("nth,hm->ntm", q, Wq)[:, :, None] + np.einsum("nsh,hm->nsm", keys, Wk)[:, None])
    s = np.einsum("ntsm,m->nts", u, v)
    low = np.finfo(q.dtype).min
    top = np.where(mask[:, None], s, low).max(-1, keepdims=True)
    e = np.exp(np.minimum(s - top, 0)) * real[:, None]
    w = e / np.maximum(e.sum(-1, keepdims=True), np.finfo(q.dtype).tiny)
    return np.einsum("nts,nsh->nth", w, keys), w, (q, keys, real, Wq, Wk, v, u, np.array(w))


def additive_attention_backward(dcontext, cache):
    q, keys, real, Wq, Wk, v, u, w = cache
    dw = np.einsum("nth,nsh->nts", dcontext, keys)
    ds = w * dw - w * np.einsum("nts,nts->nt", w, dw)[..., None]
    dz = np.einsum("nts,m,ntsm->ntsm", ds, v, 1 - u * u)
    dzq, dzk = np.einsum("ntsm->ntm", dz), np.einsum("ntsm->nsm", dz)
    dkeys = np.einsum("nts,nth->nsh", w, dcontext) + np.einsum("nsm,hm->nsh", dzk, Wk)
    return (
        np.einsum("ntm,hm->nth", dzq, Wq), dkeys * real[..., None], np.einsum("nth,ntm->hm", q, dzq),
        np.einsum("nsh,nsm->hm", keys, dzk), np.einsum("nts,ntsm->m", ds, u),
    )  # fmt: skip


def decode_forward(tgt_in, h0, c0, keys, src_mask, params):
    p = params
    chosen = one_hot(tgt_in, len(p["tgt_embedding"]), h0.dtype)
    x = np.einsum("ntv,vd->ntd", chosen, p["tgt_embedding"])
    h, _, lstm_cache = lstm_forward(x, h0, c0, p["dec_Wx"], p["dec_Wh"], p["dec_b"], np.ones_like(tgt_in, bool))
    context, weights, att_cache = additive_attention_forward(h, keys, src_mask, p["att_Wq"], p["att_Wk"], p["att_v"])
    H = h.shape[-1]
    # Wo in two halves, one for the state and one for the context: the same as concatenating.
    z = np.einsum("nth,hk->ntk", h, p["Wo"][:H]) + np.einsum("nth,hk->ntk", context, p["Wo"][H:]) + p["bo"]
    a = np.tanh(z)
    return np.einsum("nth,hv->ntv", a, p["Wy"]) + p["by"], weights, (chosen, h.copy(), context, a, p, lstm_cache, att_cache)


def decode_backward(dscores, cache):
    chosen, h, context, a, p, lstm_cache, att_cache = cache
    H = h.shape[-1]
    dz = np.einsum("ntv,hv->nth", dscores, p["Wy"]) * (1 - a * a)
    dh, dcontext = (np.einsum("ntk,hk->nth", dz, part) for part in (p["Wo"][:H], p["Wo"][H:]))
    dq, dkeys, dWq, dWk, dv = additive_attention_backward(dcontext, att_cache)
    dx, dh0, dc0, dWx, dWh, db = lstm_backward(dh + dq, np.zeros_like(h[:, 0]), lstm_cache)
    grads = {
        "tgt_embedding": np.einsum("ntv,ntd->vd", chosen, dx), "dec_Wx": dWx, "dec_Wh": dWh, "dec_b": db, "att_Wq": dWq, "att_Wk": dWk, "att_v": dv,
        "Wo": np.concatenate([np.einsum("nth,ntk->hk", part, dz) for part in (h, context)]), "bo": np.einsum("ntk->k", dz),
        "Wy": np.einsum("nth,ntv->hv", a, dscores), "by": np.einsum("ntv->v", dscores),
    }  # fmt: skip
    return grads, dh0, dc0, dkeys


def log_softmax(scores):
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def seq2seq_loss(params, src, src_mask, tgt_in, tgt_out, tgt_mask):
    keys, h, c, enc = encode_forward(src, src_mask, params)
    scores, _, dec = decode_forward(tgt_in, h, c, keys, src_mask, params)
    share = (tgt_mask / max(tgt_mask.sum(), 1)).astype(scores.dtype)
    wanted = one_hot(tgt_out, scores.shape[-1], scores.dtype)
    log_p = log_softmax(scores)
    loss = -np.einsum("ntv,ntv,nt->", wanted, log_p, share)
    grads, dh, dc, dkeys = decode_backward(np.einsum("ntv,nt->ntv", np.exp(log_p) - wanted, share), dec)
    return loss, grads | encode_backward(dkeys, dh, dc, enc)


def following(params, prefixes, h, c, keys):
    """Log-probabilities of the next token after each of some prefixes of equal length, decoded from the start."""
    n = len(prefixes)
    spread = [np.repeat(part, n, axis=0) for part in (h, c, keys)]
    scores, _, _ = decode_forward(prefixes, *spread, np.ones((n, keys.shape[1]), bool), params)
    return log_softmax(scores[:, -1])


def greedy_decode(params, src, bos, eos, max_len):
    keys, h, c, _ = encode_forward(src[None], np.ones((1, len(src)), bool), params)
    ids = np.array([[bos]])
    while ids.shape[1] <= max_len:
        best = following(params, ids, h, c, keys).argmax(-1)
        if best[0] == eos:
            break
        ids = np.append(ids, best[:, None], axis=1)
    return ids[0, 1:].copy()


def beam_search(params, src, bos, eos, beam, max_len, alpha):
    keys, h, c, _ = encode_forward(src[None], np.ones((1, len(src)), bool), params)
    live, logp, best = np.array([[bos]]), np.zeros(1), (-np.inf, None)
    for step in range(1, max_len + 1):
        total = logp[:, None] + following(params, live, h, c, keys)
        order = np.argsort(total, axis=None)[::-1][:beam]
        parent, token = order // total.shape[1], order % total.shape[1]
        live, logp = np.column_stack([live[parent], token]), total.ravel()[order]
        for done in np.flatnonzero((token == eos) | (step == max_len)):
            score = logp[done] / step**alpha
            if score > best[0]:
                best = score, live[done, 1:-1] if token[done] == eos else live[done, 1:]
        live, logp = live[token != eos], logp[token != eos]
        if not logp.size:
            break
    return best[1].astype(np.int64), best[0]


def edit_distance(a, b):
    # Row by row; the running minimum along a row is a cumulative minimum once its slope of 1 is taken out.
    j = np.arange(len(b) + 1)
    row = j.copy()
    for i, x in enumerate(a, 1):
        step = np.append(i, np.minimum(row[1:] + 1, row[:-1] + (b != x)))
        row = np.minimum.accumulate(step - j) + j
    return int(row[-1])


def ctc_loss(scores, targets, blank=0):
    T, N, V = scores.shape
    log_p = log_softmax(scores.astype(np.float64))
    L = 2 * max(map(len, targets)) + 1
    labels, last = np.full((N, L), blank), np.array([2 * len(t) for t in targets])
    for n, target in enumerate(targets):
        labels[n, 1 : 2 * len(target) : 2] = target
    valid = np.arange(L) <= last[:, None]
    skip = np.zeros((N, L), bool)
    skip[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    emit = np.where(valid, np.take_along_axis(log_p, np.broadcast_to(labels, (T, N, L)), -1), -np.inf)
    right = lambda row, by: np.concatenate([np.full((N, min(by, L)), -np.inf), row[:, : L - by]], 1)  # noqa: E731
    left = lambda row, by: np.concatenate([row[:, by:], np.full((N, min(by, L)), -np.inf)], 1)  # noqa: E731
    alpha, beta = np.full((T, N, L), -np.inf), np.full((T, N, L), -np.inf)
    alpha[0, :, :2] = emit[0, :, :2]
    for t in range(1, T):
        jumps = np.where(skip, right(alpha[t - 1], 2), -np.inf)
        alpha[t] = np.logaddexp(np.logaddexp(alpha[t - 1], right(alpha[t - 1], 1)), jumps) + emit[t]
    ends = (np.arange(L) == last[:, None]) | (np.arange(L) == last[:, None] - 1)
    beta[-1] = np.where(ends, 0, -np.inf)
    for t in range(T - 2, -1, -1):
        after = beta[t + 1] + emit[t + 1]
        jumps = left(np.where(skip, after, -np.inf), 2)
        beta[t] = np.logaddexp(np.logaddexp(after, left(after, 1)), jumps)
    log_z = np.logaddexp.reduce(np.where(ends, alpha[-1], -np.inf), -1)
    posterior = np.einsum("tnl,nlv->tnv", np.exp(alpha + beta - log_z[:, None]), one_hot(labels, V, np.float64))
    return -log_z.mean(), ((np.exp(log_p) - posterior) / N).astype(scores.dtype)


def ctc_collapse(ids, blank=0):
    keep = ids != blank
    keep[1:] &= ids[1:] != ids[:-1]
    return ids[keep]
