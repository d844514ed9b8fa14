"""The PyTorch reference: plain forward passes, one module for each assignment; their gradients come from autograd."""
