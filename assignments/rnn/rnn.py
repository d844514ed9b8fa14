"""The recurrent network and backpropagation through time.

The text that goes with it, and the points, are in README.md beside this file.
"""

import numpy as np


# ------------------------------------------------------------------------------------------- 1. Word vectors as input


def embedding_forward(ids, W):
    """Look up the vectors of tokens.

    Parameters
    ----------
    ids : ndarray of int64, shape (N, T)
    W : ndarray, shape (V, D)
        One row for each token.

    Returns
    -------
    x : ndarray, shape (N, T, D)
        x[n, t] = W[ids[n, t]], a new array.
    cache : object
        What `embedding_backward` needs.
    """
    raise NotImplementedError("embedding_forward is not written yet")  # YOUR CODE HERE


def embedding_backward(dx, cache):
    """Return the gradient of the table.

    Parameters
    ----------
    dx : ndarray, shape (N, T, D)
    cache : object

    Returns
    -------
    dW : ndarray, shape (V, D)
        Rows of tokens that do not occur are 0; those of repeated tokens add up.
    """
    raise NotImplementedError("embedding_backward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------ 2. The output layer


def affine_forward(h, W, b):
    """Return scores = h W + b at every position.

    Parameters
    ----------
    h : ndarray, shape (N, T, H)
    W : ndarray, shape (H, V)
    b : ndarray, shape (V,)

    Returns
    -------
    scores : ndarray, shape (N, T, V)
    cache : object
    """
    raise NotImplementedError("affine_forward is not written yet")  # YOUR CODE HERE


def affine_backward(dscores, cache):
    """Return the gradients of an affine layer that is shared by all positions.

    Parameters
    ----------
    dscores : ndarray, shape (N, T, V)
    cache : object

    Returns
    -------
    dh : ndarray, shape (N, T, H)
    dW : ndarray, shape (H, V)
    db : ndarray, shape (V,)
    """
    raise NotImplementedError("affine_backward is not written yet")  # YOUR CODE HERE


# -------------------------------------------------------------------------------------------------------- 3. One step


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    """Take one step: h = tanh(x Wx + h_prev Wh + b).

    Parameters
    ----------
    x : ndarray, shape (N, D)
    h_prev : ndarray, shape (N, H)
    Wx : ndarray, shape (D, H)
    Wh : ndarray, shape (H, H)
    b : ndarray, shape (H,)

    Returns
    -------
    h : ndarray, shape (N, H)
    cache : object
        Yours: the caller may overwrite `h`.
    """
    raise NotImplementedError("rnn_step_forward is not written yet")  # YOUR CODE HERE


def rnn_step_backward(dh, cache):
    """Return the gradients of one step.

    Parameters
    ----------
    dh : ndarray, shape (N, H)
        Gradient of the new state.
    cache : object

    Returns
    -------
    dx : ndarray, shape (N, D)
    dh_prev : ndarray, shape (N, H)
    dWx : ndarray, shape (D, H)
    dWh : ndarray, shape (H, H)
    db : ndarray, shape (H,)
    """
    raise NotImplementedError("rnn_step_backward is not written yet")  # YOUR CODE HERE


# ---------------------------------------------------------------------------------------------- 4. The whole sequence


def rnn_forward(x, h0, Wx, Wh, b, mask):
    """Return the states of all steps.

    Parameters
    ----------
    x : ndarray, shape (N, T, D)
    h0 : ndarray, shape (N, H)
    Wx : ndarray, shape (D, H)
    Wh : ndarray, shape (H, H)
    b : ndarray, shape (H,)
    mask : ndarray of bool, shape (N, T)
        Where it is False the state is carried over, whatever stands in `x`; a row without a real token shows h0 at every step.

    Returns
    -------
    h : ndarray, shape (N, T, H)
    cache : object
    """
    raise NotImplementedError("rnn_forward is not written yet")  # YOUR CODE HERE


# --------------------------------------------------------------------------------------- Backpropagation through time


def rnn_backward(dh, cache):
    """Backpropagate through time.

    Parameters
    ----------
    dh : ndarray, shape (N, T, H)
        What arrives from above at every step; at padding it belongs to the state that is carried over, and counts.
    cache : object

    Returns
    -------
    dx : ndarray, shape (N, T, D)
        Exactly 0 at padding.
    dh0 : ndarray, shape (N, H)
    dWx : ndarray, shape (D, H)
    dWh : ndarray, shape (H, H)
    db : ndarray, shape (H,)
    """
    raise NotImplementedError("rnn_backward is not written yet")  # YOUR CODE HERE


# -------------------------------------------------------------------------------------------------------- 6. The loss


def masked_cross_entropy(scores, targets, mask):
    """Return the mean loss over real tokens, in nats, and its gradient.

    Parameters
    ----------
    scores : ndarray, shape (N, T, V)
    targets : ndarray of int64, shape (N, T)
    mask : ndarray of bool, shape (N, T)

    Returns
    -------
    loss : float
        0 when nothing is real.
    dscores : ndarray, shape (N, T, V)
        Exactly 0 at padding.
    """
    raise NotImplementedError("masked_cross_entropy is not written yet")  # YOUR CODE HERE


# -------------------------------------------------------------------------------------------------------- 7. Clipping


def clip_global_norm(grads, max_norm):
    """Shorten all gradients together.

    Parameters
    ----------
    grads : dict of str to ndarray
    max_norm : float
        Positive.

    Returns
    -------
    clipped : dict of str to ndarray
        New arrays under the same names, also when nothing had to be shortened.
    norm : float
        The norm before clipping; when it is 0, nothing changes.
    """
    raise NotImplementedError("clip_global_norm is not written yet")  # YOUR CODE HERE


# ---------------------------------------------------------------------------------------------- 8. The language model


def char_lm_loss(params, ids, targets, mask):
    """Return the loss of a language model and the gradients of its parameters.

    Parameters
    ----------
    params : dict of str to ndarray
        ``embedding`` (V, D), ``Wx`` (D, H), ``Wh`` (H, H), ``b`` (H,), ``Wy`` (H, V), ``by`` (V,).
    ids, targets : ndarray of int64, shape (N, T)
    mask : ndarray of bool, shape (N, T)
        For the network and for the loss.

    Returns
    -------
    loss : float
        In nats per real token.
    grads : dict of str to ndarray
        The same keys and shapes as `params`.
    """
    raise NotImplementedError("char_lm_loss is not written yet")  # YOUR CODE HERE


# -------------------------------------------------------------------------------------------------------- 9. Sampling


def sample(params, start, uniforms, temperature=1.0):
    """Let the model write, one character a step.

    Parameters
    ----------
    params : dict of str to ndarray
        As in `char_lm_loss`.
    start : int
        The character that is fed first; it is not in the answer.
    uniforms : ndarray of float64, shape (L,)
        Random numbers in [0, 1), one for each character.
    temperature : float
        Positive; the scores are divided by it.

    Returns
    -------
    ids : ndarray of int64, shape (L,)
    """
    raise NotImplementedError("sample is not written yet")  # YOUR CODE HERE
