"""The word2vec reference against definitions, PyTorch's own functions and brute force."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from reference import word2vec as ref

N, V, D, C, K = 4, 9, 5, 6, 3


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(0)

    def ids(*shape):
        return torch.randint(0, V, shape, generator=rng)

    def table():
        return torch.randn(V, D, generator=rng, dtype=torch.float64)

    mask = torch.rand(N, C, generator=rng) < 0.6
    mask[0] = False
    return {
        "context": ids(N, C), "mask": mask, "center": ids(N), "outside": ids(N), "negatives": ids(N, K),
        "W_in": table(), "W_out": table(),
    }  # fmt: skip


def pick(batch, names):
    return [batch[name] for name in names.split()]


# ------------------------------------------------------------------------------------------------- numbers and text


@pytest.mark.parametrize("x", [-1e4, -50.0, -1e-9, 0.0, 3.0, 36.7, 40.0, 700.0])
def test_log_sigmoid_is_exact_to_the_last_digits(x):
    exact = x - math.log1p(math.exp(x)) if x < 0 else -math.log1p(math.exp(-x))
    assert float(ref.log_sigmoid(torch.tensor(x, dtype=torch.float64))) == pytest.approx(exact, rel=1e-14, abs=0)


def test_pairs_of_a_short_text():
    pairs = ref.skipgram_pairs(torch.tensor([7, 8, 9]), 1)
    assert pairs.tolist() == [[7, 8], [8, 7], [8, 9], [9, 8]]


def test_one_word_gives_no_pairs():
    pairs = ref.skipgram_pairs(torch.tensor([7]), 3)
    assert pairs.shape == (0, 2) and pairs.dtype == torch.int64


@pytest.mark.parametrize("window", [1, 2, 20])
def test_windows_hold_the_neighbours_by_offset(window):
    tokens = torch.arange(100, 107)
    centers, context, mask = ref.cbow_windows(tokens, window)
    offsets = [*range(-window, 0), *range(1, window + 1)]
    assert centers.tolist() == tokens.tolist()
    for i in range(7):
        for column, offset in enumerate(offsets):
            inside = 0 <= i + offset < 7
            assert bool(mask[i, column]) == inside
            assert int(context[i, column]) == (100 + i + offset if inside else 0)


def test_keep_probability_of_rare_frequent_and_unseen_words():
    p = ref.keep_probability(torch.tensor([0, 1, 99]), 0.01)
    assert p.tolist() == pytest.approx([1.0, 1.0, math.sqrt(0.01 / 0.99)])


def test_noise_distribution():
    p = ref.negative_distribution(torch.tensor([16, 1, 0]))
    assert p.tolist() == pytest.approx([8 / 9, 1 / 9, 0.0])
    assert ref.negative_distribution(torch.tensor([3, 1]), 1.0).tolist() == pytest.approx([0.75, 0.25])


# ------------------------------------------------------------------------------------------------------------ draws


def test_draws_by_brute_force():
    p = torch.tensor([0.1, 0.0, 0.3, 0.2, 0.4], dtype=torch.float64)
    uniforms = torch.rand(5, 200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = ref.draw_negatives(p, torch.arange(5), uniforms)
    for target in range(5):
        rest = [0.0 if v == target else float(p[v]) for v in range(5)]
        for u, word in zip(uniforms[target], drawn[target], strict=True):
            assert int(word) == next(v for v in range(5) if sum(rest[: v + 1]) / sum(rest) > float(u))


def test_a_draw_on_a_boundary_takes_the_next_word():
    p = torch.tensor([0.0, 0.125, 0.125, 0.25, 0.5], dtype=torch.float64)
    uniforms = torch.tensor([[0.0, 0.25, 0.5]], dtype=torch.float64)
    assert ref.draw_negatives(p, torch.tensor([4]), uniforms).tolist() == [[1, 2, 3]]


def test_draws_beyond_the_rounded_end_give_the_last_word_that_can_be_drawn():
    p = torch.tensor([0.1] * 10 + [0.0], dtype=torch.float64)
    last = torch.full((1, 1), 1 - 2.0**-53, dtype=torch.float64)
    assert ref.draw_negatives(p, torch.tensor([3]), last).tolist() == [[9]]


# ----------------------------------------------------------------------------------------------------------- losses


def test_softmax_loss_is_cross_entropy(batch):
    center, outside, W_in, W_out = pick(batch, "center outside W_in W_out")
    log_p = (W_in[center] @ W_out.T).log_softmax(1)
    torch.testing.assert_close(ref.skipgram_softmax(center, outside, W_in, W_out), F.nll_loss(log_p, outside))


def test_negative_sampling_is_binary_cross_entropy(batch):
    center, outside, negatives, W_in, W_out = pick(batch, "center outside negatives W_in W_out")
    words = torch.cat([outside[:, None], negatives], dim=1)
    scores = (W_out[words] @ W_in[center][:, :, None]).squeeze(2)
    truth = torch.zeros_like(scores)
    truth[:, 0] = 1
    expected = F.binary_cross_entropy_with_logits(scores, truth, reduction="sum") / N
    torch.testing.assert_close(ref.skipgram_negative(center, outside, negatives, W_in, W_out)[0], expected)


def test_row_gradients_add_up_to_those_of_the_tables(batch):
    center, outside, negatives = pick(batch, "center outside negatives")
    tables = {name: batch[name].clone().requires_grad_() for name in ("W_in", "W_out")}
    ref.skipgram_negative_loss(tables, center, outside, negatives).backward()
    _, d_in, d_out = ref.skipgram_negative(center, outside, negatives, batch["W_in"], batch["W_out"])
    words = torch.cat([outside[:, None], negatives], dim=1)
    torch.testing.assert_close(torch.zeros(V, D).double().index_add(0, center, d_in), tables["W_in"].grad)
    torch.testing.assert_close(torch.zeros(V, D).double().index_add(0, words.ravel(), d_out.reshape(-1, D)), tables["W_out"].grad)


def test_row_gradients_of_cbow_add_up_to_those_of_the_tables(batch):
    context, mask, center, negatives = pick(batch, "context mask center negatives")
    tables = {name: batch[name].clone().requires_grad_() for name in ("W_in", "W_out")}
    ref.cbow_negative_loss(tables, context, mask, center, negatives).backward()
    _, d_context, d_out = ref.cbow_negative(context, mask, center, negatives, batch["W_in"], batch["W_out"])
    words = torch.cat([center[:, None], negatives], dim=1)
    torch.testing.assert_close(torch.zeros(V, D).double().index_add(0, context.ravel(), d_context.reshape(-1, D)), tables["W_in"].grad)
    torch.testing.assert_close(torch.zeros(V, D).double().index_add(0, words.ravel(), d_out.reshape(-1, D)), tables["W_out"].grad)


@pytest.mark.parametrize(
    ("loss", "names"), [(ref.skipgram_negative_loss, "center outside negatives"), (ref.cbow_negative_loss, "context mask center negatives")]
)
def test_gradients_by_finite_differences(batch, loss, names):
    tables = [batch[name].clone().requires_grad_() for name in ("W_in", "W_out")]
    assert gradcheck(lambda W_in, W_out: loss({"W_in": W_in, "W_out": W_out}, *pick(batch, names)), tables)


def test_gradients_of_the_softmax_by_finite_differences(batch):
    tables = [batch[name].clone().requires_grad_() for name in ("W_in", "W_out")]
    assert gradcheck(lambda W_in, W_out: ref.skipgram_softmax(*pick(batch, "center outside"), W_in, W_out), tables)


def test_the_mean_context_is_that_of_embedding_bag(batch):
    context, mask, W_in = pick(batch, "context mask W_in")
    weights = mask.double() / mask.sum(1, keepdim=True).clamp(min=1)
    bags = F.embedding_bag(context, W_in, mode="sum", per_sample_weights=weights)
    torch.testing.assert_close(ref._mean_of_real(W_in[context], mask), bags)


def test_garbage_behind_the_mask_has_no_influence(batch):
    context, mask, center, negatives, W_in, W_out = pick(batch, "context mask center negatives W_in W_out")
    before = ref.cbow_negative(context % (V - 1), mask, center, negatives, W_in, W_out)
    W_in = W_in.clone()
    W_in[V - 1] = torch.nan
    after = ref.cbow_negative(torch.where(mask, context % (V - 1), V - 1), mask, center, negatives, W_in, W_out)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    assert torch.all(after[1][~mask] == 0)


def test_a_row_without_context_counts(batch):
    context, mask, center, negatives, W_in, W_out = pick(batch, "context mask center negatives W_in W_out")
    loss, d_context, d_out = ref.cbow_negative(context, torch.zeros_like(mask), center, negatives, W_in, W_out)
    assert float(loss) == pytest.approx((K + 1) * math.log(2))
    assert not d_context.any() and not d_out.any()


# -------------------------------------------------------------------------------------------- update and neighbours


def test_update_adds_up_repeated_rows():
    W = ref.sgd_update(torch.zeros(3, 2), torch.tensor([1, 1, 2]), torch.ones(3, 2), 0.5)
    assert W.tolist() == [[0, 0], [-1, -1], [-0.5, -0.5]]


def test_nearest_is_cosine_similarity_in_order(batch):
    W, query = batch["W_in"], batch["W_out"][0]
    ids, cosine = ref.nearest(W, query, 4, [2, 5])
    everything = F.cosine_similarity(W, query[None], dim=1)
    best = sorted((v for v in range(V) if v not in (2, 5)), key=lambda v: -float(everything[v]))[:4]
    assert ids.tolist() == best
    torch.testing.assert_close(cosine, everything[best])


def test_nearest_breaks_ties_by_id_and_gives_zero_vectors_cosine_zero():
    W = torch.tensor([[0, 4.0], [2, 0], [0, 0], [1, 0], [-1, 0]])
    ids, cosine = ref.nearest(W, torch.tensor([2.0, 0]), 5, ())
    assert ids.tolist() == [1, 3, 0, 2, 4]
    assert cosine.tolist() == [1, 1, 0, 0, -1]


# ---------------------------------------------------------------------------------------------------------- devices


def everything(batch, device):
    b = {name: value.to(device) for name, value in batch.items()}
    tokens, counts = torch.arange(7, device=device) % V, torch.arange(1, V + 1, device=device)
    p = torch.full((V,), 1 / V, dtype=torch.float64, device=device)
    return [
        ref.log_sigmoid(b["W_in"]),
        *ref.cbow_windows(tokens, 2),
        ref.keep_probability(counts, 0.1),
        ref.negative_distribution(counts),
        ref.draw_negatives(p, b["center"], torch.full((N, K), 0.3, dtype=torch.float64, device=device)),
        ref.skipgram_softmax(*pick(b, "center outside W_in W_out")),
        *ref.skipgram_negative(*pick(b, "center outside negatives W_in W_out")),
        *ref.cbow_negative(*pick(b, "context mask center negatives W_in W_out")),
        ref.sgd_update(b["W_in"], b["center"], b["W_out"][b["outside"]], 0.1),
        *ref.nearest(b["W_in"], b["W_out"][0], 3, [1]),
    ]


def test_runs_on_any_device_as_far_as_meta_tells(batch):
    """Tensors without data find out whether something is made on another device than the inputs."""
    on_meta = everything(batch, "meta")
    assert [(x.shape, x.dtype) for x in on_meta] == [(x.shape, x.dtype) for x in everything(batch, "cpu")]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: there is no CUDA device here")
def test_runs_on_cuda(batch):
    for here, there in zip(everything(batch, "cpu"), everything(batch, "cuda"), strict=True):
        torch.testing.assert_close(here, there.cpu())
    assert ref.skipgram_pairs(torch.arange(4, device="cuda"), 1).device.type == "cuda"
