"""The Transformer, and why memory traffic rules it.

The text that goes with it, and the points, are in README.md beside this file.
"""

import numpy as np


# --------------------------------------------------------------------------------------------- 1. Layer normalisation


def layer_norm_forward(x, gain, bias, eps):
    """Normalise the last axis, then scale and shift it.

    Parameters
    ----------
    x : ndarray, shape (..., D)
        Any number of leading axes, also none.
    gain, bias : ndarray, shape (D,)
    eps : float
        Added to the variance, under the root.

    Returns
    -------
    y : ndarray, shape (..., D)
    cache : object
        What `layer_norm_backward` needs.
    """
    raise NotImplementedError("layer_norm_forward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------- The way back


def layer_norm_backward(dy, cache):
    """Return the gradients of a layer norm.

    Parameters
    ----------
    dy : ndarray, shape (..., D)
    cache : object
        From `layer_norm_forward`.

    Returns
    -------
    dx : ndarray, shape (..., D)
    dgain, dbias : ndarray, shape (D,)
    """
    raise NotImplementedError("layer_norm_backward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------- 2. Attention


def attention_forward(q, k, v, mask):
    """Scaled dot-product attention.

    Parameters
    ----------
    q : ndarray, shape (N, A, T, E)
    k, v : ndarray, shape (N, A, S, E)
    mask : ndarray of bool, 0 to 4 axes, broadcastable to (N, A, T, S)
        True where the query may attend to the key.

    Returns
    -------
    out : ndarray, shape (N, A, T, E)
        Zeros for a query that may attend to nothing.
    cache : object
        What `attention_backward` needs.
    """
    raise NotImplementedError("attention_forward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------- The way back


def attention_backward(dout, cache):
    """Return the gradients of scaled dot-product attention.

    Parameters
    ----------
    dout : ndarray, shape (N, A, T, E)
    cache : object
        From `attention_forward`.

    Returns
    -------
    dq : ndarray, shape (N, A, T, E)
    dk, dv : ndarray, shape (N, A, S, E)
        Exactly 0 for keys that no query may see.
    """
    raise NotImplementedError("attention_backward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------ 3. Many heads


def multihead_forward(x, kv, params, heads, mask):
    """Attention with several heads: queries from x, keys and values from kv.

    Parameters
    ----------
    x : ndarray, shape (N, T, D)
    kv : ndarray, shape (N, S, D)
        In self-attention x itself, the very same array.
    params : dict
        `Wq`, `Wk`, `Wv`, `Wo` of shape (D, D) and `bq`, `bk`, `bv`, `bo` of shape (D,).
    heads : int
        The number A of heads; head a is columns aE to (a+1)E, with E = D // A.
    mask : ndarray of bool, broadcastable to (N, A, T, S)

    Returns
    -------
    y : ndarray, shape (N, T, D)
        Equal to `bo` where a query may attend to nothing.
    cache : object
        What `multihead_backward` needs.
    """
    raise NotImplementedError("multihead_forward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------- The way back


def multihead_backward(dy, cache):
    """Return the gradients of multi-head attention.

    Parameters
    ----------
    dy : ndarray, shape (N, T, D)
    cache : object
        From `multihead_forward`.

    Returns
    -------
    dx : ndarray, shape (N, T, D)
        What comes through the queries.
    dkv : ndarray, shape (N, S, D)
        What comes through keys and values, apart from dx even when kv was x.
    grads : dict
        The gradients of `params`, with the same keys.
    """
    raise NotImplementedError("multihead_backward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------- 4. Positions


def sinusoidal_positions(T, D):
    """Return the table of sines and cosines that tells positions apart.

    Parameters
    ----------
    T, D : int
        D may be odd.

    Returns
    -------
    table : ndarray of float64, shape (T, D)
        Row 0 is position 0; columns 2i and 2i+1 are sine and cosine of the same angle.
    """
    raise NotImplementedError("sinusoidal_positions is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------ 5. The feed-forward layer


def feed_forward_forward(x, params):
    """Two affine maps with a GELU (tanh form) between them, the same at every position.

    Parameters
    ----------
    x : ndarray, shape (N, T, D)
    params : dict
        `W1` (D, F), `b1` (F,), `W2` (F, D), `b2` (D,).

    Returns
    -------
    y : ndarray, shape (N, T, D)
    cache : object
        What `feed_forward_backward` needs.
    """
    raise NotImplementedError("feed_forward_forward is not written yet")  # YOUR CODE HERE


def feed_forward_backward(dy, cache):
    """Return the gradients of the feed-forward layer.

    Parameters
    ----------
    dy : ndarray, shape (N, T, D)
    cache : object
        From `feed_forward_forward`.

    Returns
    -------
    dx : ndarray, shape (N, T, D)
    grads : dict
        The gradients of `params`, with the same keys.
    """
    raise NotImplementedError("feed_forward_backward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------- 6. The block


EPS = 1e-5


def part(params, prefix):
    """Return the entries of a dict whose names start with prefix, the prefix removed."""
    return {name[len(prefix) :]: value for name, value in params.items() if name.startswith(prefix)}


def block_forward(x, params, heads, mask):
    """One pre-norm Transformer block.

    Parameters
    ----------
    x : ndarray, shape (N, T, D)
    params : dict
        `ln1_gain`, `ln1_bias`, `att_Wq` to `att_bo`, `ln2_gain`, `ln2_bias`, `ffn_W1` to `ffn_b2`.
    heads : int
    mask : ndarray of bool, broadcastable to (N, A, T, T)

    Returns
    -------
    y : ndarray, shape (N, T, D)
    cache : object
        What `block_backward` needs.
    """
    raise NotImplementedError("block_forward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------------- The way back


def block_backward(dy, cache):
    """Return the gradients of one block.

    Parameters
    ----------
    dy : ndarray, shape (N, T, D)
    cache : object
        From `block_forward`.

    Returns
    -------
    dx : ndarray, shape (N, T, D)
    grads : dict
        The gradients of `params`, with the same keys.
    """
    raise NotImplementedError("block_backward is not written yet")  # YOUR CODE HERE


# ----------------------------------------------------------------------------------------------------- 7. A small GPT


def gpt_loss(params, ids, targets, mask, heads):
    """Return the loss of a small GPT and all its gradients.

    Parameters
    ----------
    params : dict
        `embedding` (V, D), `positions` (Tmax, D), `blocks`, a list of dicts as in `block_forward`, `lnf_gain`, `lnf_bias` (D,).
    ids, targets : ndarray of int64, shape (N, T)
        T is at most Tmax.
    mask : ndarray of bool, shape (N, T)
        Which targets count. Attention is causal, and does not look at it.
    heads : int

    Returns
    -------
    loss : float
        Mean of -log p(target) over the targets that count; 0 when none does.
    grads : dict
        As params: `blocks` is a list of dicts, and `positions` has zeros beyond T.
    """
    raise NotImplementedError("gpt_loss is not written yet")  # YOUR CODE HERE


# -------------------------------------------------------------------------------- 10. Bonus: attention in tiles (+20)


def tiled_attention_forward(q, k, v, mask, tile):
    """Attention without ever holding a (T, S) matrix: tiles of scores, and a softmax that is brought up to date.

    Parameters
    ----------
    q : ndarray, shape (N, A, T, E)
    k, v : ndarray, shape (N, A, S, E)
    mask : ndarray of bool, 0 to 4 axes, broadcastable to (N, A, T, S)
    tile : int
        Number of queries and of keys that are handled at a time; lengths need not be a multiple of it. A Python loop over tiles is fine.

    Returns
    -------
    out : ndarray, shape (N, A, T, E)
        What `attention_forward` returns.
    cache : object
        Its size grows linearly with T and S, the mask aside.
    """
    raise NotImplementedError("tiled_attention_forward is not written yet")  # YOUR CODE HERE


def tiled_attention_backward(dout, cache):
    """Return the gradients of attention, the weights computed again tile by tile.

    Parameters
    ----------
    dout : ndarray, shape (N, A, T, E)
    cache : object
        From `tiled_attention_forward`.

    Returns
    -------
    dq : ndarray, shape (N, A, T, E)
    dk, dv : ndarray, shape (N, A, S, E)
    """
    raise NotImplementedError("tiled_attention_backward is not written yet")  # YOUR CODE HERE


# -------------------------------------------------------------------------------- 11. Bonus: one step at a time (+10)


def cached_step(x, params, heads, cache):
    """One block on one new position, with the keys and values of the positions before it remembered.

    Parameters
    ----------
    x : ndarray, shape (N, 1, D)
    params : dict
        Of one block, as in `block_forward`.
    heads : int
    cache : object
        None at the first position, then what the step before returned. It is not changed.

    Returns
    -------
    y : ndarray, shape (N, 1, D)
        What `block_forward` gives at this position under a causal mask.
    cache : object
        For the next step.
    """
    raise NotImplementedError("cached_step is not written yet")  # YOUR CODE HERE


# ----------------------------------------------------------------------------- 12. Bonus: positions as rotations (+6)


def rope(x, positions, base):
    """Rotate the pairs (2i, 2i+1) of the last axis by angles that grow with the position.

    Parameters
    ----------
    x : ndarray, shape (N, A, T, E)
        Queries or keys; E is even.
    positions : ndarray of int64, shape (T,)
        The position of each step; not always 0, 1, 2, ...
    base : float
        Pair i turns by position * base ** (-2i / E).

    Returns
    -------
    y : ndarray, shape (N, A, T, E)
    """
    raise NotImplementedError("rope is not written yet")  # YOUR CODE HERE
