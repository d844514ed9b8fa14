"""Encoder, decoder, attention between them, and search.

The text that goes with it, and the points, are in README.md beside this file.
"""

import numpy as np
from lstm import lstm_backward, lstm_forward


# ---------------------------------------------------------------------- 1. Sentences of different length in one array


def pad_batch(sequences, pad):
    """Put sequences of different length into one array.

    Parameters
    ----------
    sequences : list of N int64 ndarrays, each (length,)
        Lengths are at least 1.
    pad : int
        Fills up the rows on the right; it may be a real id as well.

    Returns
    -------
    ids : int64 ndarray (N, S)
        S is the longest length.
    mask : bool ndarray (N, S)
        True where a token comes from a sequence.
    """
    raise NotImplementedError("pad_batch is not written yet")  # YOUR CODE HERE


def make_targets(sequences, pad, bos, eos):
    """Return what the decoder reads and what it should say.

    Parameters
    ----------
    sequences : list of N int64 ndarrays, each (length,)
        Without bos and eos.
    pad, bos, eos : int

    Returns
    -------
    tgt_in : int64 ndarray (N, T)
        bos, then the sequence; T is the longest length + 1.
    tgt_out : int64 ndarray (N, T)
        The sequence, then eos.
    mask : bool ndarray (N, T)
        True for the tokens of the sequence and for one more.
    """
    raise NotImplementedError("make_targets is not written yet")  # YOUR CODE HERE


# ----------------------------------------------------------------------------------------------------- 2. The encoder


def encode_forward(src, mask, params):
    """Run an LSTM over the source.

    Parameters
    ----------
    src : int64 ndarray (N, S)
    mask : bool ndarray (N, S)
    params : dict
        All parameters; the encoder's are used.

    Returns
    -------
    keys : ndarray (N, S, H)
        The hidden state at every step; at masked steps the carried state.
    h, c : ndarray (N, H)
        The state after the last real token. A new array, not a part of keys.
    cache : anything that encode_backward needs
    """
    raise NotImplementedError("encode_forward is not written yet")  # YOUR CODE HERE


def encode_backward(dkeys, dh, dc, cache):
    """Return the gradients of the encoder's parameters.

    Parameters
    ----------
    dkeys : ndarray (N, S, H)
    dh, dc : ndarray (N, H)
    cache : from encode_forward

    Returns
    -------
    grads : dict
        src_embedding, enc_Wx, enc_Wh, enc_b, and nothing else.
    """
    raise NotImplementedError("encode_backward is not written yet")  # YOUR CODE HERE


# ----------------------------------------------------------------------------- 3. The bottleneck, and a way around it


def additive_attention_forward(q, keys, mask, Wq, Wk, v):
    """Average the keys, with weights from a small network.

    Parameters
    ----------
    q : ndarray (N, T, H)
        One query for every target step.
    keys : ndarray (N, S, H)
        What is scored, and what is averaged.
    mask : bool ndarray (N, S)
        Which keys are real; the others may hold anything.
    Wq, Wk : ndarray (H, M)
    v : ndarray (M,)

    Returns
    -------
    context : ndarray (N, T, H)
    weights : ndarray (N, T, S)
        A softmax over the real keys; 0 for the others, and all 0 where there is none.
    cache : anything that additive_attention_backward needs
    """
    raise NotImplementedError("additive_attention_forward is not written yet")  # YOUR CODE HERE


# -------------------------------------------------------------------------------------- 4. Backward through attention


def additive_attention_backward(dcontext, cache):
    """Return the gradients of all that went into the attention.

    Parameters
    ----------
    dcontext : ndarray (N, T, H)
    cache : from additive_attention_forward

    Returns
    -------
    dq : ndarray (N, T, H)
    dkeys : ndarray (N, S, H)
        Exactly 0 where the mask is False.
    dWq, dWk : ndarray (H, M)
    dv : ndarray (M,)
    """
    raise NotImplementedError("additive_attention_backward is not written yet")  # YOUR CODE HERE


# ----------------------------------------------------------------------------------------------------- 5. The decoder


def decode_forward(tgt_in, h0, c0, keys, src_mask, params):
    """Score the next token at every step, with teacher forcing.

    Parameters
    ----------
    tgt_in : int64 ndarray (N, T)
    h0, c0 : ndarray (N, H)
        From the encoder.
    keys : ndarray (N, S, H)
    src_mask : bool ndarray (N, S)
    params : dict
        All parameters; the decoder's are used. Wo takes the state in its first H rows, the context in the others.

    Returns
    -------
    scores : ndarray (N, T, Vt)
        Before the softmax.
    weights : ndarray (N, T, S)
        Where every step looked.
    cache : anything that decode_backward needs
    """
    raise NotImplementedError("decode_forward is not written yet")  # YOUR CODE HERE


def decode_backward(dscores, cache):
    """Return the gradients of the decoder's parameters and of what came from the encoder.

    Parameters
    ----------
    dscores : ndarray (N, T, Vt)
    cache : from decode_forward

    Returns
    -------
    grads : dict
        tgt_embedding, dec_Wx, dec_Wh, dec_b, att_Wq, att_Wk, att_v, Wo, bo, Wy, by, and nothing else.
    dh0, dc0 : ndarray (N, H)
    dkeys : ndarray (N, S, H)
    """
    raise NotImplementedError("decode_backward is not written yet")  # YOUR CODE HERE


# -------------------------------------------------------------------------------------------------------- 6. The loss


def seq2seq_loss(params, src, src_mask, tgt_in, tgt_out, tgt_mask):
    """Return the loss of a batch and the gradients of all parameters.

    Parameters
    ----------
    params : dict
    src : int64 ndarray (N, S)
    src_mask : bool ndarray (N, S)
    tgt_in, tgt_out : int64 ndarray (N, T)
    tgt_mask : bool ndarray (N, T)
        Which target tokens count in the loss.

    Returns
    -------
    loss : float
        Mean over the real target tokens, in nats; 0 when there is none.
    grads : dict
        One gradient for every parameter.
    """
    raise NotImplementedError("seq2seq_loss is not written yet")  # YOUR CODE HERE


# --------------------------------------------------------------------------------------------------- 8. Greedy search


def greedy_decode(params, src, bos, eos, max_len):
    """Say the likeliest token at every step.

    Parameters
    ----------
    params : dict
    src : int64 ndarray (S,)
        One sentence, without padding.
    bos, eos : int
    max_len : int
        At most so many steps, eos included.

    Returns
    -------
    ids : int64 ndarray (length,)
        Without bos and eos; possibly empty.
    """
    raise NotImplementedError("greedy_decode is not written yet")  # YOUR CODE HERE


# ----------------------------------------------------------------------------------------------------- 9. Beam search


def beam_search(params, src, bos, eos, beam, max_len, alpha):
    """Keep the `beam` likeliest beginnings, and return the best sentence found.

    Parameters
    ----------
    params : dict
    src : int64 ndarray (S,)
    bos, eos : int
    beam : int
        At least 1.
    max_len : int
        At most so many steps, eos included.
    alpha : float
        0 compares log-probabilities, 1 their mean per token.

    Returns
    -------
    ids : int64 ndarray (length,)
        Without bos and eos.
    score : float
        log-probability / length ** alpha, eos counted in both.
    """
    raise NotImplementedError("beam_search is not written yet")  # YOUR CODE HERE


# ---------------------------------------------------------------------------------------- 10. How wrong is an answer?


def edit_distance(a, b):
    """Return the Levenshtein distance of two sequences of ids.

    Parameters
    ----------
    a, b : int64 ndarray, each (length,)
        Possibly empty.

    Returns
    -------
    distance : int
    """
    raise NotImplementedError("edit_distance is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------- 12. Bonus: connectionist temporal classification


def ctc_collapse(ids, blank=0):
    """Merge repeats, then drop blanks.

    Parameters
    ----------
    ids : int64 ndarray (T,)
    blank : int

    Returns
    -------
    labels : int64 ndarray, at most (T,)
    """
    raise NotImplementedError("ctc_collapse is not written yet")  # YOUR CODE HERE


def ctc_loss(scores, targets, blank=0):
    """Return the CTC loss of a batch and its gradient.

    Parameters
    ----------
    scores : ndarray (T, N, V)
        Before the softmax; time comes first.
    targets : list of N int64 ndarrays, each (length,)
        Without blanks, at least one label, and possible: length + number of equal neighbours <= T.
    blank : int

    Returns
    -------
    loss : float
        Mean over N of the negative log-likelihood.
    dscores : ndarray (T, N, V)
    """
    raise NotImplementedError("ctc_loss is not written yet")  # YOUR CODE HERE
