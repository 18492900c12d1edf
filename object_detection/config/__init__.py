"""pipeline.config and label maps: read, check, write. Imports no TensorFlow."""
