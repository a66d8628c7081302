"""What only a GPU has: graphs, fused kernels, and the measurement that chooses among them."""
