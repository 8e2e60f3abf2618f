"""Numba kernels: pure functions that fill `out`; how they are compiled, and the buffers they are given."""
