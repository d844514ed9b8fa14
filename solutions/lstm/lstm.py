# %%
import numpy as np

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


# %%
### BEGIN SOLUTION
def _weights(params):
    return params["Wx"], params["Wh"], params["b"]
### END SOLUTION


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
