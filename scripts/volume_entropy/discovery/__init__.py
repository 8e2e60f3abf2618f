"""Samples found in a producer's output, and their rows in the samples table."""
