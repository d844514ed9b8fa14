# %% [markdown]
# # The recurrent network and backpropagation through time
#
# Word vectors say what a word is like. They do not say what a *sentence* is like: "dog bites man" and "man bites dog" hold the
# same three vectors. A network that reads text needs an order, and a memory of what it has read. The recurrent network is the
# simplest one that has both. It reads one vector at a time, and keeps a *state* that it passes to itself:
#
# ```
#       scores        scores        scores        scores         what comes next?
#         ^             ^             ^             ^
#         | Wy          | Wy          | Wy          | Wy
# h0 --> h1 ---Wh---> h2 ---Wh---> h3 ---Wh---> h4               the state
#         ^             ^             ^             ^
#         | Wx          | Wx          | Wx          | Wx
#        x1            x2            x3            x4            word vectors
#         ^             ^             ^             ^
#        's'           'm'           'i'           't'           ids
# ```
#
# All steps share the same weights, so a text may have any length. Elman (1990) trained such a network to predict the next letter
# or word, and found that its states had sorted themselves into nouns and verbs, animals and food: nobody had told it.
#
# In this assignment you write the network and its gradients with NumPy alone, train it on characters, and let it invent
# surnames. You also see why it forgets, which is the reason for the next assignment, the LSTM.
#
# Read along: Elman (1990), *Finding structure in time*; Graves (2012), *Supervised sequence labelling with recurrent neural
# networks*, chapter 3.

# %% tags=["notebook"]
#| import os
#|
#| # Before NumPy is imported: on matrices as small as ours, several threads get in each other's way.
#| os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
#|
#| from autograder.report.notebook import checker
#|
#| check = checker("rnn")

# %%
import numpy as np

# %% [markdown]
# ## Notation
#
# | symbol | meaning | | array | shape |
# |---|---|---|---|---|
# | N | sequences in a batch | | `ids`, `targets`, `mask` | (N, T) |
# | T | time steps | | `x` | (N, T, D), one step (N, D) |
# | D | width of a word vector | | `h` | (N, T, H), one step (N, H) |
# | H | hidden units | | `Wx`, `Wh`, `b` | (D, H), (H, H), (H,) |
# | V | size of the vocabulary | | `Wy`, `by`, `scores` | (H, V), (V,), (N, T, V) |
#
# - Vectors are **rows**: a layer is $x W$, not $W x$.
# - In formulas $\bar h$ is the gradient $\partial L / \partial h$ of the loss; in code it is `dh`. It has the shape of `h`.
# - `X_forward` returns its result and a **cache**, anything that `X_backward` needs later. Nobody looks inside.
# - `X_backward` gets the gradient of the forward's result, and returns the gradients of those of the forward's arguments that are
#   floats, in their order (ids and masks have none).
# - `mask` is True where a token is real, False at padding. What stands at padding must have no influence at all.
# - The dtype that comes in goes out: float32 in, float32 out. `np.zeros` makes float64 unless you tell it.
# - Arguments belong to the caller, and so do results once they are returned. Do not write into the former, and do not rely on the
#   latter: whoever called you may overwrite `h` before calling backward.
#
# Every function has a cell `check(...)` below it. It compares with PyTorch's answers on stored examples, and says what is wrong,
# where, and what should be there. Before you run it, predict what it will say.

# %% [markdown]
# ## 1. Word vectors as input
#
# A table $W$ holds one row for every token. Looking up is all that the forward pass does: $x_{nt} = W_{\mathrm{ids}_{nt}}$.
#
# If you prefer matrices: let $e_v$ be the one-hot row vector with a 1 at $v$. Then $x_{nt} = e_{\mathrm{ids}_{nt}} W$, and by
# the rule for a matrix product
#
# $$\bar W = \sum_{n,t} e_{\mathrm{ids}_{nt}}^\top \, \bar x_{nt} .$$
#
# Read this as an instruction: every $\bar x_{nt}$ goes to the row of its token. What happens to a token that occurs several
# times? (NumPy has a trap here. Try `a = np.zeros(3); a[[1, 1]] += 1`.)


# %%
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
    ### BEGIN SOLUTION
    return W[ids], (ids, W.shape)
    ### END SOLUTION

# %% tags=["check"]
#| check("embedding_forward")


# %%
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
    ### BEGIN SOLUTION
    ids, shape = cache
    dW = np.zeros(shape, dx.dtype)
    np.add.at(dW, ids, dx)
    return dW
    ### END SOLUTION

# %% tags=["check"]
#| check("embedding_backward")

# %% [markdown]
# ## 2. The output layer
#
# At the other end of the network every state is turned into one score for each of the $V$ possible tokens,
# $s_{nt} = h_{nt} W + b$ (in the model `Wy` and `by`; not the table of section 1), with the same $W$ and $b$ at all positions.
#
# One entry is $s_{ntv} = \sum_j h_{ntj} W_{jv} + b_v$. To get $\bar W_{jv}$, ask where $W_{jv}$ occurs: in $s_{ntv}$ for
# **every** $n$ and $t$, each time with the factor $h_{ntj}$. So
#
# $$\bar W_{jv} = \sum_{n,t} h_{ntj}\, \bar s_{ntv} .$$
#
# Do the same for $h_{ntj}$ and for $b_v$, and write all three without loops (`np.tensordot`, `np.einsum`, or `reshape` to two
# axes).


# %%
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
    ### BEGIN SOLUTION
    return h @ W + b, (h, W)
    ### END SOLUTION

# %% tags=["check"]
#| check("affine_forward")


# %%
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
    ### BEGIN SOLUTION
    h, W = cache
    dh = dscores @ W.T
    dW = np.tensordot(h, dscores, axes=((0, 1), (0, 1)))
    db = dscores.sum(axis=(0, 1))
    return dh, dW, db
    ### END SOLUTION

# %% tags=["check"]
#| check("affine_backward")

# %% [markdown]
# ## 3. One step
#
# The new state is made of the input and of the old state (Elman 1990; Graves 2012, section 3.2):
#
# $$a = x W_x + h_{\text{prev}} W_h + b, \qquad h = \tanh a .$$
#
# Elman called the old state the *context units*: a copy of the hidden layer that is shown to it again at the next step.
#
# **Backward.** Given $\bar h$, go back through the two formulas one at a time. First tanh, entry by entry:
#
# $$\delta_{nj} := \frac{\partial L}{\partial a_{nj}} = \bar h_{nj} \, \tanh'(a_{nj}), \qquad \tanh' = 1 - \tanh^2 .$$
#
# You have $\tanh(a)$ already; which letter is it? Then the sum. The weight $W_{x,ij}$ occurs in
# $a_{nj} = \sum_i x_{ni} W_{x,ij} + \dots$ for every $n$, with the factor $x_{ni}$:
#
# $$\bar W_{x,ij} = \sum_n x_{ni} \, \delta_{nj} .$$
#
# Write this as one matrix product, and check the shapes: (D, N) times (N, H). **Now you:** the same question ("where does it
# occur, and with which factor?") gives $\bar x$, $\bar h_{\text{prev}}$, $\bar W_h$ and $\bar b$. One warning: $W_h$ is square,
# so NumPy cannot tell you that a transpose is missing.


# %%
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
    ### BEGIN SOLUTION
    h = np.tanh(x @ Wx + h_prev @ Wh + b)
    return h, (x, h_prev, Wx, Wh, h.copy())
    ### END SOLUTION

# %% tags=["check"]
#| check("rnn_step_forward")


# %%
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
    ### BEGIN SOLUTION
    x, h_prev, Wx, Wh, h = cache
    da = dh * (1 - h**2)
    return da @ Wx.T, da @ Wh.T, x.T @ da, h_prev.T @ da, da.sum(axis=0)
    ### END SOLUTION

# %% tags=["check"]
#| check("rnn_step_backward")

# %% [markdown]
# When a check is not enough to find a mistake, look at the numbers yourself. A gradient says how much the loss changes when an
# entry changes by a little, so it can be measured:
#
# $$\frac{\partial L}{\partial w} \approx \frac{L(w + \epsilon) - L(w - \epsilon)}{2 \epsilon} .$$

# %% tags=["notebook"]
#| def measured_gradient(loss, w, epsilon=1e-6):
#|     # The gradient of loss() with respect to the array w, entry by entry.
#|     gradient = np.zeros_like(w)
#|     for index in np.ndindex(w.shape):
#|         kept = w[index]
#|         w[index] = kept + epsilon
#|         above = loss()
#|         w[index] = kept - epsilon
#|         gradient[index] = (above - loss()) / (2 * epsilon)
#|         w[index] = kept
#|     return gradient
#|
#|
#| rng = np.random.default_rng(0)
#| x, h_prev, Wx, Wh, b, dh = (rng.normal(size=shape) for shape in [(2, 3), (2, 4), (3, 4), (4, 4), 4, (2, 4)])
#| _, cache = rnn_step_forward(x, h_prev, Wx, Wh, b)
#| dx, dh_prev, dWx, dWh, db = rnn_step_backward(dh, cache)
#| # Any loss will do whose gradient with respect to h is dh: the sum of dh * h.
#| measured = measured_gradient(lambda: (dh * rnn_step_forward(x, h_prev, Wx, Wh, b)[0]).sum(), Wh)
#| print("largest difference in dWh:", np.abs(measured - dWh).max())

# %% [markdown]
# ## 4. The whole sequence
#
# Reading a sequence is a loop over steps. Sequences in a batch differ in length, so short ones are padded, and the mask says
# what is real. At padding the state stays what it was:
#
# $$\tilde h_t = \tanh(x_t W_x + h_{t-1} W_h + b), \qquad h_t = \begin{cases} \tilde h_t & \text{mask}_t \\ h_{t-1} & \text{otherwise.} \end{cases}$$
#
# Then the last column of `h` is the last real state of every sequence, however long it is. The choice between two arrays is
# `np.where`. (Multiplying by 0 and adding is the same, as long as nothing is infinite.)


# %%
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

# %% tags=["check"]
#| check("rnn_forward")

# %% [markdown]
# ### Backpropagation through time
#
# Elman stopped the gradient at the context units: what happened before was taken as given. To learn over longer distances, it
# has to flow back through all steps (Rumelhart, Hinton & Williams 1986; Werbos 1990). The idea: **unrolled in time, a recurrent
# network is a deep network whose layers share their weights.** Nothing new is needed but care.
#
# **How the loss depends on a state.** $h_t$ is used twice, by the output layer at step $t$ and by step $t+1$. Let $\bar h_t$
# (in code `dh[:, t]`) be the gradient that arrives from the output layer, and $g_t$ the gradient of everything, now and later.
# Without padding,
#
# $$g_t = \bar h_t + \bar h_{\text{prev}}^{(t+1)}, \qquad g_T = \bar h_T .$$
#
# The second term is what your `rnn_step_backward` returns as `dh_prev` when it is given $g_{t+1}$ at step $t+1$. It must reach
# the step before, and be **added** there.
#
# **How the loss depends on a weight.** Pretend that every step has its own copy $W_h^{(1)}, \dots, W_h^{(T)}$. The step
# function gives the gradient of each copy. All copies are one matrix, so by the chain rule its gradient is
#
# $$\bar W_h = \sum_{t=1}^{T} \bar W_h^{(t)} .$$
#
# Mind the index: at step $t$, $W_h$ was multiplied by the state *before*.
#
# **Now you.** What is $g_{t-1}$ when step $t$ is padding? Which gradients do $x_t$ and the weights get there? And where does
# $\bar h_t$ belong: at padding $h_t$ is shown to the output layer, too, but it is $h_{t-1}$ under another name. Draw the two
# paths from $h_{t-1}$ to $h_t$ before you write.


# %%
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

# %% tags=["check"]
#| check("rnn_backward")

# %% [markdown]
# ## 5. Why it forgets
#
# Put the recursion into itself. What a loss at step $T$ tells the state at step $k$ is a product:
#
# $$g_k = g_T \, \prod_{t=T}^{k+1} \operatorname{diag}(1 - h_t \odot h_t) \, W_h^\top .$$
#
# Each factor makes the gradient shorter or longer. After $T - k$ steps little is left of it, or it is huge: it **vanishes or
# explodes** exponentially (Hochreiter 1991; Bengio, Simard & Frasconi 1994). The derivative of tanh is at most 1, so it can
# only shrink; whether $W_h$ stretches depends on its singular values in a single step, and over many steps mostly on its
# eigenvalues. The next cell follows a gradient through forty steps of your functions, with a random $W_h$ whose largest
# eigenvalue is about 0.5, 1 or 2.
#
# Before you run it: with which of the three will the gradient survive? What does tanh do to the last one?

# %% tags=["notebook"]
#| import matplotlib.pyplot as plt
#|
#|
#| def norms_through_time(x, Wx, Wh, b, dh):
#|     # The length of the gradient at every state, from the last back to h0, when the loss is at the end.
#|     h, caches = np.zeros((len(x), len(b))), []
#|     for t in range(x.shape[1]):
#|         h, cache = rnn_step_forward(x[:, t], h, Wx, Wh, b)
#|         caches.append(cache)
#|     norms = [np.linalg.norm(dh)]
#|     for cache in reversed(caches):
#|         _, dh, *_ = rnn_step_backward(dh, cache)
#|         norms.append(np.linalg.norm(dh))
#|     return np.array(norms)
#|
#|
#| rng = np.random.default_rng(0)
#| T, D, H = 40, 16, 64
#| x, Wx, dh = 0.2 * rng.normal(size=(8, T, D)), rng.normal(size=(D, H)) / np.sqrt(D), rng.normal(size=(8, H))
#| # A random matrix divided by sqrt(H) has eigenvalues up to about 1.
#| Wh = rng.normal(size=(H, H)) / np.sqrt(H)
#| fig, ax = plt.subplots(figsize=(7, 3.5))
#| for factor in (0.5, 1.0, 2.0):
#|     norms = norms_through_time(x, Wx, factor * Wh, np.zeros(H), dh)
#|     ax.semilogy(range(T + 1), norms / norms[0], label=f"largest eigenvalue about {factor:g}")
#| ax.set(xlabel="steps back in time", ylabel="length of the gradient (1 at the end)", title="A gradient on its way back")
#| ax.legend()
#| plt.show()

# %% [markdown]
# Exploding is the lesser evil: a gradient that is too long can be cut (section 7). One that has vanished cannot be brought
# back, and the network never learns what happened twenty steps ago. The LSTM repairs this.
#
# ## 6. The loss
#
# The scores become probabilities by softmax, $p_v = e^{s_v} / \sum_u e^{s_u}$, and the loss is the mean over the $M$ real
# tokens of $-\log p_y$, where $y$ is the right next token:
#
# $$L = -\frac1M \sum_{n,t} \text{mask}_{nt} \, \log p_{nt, y_{nt}}, \qquad \log p_y = s_y - \log \sum_u e^{s_u} .$$
#
# The gradient of the last term is worth remembering:
# $\dfrac{\partial}{\partial s_v} \log \sum_u e^{s_u} = \dfrac{e^{s_v}}{\sum_u e^{s_u}} = p_v$. **Now you:** what is
# $\partial L / \partial s_{ntv}$, once for $v = y$ and once for the others? The result is so simple that most libraries compute
# loss and gradient together, and so do you.
#
# Two traps. $e^{710}$ is infinite in float64, $e^{89}$ in float32; a shift of all scores of a token changes nothing (why?), so shift them to where
# the largest is 0. And a batch may hold no real token at all: then loss and gradient are 0, not 0/0.


# %%
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

# %% tags=["check"]
#| check("masked_cross_entropy")

# %% [markdown]
# ## 7. Clipping
#
# When the gradient explodes, one update destroys what hundreds have built. The remedy is crude and works: measure the length of
# **all** gradients together, as if they were one long vector, and shorten the vector when it is longer than a limit (Pascanu,
# Mikolov & Bengio 2013):
#
# $$\lVert g \rVert = \sqrt{\textstyle\sum_{\text{arrays}} \sum_i g_i^2}, \qquad
# g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right), \quad c = \mathtt{max\_norm} .$$
#
# The direction stays the same, which it would not if every array were clipped by itself. PyTorch adds $10^{-6}$ to the norm; we
# do not.


# %%
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
    ### BEGIN SOLUTION
    norm = np.sqrt(sum((grad**2).sum() for grad in grads.values()))
    scale = max_norm / norm if norm > max_norm else 1.0
    return {name: (grad * scale).astype(grad.dtype) for name, grad in grads.items()}, norm
    ### END SOLUTION

# %% tags=["check"]
#| check("clip_global_norm")

# %% [markdown]
# ## 8. The language model
#
# Now put the parts together. The model reads `ids` and predicts `targets`, which are the same text one step later. Forward:
# look up, read, score, compare. Backward: the same stations in opposite order, each with its own cache. `h0` is zero.
#
# ```
# ids --embedding--> x --rnn--> h --affine--> scores --cross-entropy--> loss
# ```


# %%
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

# %% tags=["check"]
#| check("char_lm_loss")

# %% [markdown]
# ## 9. Sampling
#
# A language model can write. Feed a character, get probabilities, draw the next character from them, feed that one, and so on.
#
# To draw from $p$ with a random number $u$ between 0 and 1, walk along the cumulative sums $c_v = p_0 + \dots + p_v$ and stop
# at the first one that exceeds $u$. A token of probability $p_v$ owns an interval of length $p_v$, so it is hit as often as it
# should be. Rounding can leave the last sum a little below 1; if $u$ falls into the gap, take the last token with a positive
# probability. Do this part in float64, whatever the dtype of the parameters.
#
# The *temperature* $\tau$ divides the scores before softmax. Below 1 the model plays safe, above 1 it dares more.


# %%
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

# %% tags=["check"]
#| check("sample")

# %% [markdown]
# ## 10. Surnames that nobody has
#
# Time for a harvest: train on surnames, and let the network invent some. The list is that of the US census of 1990, from the
# package `names` (`pip install names`). Without it the next cell makes names up from syllables. They obey a rule of *vowel
# harmony*, of the kind that Turkish has: a name has either bright vowels (e, i) or dark ones (a, o, u). A model that sees
# only the last two letters can keep that rule only in part.

# %% tags=["notebook"]
#| from pathlib import Path
#|
#|
#| def census_names(how_many=20_000):
#|     # The most frequent surnames of the census, in lower case.
#|     import names
#|
#|     lines = Path(names.__file__).with_name("dist.all.last").read_text().splitlines()
#|     return [line.split()[0].lower() for line in lines if line.strip()][:how_many]
#|
#|
#| def harmonic_names(rng, how_many=8_000):
#|     # Two to four syllables, all with bright vowels or all with dark ones.
#|     onsets, codas = "b d f g h k l m n p r s t v br kr st tr".split(), ["", "", "n", "r", "s", "l", "m"]
#|     made = set()
#|     while len(made) < how_many:
#|         vowels = "ei" if rng.random() < 0.5 else "aou"
#|         syllables = [rng.choice(onsets) + rng.choice(list(vowels)) + rng.choice(codas) for _ in range(rng.integers(2, 5))]
#|         made.add("".join(syllables))
#|     return sorted(made)
#|
#|
#| rng = np.random.default_rng(0)
#| try:
#|     surnames = census_names()
#|     print(f"{len(surnames)} surnames of the census, for example", ", ".join(surnames[:5]))
#| except ImportError:
#|     surnames = harmonic_names(rng)
#|     print("The package names is not installed (pip install names): these names are generated.")
#|     print(f"{len(surnames)} names, for example", ", ".join(surnames[:5]))
#|
#| surnames = [surnames[i] for i in rng.permutation(len(surnames))]
#| held_out, training = surnames[:1000], surnames[1000:]

# %% [markdown]
# Id 0, written as a dot, stands for both the beginning and the end of a name. The network reads `.smith` and has to predict
# `smith.`; short names are padded. Training is a loop of your `char_lm_loss` and your `clip_global_norm` with the optimiser
# Adam, which comes with the kit.

# %% tags=["notebook"]
#| import time
#|
#| from autograder.training import train, uniform_weights
#|
#| alphabet = ".abcdefghijklmnopqrstuvwxyz"
#| V, D, H, BATCH, STEPS = len(alphabet), 16, 128, 64, 2000
#|
#|
#| def encode(words):
#|     # Return ids, targets and mask of a batch of names.
#|     longest = max(map(len, words)) + 1
#|     ids, targets = np.zeros((2, len(words), longest), np.int64)
#|     mask = np.zeros((len(words), longest), bool)
#|     for n, word in enumerate(words):
#|         letters = [alphabet.index(letter) for letter in word]
#|         ids[n, 1 : len(word) + 1] = letters
#|         targets[n, : len(word)] = letters
#|         mask[n, : len(word) + 1] = True
#|     return ids, targets, mask
#|
#|
#| def batches():
#|     while True:
#|         yield encode([training[i] for i in rng.integers(0, len(training), BATCH)])
#|
#|
#| params = {
#|     "embedding": 0.3 * rng.normal(size=(V, D)),
#|     "Wx": uniform_weights(rng, D, H),
#|     # Orthogonal: all eigenvalues have length 1, so that the gradient neither vanishes nor explodes at first.
#|     "Wh": np.linalg.qr(rng.normal(size=(H, H)))[0],
#|     "b": np.zeros(H),
#|     "Wy": uniform_weights(rng, H, V),
#|     "by": np.zeros(V),
#| }
#| # float32 halves the time, and your functions keep it.
#| params = {name: value.astype(np.float32) for name, value in params.items()}
#| losses, norms, tests = [], [], {}
#|
#|
#| def clip(grads):
#|     clipped, norm = clip_global_norm(grads, 1.0)
#|     norms.append(norm)
#|     return clipped
#|
#|
#| started = time.process_time()
#| for step, loss in enumerate(train(lambda p, batch: char_lm_loss(p, *batch), params, batches(), 0.003, clip), start=1):
#|     losses.append(loss)
#|     if step % 250 == 0:
#|         tests[step] = float(char_lm_loss(params, *encode(held_out))[0])
#|         print(f"step {step}: {np.mean(losses[-250:]):.3f} nats per letter, {tests[step]:.3f} on held-out names")
#|     if step == STEPS:
#|         break
#| print(f"{time.process_time() - started:.0f} CPU seconds")

# %% [markdown]
# Is that good? Compare with counting. An *n-gram* model predicts a letter from the $n-1$ letters before it, by how often it
# followed them in the training names. (A little is added to every count, so that nothing is impossible.)

# %% tags=["notebook"]
#| from collections import defaultdict
#|
#|
#| def ngram_loss(n, added=0.1):
#|     # Nats per letter of an n-gram model on the held-out names.
#|     counts = defaultdict(lambda: np.full(V, added))
#|     contexts = lambda words: ((("." * (n - 1) + w + ".")[i : i + n]) for w in words for i in range(len(w) + 1))
#|     for gram in contexts(training):
#|         counts[gram[:-1]][alphabet.index(gram[-1])] += 1
#|     return -np.mean([np.log(counts[g[:-1]][alphabet.index(g[-1])] / counts[g[:-1]].sum()) for g in contexts(held_out)])
#|
#|
#| fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5))
#| smooth = np.convolve(losses, np.ones(50) / 50, mode="valid")
#| left.plot(range(50, len(losses) + 1), smooth, label="training (mean of 50 steps)")
#| left.plot(list(tests), list(tests.values()), "o", label="held-out names")
#| for n, style in ((1, ":"), (2, "-."), (3, "--"), (4, "-")):
#|     left.axhline(ngram_loss(n), color="grey", linestyle=style, linewidth=1, label=f"{n}-gram")
#| left.set(xlabel="training step", ylabel="nats per letter", title="Loss")
#| left.legend(fontsize=8)
#| right.semilogy(norms, linewidth=0.5)
#| right.axhline(1.0, color="black", linewidth=1)
#| right.set(xlabel="training step", ylabel="global norm", title="Gradient norm before clipping, and the limit")
#| fig.tight_layout()
#| plt.show()

# %% tags=["notebook"]
#| known = set(surnames)
#| for temperature in (0.5, 0.8, 1.0):
#|     invented = []
#|     while len(invented) < 12:
#|         ids = sample(params, 0, rng.random(20), temperature)
#|         name = "".join(alphabet[i] for i in ids).split(".")[0]
#|         if name and name not in known:
#|             invented.append(name.title())
#|     print(f"temperature {temperature}:", ", ".join(invented))

# %% [markdown]
# Elman looked at where his network was *surprised*: its loss is high at the beginning of a word, when anything may follow, and
# falls as the word becomes clear. Do you see the same? Try your own name.

# %% tags=["notebook"]
#| def surprise(name):
#|     # Minus the logarithm of the probability of every letter, in nats.
#|     ids, targets, mask = encode([name])
#|     ends = [np.array([[t == k for t in range(ids.shape[1])]]) for k in range(ids.shape[1])]
#|     x, _ = embedding_forward(ids, params["embedding"])
#|     weights = params["Wx"], params["Wh"], params["b"]
#|     h, _ = rnn_forward(x, np.zeros((1, H), x.dtype), *weights, mask)
#|     scores, _ = affine_forward(h, params["Wy"], params["by"])
#|     return [float(masked_cross_entropy(scores, targets, one)[0]) for one in ends]
#|
#|
#| shown = [min(held_out, key=lambda name: abs(len(name) - length)) for length in (5, 8, 11)]
#| fig, axes = plt.subplots(1, 3, figsize=(11, 2.8), sharey=True)
#| for ax, name in zip(axes, shown):
#|     ax.bar(range(len(name) + 1), surprise(name))
#|     ax.set_xticks(range(len(name) + 1), list(name + "."))
#| axes[0].set_ylabel("surprise (nats)")
#| plt.show()

# %% [markdown]
# And what has become of the gradient? The same measurement as in section 5, with the trained weights on up to
# fifty long held-out names: how far back does a loss at the end of a name reach?

# %% tags=["notebook"]
#| long_names = [name for name in held_out if len(name) >= 10][:50]
#| ids = np.array([encode([name])[0][0, :11] for name in long_names])
#| x, _ = embedding_forward(ids, params["embedding"])
#| dh = rng.normal(size=(len(ids), H)).astype(np.float32)
#| # Without the last one: h0 is no state that has read a letter.
#| norms_trained = norms_through_time(x, params["Wx"], params["Wh"], params["b"], dh)[:-1]
#| fig, ax = plt.subplots(figsize=(7, 3))
#| ax.semilogy(range(len(norms_trained)), norms_trained / norms_trained[0], "o-")
#| ax.set(xlabel="letters back", ylabel="length of the gradient (1 at the end)", title="The trained network's gradient on its way back")
#| plt.show()

# %% [markdown]
# ## 11. The graded training run
#
# Loss on text cannot tell a right backward pass from a wrong one: predicting the next letter needs little memory, and a network
# without any gradient through time does nearly as well. So the grader trains your functions on a task that cannot be done
# without: read five random symbols, and name the **first** one at the end. It checks that the losses of the first steps are
# those of the PyTorch network, and that at least 95 % of the symbols are recalled within 300 steps. The next cell does the same
# with another seed.
#
# It also counts: your backward passes must not loop over the batch in Python (a loop over time is fine, the steps depend on
# each other), and must not be much slower than ours.

# %% tags=["notebook"]
#| from autograder.exercises.rnn import LAG, RATE, STEPS as RECALL_STEPS, WIDTH, recall_task
#|
#| lag = LAG
#| recall_params, recall_batches = recall_task(seed=1, lag=lag)
#| curve = []
#| for loss in train(lambda p, batch: char_lm_loss(p, *batch), recall_params, recall_batches, RATE):
#|     curve.append(loss)
#|     if len(curve) == RECALL_STEPS:
#|         break
#| ids, targets, mask = next(recall_batches)
#| x, _ = embedding_forward(ids, recall_params["embedding"])
#| weights = recall_params["Wx"], recall_params["Wh"], recall_params["b"]
#| h, _ = rnn_forward(x, np.zeros((len(ids), WIDTH)), *weights, mask)
#| scores, _ = affine_forward(h, recall_params["Wy"], recall_params["by"])
#| print(f"recalled after {lag} symbols: {np.mean(scores[:, -1].argmax(-1) == targets[:, -1]):.0%}")
#| plt.figure(figsize=(7, 3))
#| plt.plot(curve)
#| # Who knows the blanks but guesses the symbol pays log(6) at one position of `lag`.
#| plt.axhline(np.log(6) / lag, color="grey", linestyle="--", label="guessing the symbol")
#| plt.xlabel("training step")
#| plt.ylabel("nats per symbol")
#| plt.legend()
#| plt.show()

# %% [markdown]
# ## What to take along
#
# - Parameters that are used at every step get the sum of the gradients of all steps.
# - A state is used twice, by the output and by the next step: two gradients arrive, and they add up.
# - The gradient of the past is a product of many matrices. Here it vanishes with distance, and what is not felt is not learned. Try
#   `lag = 15` in the cell above, then go on to the LSTM.
#
# ### References
#
# - Y. Bengio, P. Simard, P. Frasconi (1994). Learning long-term dependencies with gradient descent is difficult. *IEEE Transactions on Neural Networks* 5.
# - J. L. Elman (1990). Finding structure in time. *Cognitive Science* 14.
# - A. Graves (2012). *Supervised sequence labelling with recurrent neural networks.* Springer. Chapter 3.
# - S. Hochreiter (1991). *Untersuchungen zu dynamischen neuronalen Netzen.* Diploma thesis, TU München.
# - R. Pascanu, T. Mikolov, Y. Bengio (2013). On the difficulty of training recurrent neural networks. *ICML.*
# - D. E. Rumelhart, G. E. Hinton, R. J. Williams (1986). Learning internal representations by error propagation. In *Parallel Distributed Processing.*
# - P. J. Werbos (1990). Backpropagation through time: what it does and how to do it. *Proceedings of the IEEE* 78.
