"""Grade hand-written sequence models against PyTorch."""
