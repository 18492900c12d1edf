"""Optimizer, checkpoints, the training and evaluation phases, metrics."""
