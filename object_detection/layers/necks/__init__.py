"""Layers between backbone and heads: feature pyramids, and upsampling to the stride that the heads need."""
