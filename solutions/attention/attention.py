# %% [markdown]
# # The Transformer, and why memory traffic rules it

# %%
import numpy as np

# %% [markdown]
# ## 1. Layer normalisation


# %%
def layer_norm_forward(x, gain, bias, eps):
    """Normalise the last axis, then scale and shift it.

    Parameters
    ----------
    x : (..., D), any number of leading axes
    gain, bias : (D,)
    eps : float, added to the variance under the root

    Returns
    -------
    y : (..., D)
    cache
    """
    ### BEGIN SOLUTION
    centred = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps)
    normal = centred * inverse
    return gain * normal + bias, (normal, inverse, gain)
    ### END SOLUTION


# %%
def layer_norm_backward(dy, cache):
    """Return the gradients of a layer norm.

    Parameters
    ----------
    dy : (..., D)
    cache : from layer_norm_forward

    Returns
    -------
    dx : (..., D)
    dgain, dbias : (D,)
    """
    ### BEGIN SOLUTION
    normal, inverse, gain = cache
    rows = tuple(range(dy.ndim - 1))
    dnormal = dy * gain
    along_one = dnormal.mean(-1, keepdims=True)
    along_normal = (dnormal * normal).mean(-1, keepdims=True)
    dx = inverse * (dnormal - along_one - normal * along_normal)
    return dx, (dy * normal).sum(rows), dy.sum(rows)
    ### END SOLUTION


# %% [markdown]
# ## 2. Attention


# %%
def attention_forward(q, k, v, mask):
    """Scaled dot-product attention.

    Parameters
    ----------
    q : (N, A, T, E)
    k, v : (N, A, S, E)
    mask : bool array of 0 to 4 axes, broadcastable to (N, A, T, S); True = this query may attend to this key

    Returns
    -------
    out : (N, A, T, E), zeros where a query may attend to nothing
    cache
    """
    ### BEGIN SOLUTION
    scale = q.shape[-1] ** -0.5
    scores = np.where(mask, q @ np.swapaxes(k, -1, -2) * scale, -np.inf)
    top = scores.max(-1, keepdims=True)
    powers = np.exp(scores - np.where(top > -np.inf, top, 0))
    total = powers.sum(-1, keepdims=True)
    weights = powers / np.where(total > 0, total, 1)
    return weights @ v, (q, k, v, weights, scale)
    ### END SOLUTION


# %%
def attention_backward(dout, cache):
    """Return the gradients of scaled dot-product attention.

    Parameters
    ----------
    dout : (N, A, T, E)
    cache : from attention_forward

    Returns
    -------
    dq : (N, A, T, E)
    dk, dv : (N, A, S, E)
    """
    ### BEGIN SOLUTION
    q, k, v, weights, scale = cache
    dv = np.swapaxes(weights, -1, -2) @ dout
    dweights = dout @ np.swapaxes(v, -1, -2)
    mean = (weights * dweights).sum(-1, keepdims=True)
    dscores = scale * weights * (dweights - mean)
    return dscores @ k, np.swapaxes(dscores, -1, -2) @ q, dv
    ### END SOLUTION


# %% [markdown]
# ## 3. Many heads

# %%
### BEGIN SOLUTION
def split_heads(x, heads):
    """(N, T, D) -> (N, A, T, E): head a is columns aE to (a+1)E."""
    N, T, D = x.shape
    return x.reshape(N, T, heads, D // heads).transpose(0, 2, 1, 3)


def merge_heads(x):
    """(N, A, T, E) -> (N, T, D), the way back."""
    N, A, T, E = x.shape
    return x.transpose(0, 2, 1, 3).reshape(N, T, A * E)


def affine_gradients(dy, x, W):
    """Return dx, dW and db of y = x @ W + b for x of any number of leading axes."""
    rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    return dy @ W.T, rows.T @ drows, drows.sum(0)


### END SOLUTION


# %%
def multihead_forward(x, kv, params, heads, mask):
    """Attention with several heads: queries from x, keys and values from kv.

    Parameters
    ----------
    x : (N, T, D)
    kv : (N, S, D); in self-attention x itself
    params : dict of Wq, Wk, Wv, Wo (D, D) and bq, bk, bv, bo (D,)
    heads : int, the number A of heads; head a is columns aE to (a+1)E, where E = D // A
    mask : bool, broadcastable to (N, A, T, S)

    Returns
    -------
    y : (N, T, D); equal to bo where a query may attend to nothing
    cache
    """
    ### BEGIN SOLUTION
    q = split_heads(x @ params["Wq"] + params["bq"], heads)
    k = split_heads(kv @ params["Wk"] + params["bk"], heads)
    v = split_heads(kv @ params["Wv"] + params["bv"], heads)
    out, attention = attention_forward(q, k, v, mask)
    merged = merge_heads(out)
    return merged @ params["Wo"] + params["bo"], (x, kv, params, heads, merged, attention)
    ### END SOLUTION


# %%
def multihead_backward(dy, cache):
    """Return the gradients of multi-head attention.

    Parameters
    ----------
    dy : (N, T, D)
    cache : from multihead_forward

    Returns
    -------
    dx : (N, T, D)
    dkv : (N, S, D), apart from dx even when kv was x
    grads : dict with the keys of params
    """
    ### BEGIN SOLUTION
    x, kv, params, heads, merged, attention = cache
    dmerged, dWo, dbo = affine_gradients(dy, merged, params["Wo"])
    dq, dk, dv = map(merge_heads, attention_backward(split_heads(dmerged, heads), attention))
    dx, dWq, dbq = affine_gradients(dq, x, params["Wq"])
    from_keys, dWk, dbk = affine_gradients(dk, kv, params["Wk"])
    from_values, dWv, dbv = affine_gradients(dv, kv, params["Wv"])
    grads = {"Wq": dWq, "bq": dbq, "Wk": dWk, "bk": dbk, "Wv": dWv, "bv": dbv, "Wo": dWo, "bo": dbo}
    return dx, from_keys + from_values, grads
    ### END SOLUTION


# %% [markdown]
# ## 4. Positions


# %%
def sinusoidal_positions(T, D):
    """Return the table of sines and cosines that tells positions apart.

    Parameters
    ----------
    T, D : int; D may be odd

    Returns
    -------
    table : (T, D) float64; row 0 is position 0, columns 2i and 2i+1 are sine and cosine of one angle
    """
    ### BEGIN SOLUTION
    column = np.arange(D)
    angle = np.arange(T)[:, None] / 10000 ** ((column - column % 2) / D)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle))
    ### END SOLUTION


# %% [markdown]
# ## 5. The feed-forward layer

# %%
### BEGIN SOLUTION
SLOPE, CUBIC = (2 / np.pi) ** 0.5, 0.044715


### END SOLUTION


# %%
def feed_forward_forward(x, params):
    """Two affine maps with a GELU (tanh form) between them, the same at every position.

    Parameters
    ----------
    x : (N, T, D)
    params : dict of W1 (D, F), b1 (F,), W2 (F, D), b2 (D,)

    Returns
    -------
    y : (N, T, D)
    cache
    """
    ### BEGIN SOLUTION
    h = x @ params["W1"] + params["b1"]
    curve = np.tanh(SLOPE * (h + CUBIC * h * h * h))
    active = 0.5 * h * (1 + curve)
    return active @ params["W2"] + params["b2"], (x, h, curve, active, params)
    ### END SOLUTION


# %%
def feed_forward_backward(dy, cache):
    """Return the gradients of the feed-forward layer.

    Parameters
    ----------
    dy : (N, T, D)
    cache : from feed_forward_forward

    Returns
    -------
    dx : (N, T, D)
    grads : dict with the keys of params
    """
    ### BEGIN SOLUTION
    x, h, curve, active, params = cache
    dactive, dW2, db2 = affine_gradients(dy, active, params["W2"])
    inner = SLOPE * (1 + 3 * CUBIC * h * h)
    dh = dactive * 0.5 * (1 + curve + h * (1 - curve * curve) * inner)
    dx, dW1, db1 = affine_gradients(dh, x, params["W1"])
    return dx, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
    ### END SOLUTION


# %% [markdown]
# ## 6. The block

# %%
EPS = 1e-5


def part(params, prefix):
    """Return the entries of a dict whose names start with prefix, the prefix removed."""
    return {name[len(prefix) :]: value for name, value in params.items() if name.startswith(prefix)}


# %%
def block_forward(x, params, heads, mask):
    """One pre-norm Transformer block.

    Parameters
    ----------
    x : (N, T, D)
    params : dict; ln1_gain, ln1_bias, att_Wq ... att_bo, ln2_gain, ln2_bias, ffn_W1 ... ffn_b2
    heads : int
    mask : bool, broadcastable to (N, A, T, T)

    Returns
    -------
    y : (N, T, D)
    cache
    """
    ### BEGIN SOLUTION
    normal, ln1 = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], EPS)
    mixed, att = multihead_forward(normal, normal, part(params, "att_"), heads, mask)
    x = x + mixed
    normal, ln2 = layer_norm_forward(x, params["ln2_gain"], params["ln2_bias"], EPS)
    changed, ffn = feed_forward_forward(normal, part(params, "ffn_"))
    return x + changed, (ln1, att, ln2, ffn)
    ### END SOLUTION


# %%
def block_backward(dy, cache):
    """Return the gradients of one block.

    Parameters
    ----------
    dy : (N, T, D)
    cache : from block_forward

    Returns
    -------
    dx : (N, T, D)
    grads : dict with the keys of params
    """
    ### BEGIN SOLUTION
    ln1, att, ln2, ffn = cache
    dnormal, ffn_grads = feed_forward_backward(dy, ffn)
    dmiddle, dgain2, dbias2 = layer_norm_backward(dnormal, ln2)
    dmiddle = dmiddle + dy
    dqueries, dkeys, att_grads = multihead_backward(dmiddle, att)
    dx, dgain1, dbias1 = layer_norm_backward(dqueries + dkeys, ln1)
    grads = {"ln1_gain": dgain1, "ln1_bias": dbias1, "ln2_gain": dgain2, "ln2_bias": dbias2}
    grads |= {f"att_{name}": grad for name, grad in att_grads.items()}
    grads |= {f"ffn_{name}": grad for name, grad in ffn_grads.items()}
    return dx + dmiddle, grads
    ### END SOLUTION


# %% [markdown]
# ## 7. A small GPT


# %%
def gpt_loss(params, ids, targets, mask, heads):
    """Return the loss of a small GPT and all its gradients.

    Parameters
    ----------
    params : dict; embedding (V, D), positions (Tmax, D), blocks (list of block dicts), lnf_gain, lnf_bias (D,)
    ids, targets : (N, T) int64, T <= Tmax
    mask : (N, T) bool, which targets count; attention is causal and does not look at it
    heads : int

    Returns
    -------
    loss : mean of -log p(target) over the targets that count, 0 when none does
    grads : dict and list like params; positions beyond T get zeros
    """
    ### BEGIN SOLUTION
    embedding, T = params["embedding"], ids.shape[1]
    x = embedding[ids] + params["positions"][:T]
    caches = []
    for block in params["blocks"]:
        x, cache = block_forward(x, block, heads, np.tri(T, dtype=bool))
        caches.append(cache)
    x, last = layer_norm_forward(x, params["lnf_gain"], params["lnf_bias"], EPS)
    loss, dscores = cross_entropy(x @ embedding.T, targets, mask)
    dx, dembedding, _ = affine_gradients(dscores, x, embedding.T)
    dx, dgain, dbias = layer_norm_backward(dx, last)
    blocks = []
    for cache in reversed(caches):
        dx, grads = block_backward(dx, cache)
        blocks.insert(0, grads)
    dembedding = np.ascontiguousarray(dembedding.T)
    np.add.at(dembedding, ids, dx)
    dpositions = np.zeros_like(params["positions"])
    dpositions[:T] = dx.sum(0)
    return loss, {"embedding": dembedding, "positions": dpositions, "blocks": blocks, "lnf_gain": dgain, "lnf_bias": dbias}
    ### END SOLUTION


# %%
### BEGIN SOLUTION
def cross_entropy(scores, targets, mask):
    """Return the mean of -log p(target) over the tokens of the mask, and its gradient with respect to the scores."""
    shifted = scores - scores.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    n, t = np.nonzero(mask)
    count = max(len(n), 1)
    dscores = np.zeros_like(scores)
    dscores[n, t] = np.exp(log_p[n, t])
    dscores[n, t, targets[n, t]] -= 1
    return -log_p[n, t, targets[n, t]].sum() / count, dscores / count


### END SOLUTION


# %% [markdown]
# ## 8. Bonus: one step at a time


# %%
def cached_step(x, params, heads, cache):
    """One block on one new position, with the keys and values of the positions before it remembered.

    Parameters
    ----------
    x : (N, 1, D)
    params : dict of a block
    heads : int
    cache : None at the first position, then what the step before returned; it is not changed

    Returns
    -------
    y : (N, 1, D)
    cache
    """
    ### BEGIN SOLUTION
    normal, _ = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], EPS)
    q, k, v = (split_heads(normal @ params[f"att_W{n}"] + params[f"att_b{n}"], heads) for n in "qkv")
    if cache is not None:
        k, v = (np.concatenate([old, new], 2) for old, new in zip(cache, (k, v)))
    out, _ = attention_forward(q, k, v, np.array(True))
    x = x + merge_heads(out) @ params["att_Wo"] + params["att_bo"]
    normal, _ = layer_norm_forward(x, params["ln2_gain"], params["ln2_bias"], EPS)
    return x + feed_forward_forward(normal, part(params, "ffn_"))[0], (k, v)
    ### END SOLUTION


# %% [markdown]
# ## 9. Bonus: attention in tiles

# %%
### BEGIN SOLUTION
def tiles(length, tile):
    """Return slices that cut a length into pieces of at most tile."""
    return [slice(start, min(start + tile, length)) for start in range(0, length, tile)]


def tile_scores(q, k, mask, scale, rows, columns):
    """Return the scores of some queries with some keys, -inf where the mask hides them."""
    scores = q[:, :, rows] @ np.swapaxes(k[:, :, columns], -1, -2) * scale
    return np.where(mask[:, :, rows, columns], scores, -np.inf)


### END SOLUTION


# %%
def tiled_attention_forward(q, k, v, mask, tile):
    """Attention without ever holding a (T, S) matrix: tiles of scores and an online softmax.

    Parameters
    ----------
    q, k, v, mask : as for attention_forward
    tile : int, number of queries and of keys that are handled at a time

    Returns
    -------
    out : (N, A, T, E)
    cache : its size grows linearly with T and S
    """
    ### BEGIN SOLUTION
    (N, A, T, E), S = q.shape, k.shape[2]
    scale, mask = E**-0.5, np.broadcast_to(mask, (N, A, T, S))
    out, log_total = np.zeros_like(q), np.zeros((N, A, T, 1), q.dtype)
    for rows in tiles(T, tile):
        summed = np.zeros((N, A, rows.stop - rows.start, E), q.dtype)
        total = np.zeros((*summed.shape[:3], 1), q.dtype)
        top = np.full_like(total, -np.inf)
        for columns in tiles(S, tile):
            scores = tile_scores(q, k, mask, scale, rows, columns)
            before, top = top, np.maximum(top, scores.max(-1, keepdims=True))
            base = np.where(top > -np.inf, top, 0)
            powers, shrink = np.exp(scores - base), np.exp(before - base)
            total = total * shrink + powers.sum(-1, keepdims=True)
            summed = summed * shrink + powers @ v[:, :, columns]
        some = total > 0
        out[:, :, rows] = summed / np.where(some, total, 1)
        log_total[:, :, rows] = np.where(some, base + np.log(np.where(some, total, 1)), np.inf)
    return out.copy(), (q, k, v, mask, tile, scale, out, log_total)
    ### END SOLUTION


# %%
def tiled_attention_backward(dout, cache):
    """Return the gradients of attention, the weights computed again tile by tile.

    Parameters
    ----------
    dout : (N, A, T, E)
    cache : from tiled_attention_forward

    Returns
    -------
    dq : (N, A, T, E)
    dk, dv : (N, A, S, E)
    """
    ### BEGIN SOLUTION
    q, k, v, mask, tile, scale, out, log_total = cache
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    mean = (dout * out).sum(-1, keepdims=True)
    for rows in tiles(q.shape[2], tile):
        for columns in tiles(k.shape[2], tile):
            weights = np.exp(tile_scores(q, k, mask, scale, rows, columns) - log_total[:, :, rows])
            dweights = dout[:, :, rows] @ np.swapaxes(v[:, :, columns], -1, -2)
            dscores = scale * weights * (dweights - mean[:, :, rows])
            dq[:, :, rows] += dscores @ k[:, :, columns]
            dk[:, :, columns] += np.swapaxes(dscores, -1, -2) @ q[:, :, rows]
            dv[:, :, columns] += np.swapaxes(weights, -1, -2) @ dout[:, :, rows]
    return dq, dk, dv
    ### END SOLUTION


# %% [markdown]
# ## 10. Bonus: positions as rotations


# %%
def rope(x, positions, base):
    """Rotate the pairs (2i, 2i+1) of the last axis by angles that grow with the position.

    Parameters
    ----------
    x : (N, A, T, E), E even
    positions : (T,) int64, the position of every step
    base : float; pair i turns by position * base ** (-2i / E)

    Returns
    -------
    y : (N, A, T, E)
    """
    ### BEGIN SOLUTION
    E = x.shape[-1]
    angle = positions[:, None] * base ** (-np.arange(0, E, 2) / E)
    cos, sin = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)
    ### END SOLUTION
