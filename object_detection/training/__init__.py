"""Optimizer, schedules, the training step, the train phase; what the loop of phases prints and records."""
