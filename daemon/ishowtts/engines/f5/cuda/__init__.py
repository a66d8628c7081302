"""Kernels for CUDA, and the folder of compiled kernels.

`kernels` and `block_kernels` have their names; `kernel_choice` chooses them.
"""
