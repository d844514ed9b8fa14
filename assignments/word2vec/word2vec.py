"""Word vectors from raw text: skip-gram and CBOW.

The text that goes with it, and the points, are in README.md beside this file.
"""

import numpy as np


# ------------------------------------------------------------------------------------ 1. The logarithm of the sigmoid


def log_sigmoid(x):
    """Return log(1 / (1 + exp(-x))) for every entry.

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    y : ndarray, shape and dtype of x
        In float64 each entry is exact to about 13 digits for ``|x|`` up to 1e4.
    """
    raise NotImplementedError("log_sigmoid is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------ 2. Examples out of a text


def skipgram_pairs(tokens, window):
    """Return all pairs of a centre word and a word at most ``window`` positions away from it.

    Parameters
    ----------
    tokens : int64 ndarray (L,)
        The text as ids.
    window : int
        At least 1, and possibly longer than the text.

    Returns
    -------
    pairs : int64 ndarray (P, 2)
        (centre id, outside id), by position of the centre, then by offset from left to right; shape (0, 2) where there
        is no pair.
    """
    raise NotImplementedError("skipgram_pairs is not written yet")  # YOUR CODE HERE


def cbow_windows(tokens, window):
    """Return every position of a text with its neighbours.

    Parameters
    ----------
    tokens : int64 ndarray (L,)
    window : int
        At least 1, and possibly longer than the text.

    Returns
    -------
    centers : int64 ndarray (L,)
    context : int64 ndarray (L, 2 * window)
        Columns are the offsets -window..-1, 1..window; 0 where the mask is False.
    mask : bool ndarray (L, 2 * window)
        True where the text has a word at this offset.
    """
    raise NotImplementedError("cbow_windows is not written yet")  # YOUR CODE HERE


# --------------------------------------------------------------------------------------- 3. Frequent words, and noise


def keep_probability(counts, t):
    """Return the probability to keep a token of every word: min(1, sqrt(t / frequency)) (Mikolov et al. 2013b, eq. 5).

    Parameters
    ----------
    counts : int64 or float ndarray (V,)
        How often each word occurs; at least one is positive.
    t : float
        Words with a frequency up to t are always kept.

    Returns
    -------
    p : float64 ndarray (V,)
        1 for a word with count 0.
    """
    raise NotImplementedError("keep_probability is not written yet")  # YOUR CODE HERE


def negative_distribution(counts, power=0.75):
    """Return the noise distribution, counts to a power, normalised (Mikolov et al. 2013b, section 2.2).

    Parameters
    ----------
    counts : int64 or float ndarray (V,)
        At least one is positive.
    power : float

    Returns
    -------
    p : float64 ndarray (V,)
        Sums to 1.
    """
    raise NotImplementedError("negative_distribution is not written yet")  # YOUR CODE HERE


def draw_negatives(p, targets, uniforms):
    """Draw words from p without the target of the row, by inverse CDF.

    Parameters
    ----------
    p : ndarray (V,)
        Probabilities; at least one word besides a target has p > 0.
    targets : int64 ndarray (N,)
        The word that row n must not draw.
    uniforms : ndarray (N, K)
        Numbers in [0, 1), one for each draw.

    Returns
    -------
    ids : int64 ndarray (N, K)
        The smallest v whose cumulative probability, target removed and renormalised, is above the uniform.
    """
    raise NotImplementedError("draw_negatives is not written yet")  # YOUR CODE HERE


# --------------------------------------------------------------------------------- 4. Skip-gram with the full softmax


def skipgram_softmax(center, outside, W_in, W_out):
    """Return the loss of skip-gram with a full softmax, and its gradients (Mikolov et al. 2013b, eq. 1 and 2).

    Parameters
    ----------
    center, outside : int64 ndarray (N,)
        The pairs; words may repeat.
    W_in, W_out : ndarray (V, D)

    Returns
    -------
    loss : float
        Mean over the N pairs of -log p(outside | center).
    dW_in, dW_out : ndarray (V, D)
        Gradients of the loss; rows of ``dW_in`` without an example are 0.
    """
    raise NotImplementedError("skipgram_softmax is not written yet")  # YOUR CODE HERE


# ----------------------------------------------------------------------------------------------- 5. Negative sampling


def skipgram_negative(center, outside, negatives, W_in, W_out):
    """Return the loss of skip-gram with negative sampling, and the gradients of the rows (Mikolov et al. 2013b, eq. 4).

    Parameters
    ----------
    center, outside : int64 ndarray (N,)
    negatives : int64 ndarray (N, K)
        Noise words; they may repeat and may hold the outside word.
    W_in, W_out : ndarray (V, D)

    Returns
    -------
    loss : float
        Mean over N of -log sigmoid(u_o v) - sum over k of log sigmoid(-u_k v).
    d_in : ndarray (N, D)
        Gradients of the rows ``W_in[center]``.
    d_out : ndarray (N, K+1, D)
        Gradients of rows of W_out: column 0 for ``outside``, the others for ``negatives``.
    """
    raise NotImplementedError("skipgram_negative is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------------ 6. CBOW


def cbow_negative(context, mask, center, negatives, W_in, W_out):
    """Return the loss of CBOW with negative sampling, and the gradients of the rows.

    Parameters
    ----------
    context : int64 ndarray (N, C)
    mask : bool ndarray (N, C)
        True = real word; a row may have none.
    center : int64 ndarray (N,)
        The word to be predicted.
    negatives : int64 ndarray (N, K)
        Noise words; they may repeat and may hold the centre.
    W_in, W_out : ndarray (V, D)

    Returns
    -------
    loss : float
        Mean over N, as in ``skipgram_negative`` with the mean of the real context vectors for v. A row that has none has
        v = 0 and counts like any other: its loss is (K + 1) log 2.
    d_context : ndarray (N, C, D)
        Gradients of the rows ``W_in[context]``, exactly 0 where the mask is False.
    d_out : ndarray (N, K+1, D)
        Gradients of rows of W_out: column 0 for ``center``, the others for ``negatives``.
    """
    raise NotImplementedError("cbow_negative is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------ 7. The update


def sgd_update(W, rows, grads, lr):
    """Take one step of gradient descent on some rows of W, in place; rows that occur twice get both gradients.

    Parameters
    ----------
    W : ndarray (V, D)
        Changed in place; it may be a strided view.
    rows : int64 ndarray (R,)
        May repeat.
    grads : ndarray (R, D)
        ``grads[r]`` belongs to ``W[rows[r]]``; stays as it is.
    lr : float

    Returns
    -------
    None
    """
    raise NotImplementedError("sgd_update is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------- 8. Looking at the result


def nearest(W, query, k, exclude):
    """Return the k rows of W that are most similar to a vector.

    Parameters
    ----------
    W : ndarray (V, D)
    query : ndarray (D,)
    k : int
        At most as many as there are ids left.
    exclude : iterable of int
        Ids that must not be returned, e.g. the word itself: a list, a tuple, an array, or nothing in it.

    Returns
    -------
    ids : int64 ndarray (k,)
        Best first; among equal cosines the lower id first.
    cosine : ndarray (k,)
        Their cosines; 0 for a zero vector.
    """
    raise NotImplementedError("nearest is not written yet")  # YOUR CODE HERE
