"""What is known of a run: run.json, the machine and data it ran on, its curves. Imports no TensorFlow."""
