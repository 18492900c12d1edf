"""The evaluation phase, metrics, and drawing."""
