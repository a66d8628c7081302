"""What only a GPU has: graphs, kernels of our own, and where they are kept once compiled; `kit` names the kernels."""
