"""The transformer and its training."""
