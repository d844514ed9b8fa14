# %%
import numpy as np


# %%
def log_sigmoid(x):
    ### BEGIN SOLUTION
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))
    ### END SOLUTION


# %%
def skipgram_pairs(tokens, window):
    ### BEGIN SOLUTION
    length, pairs = len(tokens), []
    for i in range(length):
        for j in range(max(i - window, 0), min(i + window + 1, length)):
            if j != i:
                pairs.append((tokens[i], tokens[j]))
    return np.array(pairs, np.int64).reshape(-1, 2)
    ### END SOLUTION


# %%
def cbow_windows(tokens, window):
    ### BEGIN SOLUTION
    offsets = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
    positions = np.arange(len(tokens))[:, None] + offsets
    mask = (positions >= 0) & (positions < len(tokens))
    context = np.where(mask, tokens[np.where(mask, positions, 0)], 0)
    return tokens.copy(), context, mask
    ### END SOLUTION


# %%
def keep_probability(counts, t):
    ### BEGIN SOLUTION
    seen = counts > 0
    frequency = np.where(seen, counts, 1) / counts.sum(dtype=np.float64)
    return np.where(seen, np.minimum(1, np.sqrt(t / frequency)), 1.0)
    ### END SOLUTION


# %%
def negative_distribution(counts, power=0.75):
    ### BEGIN SOLUTION
    weights = counts.astype(np.float64) ** power
    return weights / weights.sum()
    ### END SOLUTION


# %%
def draw_negatives(p, targets, uniforms):
    ### BEGIN SOLUTION
    others = np.tile(p.astype(np.float64), (len(targets), 1))
    others[np.arange(len(targets)), targets] = 0
    cdf = np.cumsum(others, axis=1)
    passed = cdf[:, None, :] <= uniforms[:, :, None] * cdf[:, -1:, None]
    last = others.shape[1] - 1 - np.argmax(others[:, ::-1] > 0, axis=1)
    return np.minimum(passed.sum(axis=2), last[:, None])
    ### END SOLUTION


# %%
def skipgram_softmax(center, outside, W_in, W_out):
    ### BEGIN SOLUTION
    v = W_in[center]
    scores = v @ W_out.T
    scores -= scores.max(axis=1, keepdims=True)
    exp = np.exp(scores)
    total = exp.sum(axis=1, keepdims=True)
    batch = np.arange(len(center))
    loss = np.mean(np.log(total[:, 0]) - scores[batch, outside])
    dscores = exp / total
    dscores[batch, outside] -= 1
    dscores /= len(center)
    dW_in = np.zeros_like(W_in)
    np.add.at(dW_in, center, dscores @ W_out)
    return loss, dW_in, dscores.T @ v
    ### END SOLUTION


# %% [markdown]
# helper

# %%
### BEGIN SOLUTION
def negative_sampling(v, u):
    """Return the mean loss and the gradients of v (N, D) and u (N, K+1, D), whose column 0 is the true word."""
    sign = np.where(np.arange(u.shape[1]) == 0, 1, -1).astype(v.dtype)
    margins = sign * np.einsum("nd,nkd->nk", v, u)
    loss = -log_sigmoid(margins).sum() / len(v)
    dscores = -sign * np.exp(log_sigmoid(-margins)) / len(v)
    return loss, np.einsum("nk,nkd->nd", dscores, u), np.einsum("nk,nd->nkd", dscores, v)
### END SOLUTION


# %%
def skipgram_negative(center, outside, negatives, W_in, W_out):
    ### BEGIN SOLUTION
    words = np.concatenate([outside[:, None], negatives], axis=1)
    return negative_sampling(W_in[center], W_out[words])
    ### END SOLUTION


# %%
def cbow_negative(context, mask, center, negatives, W_in, W_out):
    ### BEGIN SOLUTION
    words = np.concatenate([center[:, None], negatives], axis=1)
    share = (mask / np.maximum(mask.sum(axis=1, keepdims=True), 1)).astype(W_in.dtype)
    hidden = np.einsum("nc,ncd->nd", share, W_in[context])
    loss, dhidden, d_out = negative_sampling(hidden, W_out[words])
    return loss, share[:, :, None] * dhidden[:, None, :], d_out
    ### END SOLUTION


# %%
def sgd_update(W, rows, grads, lr):
    ### BEGIN SOLUTION
    np.subtract.at(W, rows, lr * grads)
    ### END SOLUTION


# %%
def nearest(W, query, k, exclude):
    ### BEGIN SOLUTION
    lengths = np.linalg.norm(W, axis=1) * np.linalg.norm(query)
    cosine = np.where(lengths > 0, W @ query / np.where(lengths > 0, lengths, 1), 0)
    ranked = cosine.copy()
    ranked[list(exclude)] = -np.inf
    ids = np.argsort(-ranked, kind="stable")[:k]
    return ids, cosine[ids]
    ### END SOLUTION
