"""The recurrent network (Elman 1990; Graves 2012, ch. 3): forward passes in plain PyTorch.

Every function takes tensors of any float type on any device and works under autograd. Shapes use N for the batch, T for
time steps, D for the input width, H for hidden units and V for the vocabulary. Row vectors: ``x @ Wx`` with Wx (D, H).
"""

from __future__ import annotations

import torch


def embedding_forward(ids, W):
    """Return the rows of a table of word vectors, x[n, t] = W[ids[n, t]].

    Parameters
    ----------
    ids : int64 tensor, shape (N, T)
    W : tensor, shape (V, D)

    Returns
    -------
    x : tensor, shape (N, T, D)
    """
    return W[ids]


def affine_forward(h, W, b):
    """Return scores = h W + b at every position.

    Parameters
    ----------
    h : tensor, shape (..., H)
    W : tensor, shape (H, V)
    b : tensor, shape (V,)

    Returns
    -------
    scores : tensor, shape (..., V)
    """
    return h @ W + b


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    """Return the next hidden state, h = tanh(x Wx + h_prev Wh + b) (Elman 1990; Graves 2012, section 3.2).

    Parameters
    ----------
    x : tensor, shape (N, D)
    h_prev : tensor, shape (N, H)
    Wx : tensor, shape (D, H)
    Wh : tensor, shape (H, H)
    b : tensor, shape (H,)

    Returns
    -------
    h : tensor, shape (N, H)
    """
    return torch.tanh(x @ Wx + h_prev @ Wh + b)


def rnn_forward(x, h0, Wx, Wh, b, mask):
    """Return the hidden states of all steps; where the mask is False the state is carried over.

    Parameters
    ----------
    x : tensor, shape (N, T, D)
    h0 : tensor, shape (N, H)
    Wx, Wh, b : tensors, shapes (D, H), (H, H), (H,)
    mask : bool tensor, shape (N, T)
        True = real. What stands in ``x`` elsewhere has no influence.

    Returns
    -------
    h : tensor, shape (N, T, H)
    """
    x = torch.where(mask[..., None], x, 0.0)
    state, states = h0, []
    for t in range(x.shape[1]):
        state = torch.where(mask[:, t, None], rnn_step_forward(x[:, t], state, Wx, Wh, b), state)
        states.append(state)
    return torch.stack(states, dim=1)


def masked_cross_entropy(scores, targets, mask):
    """Return the mean negative log-probability of the real targets, in nats; 0 when there are none.

    Parameters
    ----------
    scores : tensor, shape (N, T, V)
    targets : int64 tensor, shape (N, T)
    mask : bool tensor, shape (N, T)

    Returns
    -------
    loss : tensor, shape ()
    """
    scores = torch.where(mask[..., None], scores, 0.0)
    log_p = torch.log_softmax(scores, dim=-1).gather(-1, targets[..., None])[..., 0]
    return -torch.where(mask, log_p, 0.0).sum() / mask.sum().clamp(min=1)


def clip_global_norm(grads, max_norm):
    """Scale all gradients by min(1, max_norm / norm), the norm taken over all of them together (Pascanu 2013, alg. 1).

    Parameters
    ----------
    grads : dict of str to tensor
    max_norm : float

    Returns
    -------
    clipped : dict of str to tensor
    norm : tensor, shape ()
        Before clipping.
    """
    norm = torch.sqrt(sum((grad * grad).sum() for grad in grads.values()))
    scale = (max_norm / norm).clamp(max=1.0)
    return {name: grad * scale for name, grad in grads.items()}, norm


def char_lm_loss(params, ids, targets, mask):
    """Return the loss of a character language model that reads ``ids`` and predicts ``targets``, h0 = 0.

    Parameters
    ----------
    params : dict of str to tensor
        ``embedding (V, D)``, ``Wx (D, H)``, ``Wh (H, H)``, ``b (H,)``, ``Wy (H, V)``, ``by (V,)``.
    ids, targets : int64 tensors, shape (N, T)
    mask : bool tensor, shape (N, T)

    Returns
    -------
    loss : tensor, shape ()
    """
    x = embedding_forward(ids, params["embedding"])
    h0 = x.new_zeros(len(ids), len(params["b"]))
    h = rnn_forward(x, h0, params["Wx"], params["Wh"], params["b"], mask)
    return masked_cross_entropy(affine_forward(h, params["Wy"], params["by"]), targets, mask)


def sample(params, start, uniforms, temperature=1.0):
    """Draw one character after the other, each from softmax(scores / temperature) by its inverse CDF.

    Parameters
    ----------
    params : dict of str to tensor
        As for :func:`char_lm_loss`.
    start : int
        The character that is fed first; it is not in the answer.
    uniforms : float64 tensor, shape (L,)
        In [0, 1): one per character drawn.
    temperature : float
        Positive.

    Returns
    -------
    ids : int64 tensor, shape (L,)
    """
    h = params["b"].new_zeros(1, len(params["b"]))
    last, drawn = torch.full((1,), start, device=uniforms.device), []
    for u in uniforms.double():
        h = rnn_step_forward(params["embedding"][last], h, params["Wx"], params["Wh"], params["b"])
        scores = affine_forward(h, params["Wy"], params["by"])[0].double()
        last = inverse_cdf(torch.softmax(scores / temperature, dim=-1), u).reshape(1)
        drawn.append(last)
    return torch.cat(drawn)


def inverse_cdf(p, u):
    """Return the smallest v with cumsum(p)[v] > u; if rounding leaves none, the last v with p > 0."""
    above = torch.cumsum(p, dim=-1) > u
    possible = torch.where(p > 0, torch.arange(len(p), device=p.device), 0)
    return torch.where(above.any(), above.int().argmax(), possible.max())
