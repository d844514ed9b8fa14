"""word2vec in PyTorch: what the student's NumPy functions must agree with (Mikolov et al. 2013a, 2013b).

Shapes: N examples, V words, D dimensions, C context columns, K negatives, L tokens, R rows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def log_sigmoid(x: Tensor) -> Tensor:
    """Return log(1 / (1 + exp(-x))), any shape, without overflow."""
    return F.logsigmoid(x)


# ----------------------------------------------------------------------------------------- from text to examples


def skipgram_pairs(tokens: Tensor, window: int) -> Tensor:
    """Return all (centre id, outside id) pairs as (P, 2), by centre position, then by offset."""
    _, context, mask = cbow_windows(tokens, window)
    position, column = torch.nonzero(mask, as_tuple=True)
    return torch.stack([tokens[position], context[position, column]], dim=1)


def cbow_windows(tokens: Tensor, window: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return centres (L,), context (L, 2w) and mask (L, 2w); columns are the offsets -w..-1, 1..w, id 0 where there is no word."""
    length, device = len(tokens), tokens.device
    offsets = torch.cat([torch.arange(-window, 0, device=device), torch.arange(1, window + 1, device=device)])
    positions = torch.arange(length, device=device)[:, None] + offsets
    mask = (positions >= 0) & (positions < length)
    context = tokens[positions.clamp(0, length - 1)].masked_fill(~mask, 0)
    return tokens.clone(), context, mask


def keep_probability(counts: Tensor, t: float) -> Tensor:
    """Return min(1, sqrt(t / frequency)) per word, float64 (V,): 1 minus the discard probability of Mikolov et al. 2013b, eq. 5."""
    counts = counts.double()
    seen = counts > 0
    frequency = torch.where(seen, counts, 1.0) / counts.sum()
    return torch.where(seen, torch.sqrt(t / frequency), 1.0).clamp(max=1.0)


def negative_distribution(counts: Tensor, power: float = 0.75) -> Tensor:
    """Return counts^power, normalised to sum 1, float64 (V,): the noise distribution of Mikolov et al. 2013b, section 2.2."""
    weights = counts.double() ** power
    return weights / weights.sum()


def draw_negatives(p: Tensor, targets: Tensor, uniforms: Tensor) -> Tensor:
    """Return ids (N, K): inverse CDF of p (V,) with the target of each row (N,) removed and the rest renormalised."""
    others = p.double().expand(len(targets), -1).scatter(1, targets[:, None], 0.0)
    cdf = others.cumsum(1) / others.sum(1, keepdim=True)
    ids = torch.searchsorted(cdf, uniforms.double(), right=True)
    columns = torch.arange(len(p), device=p.device)
    last = torch.where(others > 0, columns, 0).amax(1, keepdim=True)
    return torch.minimum(ids, last)


# --------------------------------------------------------------------------------------------- losses and gradients


def skipgram_softmax(center: Tensor, outside: Tensor, W_in: Tensor, W_out: Tensor) -> Tensor:
    """Return the mean of -log softmax(W_out v_c)[o] over the N pairs: Mikolov et al. 2013b, eq. 1 and 2."""
    return F.cross_entropy(W_in[center] @ W_out.T, outside)


def skipgram_negative(center: Tensor, outside: Tensor, negatives: Tensor, W_in: Tensor, W_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return loss, d_in (N, D), d_out (N, K+1, D) of Mikolov et al. 2013b, eq. 4; the gradients belong to gathered rows."""
    v = _leaf(W_in[center])
    u = _leaf(W_out[_outputs(outside, negatives)])
    return _with_gradients(_negative_loss, v, u)


def cbow_negative(
    context: Tensor, mask: Tensor, center: Tensor, negatives: Tensor, W_in: Tensor, W_out: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return loss, d_context (N, C, D), d_out (N, K+1, D): negative sampling from the mean of the real context vectors."""
    v = _leaf(W_in[context])
    u = _leaf(W_out[_outputs(center, negatives)])
    return _with_gradients(lambda v, u: _negative_loss(_mean_of_real(v, mask), u), v, u)


def skipgram_negative_loss(params: dict[str, Tensor], center: Tensor, outside: Tensor, negatives: Tensor) -> Tensor:
    """Return the loss alone, from whole tables ``W_in`` and ``W_out``: for a training run with dense gradients."""
    return _negative_loss(params["W_in"][center], params["W_out"][_outputs(outside, negatives)])


def cbow_negative_loss(params: dict[str, Tensor], context: Tensor, mask: Tensor, center: Tensor, negatives: Tensor) -> Tensor:
    """Return the loss alone, from whole tables ``W_in`` and ``W_out``: for a training run with dense gradients."""
    hidden = _mean_of_real(params["W_in"][context], mask)
    return _negative_loss(hidden, params["W_out"][_outputs(center, negatives)])


def _outputs(word, negatives):
    return torch.cat([word[:, None], negatives], dim=1)


def _mean_of_real(vectors, mask):
    """Mean over the real columns of (N, C, D); a row without any gives 0, and what is masked gets no gradient."""
    real = torch.where(mask[..., None], vectors, torch.zeros_like(vectors))
    return real.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def _negative_loss(v, u):
    """v (N, D) predicts column 0 of u (N, K+1, D) as true and the others as noise."""
    scores = torch.einsum("nd,nkd->nk", v, u)
    return -(F.logsigmoid(scores[:, 0]) + F.logsigmoid(-scores[:, 1:]).sum(1)).mean()


def _leaf(rows):
    return rows.detach().requires_grad_()


def _with_gradients(loss_of, v, u):
    with torch.enable_grad():
        loss = loss_of(v, u)
        return loss.detach(), *torch.autograd.grad(loss, (v, u))


# ---------------------------------------------------------------------------------------------- update and neighbours


def sgd_update(W: Tensor, rows: Tensor, grads: Tensor, lr: float) -> Tensor:
    """Return W - lr * (grads summed into the rows (R,) they belong to). The student's function changes W itself."""
    return W.index_add(0, rows, grads, alpha=-lr)


def nearest(W: Tensor, query: Tensor, k: int, exclude) -> tuple[Tensor, Tensor]:
    """Return the ids (k,) of the rows of W closest to query by cosine, and the cosines; ties go to the lower id."""
    lengths = torch.linalg.vector_norm(W, dim=1) * torch.linalg.vector_norm(query)
    cosine = torch.where(lengths > 0, W @ query / torch.where(lengths > 0, lengths, 1.0), 0.0)
    excluded = torch.tensor([int(i) for i in exclude], dtype=torch.int64, device=W.device)
    ranked = cosine.index_fill(0, excluded, -torch.inf)
    order = torch.sort(ranked, descending=True, stable=True).indices[:k]
    return order, cosine[order]
