"""Boxes as tensors: geometry, anchors, box encodings, matching, non-max suppression."""
