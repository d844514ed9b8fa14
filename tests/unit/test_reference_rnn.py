"""The rnn reference against PyTorch's own modules, finite differences and brute force."""

import pytest
import torch
import torch.nn.functional as F

from reference import rnn

N, T, D, H, V = 3, 7, 4, 5, 9


@pytest.fixture
def make():
    """Return a maker of random float64 tensors that require a gradient; the same ones in every run."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape, dtype=torch.float64):
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    normal.ids = lambda *shape: torch.randint(V, shape, generator=generator)
    normal.mask = lambda *shape: torch.rand(*shape, generator=generator) < 0.6
    return normal


def parameters(make):
    return {"embedding": make(V, D), "Wx": make(D, H), "Wh": make(H, H), "b": make(H), "Wy": make(H, V), "by": make(V)}


def grads(output, inputs, upstream=None):
    return torch.autograd.grad(output, inputs, torch.ones_like(output) if upstream is None else upstream)


def assert_all_close(left, right):
    torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------ against PyTorch's modules


def test_embedding_is_nn_embedding(make):
    W, ids, dx = make(V, D), make.ids(N, T), make(N, T, D)
    theirs = torch.nn.Embedding.from_pretrained(W, freeze=False)
    assert_all_close(rnn.embedding_forward(ids, W), theirs(ids))
    assert_all_close(*(grads(x, w, dx) for x, w in ((rnn.embedding_forward(ids, W), W), (theirs(ids), theirs.weight))))


def test_affine_is_nn_functional_linear(make):
    h, W, b = make(N, T, H), make(H, V), make(V)
    assert_all_close(rnn.affine_forward(h, W, b), F.linear(h, W.T, b))


def torch_rnn(Wx, Wh, b):
    """Return nn.RNN with our weights; it has a second bias, which is zero here."""
    module = torch.nn.RNN(D, H, batch_first=True, dtype=Wx.dtype)
    values = {"weight_ih_l0": Wx.T, "weight_hh_l0": Wh.T, "bias_ih_l0": b, "bias_hh_l0": torch.zeros_like(b)}
    module.load_state_dict({name: value.detach() for name, value in values.items()})
    return module


def test_step_is_nn_rnn_cell(make):
    x, h, Wx, Wh, b = make(N, D), make(N, H), make(D, H), make(H, H), make(H)
    cell = torch.nn.RNNCell(D, H, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in torch_rnn(Wx, Wh, b).state_dict().items()})
    assert_all_close(rnn.rnn_step_forward(x, h, Wx, Wh, b), cell(x, h))


def test_full_mask_is_nn_rnn_with_all_gradients(make):
    x, h0, Wx, Wh, b, dh = make(N, T, D), make(N, H), make(D, H), make(H, H), make(H), make(N, T, H)
    module = torch_rnn(Wx, Wh, b)
    ours, (theirs, _) = rnn.rnn_forward(x, h0, Wx, Wh, b, torch.ones(N, T, dtype=torch.bool)), module(x, h0[None])
    assert_all_close(ours, theirs)
    weights = (module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0)
    dx, dh0, dWx, dWh, db = grads(theirs, (x, h0, *weights), dh)
    assert_all_close(grads(ours, (x, h0, Wx, Wh, b), dh), (dx, dh0, dWx.T, dWh.T, db))


def test_padding_at_the_end_is_a_packed_sequence(make):
    """PyTorch puts zeros behind the end, we carry the state over: equal on real tokens, and in the last state."""
    x, h0, Wx, Wh, b = make(N, T, D), make(N, H), make(D, H), make(H, H), make(H)
    lengths = torch.tensor([T, 2, 4])
    mask = torch.arange(T) < lengths[:, None]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    theirs, last = torch_rnn(Wx, Wh, b)(packed, h0[None])
    theirs, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs, batch_first=True)
    ours = rnn.rnn_forward(x, h0, Wx, Wh, b, mask)
    assert_all_close(ours[mask], theirs[mask])
    assert_all_close(ours[:, -1], last[0])


@pytest.mark.parametrize("scale", [1.0, 40.0, 1e4])
def test_loss_is_cross_entropy_over_real_tokens(make, scale):
    scores, targets, mask = scale * make(N, T, V), make.ids(N, T), make.mask(N, T)
    ours, theirs = rnn.masked_cross_entropy(scores, targets, mask), F.cross_entropy(scores[mask], targets[mask])
    assert_all_close(ours, theirs)
    assert_all_close(grads(ours, scores), grads(theirs, scores))


@pytest.mark.parametrize("max_norm", [0.1, 3.0, 1000.0])
def test_clipping_is_clip_grad_norm(make, max_norm):
    arrays = {"Wx": make(D, H), "Wh": make(H, H), "b": make(H)}
    theirs = [torch.zeros_like(a) for a in arrays.values()]
    for parameter, array in zip(theirs, arrays.values(), strict=True):
        parameter.grad = array.detach().clone()
    their_norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    clipped, norm = rnn.clip_global_norm(arrays, max_norm)
    torch.testing.assert_close(norm, their_norm)
    # PyTorch adds 1e-6 to the norm, we do not.
    torch.testing.assert_close(list(clipped.values()), [p.grad for p in theirs], rtol=1e-5, atol=0)


def test_clipping_leaves_zero_gradients_alone():
    clipped, norm = rnn.clip_global_norm({"b": torch.zeros(H)}, 1.0)
    assert norm == 0
    assert_all_close(clipped["b"], torch.zeros(H))


# ------------------------------------------------------------------------------------------ finite differences


def test_gradcheck_of_the_sequence(make):
    mask = make.mask(N, T)
    inputs = make(N, T, D), make(N, H), make(D, H), make(H, H), make(H)
    assert torch.autograd.gradcheck(lambda *args: rnn.rnn_forward(*args, mask), inputs)


def test_gradcheck_of_the_language_model(make):
    params, ids, targets, mask = parameters(make), make.ids(N, T), make.ids(N, T), make.mask(N, T)
    values = tuple(params.values())
    assert torch.autograd.gradcheck(lambda *args: rnn.char_lm_loss(dict(zip(params, args, strict=True)), ids, targets, mask), values)


# ------------------------------------------------------------------------------------------------------- masks


def test_garbage_behind_the_mask_changes_nothing(make):
    x, rest, mask = make(N, T, D), (make(N, H), make(D, H), make(H, H), make(H)), make.mask(N, T)
    garbage = torch.where(mask[..., None], x, 1e6).detach().requires_grad_()
    for value in (x, garbage):
        h = rnn.rnn_forward(value, *rest, mask)
        if value is x:
            clean, clean_grads = h, grads(h, (x, *rest))
    assert torch.equal(h, clean)
    assert all(map(torch.equal, grads(h, (garbage, *rest)), clean_grads))
    assert not grads(rnn.rnn_forward(garbage, *rest, mask), garbage)[0][~mask].any()


def test_scores_behind_the_mask_change_nothing(make):
    scores, targets, mask = make(N, T, V), make.ids(N, T), make.mask(N, T)
    garbage = torch.where(mask[..., None], scores, -1e6).detach().requires_grad_()
    loss = rnn.masked_cross_entropy(garbage, targets, mask)
    assert torch.equal(loss, rnn.masked_cross_entropy(scores, targets, mask))
    assert not grads(loss, garbage)[0][~mask].any()


def test_a_row_without_tokens_keeps_h0(make):
    mask = torch.zeros(N, T, dtype=torch.bool)
    h0 = make(N, H)
    h = rnn.rnn_forward(make(N, T, D), h0, make(D, H), make(H, H), make(H), mask)
    assert torch.equal(h, h0[:, None].expand(N, T, H))
    assert_all_close(grads(h, h0)[0], torch.full_like(h0, T))


def test_nothing_real_is_loss_zero_and_gradient_zero(make):
    params, mask = parameters(make), torch.zeros(N, T, dtype=torch.bool)
    loss = rnn.char_lm_loss(params, make.ids(N, T), make.ids(N, T), mask)
    assert loss == 0
    assert not any(g.any() for g in grads(loss, tuple(params.values())))


# ---------------------------------------------------------------------------------------------------- sampling


def test_inverse_cdf_by_hand():
    p = torch.tensor([0.0, 0.25, 0.0, 0.5, 0.25, 0.0], dtype=torch.float64)
    draws = {0.0: 1, 0.2499: 1, 0.25: 3, 0.7499: 3, 0.75: 4, 0.9999: 4}
    assert {u: int(rnn.inverse_cdf(p, torch.tensor(u, dtype=torch.float64))) for u in draws} == draws


def test_inverse_cdf_when_rounding_leaves_none():
    p = torch.tensor([0.5, 0.25, 0.2, 0.0], dtype=torch.float64)
    assert int(rnn.inverse_cdf(p, torch.tensor(0.99, dtype=torch.float64))) == 2


def test_sampling_follows_the_model(make):
    """Every drawn character is the inverse CDF of what the network says after the start and all characters before."""
    params, uniforms, temperature = parameters(make), torch.linspace(0.05, 0.95, 12, dtype=torch.float64), 0.7
    ids = rnn.sample(params, 3, uniforms, temperature)
    text = torch.cat([torch.tensor([3]), ids[:-1]])[None]
    h = rnn.rnn_forward(
        rnn.embedding_forward(text, params["embedding"]), torch.zeros(1, H, dtype=torch.float64),
        params["Wx"], params["Wh"], params["b"], torch.ones(text.shape, dtype=torch.bool),
    )  # fmt: skip
    p = torch.softmax(rnn.affine_forward(h, params["Wy"], params["by"])[0] / temperature, -1)
    assert ids.dtype == torch.int64
    assert ids.tolist() == [int(rnn.inverse_cdf(row, u)) for row, u in zip(p, uniforms, strict=True)]


def test_sampling_in_the_limits(make):
    """Near temperature 0 the most probable character, at a high one every character in turn."""
    params = parameters(make)
    uniforms = (torch.arange(V, dtype=torch.float64) + 0.5) / V
    assert rnn.sample(params, 0, uniforms, 1e9).tolist() == list(range(V))
    cold = rnn.sample(params, 0, uniforms, 1e-9)
    h = rnn.rnn_step_forward(params["embedding"][[0]], torch.zeros(1, H, dtype=torch.float64), params["Wx"], params["Wh"], params["b"])
    assert cold[0] == (h @ params["Wy"] + params["by"]).argmax()


# ----------------------------------------------------------------------------------------- devices and dtypes


def run_everything(device, dtype):
    """Run all forward passes and one backward on a device; return the tensors that came out."""
    new = {"device": device, "dtype": dtype}
    params = {"embedding": (V, D), "Wx": (D, H), "Wh": (H, H), "b": (H,), "Wy": (H, V), "by": (V,)}
    params = {name: torch.ones(shape, **new, requires_grad=True) for name, shape in params.items()}
    ids, mask = torch.ones(N, T, dtype=torch.int64, device=device), torch.ones(N, T, dtype=torch.bool, device=device)
    loss = rnn.char_lm_loss(params, ids, ids, mask)
    found = dict(zip(params, grads(loss, tuple(params.values())), strict=True))
    clipped, norm = rnn.clip_global_norm(found, 1.0)
    drawn = rnn.sample(params, 1, torch.zeros(4, device=device, dtype=torch.float64), 0.5)
    assert drawn.shape == (4,)
    assert drawn.device.type == device
    return loss, norm, *found.values(), *clipped.values()


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_device_and_dtype_are_kept(device, dtype):
    """On the meta device nothing is computed, so a constant that was made on the CPU shows."""
    for value in run_everything(device, dtype):
        assert value.device.type == device
        assert value.dtype == dtype


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: the reference was NOT run on a GPU")
def test_cuda_agrees_with_the_cpu():
    for there, here in zip(run_everything("cuda", torch.float64), run_everything("cpu", torch.float64), strict=True):
        torch.testing.assert_close(there.cpu(), here)
