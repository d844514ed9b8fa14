# %%
import numpy as np
from lstm import lstm_backward, lstm_forward


# %%
def pad_batch(sequences, pad):
    ### BEGIN SOLUTION
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad, dtype=np.int64)
    ids[mask] = np.concatenate(sequences)
    return ids, mask
    ### END SOLUTION


# %%
def make_targets(sequences, pad, bos, eos):
    ### BEGIN SOLUTION
    tgt_in, mask = pad_batch([np.array([bos, *sequence]) for sequence in sequences], pad)
    tgt_out, _ = pad_batch([np.array([*sequence, eos]) for sequence in sequences], pad)
    return tgt_in, tgt_out, mask
    ### END SOLUTION


# %%
def encode_forward(src, mask, params):
    ### BEGIN SOLUTION
    table = params["src_embedding"]
    zeros = np.zeros((len(src), len(params["enc_Wh"])), table.dtype)
    keys, c, cache = lstm_forward(table[src], zeros, zeros, params["enc_Wx"], params["enc_Wh"], params["enc_b"], mask)
    return keys, keys[:, -1].copy(), c, (src, table.shape, cache)
    ### END SOLUTION


# %%
def encode_backward(dkeys, dh, dc, cache):
    ### BEGIN SOLUTION
    src, shape, lstm_cache = cache
    dstates = dkeys.copy()
    dstates[:, -1] += dh
    dx, _, _, dWx, dWh, db = lstm_backward(dstates, dc, lstm_cache)
    dtable = np.zeros(shape, dx.dtype)
    np.add.at(dtable, src, dx)
    return {"src_embedding": dtable, "enc_Wx": dWx, "enc_Wh": dWh, "enc_b": db}
    ### END SOLUTION


# %%
def additive_attention_forward(q, keys, mask, Wq, Wk, v):
    ### BEGIN SOLUTION
    keys = np.where(mask[:, :, None], keys, 0)
    hidden = np.tanh((q @ Wq)[:, :, None] + (keys @ Wk)[:, None])
    scores = np.where(mask[:, None], hidden @ v, -np.inf)
    top = scores.max(axis=-1, keepdims=True)
    exp = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = exp.sum(axis=-1, keepdims=True)
    weights = exp / np.where(total > 0, total, 1)
    return weights @ keys, weights, (q, keys, mask, Wq, Wk, v, hidden, weights.copy())
    ### END SOLUTION


# %%
def additive_attention_backward(dcontext, cache):
    ### BEGIN SOLUTION
    q, keys, mask, Wq, Wk, v, hidden, weights = cache
    dweights = dcontext @ keys.swapaxes(1, 2)
    dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
    dv = np.tensordot(dscores, hidden, axes=3)
    dsum = dscores[..., None] * v * (1 - hidden**2)
    dquestion, dkey = dsum.sum(axis=2), dsum.sum(axis=1)
    dkeys = weights.swapaxes(1, 2) @ dcontext + dkey @ Wk.T
    dWq = np.tensordot(q, dquestion, axes=((0, 1), (0, 1)))
    dWk = np.tensordot(keys, dkey, axes=((0, 1), (0, 1)))
    return dquestion @ Wq.T, np.where(mask[:, :, None], dkeys, 0), dWq, dWk, dv
    ### END SOLUTION


# %%
def decode_forward(tgt_in, h0, c0, keys, src_mask, params):
    ### BEGIN SOLUTION
    x = params["tgt_embedding"][tgt_in]
    everything = np.ones(tgt_in.shape, bool)
    states, _, lstm_cache = lstm_forward(x, h0, c0, params["dec_Wx"], params["dec_Wh"], params["dec_b"], everything)
    context, weights, attention_cache = additive_attention_forward(
        states, keys, src_mask, params["att_Wq"], params["att_Wk"], params["att_v"]
    )
    both = np.concatenate([states, context], axis=-1)
    out = np.tanh(both @ params["Wo"] + params["bo"])
    scores = out @ params["Wy"] + params["by"]
    return scores, weights, (tgt_in, params, lstm_cache, attention_cache, both, out)
    ### END SOLUTION


# %%
def decode_backward(dscores, cache):
    ### BEGIN SOLUTION
    tgt_in, params, lstm_cache, attention_cache, both, out = cache
    grads = {"Wy": np.tensordot(out, dscores, axes=((0, 1), (0, 1))), "by": dscores.sum(axis=(0, 1))}
    da = (dscores @ params["Wy"].T) * (1 - out**2)
    grads["Wo"] = np.tensordot(both, da, axes=((0, 1), (0, 1)))
    grads["bo"] = da.sum(axis=(0, 1))
    dstates, dcontext = np.split(da @ params["Wo"].T, 2, axis=-1)
    dq, dkeys, grads["att_Wq"], grads["att_Wk"], grads["att_v"] = additive_attention_backward(dcontext, attention_cache)
    dc_last = np.zeros_like(dstates[:, 0])
    dx, dh0, dc0, grads["dec_Wx"], grads["dec_Wh"], grads["dec_b"] = lstm_backward(dstates + dq, dc_last, lstm_cache)
    grads["tgt_embedding"] = np.zeros_like(params["tgt_embedding"])
    np.add.at(grads["tgt_embedding"], tgt_in, dx)
    return grads, dh0, dc0, dkeys
    ### END SOLUTION


# %%
### BEGIN SOLUTION
def _log_softmax(scores):
    """Return log-probabilities over the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


### END SOLUTION


# %%
def seq2seq_loss(params, src, src_mask, tgt_in, tgt_out, tgt_mask):
    ### BEGIN SOLUTION
    keys, h, c, encoder_cache = encode_forward(src, src_mask, params)
    scores, _, decoder_cache = decode_forward(tgt_in, h, c, keys, src_mask, params)
    log_p = _log_softmax(scores)
    count = max(int(tgt_mask.sum()), 1)
    right = np.arange(scores.shape[-1]) == tgt_out[..., None]
    loss = -np.where(tgt_mask, np.take_along_axis(log_p, tgt_out[..., None], axis=-1)[..., 0], 0).sum() / count
    dscores = np.where(tgt_mask[..., None], np.exp(log_p) - right, 0).astype(scores.dtype) / count
    decoder_grads, dh, dc, dkeys = decode_backward(dscores, decoder_cache)
    return loss, {**encode_backward(dkeys, dh, dc, encoder_cache), **decoder_grads}
    ### END SOLUTION


# %%
### BEGIN SOLUTION
def _start(params, src):
    """Return the mask, keys and state of one encoded source (S,), as a batch of one."""
    mask = np.ones((1, len(src)), bool)
    keys, h, c, _ = encode_forward(src[None], mask, params)
    return mask, keys, h, c


def _next(params, tokens, h, c, keys, mask):
    """Return log-probabilities (N, Vt) of what follows N tokens, and the new state."""
    x = params["tgt_embedding"][tokens[:, None]]
    real = np.ones((len(tokens), 1), bool)
    states, c, _ = lstm_forward(x, h, c, params["dec_Wx"], params["dec_Wh"], params["dec_b"], real)
    keys, mask = np.repeat(keys, len(tokens), axis=0), np.repeat(mask, len(tokens), axis=0)
    context, _, _ = additive_attention_forward(states, keys, mask, params["att_Wq"], params["att_Wk"], params["att_v"])
    out = np.tanh(np.concatenate([states, context], axis=-1) @ params["Wo"] + params["bo"])
    return _log_softmax(out @ params["Wy"] + params["by"])[:, 0], states[:, 0], c


### END SOLUTION


# %%
def greedy_decode(params, src, bos, eos, max_len):
    ### BEGIN SOLUTION
    mask, keys, h, c = _start(params, src)
    ids, last = [], bos
    for _ in range(max_len):
        log_p, h, c = _next(params, np.array([last]), h, c, keys, mask)
        last = int(log_p[0].argmax())
        if last == eos:
            break
        ids.append(last)
    return np.array(ids, dtype=np.int64)
    ### END SOLUTION


# %%
def beam_search(params, src, bos, eos, beam, max_len, alpha):
    ### BEGIN SOLUTION
    mask, keys, h, c = _start(params, src)
    live, total, finished = np.array([[bos]]), np.zeros(1), []
    for _ in range(max_len):
        log_p, h, c = _next(params, live[:, -1], h, c, keys, mask)
        sums = total[:, None] + log_p
        best = np.argsort(-sums, axis=None, kind="stable")[:beam]
        rows, tokens = np.unravel_index(best, sums.shape)
        longer, total = np.concatenate([live[rows], tokens[:, None]], axis=1), sums[rows, tokens]
        ended = tokens == eos
        finished += [(total[i] / (longer.shape[1] - 1) ** alpha, longer[i, 1:-1]) for i in np.flatnonzero(ended)]
        going = rows[~ended]
        live, total, h, c = longer[~ended], total[~ended], h[going], c[going]
        if not len(live):
            break
    finished += [(total[i] / max_len**alpha, live[i, 1:]) for i in range(len(live))]
    score, ids = max(finished, key=lambda one: one[0])
    return ids.copy(), float(score)
    ### END SOLUTION


# %%
def edit_distance(a, b):
    ### BEGIN SOLUTION
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + int(x != y)))
    return row[-1]
    ### END SOLUTION


# %%
### BEGIN SOLUTION
def _forward_variables(emit, skips):
    """Return log alpha (T, L): all ways to stand at place s after step t, what is emitted there included."""
    alpha = np.full(emit.shape, -np.inf)
    alpha[0, :2] = emit[0, :2]
    for t in range(1, len(emit)):
        ways = alpha[t - 1].copy()
        ways[1:] = np.logaddexp(ways[1:], alpha[t - 1, :-1])
        ways[2:] = np.where(skips, np.logaddexp(ways[2:], alpha[t - 1, :-2]), ways[2:])
        alpha[t] = ways + emit[t]
    return alpha


### END SOLUTION


# %%
def ctc_loss(scores, targets, blank=0):
    ### BEGIN SOLUTION
    log_p = _log_softmax(scores.astype(np.float64))
    p, loss, dscores = np.exp(log_p), 0.0, np.empty_like(scores)
    for n, target in enumerate(targets):
        labels = np.full(2 * len(target) + 1, blank)
        labels[1::2] = target
        skips = (labels[2:] != blank) & (labels[2:] != labels[:-2])
        emit = log_p[:, n, labels]
        alpha = _forward_variables(emit, skips)
        beta = _forward_variables(emit[::-1, ::-1], skips[::-1])[::-1, ::-1]
        total = np.logaddexp.reduce(alpha[-1, -2:])
        there = np.exp(alpha + beta - emit - total)
        dscores[:, n] = (p[:, n] - there @ (labels[:, None] == np.arange(scores.shape[-1]))) / len(targets)
        loss -= total / len(targets)
    return float(loss), dscores
    ### END SOLUTION


# %%
def ctc_collapse(ids, blank=0):
    ### BEGIN SOLUTION
    first = np.append(True, ids[1:] != ids[:-1])
    return ids[first & (ids != blank)]
    ### END SOLUTION
