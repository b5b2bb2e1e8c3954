"""Noise Hypernetworks: training, the methods they are compared with, and the benchmarks that score them all."""

__version__ = "0.1.0"
