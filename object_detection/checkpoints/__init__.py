"""Checkpoints in the format of the TF2 Object Detection API: find, read, restore, write."""
