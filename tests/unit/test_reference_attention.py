"""The attention reference against PyTorch's own functions and modules, gradcheck, brute force, and garbage behind masks."""

import math

import pytest
import torch
import torch.nn.functional as F

from reference import attention as ref

N, T, S, A, E, V, HIDDEN = 3, 5, 7, 2, 4, 11, 10
D = A * E


@pytest.fixture
def make():
    """Return a maker of random float64 tensors that require a gradient; the same ones in every run."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    normal.mask = lambda *shape: torch.rand(*shape, generator=generator) < 0.6
    normal.ids = lambda *shape: torch.randint(V, shape, generator=generator)
    return normal


def projections(make):
    return {f"W{n}": make(D, D) for n in "qkvo"} | {f"b{n}": make(D) for n in "qkvo"}


def layers(make):
    return {"W1": make(D, HIDDEN), "b1": make(HIDDEN), "W2": make(HIDDEN, D), "b2": make(D)}


def block(make):
    norms = {f"ln{i}_{n}": make(D) for i in (1, 2) for n in ("gain", "bias")}
    return norms | {f"att_{n}": p for n, p in projections(make).items()} | {f"ffn_{n}": p for n, p in layers(make).items()}


def gpt(make, blocks=2):
    return {
        "embedding": make(V, D),
        "positions": make(T + 2, D),
        "blocks": [block(make) for _ in range(blocks)],
        "lnf_gain": make(D),
        "lnf_bias": make(D),
    }


def flat(params):
    values = [*params.values()]
    return [p for value in values for p in (flat_list(value) if isinstance(value, list) else [value])]


def flat_list(values):
    return [p for value in values for p in flat(value)]


def assert_all_close(left, right):
    torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


def assert_same_gradients(ours, theirs, inputs):
    upstream = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=ours.dtype)
    assert_all_close(ours, theirs)
    assert_all_close(torch.autograd.grad(ours, inputs, upstream), torch.autograd.grad(theirs, inputs, upstream))


MASKS = {
    "one truth": torch.tensor(True),
    "keys": torch.tensor([True, False, True, True, False, True, True]),
    "causal": torch.ones(T, S, dtype=torch.bool).tril(),
    "padding": (torch.arange(S) < torch.tensor([7, 2, 4])[:, None])[:, None, None],
}


# ------------------------------------------------------------------------- against PyTorch's functions and modules


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("shape", [(D,), (N, D), (N, T, D), (2, 1, 3, D)])
def test_layer_norm_is_pytorchs(make, shape, eps):
    x, gain, bias = make(*shape), make(D), make(D)
    assert_same_gradients(ref.layer_norm_forward(x, gain, bias, eps), F.layer_norm(x, (D,), gain, bias, eps), (x, gain, bias))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_attention_is_pytorchs(make, mask):
    q, k, v = make(N, A, T, E), make(N, A, S, E), make(N, A, S, E)
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.expand(N, A, T, S))
    assert_same_gradients(ref.attention_forward(q, k, v, mask), theirs, (q, k, v))


def test_attention_with_holes_is_pytorchs(make):
    q, k, v = make(N, A, T, E), make(N, A, S, E), make(N, A, S, E)
    mask = make.mask(N, A, T, S)
    mask[..., 0] = True
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert_same_gradients(ref.attention_forward(q, k, v, mask), theirs, (q, k, v))


def torch_multihead(params):
    module = torch.nn.MultiheadAttention(D, A, batch_first=True, dtype=torch.float64)
    module.load_state_dict(attention_state(params))
    return module.eval()


def attention_state(params):
    return {
        "in_proj_weight": torch.cat([params[f"W{n}"].T for n in "qkv"]).detach(),
        "in_proj_bias": torch.cat([params[f"b{n}"] for n in "qkv"]).detach(),
        "out_proj.weight": params["Wo"].T.detach(),
        "out_proj.bias": params["bo"].detach(),
    }


def test_multihead_is_pytorchs(make):
    x, kv, params = make(N, T, D), make(N, S, D), projections(make)
    mask = MASKS["padding"] & MASKS["causal"]
    module = torch_multihead(params)
    hidden = ~mask.expand(N, A, T, S).reshape(N * A, T, S)
    theirs, _ = module(x, kv, kv, attn_mask=hidden, need_weights=False)
    assert_same_gradients(ref.multihead_forward(x, kv, params, A, mask), theirs, (x, kv))


def test_gradients_of_the_projections_are_pytorchs(make):
    x, kv, params = make(N, T, D), make(N, S, D), projections(make)
    module, upstream = torch_multihead(params), make(N, T, D).detach()
    theirs = torch.autograd.grad(module(x, kv, kv, need_weights=False)[0], [*module.parameters()], upstream)
    ours = torch.autograd.grad(ref.multihead_forward(x, kv, params, A, torch.tensor(True)), [*params.values()], upstream)
    ours = dict(zip(params, ours, strict=True))
    wanted = attention_state(ours)
    named = dict(zip((name for name, _ in module.named_parameters()), theirs, strict=True))
    assert_all_close(named, {name: wanted[name] for name in named})


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_block_is_pytorchs(make, heads):
    x, params = make(N, T, D), block(make)
    module = torch.nn.TransformerEncoderLayer(
        D, heads, HIDDEN, dropout=0.0, activation=lambda h: F.gelu(h, approximate="tanh"), norm_first=True, batch_first=True, dtype=torch.float64
    )
    state = {f"self_attn.{name}": value for name, value in attention_state(ref.part(params, "att_")).items()}
    state |= {"linear1.weight": params["ffn_W1"].T, "linear1.bias": params["ffn_b1"], "linear2.weight": params["ffn_W2"].T, "linear2.bias": params["ffn_b2"]}
    state |= {f"norm{i}.{theirs}": params[f"ln{i}_{ours}"] for i in (1, 2) for theirs, ours in (("weight", "gain"), ("bias", "bias"))}
    module.load_state_dict({name: value.detach() for name, value in state.items()})
    theirs = module(x, src_mask=~ref.causal(T))
    assert_same_gradients(ref.block_forward(x, params, heads, ref.causal(T)), theirs, (x,))


def test_gelu_is_pytorchs(make):
    h = (3 * make(1000)).detach().requires_grad_()
    assert_same_gradients(ref.gelu(h), F.gelu(h, approximate="tanh"), (h,))


def test_loss_is_the_mean_cross_entropy_of_a_model_of_pytorchs_parts(make):
    params, ids, targets, mask = gpt(make), make.ids(N, T), make.ids(N, T), make.mask(N, T)
    x = F.embedding(ids, params["embedding"]) + params["positions"][:T]
    for p in params["blocks"]:
        x = ref.block_forward(x, p, A, ref.causal(T))
    scores = F.linear(F.layer_norm(x, (D,), params["lnf_gain"], params["lnf_bias"]), params["embedding"])
    theirs = F.cross_entropy(scores.flatten(0, 1), targets.masked_fill(~mask, -100).flatten())
    assert_same_gradients(ref.gpt_loss(params, ids, targets, mask, A), theirs, flat(params))


# ------------------------------------------------------------------------------------- by the letter of the contract


def test_attention_is_a_weighted_mean_by_brute_force(make):
    q, k, v = (make(*shape).detach() for shape in ((N, A, T, E), (N, A, S, E), (N, A, S, E)))
    mask = make.mask(N, A, T, S)
    mask[0, 0, 0] = False
    out = ref.attention_forward(q, k, v, mask)
    for n, a, t in torch.cartesian_prod(torch.arange(N), torch.arange(A), torch.arange(T)).tolist():
        powers = {s: math.exp(float(q[n, a, t] @ k[n, a, s]) / math.sqrt(E)) for s in range(S) if mask[n, a, t, s]}
        total = sum(powers.values())
        expected = sum((p / total * v[n, a, s] for s, p in powers.items()), torch.zeros(E, dtype=v.dtype))
        assert_all_close(out[n, a, t], expected)


@pytest.mark.parametrize(("length", "width"), [(1, 1), (5, 6), (7, 5), (300, 8)])
def test_positions_are_the_formula(length, width):
    table = ref.sinusoidal_positions(length, width)
    assert table.shape == (length, width) and table.dtype == torch.float64
    for t in range(length):
        for d in range(width):
            angle = t / 10000 ** (2 * (d // 2) / width)
            assert float(table[t, d]) == pytest.approx((math.cos if d % 2 else math.sin)(angle), abs=1e-12)


def test_gradients_are_those_of_finite_differences(make):
    q, k, v, mask = make(2, 2, 3, 2), make(2, 2, 4, 2), make(2, 2, 4, 2), make.mask(2, 2, 3, 4)
    mask[0, 0, 0], mask[:, :, :, 3] = False, False
    assert torch.autograd.gradcheck(lambda *qkv: ref.attention_forward(*qkv, mask), (q, k, v))
    x, gain, bias = make(2, 3), make(3), make(3)
    assert torch.autograd.gradcheck(lambda *a: ref.layer_norm_forward(*a, 0.1), (x, gain, bias))
    h, params = make(1, 2, D), layers(make)
    assert torch.autograd.gradcheck(lambda h, *p: ref.feed_forward_forward(h, dict(zip(params, p, strict=True))), (h, *params.values()))


def test_a_row_without_keys_is_zero_and_gets_no_gradient(make):
    q, k, v = make(N, A, T, E), make(N, A, S, E), make(N, A, S, E)
    out = ref.attention_forward(q, k, v, torch.tensor(False))
    assert not out.any()
    assert not any(g.any() for g in torch.autograd.grad(out, (q, k, v), torch.ones_like(out)))
    x, kv, params = make(N, T, D), make(N, S, D), projections(make)
    assert_all_close(ref.multihead_forward(x, kv, params, A, torch.tensor(False)), params["bo"].expand(N, T, D))


def test_garbage_behind_the_mask_has_no_influence_at_all(make):
    q, k, v, mask = make(N, A, T, E), make(N, A, S, E), make(N, A, S, E), make.mask(N, A, T, S)
    mask[:, :, :, 2], mask[:, :, 1] = False, False
    hidden = ~mask.any(2)
    k2, v2 = (torch.where(hidden[..., None], 1e6 * torch.randn_like(a), a.detach()).requires_grad_() for a in (k, v))
    clean, dirty = ref.attention_forward(q, k, v, mask), ref.attention_forward(q, k2, v2, mask)
    assert torch.equal(clean, dirty)
    dq, dk, dv = torch.autograd.grad(dirty, (q, k2, v2), torch.ones_like(dirty))
    assert torch.equal(dq, torch.autograd.grad(clean, q, torch.ones_like(clean))[0])
    assert not dk[hidden].any() and not dv[hidden].any() and not dq[:, :, 1].any()


def test_nothing_to_predict_is_a_loss_of_zero(make):
    params, ids = gpt(make), make.ids(N, T)
    loss = ref.gpt_loss(params, ids, ids, torch.zeros(N, T, dtype=torch.bool), A)
    assert not loss.any()
    assert not any(g.any() for g in torch.autograd.grad(loss, flat(params)))


def test_positions_beyond_the_text_get_no_gradient(make):
    params, ids = gpt(make), make.ids(N, T)
    loss = ref.gpt_loss(params, ids, ids, torch.ones(N, T, dtype=torch.bool), A)
    (grad,) = torch.autograd.grad(loss, params["positions"])
    assert grad[:T].any(1).all() and not grad[T:].any()


def test_a_model_sees_no_later_ids(make):
    params, ids, mask = gpt(make), make.ids(N, T), torch.zeros(N, T, dtype=torch.bool)
    mask[:, 1] = True
    other = torch.cat([ids[:, :2], (ids[:, 2:] + 1) % V], 1)
    assert_all_close(ref.gpt_loss(params, ids, ids, mask, A), ref.gpt_loss(params, other, ids, mask, A))


# ------------------------------------------------------------------------------------------------------- bonus


def test_cached_steps_are_the_causal_pass(make):
    x, params = make(N, T, D), block(make)
    y, branch, resumed = ref.cached_step(x, params, A)
    assert_all_close(y, ref.block_forward(x, params, A, ref.causal(T)))
    assert_all_close(resumed, y[:, -1:])
    m = T // 2
    short = torch.cat([x[:, :m], x[:, -1:]], 1)
    assert_all_close(branch, ref.block_forward(short, params, A, ref.causal(m + 1))[:, -1:])


def test_rope_is_a_rotation_in_the_plane_of_every_pair(make):
    x, positions = make(N, A, T, E), torch.tensor([0, 3, 1, 49, 7])
    y = ref.rope(x, positions, 10000.0)
    pairs = torch.view_as_complex(x.detach().reshape(N, A, T, E // 2, 2))
    rate = torch.tensor([10000.0 ** (-2 * i / E) for i in range(E // 2)], dtype=torch.float64)
    turned = pairs * torch.polar(torch.ones_like(rate), positions[:, None] * rate)
    assert_all_close(y, torch.view_as_real(turned).reshape(x.shape))
    assert_all_close(y[:, :, 0], x[:, :, 0])


# ----------------------------------------------------------------------------------------------------- devices


def run_everything(device):
    """Run every function on a device; a constant left on the CPU raises."""

    def new(*shape):
        return torch.randn(*shape, device=device)

    new.ids = lambda *shape: torch.zeros(shape, dtype=torch.int64, device=device)
    mask = torch.ones(T, S, dtype=torch.bool, device=device).tril()
    x, params = new(N, T, D), gpt(new)
    found = [
        ref.attention_forward(new(N, A, T, E), new(N, A, S, E), new(N, A, S, E), mask),
        ref.multihead_forward(x, new(N, S, D), projections(new), A, mask),
        ref.block_forward(x, params["blocks"][0], A, ref.causal(T, device)),
        ref.gpt_loss(params, new.ids(N, T), new.ids(N, T), torch.ones(N, T, dtype=torch.bool, device=device), A),
        ref.rope(new(N, A, T, E), new.ids(T), 10000.0),
        *ref.cached_step(x, params["blocks"][0], A),
    ]
    assert all(result.device.type == device for result in found)
    return found


def test_no_constant_stays_on_the_cpu():
    run_everything("meta")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: the run on a GPU was NOT tried")
def test_runs_on_cuda():
    assert all(torch.isfinite(result).all() for result in run_everything("cuda"))
