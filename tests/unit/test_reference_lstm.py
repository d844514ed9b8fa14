"""The lstm reference against PyTorch's own modules, finite differences and arguments of its own."""

import pytest
import torch

from reference import lstm

N, T, D, H = 3, 7, 4, 5


@pytest.fixture
def make():
    """Return a maker of random float64 tensors that require a gradient; the same ones in every run."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape, dtype=torch.float64):
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    normal.mask = lambda *shape: torch.rand(*shape, generator=generator) < 0.6
    return normal


def weights(make):
    return make(D, 4 * H), make(H, 4 * H), make(4 * H)


def gru_weights(make):
    return make(D, 3 * H), make(H, 3 * H), make(3 * H), make(3 * H)


def grads(outputs, inputs, upstream):
    return torch.autograd.grad(outputs, inputs, upstream)


def assert_all_close(left, right):
    torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-11)


# ------------------------------------------------------------------------------------ against PyTorch's modules


def load(module, *sets):
    """Put our weights into a module of PyTorch's; where we have one bias, its second one is zero."""
    values = {}
    for suffix, (Wx, Wh, bx, *bh) in zip(("", "_reverse"), sets):
        values |= {f"weight_ih_l0{suffix}": Wx.T, f"weight_hh_l0{suffix}": Wh.T, f"bias_ih_l0{suffix}": bx}
        values[f"bias_hh_l0{suffix}"] = bh[0] if bh else torch.zeros_like(bx)
    module.load_state_dict({name: value.detach() for name, value in values.items()})
    return module


def torch_lstm(*sets):
    return load(torch.nn.LSTM(D, H, batch_first=True, bidirectional=len(sets) == 2, dtype=torch.float64), *sets)


def pack(x, lengths):
    return torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)


def unpack(packed):
    return torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]


LENGTHS = torch.tensor([T, 2, 4])
RAGGED = torch.arange(T) < LENGTHS[:, None]
FULL = torch.ones(N, T, dtype=torch.bool)


def test_step_is_nn_lstm_cell(make):
    x, h, c, (Wx, Wh, b) = make(N, D), make(N, H), make(N, H), weights(make)
    cell = torch.nn.LSTMCell(D, H, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in torch_lstm((Wx, Wh, b)).state_dict().items()})
    assert_all_close(lstm.lstm_step_forward(x, h, c, Wx, Wh, b), cell(x, (h, c)))


def test_full_mask_is_nn_lstm_with_all_gradients(make):
    x, h0, c0, ours = make(N, T, D), make(N, H), make(N, H), weights(make)
    upstream = (make(N, T, H), make(N, H))
    module = torch_lstm(ours)
    theirs, (_, c_last) = module(x, (h0[None], c0[None]))
    h, c = lstm.lstm_forward(x, h0, c0, *ours, FULL)
    assert_all_close((h, c), (theirs, c_last[0]))
    expected = grads((theirs, c_last[0]), (x, h0, c0, module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0), upstream)
    dx, dh0, dc0, dWx, dWh, db = grads((h, c), (x, h0, c0, *ours), upstream)
    assert_all_close((dx, dh0, dc0, dWx.T, dWh.T, db), expected)


def test_padding_at_the_end_is_a_packed_sequence(make):
    """PyTorch puts zeros behind the end, we carry the states over: equal on real tokens, and in the last states."""
    x, h0, c0, ours = make(N, T, D), make(N, H), make(N, H), weights(make)
    theirs, (h_last, c_last) = torch_lstm(ours)(pack(x, LENGTHS), (h0[None], c0[None]))
    h, c = lstm.lstm_forward(x, h0, c0, *ours, RAGGED)
    assert_all_close(h[RAGGED], unpack(theirs)[RAGGED])
    assert_all_close((h[:, -1], c), (h_last[0], c_last[0]))
    assert not unpack(theirs)[~RAGGED].any()
    assert_all_close(h[1, 2:], h[1, 1].expand(T - 2, H))


@pytest.mark.parametrize("mask", [FULL, RAGGED], ids=["full", "ragged"])
def test_two_directions_are_a_bidirectional_nn_lstm(make, mask):
    x, right, left = make(N, T, D), weights(make), weights(make)
    names = ("Wx", "Wh", "b")
    h = lstm.bilstm_forward(x, mask, dict(zip(names, right)), dict(zip(names, left)))
    module = torch_lstm(right, left)
    theirs = unpack(module(pack(x, mask.sum(1)))[0])
    assert_all_close(h[mask], theirs[mask])
    upstream = torch.where(mask[..., None], make(N, T, 2 * H), 0.0)
    reverse = (module.weight_ih_l0_reverse, module.weight_hh_l0_reverse, module.bias_ih_l0_reverse)
    expected = grads(theirs, (x, module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0, *reverse), upstream)
    dx, dWx, dWh, db, eWx, eWh, eb = grads(h, (x, *right, *left), upstream)
    assert_all_close((dx, dWx.T, dWh.T, db, eWx.T, eWh.T, eb), expected)


def test_gru_is_nn_gru_with_all_gradients(make):
    x, h0, ours, upstream = make(N, T, D), make(N, H), gru_weights(make), make(N, T, H)
    module = load(torch.nn.GRU(D, H, batch_first=True, dtype=torch.float64), ours)
    theirs, h = module(x, h0[None])[0], lstm.gru_forward(x, h0, *ours, FULL)
    assert_all_close(h, theirs)
    inside = (module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0, module.bias_hh_l0)
    dx, dh0, dWx, dWh, dbx, dbh = grads(h, (x, h0, *ours), upstream)
    assert_all_close((dx, dh0, dWx.T, dWh.T, dbx, dbh), grads(theirs, (x, h0, *inside), upstream))


def test_gru_with_padding_is_a_packed_sequence(make):
    x, h0, ours = make(N, T, D), make(N, H), gru_weights(make)
    theirs, last = load(torch.nn.GRU(D, H, batch_first=True, dtype=torch.float64), ours)(pack(x, LENGTHS), h0[None])
    h = lstm.gru_forward(x, h0, *ours, RAGGED)
    assert_all_close(h[RAGGED], unpack(theirs)[RAGGED])
    assert_all_close(h[:, -1], last[0])


def test_recall_loss_reads_the_last_state_only(make):
    names = ("Wx", "Wh", "b", "Wy", "by")
    params = dict(zip(names, (*weights(make), make(H, 6), make(6))))
    x, target = make(N, T, D), torch.tensor([0, 5, 3])
    zero = torch.zeros(N, H, dtype=torch.float64)
    h = lstm.lstm_forward(x, zero, zero, *(params[name] for name in names[:3]), FULL)[0][:, -1]
    expected = -torch.log_softmax(h @ params["Wy"] + params["by"], dim=1)[torch.arange(N), target].mean()
    assert_all_close(lstm.recall_loss(params, x, target, FULL), expected)


# ----------------------------------------------------------------------------------------------- finite differences


def test_gradcheck_of_the_sequence_with_holes_in_the_mask(make):
    mask = make.mask(N, T)
    mask[0] = False
    inputs = (make(N, T, D), make(N, H), make(N, H), *weights(make))
    assert torch.autograd.gradcheck(lambda *args: lstm.lstm_forward(*args, mask), inputs)


def test_gradcheck_of_both_directions(make):
    mask, names = make.mask(N, T), ("Wx", "Wh", "b")

    def run(x, *both):
        return lstm.bilstm_forward(x, mask, dict(zip(names, both[:3])), dict(zip(names, both[3:])))

    assert torch.autograd.gradcheck(run, (make(N, T, D), *weights(make), *weights(make)))


def test_gradcheck_of_the_gru(make):
    mask = make.mask(N, T)
    assert torch.autograd.gradcheck(lambda *args: lstm.gru_forward(*args, mask), (make(N, T, D), make(N, H), *gru_weights(make)))


def test_norms_are_those_of_moved_states(make):
    """Start in the middle of the sequence: there h_t is an argument, and its gradient needs no graph of ours."""
    x, h0, c0, dh_last, ours = make(N, T, D), make(N, H), make(N, H), make(N, H).detach(), weights(make)
    norms = lstm.state_gradient_norms(x, h0, c0, *ours, FULL, dh_last)
    for t in range(T - 1):
        h, c = lstm.lstm_forward(x[:, : t + 1], h0, c0, *ours, FULL[:, : t + 1])
        h_t = h[:, -1].detach().requires_grad_()
        end = lstm.lstm_forward(x[:, t + 1 :], h_t, c.detach(), *ours, FULL[:, t + 1 :])[0][:, -1]
        (expected,) = grads(end, h_t, dh_last)
        assert_all_close(norms[t], expected.norm())
    assert_all_close(norms[-1], dh_last.norm())


def test_norms_pass_masked_steps_unchanged(make):
    mask = RAGGED.clone()
    mask[:, 4:] = False
    args = (make(N, T, D), make(N, H), make(N, H), *weights(make), mask)
    dh_last = make(N, H)
    norms = lstm.state_gradient_norms(*args, dh_last)
    assert_all_close(norms[3:], dh_last.norm().detach().expand(T - 3))


# --------------------------------------------------------------------------------------------------------- the rest


def test_first_weights():
    Wx, Wh, b = lstm.init_lstm(torch.ones(4, 8), torch.ones(2, 8), 3.0)
    assert Wx.unique().tolist() == [0.5]
    assert_all_close(Wh, torch.full((2, 8), 0.5**0.5))
    assert b.tolist() == [0, 0, 3, 3, 0, 0, 0, 0]


def states_of_lstm(x, mask, make):
    inputs = (x, make(N, H), make(N, H), *weights(make))
    return lstm.lstm_forward(*inputs, mask)[0], inputs


def states_of_gru(x, mask, make):
    inputs = (x, make(N, H), *gru_weights(make))
    return lstm.gru_forward(*inputs, mask), inputs


@pytest.mark.parametrize("states", [states_of_lstm, states_of_gru])
@pytest.mark.parametrize("garbage", [1e6, -1e6])
def test_garbage_behind_the_mask_has_no_influence_and_no_gradient(make, states, garbage):
    x, mask = make(N, T, D).detach(), make.mask(N, T)
    mask[0] = False
    found = []
    for behind in (0.0, garbage):
        torch.manual_seed(1)
        dirty = torch.where(mask[..., None], x, behind).requires_grad_()
        h, inputs = states(dirty, mask, lambda *shape: torch.randn(*shape, dtype=x.dtype).requires_grad_())
        found.append((h, *grads(h, inputs, torch.ones_like(h))))
    assert all(torch.equal(*pair) for pair in zip(*found))
    assert not found[0][1][~mask].any()


@pytest.mark.parametrize("size", [1.0, 100.0, 1e4])
def test_saturated_gates_are_finite(make, size):
    Wx, Wh, b = weights(make)
    x, h, c = make(N, D), make(N, H), make(N, H)
    outputs = lstm.lstm_step_forward(x, h, c, size * Wx, size * Wh, size * b)
    found = grads(outputs, (x, h, c, Wx, Wh, b), [torch.ones_like(o) for o in outputs])
    assert all(torch.isfinite(value).all() for value in (*outputs, *found))


def on(device):
    """Run every function of the reference on a device; return all results."""
    real = {"device": device, "dtype": torch.float32}
    x, h, c = torch.zeros(N, T, D, **real), torch.zeros(N, H, **real), torch.zeros(N, H, **real)
    mask = torch.ones(N, T, dtype=torch.bool, device=device)
    ours = (torch.zeros(D, 4 * H, **real), torch.zeros(H, 4 * H, **real), torch.zeros(4 * H, **real))
    gru = (torch.zeros(D, 3 * H, **real), torch.zeros(H, 3 * H, **real), torch.zeros(3 * H, **real), torch.zeros(3 * H, **real))
    params = dict(zip(("Wx", "Wh", "b"), ours))
    loss_params = params | {"Wy": torch.zeros(H, 6, **real), "by": torch.zeros(6, **real)}
    return (
        *lstm.lstm_gates(x[:, 0], h, *ours),
        *lstm.lstm_step_forward(x[:, 0], h, c, *ours),
        *lstm.lstm_forward(x, h, c, *ours, mask),
        lstm.bilstm_forward(x, mask, params, params),
        *lstm.init_lstm(ours[0], ours[1], 1.0),
        lstm.state_gradient_norms(x, h, c, *ours, mask, h),
        lstm.gru_forward(x, h, *gru, mask),
        lstm.recall_loss(loss_params, x, torch.zeros(N, dtype=torch.long, device=device), mask),
    )


def test_runs_on_any_device_and_keeps_the_dtype():
    """The meta device computes shapes only: a constant left on the CPU would raise."""
    results = on("meta")
    assert {r.device.type for r in results} == {"meta"}
    assert {r.dtype for r in results} == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: the run on a GPU was NOT tried")
def test_runs_on_cuda():
    assert {r.device.type for r in on("cuda")} == {"cuda"}
