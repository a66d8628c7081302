"""Kernels for CUDA, and the folder of compiled kernels. `kernels` has their names; `kernel_choice` chooses them."""
