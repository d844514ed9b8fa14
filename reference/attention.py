"""The Transformer in plain PyTorch: what students' functions are compared with.

Shapes use N batch, T queries, S keys, A heads, E width per head, D = A * E, F hidden width, V vocabulary.
Every forward has the name and the arguments of the student's; there is no cache, gradients come from autograd.
"""

from __future__ import annotations

import math

import torch

EPS = 1e-5


def layer_norm_forward(x, gain, bias, eps):
    """Normalise the last axis: (..., D) -> (..., D).

    Ba et al. 2016, "Layer normalization", eq. 4. The variance divides by D, and eps stands under the root.
    """
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    return gain * centred / torch.sqrt(variance + eps) + bias


def masked_softmax(scores, mask):
    """Softmax over the last axis where ``mask`` allows it, exactly 0 elsewhere; a row that allows nothing is all 0.

    Hidden scores are replaced before the maximum is taken, and rows without any key by zeros before the softmax, so
    that neither values nor gradients see what is hidden, and nothing is ever NaN.
    """
    mask = mask.expand(scores.shape)
    some = mask.any(-1, keepdim=True)
    shown = scores.masked_fill(~mask, -math.inf).masked_fill(~some, 0.0)
    shifted = shown - shown.amax(-1, keepdim=True).detach()
    powers = torch.exp(shifted)
    return (powers / powers.sum(-1, keepdim=True)).masked_fill(~some, 0.0)


def attention_forward(q, k, v, mask):
    """Scaled dot-product attention: q (N, A, T, E), k and v (N, A, S, E), mask broadcastable to (N, A, T, S).

    Vaswani et al. 2017, "Attention is all you need", eq. 1. Returns out (N, A, T, E).
    """
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return masked_softmax(scores, mask) @ v


def split_heads(x, heads):
    """(N, T, A * E) -> (N, A, T, E); head a is columns a * E to (a + 1) * E."""
    return x.unflatten(-1, (heads, x.shape[-1] // heads)).transpose(1, 2)


def multihead_forward(x, kv, params, heads, mask):
    """Multi-head attention: queries from x (N, T, D), keys and values from kv (N, S, D). Returns y (N, T, D).

    Vaswani et al. 2017, section 3.2.2.
    """
    q = split_heads(x @ params["Wq"] + params["bq"], heads)
    k = split_heads(kv @ params["Wk"] + params["bk"], heads)
    v = split_heads(kv @ params["Wv"] + params["bv"], heads)
    out = attention_forward(q, k, v, mask).transpose(1, 2).flatten(-2)
    return out @ params["Wo"] + params["bo"]


def sinusoidal_positions(T, D):
    """Return the table (T, D) of sines (even columns) and cosines (odd columns), float64.

    Vaswani et al. 2017, section 3.5; where D is odd the last cosine is missing.
    """
    position = torch.arange(T, dtype=torch.float64)[:, None]
    column = torch.arange(D)[None]
    angle = position * 10000.0 ** (-(column - column % 2).double() / D)
    return torch.where(column % 2 == 0, torch.sin(angle), torch.cos(angle))


def gelu(x):
    """GELU in its tanh form: Hendrycks & Gimpel 2016, section 2."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def feed_forward_forward(x, params):
    """Two affine maps with a GELU between them, the same for every position: (N, T, D) -> (N, T, D)."""
    return gelu(x @ params["W1"] + params["b1"]) @ params["W2"] + params["b2"]


def part(params, prefix):
    """Return the parameters whose names start with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


def block_forward(x, params, heads, mask):
    """One pre-norm block: x + attention(norm(x)), and then the same with the feed-forward layer; (N, T, D) -> (N, T, D).

    Xiong et al. 2020, "On layer normalization in the Transformer architecture", figure 1b.
    """
    normal = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], EPS)
    x = x + multihead_forward(normal, normal, part(params, "att_"), heads, mask)
    normal = layer_norm_forward(x, params["ln2_gain"], params["ln2_bias"], EPS)
    return x + feed_forward_forward(normal, part(params, "ffn_"))


def causal(T, device=None):
    """Return the mask (T, T) that lets position t attend to positions 0 to t."""
    return torch.ones(T, T, dtype=torch.bool, device=device).tril()


def gpt_loss(params, ids, targets, mask, heads):
    """Mean cross-entropy in nats over the tokens that the mask (N, T) names; 0 where it names none.

    Radford et al. 2019 (GPT-2): learned positions, pre-norm blocks, a last layer norm, output tied to the embedding.
    """
    T = ids.shape[1]
    x = params["embedding"][ids] + params["positions"][:T]
    for block in params["blocks"]:
        x = block_forward(x, block, heads, causal(T, ids.device))
    x = layer_norm_forward(x, params["lnf_gain"], params["lnf_bias"], EPS)
    log_p = torch.log_softmax(x @ params["embedding"].T, -1)
    losses = -log_p.gather(-1, targets[..., None])[..., 0]
    return torch.where(mask, losses, 0.0).sum() / mask.sum().clamp(min=1)


# ------------------------------------------------------------------------------------------------------- bonus


def cached_step(x, params, heads):
    """Return what a protocol of single steps must give: the full causal pass, a branch off it, and its last step again.

    The branch is taken in the middle, at m = T // 2: there the last input stands in place of input m.
    """
    T = x.shape[1]
    y = block_forward(x, params, heads, causal(T, x.device))
    other = torch.cat([x[:, : T // 2], x[:, -1:]], 1)
    branch = block_forward(other, params, heads, causal(other.shape[1], x.device))[:, -1:]
    return y, branch, y[:, -1:]


def tiled_attention_forward(q, k, v, mask, tile):
    """Return what :func:`attention_forward` returns; how it is computed (Dao et al. 2022) is the student's business."""
    return attention_forward(q, k, v, mask)


def rope(x, positions, base):
    """Rotate each pair (2i, 2i + 1) of the last axis by position * base^(-2i / E); x (N, A, T, E), positions (T,).

    Su et al. 2021, "RoFormer", eq. 34.
    """
    E = x.shape[-1]
    rate = base ** (-torch.arange(0, E, 2, dtype=torch.float64, device=x.device) / E)
    angle = (positions[:, None] * rate).to(x.dtype)
    cos, sin = torch.cos(angle), torch.sin(angle)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
