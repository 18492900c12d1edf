"""TFRecord files of tf.train.Example messages: read, check, write. Imports no TensorFlow."""
