"""Checkpoint to SavedModel, and the check that they agree."""
