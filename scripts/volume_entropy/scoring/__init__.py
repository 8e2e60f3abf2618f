"""Probabilities and uncertainty held against a reference: counts of blocks, scores, tables."""
