"""The seq2seq reference against PyTorch's own modules, finite differences and enumeration of all possibilities."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reference import seq2seq

N, S, T, D, H, M, Vs, Vt = 3, 6, 4, 3, 5, 4, 7, 6
BOS, EOS = 0, 1
SHAPES = {
    "src_embedding": (Vs, D), "enc_Wx": (D, 4 * H), "enc_Wh": (H, 4 * H), "enc_b": (4 * H,),
    "tgt_embedding": (Vt, D), "dec_Wx": (D, 4 * H), "dec_Wh": (H, 4 * H), "dec_b": (4 * H,),
    "att_Wq": (H, M), "att_Wk": (H, M), "att_v": (M,), "Wo": (2 * H, H), "bo": (H,), "Wy": (H, Vt), "by": (Vt,),
}  # fmt: skip
LENGTHS = torch.tensor([S, 2, 4])
RAGGED = torch.arange(S) < LENGTHS[:, None]
FULL = torch.ones(N, S, dtype=torch.bool)


@pytest.fixture
def make():
    """Return a maker of random float64 tensors that require a gradient; the same ones in every run."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    normal.mask = lambda *shape: torch.rand(*shape, generator=generator) < 0.6
    normal.ids = lambda below, *shape: torch.randint(below, shape, generator=generator)
    normal.params = lambda: {name: normal(*shape) for name, shape in SHAPES.items()}
    return normal


def assert_all_close(left, right):
    torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-11)


# ----------------------------------------------------------------------------------------------------- batches


def test_pad_batch_is_pad_sequence():
    sequences = [torch.tensor(s) for s in ([3, 0, 2], [5], [0, 0])]
    ids, mask = seq2seq.pad_batch(sequences, 2)
    assert torch.equal(ids, torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=2))
    assert mask.tolist() == [[True, True, True], [True, False, False], [True, True, False]]


def test_targets_are_the_sequence_between_bos_and_eos():
    tgt_in, tgt_out, mask = seq2seq.make_targets([torch.tensor([4, 5]), torch.tensor([3])], 7, 8, 9)
    assert tgt_in.tolist() == [[8, 4, 5], [8, 3, 7]]
    assert tgt_out.tolist() == [[4, 5, 9], [3, 9, 7]]
    assert mask.tolist() == [[True] * 3, [True, True, False]]


# --------------------------------------------------------------------------------------------------- the model


def test_encoder_is_nn_lstm_on_a_packed_batch(make):
    params, src = make.params(), make.ids(Vs, N, S)
    keys, h, c = seq2seq.encode_forward(src, RAGGED, params)
    x = torch.nn.utils.rnn.pack_padded_sequence(params["src_embedding"][src], LENGTHS, batch_first=True, enforce_sorted=False)
    states, (h_last, c_last) = module(params, "enc")(x)
    theirs, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
    assert_all_close(keys[RAGGED], theirs[RAGGED])
    assert_all_close((h, c), (h_last[0], c_last[0]))


def module(params, part):
    """Return PyTorch's LSTM with the weights of the encoder or the decoder."""
    layer = torch.nn.LSTM(D, H, batch_first=True, dtype=torch.float64)
    weights = {"weight_ih_l0": params[f"{part}_Wx"].T, "weight_hh_l0": params[f"{part}_Wh"].T, "bias_ih_l0": params[f"{part}_b"]}
    layer.load_state_dict({name: value.detach() for name, value in weights.items()} | {"bias_hh_l0": torch.zeros(4 * H)})
    return layer


def attention_inputs(make):
    return make(N, T, H), make(N, S, H), make(H, M), make(H, M), make(M)


def test_attention_is_bahdanau_written_out(make):
    q, keys, Wq, Wk, v = attention_inputs(make)
    context, weights = seq2seq.additive_attention_forward(q, keys, RAGGED, Wq, Wk, v)
    for n, t in product(range(N), range(T)):
        real = keys[n, : LENGTHS[n]]
        expected = torch.softmax(torch.stack([v @ torch.tanh(q[n, t] @ Wq + key @ Wk) for key in real]), 0)
        assert_all_close(weights[n, t, : LENGTHS[n]], expected)
        assert_all_close(context[n, t], expected @ real)
    assert not weights[~RAGGED[:, None].expand_as(weights)].any()


def test_without_tanh_attention_would_be_scaled_dot_product(make):
    """The average is the one of PyTorch's attention: same weights for the same scores, handed over as a bias."""
    q, keys, Wq, Wk, v = attention_inputs(make)
    scores = torch.tanh((q @ Wq)[:, :, None] + (keys @ Wk)[:, None]) @ v
    bias = scores.masked_fill(~RAGGED[:, None], -torch.inf)
    expected = F.scaled_dot_product_attention(torch.zeros_like(q), keys, keys, attn_mask=bias)
    assert_all_close(seq2seq.additive_attention_forward(q, keys, RAGGED, Wq, Wk, v)[0], expected)


def test_gradcheck_of_attention_with_holes_and_an_empty_row(make):
    mask = make.mask(N, S)
    mask[0] = False
    q, keys, Wq, Wk, v = attention_inputs(make)
    run = lambda q, keys, Wq, Wk, v: seq2seq.additive_attention_forward(q, keys, mask, Wq, Wk, v)  # noqa: E731
    assert torch.autograd.gradcheck(run, (q, keys, Wq, Wk, v))
    context, weights = run(q, keys, Wq, Wk, v)
    assert not context[0].any()
    assert not weights[0].any()


@pytest.mark.parametrize("garbage", [1e6, -1e6])
def test_garbage_behind_the_mask_has_no_influence_and_no_gradient(make, garbage):
    q, keys, Wq, Wk, v = attention_inputs(make)
    mask = make.mask(N, S)
    mask[0] = False
    found = []
    for behind in (0.0, garbage):
        dirty = torch.where(mask[..., None], keys.detach(), behind).requires_grad_()
        context, weights = seq2seq.additive_attention_forward(q, dirty, mask, Wq, Wk, v)
        found.append((context, weights, *torch.autograd.grad(context.sum(), (q, dirty, Wq, Wk, v))))
    assert all(torch.equal(*pair) for pair in zip(*found))
    assert not found[1][3][~mask].any()


def test_decoder_is_nn_lstm_attention_and_two_layers(make):
    params, tgt_in = make.params(), make.ids(Vt, N, T)
    h0, c0, keys = make(N, H), make(N, H), make(N, S, H)
    scores, weights = seq2seq.decode_forward(tgt_in, h0, c0, keys, RAGGED, params)
    states, _ = module(params, "dec")(params["tgt_embedding"][tgt_in], (h0[None], c0[None]))
    attention = (params["att_Wq"], params["att_Wk"], params["att_v"])
    context, expected = seq2seq.additive_attention_forward(states, keys, RAGGED, *attention)
    hidden = torch.tanh(F.linear(torch.cat([states, context], -1), params["Wo"].T, params["bo"]))
    assert_all_close(scores, F.linear(hidden, params["Wy"].T, params["by"]))
    assert_all_close(weights, expected)


def test_decoder_does_not_look_ahead(make):
    params, tgt_in = make.params(), make.ids(Vt, N, T)
    rest = (make(N, H), make(N, H), make(N, S, H), RAGGED, params)
    whole, _ = seq2seq.decode_forward(tgt_in, *rest)
    assert_all_close(seq2seq.decode_forward(tgt_in[:, :2], *rest)[0], whole[:, :2])


def test_loss_is_cross_entropy_over_real_tokens(make):
    params, src, tgt_in, tgt_out, mask = make.params(), make.ids(Vs, N, S), make.ids(Vt, N, T), make.ids(Vt, N, T), make.mask(N, T)
    loss = seq2seq.seq2seq_loss(params, src, RAGGED, tgt_in, tgt_out, mask)
    keys, h, c = seq2seq.encode_forward(src, RAGGED, params)
    scores, _ = seq2seq.decode_forward(tgt_in, h, c, keys, RAGGED, params)
    expected = F.cross_entropy(scores.reshape(-1, Vt), torch.where(mask, tgt_out, -100).reshape(-1))
    assert_all_close(loss, expected)


def test_gradcheck_of_the_loss(make):
    params, src, tgt_in, tgt_out, mask = make.params(), make.ids(Vs, N, S), make.ids(Vt, N, T), make.ids(Vt, N, T), make.mask(N, T)
    src_mask = RAGGED.clone()
    src_mask[2] = False
    run = lambda *values: seq2seq.seq2seq_loss(dict(zip(SHAPES, values)), src, src_mask, tgt_in, tgt_out, mask)  # noqa: E731
    assert torch.autograd.gradcheck(run, tuple(params.values()))


def test_nothing_real_is_no_loss_and_no_gradient(make):
    params, none = make.params(), torch.zeros(N, T, dtype=torch.bool)
    loss = seq2seq.seq2seq_loss(params, make.ids(Vs, N, S), FULL & False, make.ids(Vt, N, T), make.ids(Vt, N, T), none)
    assert loss == 0
    assert not any(g.any() for g in torch.autograd.grad(loss, list(params.values()), allow_unused=True) if g is not None)


# ------------------------------------------------------------------------------------------------------ search


def log_probability(params, src, said):
    """Return log p of tokens that follow BOS, by one pass of teacher forcing."""
    keys, h, c, mask = seq2seq.encode_one(params, src)
    scores, _ = seq2seq.decode_forward(torch.tensor([[BOS, *said[:-1]]]), h, c, keys, mask, params)
    return torch.log_softmax(scores[0], -1)[torch.arange(len(said)), list(said)].sum().item()


def brute_force(params, src, max_len, alpha):
    """Return the best of all sequences that end in EOS or have max_len tokens."""
    everything = [said for length in range(1, max_len + 1) for said in product(range(Vt), repeat=length)]
    possible = [s for s in everything if EOS not in s[:-1] and (s[-1] == EOS or len(s) == max_len)]
    scored = {said: log_probability(params, src, said) / len(said) ** alpha for said in possible}
    best = max(scored, key=scored.get)
    return [i for i in best if i != EOS], scored[best]


@pytest.mark.parametrize(("max_len", "alpha"), [(1, 0.0), (2, 1.0), (3, 0.0), (3, 0.7), (3, 2.0)])
def test_a_beam_as_wide_as_everything_is_brute_force(make, max_len, alpha):
    params, src = make.params(), make.ids(Vs, 3)
    ids, score = seq2seq.beam_search(params, src, BOS, EOS, Vt**max_len, max_len, alpha)
    expected, best = brute_force(params, src, max_len, alpha)
    assert ids.tolist() == expected
    assert score.item() == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("round_", range(6))
def test_a_beam_of_one_is_greedy(make, round_):
    for _ in range(round_ + 1):
        params = make.params()
    src = make.ids(Vs, 3)
    greedy = seq2seq.greedy_decode(params, src, BOS, EOS, 5)
    ids, score = seq2seq.beam_search(params, src, BOS, EOS, 1, 5, 0.0)
    assert torch.equal(ids, greedy)
    said = [*ids.tolist(), *([EOS] if len(ids) < 5 else [])]
    assert score.item() == pytest.approx(log_probability(params, src, said), rel=1e-12)


def test_greedy_takes_the_lower_id_in_a_tie(make):
    params = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in SHAPES.items()}
    assert seq2seq.greedy_decode(params, make.ids(Vs, 3), BOS, EOS, 3).tolist() == [0, 0, 0]
    assert seq2seq.greedy_decode(params, make.ids(Vs, 3), 1, 0, 3).tolist() == []


def test_edit_distance():
    ids = lambda text: torch.tensor([ord(letter) for letter in text], dtype=torch.int64)  # noqa: E731
    pairs = {("kitten", "sitting"): 3, ("", "abc"): 3, ("abc", ""): 3, ("", ""): 0, ("abc", "abc"): 0, ("flaw", "lawn"): 2, ("ab", "ba"): 2}
    for (a, b), distance in pairs.items():
        assert seq2seq.edit_distance(ids(a), ids(b)) == distance


# --------------------------------------------------------------------------------------------------------- CTC


def ctc_inputs(make, steps, labels, blank):
    """Return scores (steps, N, labels) and N possible targets, repeats among them."""
    others = [label for label in range(labels) if label != blank]
    targets = [torch.tensor(t) for t in ([others[0]], [others[0], others[0]], [others[-1], others[0], others[-1]])]
    return make(steps, len(targets), labels), targets


@pytest.mark.parametrize("blank", [0, 2, 4])
@pytest.mark.parametrize("steps", [3, 8, 60])
def test_ctc_is_pytorchs(make, steps, blank):
    scores, targets = ctc_inputs(make, steps, 5, blank)
    loss = seq2seq.ctc_loss(scores, targets, blank)
    lengths = torch.tensor([len(t) for t in targets])
    log_p = torch.log_softmax(scores, -1)
    theirs = F.ctc_loss(log_p, torch.cat(targets), torch.full((3,), steps), lengths, blank=blank, reduction="none").mean()
    assert_all_close(loss, theirs)
    assert_all_close(torch.autograd.grad(loss, scores), torch.autograd.grad(theirs, scores))


def test_ctc_is_the_sum_over_all_paths(make):
    scores, targets = ctc_inputs(make, 4, 3, 0)
    p = torch.softmax(scores, -1)
    for n, target in enumerate(targets):
        paths = [path for path in product(range(3), repeat=4) if seq2seq.ctc_collapse(torch.tensor(path)).tolist() == target.tolist()]
        total = sum(torch.stack([p[t, n, label] for t, label in enumerate(path)]).prod() for path in paths)
        assert_all_close(seq2seq.ctc_loss(scores[:, n : n + 1], [target]), -total.log())


def test_ctc_is_finite_at_a_thousand_steps(make):
    scores, targets = ctc_inputs(make, 1000, 5, 0)
    loss = seq2seq.ctc_loss(10 * scores, targets)
    (grad,) = torch.autograd.grad(loss, scores)
    assert torch.isfinite(loss)
    assert torch.isfinite(grad).all()


def test_collapse():
    assert seq2seq.ctc_collapse(torch.tensor([1, 1, 0, 1, 2, 2, 0, 0])).tolist() == [1, 1, 2]
    assert seq2seq.ctc_collapse(torch.tensor([2, 2, 0, 1]), blank=2).tolist() == [0, 1]
    assert seq2seq.ctc_collapse(torch.tensor([0, 0])).tolist() == []


# ----------------------------------------------------------------------------------------------------- devices


def on(device, dtype=torch.float32):
    """Run everything that does not have to look at values on a device; return all results."""
    rng = np.random.default_rng(0)
    floats = lambda *shape: torch.from_numpy(rng.standard_normal(shape)).to(device, dtype)  # noqa: E731
    ids = lambda below, *shape: torch.from_numpy(rng.integers(0, below, shape)).to(device)  # noqa: E731
    params = {name: floats(*shape) for name, shape in SHAPES.items()}
    sequences = [ids(Vt, 3), ids(Vt, 2), ids(Vt, 1)]
    tgt_in, tgt_out, tgt_mask = seq2seq.make_targets(sequences, 0, BOS, EOS)
    src, mask = seq2seq.pad_batch(sequences, 0)
    keys, h, c = seq2seq.encode_forward(src, mask, params)
    scores, weights = seq2seq.decode_forward(tgt_in, h, c, keys, mask, params)
    loss = seq2seq.seq2seq_loss(params, src, mask, tgt_in, tgt_out, tgt_mask)
    ctc = seq2seq.ctc_loss(floats(8, 3, Vt + 1), sequences, Vt)
    return keys, h, c, scores, weights, loss, ctc


def test_runs_on_any_device_and_keeps_the_dtype():
    """The meta device computes shapes only: a constant left on the CPU would raise."""
    results = on("meta")
    assert {r.device.type for r in results} == {"meta"}
    assert {r.dtype for r in results} == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: the run on a GPU was NOT tried")
def test_cuda_agrees_with_the_cpu():
    for there, here in zip(on("cuda", torch.float64), on("cpu", torch.float64), strict=True):
        torch.testing.assert_close(there.cpu(), here, rtol=1e-9, atol=1e-9)
