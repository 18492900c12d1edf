"""Checkpoint to SavedModel, .tflite and .onnx, and the checks that they agree. This module imports no TensorFlow."""

INPUT_TYPES = ('image_tensor', 'float_image_tensor', 'encoded_image_string_tensor', 'tf_example')
QUANTIZATIONS = ('none', 'float16', 'dynamic', 'int8')  # of a .tflite, see tflite.Options
LITE_INPUTS = ('uint8', 'float32')  # of an int8 .tflite
OPSETS = range(13, 19)  # of an .onnx: below 13 operators are missing; the converter's newest is 18
