"""Grade hand-written sequence models against PyTorch."""

__version__ = "0.1.0"
