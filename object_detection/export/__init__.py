"""Checkpoint to SavedModel, and the check that they agree. This module imports no TensorFlow."""

INPUT_TYPES = ('image_tensor', 'float_image_tensor', 'encoded_image_string_tensor', 'tf_example')
