"""Encoder, decoder and attention between them (Sutskever 2014; Bahdanau 2015), search and CTC: plain PyTorch, forward only.

Sizes: N sentences, S source tokens, T target tokens, D embedding width, H hidden units, M attention units,
Vs and Vt source and target vocabulary. A mask is bool, True = real token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from reference.lstm import lstm_forward

# ------------------------------------------------------------------------------------------------------ batches


def pad_batch(sequences, pad):
    """Put sequences of different length into one array.

    Parameters
    ----------
    sequences : list of N int64 tensors, each (length,)
    pad : int
        Fills the rest of a row; it may be a real id, so only the mask says what is real.

    Returns
    -------
    ids : (N, S) int64, S the longest length
    mask : (N, S) bool
    """
    longest = max(len(sequence) for sequence in sequences)
    ids = torch.stack([F.pad(sequence, (0, longest - len(sequence)), value=pad) for sequence in sequences])
    lengths = torch.tensor([len(sequence) for sequence in sequences], device=ids.device)
    return ids, torch.arange(longest, device=ids.device) < lengths[:, None]


def make_targets(sequences, pad, bos, eos):
    """Return what the decoder reads, ``bos y1 .. yL``, and what it should say, ``y1 .. yL eos``.

    Returns
    -------
    tgt_in, tgt_out : (N, T) int64, T the longest length + 1
    mask : (N, T) bool
    """
    tgt_in, mask = pad_batch([F.pad(sequence, (1, 0), value=bos) for sequence in sequences], pad)
    tgt_out, _ = pad_batch([F.pad(sequence, (0, 1), value=eos) for sequence in sequences], pad)
    return tgt_in, tgt_out, mask


# ---------------------------------------------------------------------------------------------------- the model


def encode_forward(src, mask, params):
    """Run an LSTM over the source (Sutskever, Vinyals & Le 2014).

    Parameters
    ----------
    src : (N, S) int64
    mask : (N, S) bool
        At masked steps the state is carried over.
    params : dict
        ``src_embedding (Vs, D)``, ``enc_Wx (D, 4H)``, ``enc_Wh (H, 4H)``, ``enc_b (4H,)``.

    Returns
    -------
    keys : (N, S, H)
        The hidden state at every step.
    h, c : (N, H)
        The state after the last real token.
    """
    x = params["src_embedding"][src]
    zeros = x.new_zeros(len(src), params["enc_Wh"].shape[0])
    keys, c = lstm_forward(x, zeros, zeros, params["enc_Wx"], params["enc_Wh"], params["enc_b"], mask)
    return keys, keys[:, -1], c


def additive_attention_forward(q, keys, mask, Wq, Wk, v):
    """Attend to keys by a small network (Bahdanau, Cho & Bengio 2015, appendix A.1.2).

    Parameters
    ----------
    q : (N, T, H)
    keys : (N, S, H)
        What is scored, and what is averaged.
    mask : (N, S) bool
    Wq, Wk : (H, M)
    v : (M,)

    Returns
    -------
    context : (N, T, H)
    weights : (N, T, S)
        softmax over the real keys of ``v . tanh(q Wq + k Wk)``; zeros where there is none.
    """
    # Whatever stands behind the mask must not even reach tanh: 0 * inf would come back as NaN in a gradient.
    keys = torch.where(mask[:, :, None], keys, 0.0)
    hidden = torch.tanh((q @ Wq)[:, :, None] + (keys @ Wk)[:, None])
    weights = masked_softmax((hidden * v).sum(-1), mask[:, None])
    return weights @ keys, weights


def masked_softmax(scores, mask):
    """Return softmax over the last axis where ``mask`` is True; a row without any gives zeros and zero gradients."""
    real = torch.where(mask, scores, -torch.inf)
    some = mask.any(-1, keepdim=True)
    return torch.where(some & mask, torch.softmax(torch.where(some, real, 0.0), -1), 0.0)


def decode_forward(tgt_in, h0, c0, keys, src_mask, params):
    """Score the next token at every step, reading the right tokens so far (teacher forcing).

    The decoder LSTM does not see the context (Luong, Pham & Manning 2015, §3, without input feeding); its states ask
    the questions, with the additive score of Bahdanau.

    Parameters
    ----------
    tgt_in : (N, T) int64
    h0, c0 : (N, H)
    keys : (N, S, H)
    src_mask : (N, S) bool
    params : dict
        ``tgt_embedding (Vt, D)``, ``dec_Wx``, ``dec_Wh``, ``dec_b``, ``att_Wq``, ``att_Wk``, ``att_v``,
        ``Wo (2H, H)``, ``bo (H,)``, ``Wy (H, Vt)``, ``by (Vt,)``.

    Returns
    -------
    scores : (N, T, Vt)
    weights : (N, T, S)
    """
    x = params["tgt_embedding"][tgt_in]
    everything = torch.ones_like(tgt_in, dtype=torch.bool)
    states, _ = lstm_forward(x, h0, c0, params["dec_Wx"], params["dec_Wh"], params["dec_b"], everything)
    context, weights = additive_attention_forward(states, keys, src_mask, params["att_Wq"], params["att_Wk"], params["att_v"])
    both = torch.tanh(torch.cat([states, context], -1) @ params["Wo"] + params["bo"])
    return both @ params["Wy"] + params["by"], weights


def seq2seq_loss(params, src, src_mask, tgt_in, tgt_out, tgt_mask):
    """Return the mean cross-entropy of the real target tokens, in nats; 0 when there is none."""
    keys, h, c = encode_forward(src, src_mask, params)
    scores, _ = decode_forward(tgt_in, h, c, keys, src_mask, params)
    nll = -torch.log_softmax(scores, -1).gather(-1, tgt_out[..., None])[..., 0]
    return torch.where(tgt_mask, nll, 0.0).sum() / tgt_mask.sum().clamp(min=1)


# ------------------------------------------------------------------------------------------------------- search


def next_log_probabilities(prefix, source, params):
    """Return log-probabilities (Vt,) of what follows ``prefix`` (a list of ids) under an encoded source."""
    keys, h, c, mask = source
    scores, _ = decode_forward(torch.tensor([prefix], device=keys.device), h, c, keys, mask, params)
    return torch.log_softmax(scores[0, -1], -1)


def encode_one(params, src):
    """Return ``(keys, h, c, mask)`` for one source (S,)."""
    mask = torch.ones_like(src[None], dtype=torch.bool)
    return *encode_forward(src[None], mask, params), mask


def greedy_decode(params, src, bos, eos, max_len):
    """Take the likeliest token at every step, the lower id in a tie, until ``eos`` or ``max_len`` steps.

    Returns
    -------
    ids : (length,) int64, without bos and eos
    """
    source, ids = encode_one(params, src), [bos]
    for _ in range(max_len):
        best = int(next_log_probabilities(ids, source, params).argmax())
        if best == eos:
            break
        ids.append(best)
    return torch.tensor(ids[1:], dtype=torch.int64, device=src.device)


def beam_search(params, src, bos, eos, beam, max_len, alpha):
    """Keep the ``beam`` likeliest beginnings (Graves 2012b; length normalisation as in Wu et al. 2016 without their constant).

    Returns
    -------
    ids : (length,) int64, without bos and eos
    score : ()
        log-probability / length ** alpha; eos counts in both.
    """
    source = encode_one(params, src)
    live, finished = [([bos], source[0].new_zeros(()))], []
    for _ in range(max_len):
        longer = [(ids + [v], total + p) for ids, total in live for v, p in enumerate(next_log_probabilities(ids, source, params))]
        kept = sorted(longer, key=lambda one: -one[1].item())[:beam]
        finished += [one for one in kept if one[0][-1] == eos]
        live = [one for one in kept if one[0][-1] != eos]
        if not live:
            break
    scored = [(ids, total / (len(ids) - 1) ** alpha) for ids, total in finished + live]
    ids, score = max(scored, key=lambda one: one[1].item())
    said = ids[1:-1] if ids[-1] == eos else ids[1:]
    return torch.tensor(said, dtype=torch.int64, device=src.device), score


def edit_distance(a, b):
    """Return the fewest insertions, deletions and replacements that turn ``a`` into ``b`` (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a.tolist(), start=1):
        above, row = row, [i]
        for j, y in enumerate(b.tolist(), start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y)))
    return row[-1]


# ---------------------------------------------------------------------------------------------------------- CTC

#: The logarithm of nothing. Finite, so that a gradient through it is 0 and not NaN.
NOTHING = -1e30


def ctc_loss(scores, targets, blank=0):
    """Return the negative log-likelihood of labellings, all alignments summed (Graves 2012, §7.3).

    Parameters
    ----------
    scores : (T, N, V)
        Before the softmax.
    targets : list of N int64 tensors
        Without blanks, and possible: length + repeats next to each other <= T.

    Returns
    -------
    loss : ()
        Mean over N; not divided by the length of the targets.
    """
    log_p = torch.log_softmax(scores, -1)
    return torch.stack([-log_likelihood(log_p[:, n], target, blank) for n, target in enumerate(targets)]).mean()


def log_likelihood(log_p, target, blank):
    """Return log p(target) for one example, log_p (T, V), by the forward variables of equations 7.5 to 7.8."""
    extended = torch.full((2 * len(target) + 1,), blank, device=target.device)
    extended[1::2] = target
    # From two places back only onto a label that differs from the one there: not onto a blank, not onto a repeat.
    skips = F.pad((extended[2:] != blank) & (extended[2:] != extended[:-2]), (2, 0))
    emit = log_p[:, extended]
    start = torch.arange(len(extended), device=target.device) < 2
    alpha = torch.where(start, emit[0], NOTHING)
    for t in range(1, len(emit)):
        one_back = F.pad(alpha[:-1], (1, 0), value=NOTHING)
        two_back = torch.where(skips, F.pad(alpha[:-2], (2, 0), value=NOTHING), NOTHING)
        alpha = torch.logsumexp(torch.stack([alpha, one_back, two_back]), 0) + emit[t]
    return torch.logsumexp(alpha[-2:], 0)


def ctc_collapse(ids, blank=0):
    """Merge repeats, then drop blanks (Graves 2012, §7.2.1): ``a a - a b b`` is ``a a b``."""
    merged = torch.unique_consecutive(ids)
    return merged[merged != blank]
