"""The LSTM and the GRU in plain PyTorch, forward only. Gates are packed i, f, g, o, as in ``torch.nn.LSTM``."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def lstm_gates(x, h_prev, Wx, Wh, b):
    """Return ``i, f, g, o``, each ``(N, H)``: the gates of one step (Graves 2012, eq. 4.2–4.6 without peepholes)."""
    i, f, g, o = (x @ Wx + h_prev @ Wh + b).chunk(4, dim=-1)
    return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)


def lstm_step_forward(x, h_prev, c_prev, Wx, Wh, b):
    """Return ``h, c``, each ``(N, H)``, after one step (Hochreiter & Schmidhuber 1997 with the forget gate of Gers 2000)."""
    i, f, g, o = lstm_gates(x, h_prev, Wx, Wh, b)
    c = f * c_prev + i * g
    return o * torch.tanh(c), c


def lstm_forward(x, h0, c0, Wx, Wh, b, mask):
    """Return ``h (N, T, H), c_last (N, H)``; both states are carried over where ``mask`` is False."""
    states, c_last = _states(x, h0, c0, Wx, Wh, b, mask)
    return torch.stack(states, dim=1), c_last


def bilstm_forward(x, mask, forward_params, backward_params):
    """Return ``h (N, T, 2H)``: the states of a left-to-right and of a right-to-left LSTM (Graves 2012, section 3.2.4)."""
    right = _from_zero(x, mask, forward_params)
    left = _from_zero(x.flip(1), mask.flip(1), backward_params).flip(1)
    return torch.cat([right, left], dim=-1)


def init_lstm(normals_x, normals_h, forget_bias):
    """Return ``Wx, Wh, b``; b is 0 but for the forget gate (Gers 2000; Jozefowicz 2015)."""
    (D, _), (H, packed) = normals_x.shape, normals_h.shape
    is_forget = torch.arange(packed, device=normals_h.device) // H == 1
    b = torch.where(is_forget, torch.full_like(normals_h[0], forget_bias), torch.zeros_like(normals_h[0]))
    return normals_x / D**0.5, normals_h / H**0.5, b


def state_gradient_norms(x, h0, c0, Wx, Wh, b, mask, dh_last):
    """Return ``(T,)``: the norm of the gradient of ``sum(dh_last * h_T)`` with respect to every node h_t."""
    with torch.enable_grad():
        start = h0.detach().requires_grad_()
        states, _ = _states(x, start, c0, Wx, Wh, b, mask)
        gradients = torch.autograd.grad((dh_last.detach() * states[-1]).sum(), states)
    return torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).detach()


def gru_forward(x, h0, Wx, Wh, bx, bh, mask):
    """Return ``h (N, T, H)`` of a GRU with gates packed r, z, n, as in ``torch.nn.GRU`` (Cho 2014; reset after the product)."""
    h, states = h0, []
    for x_t, real in _steps(x, mask):
        from_x, from_h = x_t @ Wx + bx, h @ Wh + bh
        (rx, zx, nx), (rh, zh, nh) = from_x.chunk(3, dim=-1), from_h.chunk(3, dim=-1)
        z = torch.sigmoid(zx + zh)
        n = torch.tanh(nx + torch.sigmoid(rx + rh) * nh)
        h = torch.where(real, (1 - z) * n + z * h, h)
        states.append(h)
    return torch.stack(states, dim=1)


def recall_loss(params, symbols, target, mask):
    """Return the loss of the milestone: name ``target (N,)`` from the last state over one-hot ``symbols (N, T, V)``."""
    h = _from_zero(symbols, mask, params)[:, -1]
    return F.cross_entropy(h @ params["Wy"] + params["by"], target)


def _from_zero(x, mask, params):
    zero = x.new_zeros(x.shape[0], params["Wh"].shape[0])
    return lstm_forward(x, zero, zero, params["Wx"], params["Wh"], params["b"], mask)[0]


def _states(x, h, c, Wx, Wh, b, mask):
    """Return the list of T states h_t, each a node of its own in the graph, and the last cell state."""
    states = []
    for x_t, real in _steps(x, mask):
        h_new, c_new = lstm_step_forward(x_t, h, c, Wx, Wh, b)
        h, c = torch.where(real, h_new, h), torch.where(real, c_new, c)
        states.append(h)
    return states, c


def _steps(x, mask):
    """Yield ``x_t (N, D), real (N, 1)``; x is 0 behind the mask, so that garbage cannot reach even a gradient of 0."""
    x = torch.where(mask[..., None], x, torch.zeros_like(x))
    yield from zip(x.unbind(1), mask[..., None].unbind(1), strict=True)
