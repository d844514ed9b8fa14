"""The LSTM: gates and the cell state.

The text that goes with it, and the points, are in README.md beside this file.
"""

import numpy as np


# ------------------------------------------------------------------------------------------------------- 1. The gates


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
    raise NotImplementedError("lstm_gates is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------------ 2. One step forward


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
    raise NotImplementedError("lstm_step_forward is not written yet")  # YOUR CODE HERE


# ----------------------------------------------------------------------------------------------- 3. One step backward


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
    raise NotImplementedError("lstm_step_backward is not written yet")  # YOUR CODE HERE


# ---------------------------------------------------------------------------------- 4. A whole sequence, with padding


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
    raise NotImplementedError("lstm_forward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------ 5. Backpropagation through time


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
    raise NotImplementedError("lstm_backward is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------- 6. How much of the gradient arrives?


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
    raise NotImplementedError("state_gradient_norms is not written yet")  # YOUR CODE HERE


# ------------------------------------------------------------------------------------------ 7. Reading from both ends


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
    raise NotImplementedError("bilstm_forward is not written yet")  # YOUR CODE HERE


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
    raise NotImplementedError("bilstm_backward is not written yet")  # YOUR CODE HERE


# ---------------------------------------------------------------------------------------------- 8. Good first weights


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
    raise NotImplementedError("init_lstm is not written yet")  # YOUR CODE HERE


# -------------------------------------------------------------------------------------------------- 9. Bonus: the GRU


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
    raise NotImplementedError("gru_forward is not written yet")  # YOUR CODE HERE


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
    raise NotImplementedError("gru_backward is not written yet")  # YOUR CODE HERE
