# %%
import numpy as np


# %%
def embedding_forward(ids, W):
    ### BEGIN SOLUTION
    return W[ids], (ids, W.shape)
    ### END SOLUTION


def embedding_backward(dx, cache):
    ### BEGIN SOLUTION
    ids, shape = cache
    dW = np.zeros(shape, dx.dtype)
    np.add.at(dW, ids, dx)
    return dW
    ### END SOLUTION


def affine_forward(h, W, b):
    ### BEGIN SOLUTION
    return h @ W + b, (h, W)
    ### END SOLUTION


def affine_backward(dscores, cache):
    ### BEGIN SOLUTION
    h, W = cache
    dh = dscores @ W.T
    dW = np.tensordot(h, dscores, axes=((0, 1), (0, 1)))
    db = dscores.sum(axis=(0, 1))
    return dh, dW, db
    ### END SOLUTION


def rnn_step_forward(x, h_prev, Wx, Wh, b):
    ### BEGIN SOLUTION
    h = np.tanh(x @ Wx + h_prev @ Wh + b)
    return h, (x, h_prev, Wx, Wh, h.copy())
    ### END SOLUTION


def rnn_step_backward(dh, cache):
    ### BEGIN SOLUTION
    x, h_prev, Wx, Wh, h = cache
    da = dh * (1 - h**2)
    return da @ Wx.T, da @ Wh.T, x.T @ da, h_prev.T @ da, da.sum(axis=0)
    ### END SOLUTION


def rnn_forward(x, h0, Wx, Wh, b, mask):
    ### BEGIN SOLUTION
    h = np.zeros((*mask.shape, len(b)), h0.dtype)
    caches, state = [], h0
    for t in range(mask.shape[1]):
        new, cache = rnn_step_forward(x[:, t], state, Wx, Wh, b)
        state = np.where(mask[:, t, None], new, state)
        h[:, t] = state
        caches.append(cache)
    return h, (caches, mask)
    ### END SOLUTION


def rnn_backward(dh, cache):
    ### BEGIN SOLUTION
    caches, mask = cache
    dx, dstate, totals = [], np.zeros_like(dh[:, 0]), None
    for t in reversed(range(len(caches))):
        dstate = dstate + dh[:, t]
        real = mask[:, t, None]
        dx_t, dh_prev, *dweights = rnn_step_backward(np.where(real, dstate, 0), caches[t])
        dstate = np.where(real, dh_prev, dstate)
        dx.append(np.where(real, dx_t, 0))
        totals = dweights if totals is None else [total + more for total, more in zip(totals, dweights)]
    return np.stack(dx[::-1], axis=1), dstate, *totals
    ### END SOLUTION


def masked_cross_entropy(scores, targets, mask):
    ### BEGIN SOLUTION
    shifted = scores - scores.max(axis=-1, keepdims=True)
    exp = np.exp(shifted)
    total = exp.sum(axis=-1, keepdims=True)
    count = max(int(mask.sum()), 1)
    log_p = np.take_along_axis(shifted - np.log(total), targets[..., None], axis=-1)[..., 0]
    loss = -np.where(mask, log_p, 0).sum() / count
    right = np.arange(scores.shape[-1]) == targets[..., None]
    dscores = np.where(mask[..., None], exp / total - right, 0) / count
    return loss, dscores.astype(scores.dtype)
    ### END SOLUTION


def clip_global_norm(grads, max_norm):
    ### BEGIN SOLUTION
    norm = np.sqrt(sum((grad**2).sum() for grad in grads.values()))
    scale = max_norm / norm if norm > max_norm else 1.0
    return {name: (grad * scale).astype(grad.dtype) for name, grad in grads.items()}, norm
    ### END SOLUTION


def char_lm_loss(params, ids, targets, mask):
    ### BEGIN SOLUTION
    x, embedding_cache = embedding_forward(ids, params["embedding"])
    h0 = np.zeros((len(ids), len(params["b"])), x.dtype)
    h, rnn_cache = rnn_forward(x, h0, params["Wx"], params["Wh"], params["b"], mask)
    scores, affine_cache = affine_forward(h, params["Wy"], params["by"])
    loss, dscores = masked_cross_entropy(scores, targets, mask)
    grads = {}
    dh, grads["Wy"], grads["by"] = affine_backward(dscores, affine_cache)
    dx, _, grads["Wx"], grads["Wh"], grads["b"] = rnn_backward(dh, rnn_cache)
    grads["embedding"] = embedding_backward(dx, embedding_cache)
    return loss, grads
    ### END SOLUTION


def sample(params, start, uniforms, temperature=1.0):
    ### BEGIN SOLUTION
    h = np.zeros((1, len(params["b"])))
    last, drawn = start, []
    for u in uniforms:
        x, _ = embedding_forward(np.array([[last]]), params["embedding"])
        h, _ = rnn_step_forward(x[:, 0], h, params["Wx"], params["Wh"], params["b"])
        scores, _ = affine_forward(h[:, None], params["Wy"], params["by"])
        scores = scores[0, 0].astype(np.float64) / temperature
        p = np.exp(scores - scores.max())
        cdf = np.cumsum(p / p.sum())
        last = min(int(np.searchsorted(cdf, u, side="right")), int(np.flatnonzero(p)[-1]))
        drawn.append(last)
    return np.array(drawn, dtype=np.int64)
    ### END SOLUTION
