"""TensorBoard events: numbers and pictures.

TensorFlow's own tf.summary.scalar and image import TensorBoard, half a second that every phase would pay; what they
write is a tensor and the name of the plugin that shows it.
"""
import io

import numpy as np
import tensorflow as tf
from PIL import Image


class Writer:
    """Events of one run, in a folder of its own. A context manager: leaving it writes everything out."""

    def __init__(self, folder):
        self._writer = tf.summary.create_file_writer(str(folder))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.close()

    def scalars(self, step, pairs):
        """pairs: [(tag, number)]."""
        with self._writer.as_default():
            for tag, value in pairs:
                tf.summary.write(tag, tf.constant(value, tf.float32), step, _shown_by('scalars'))

    def images(self, step, tag, pictures):
        """pictures: uint8 arrays [H, W, 3] of one size, shown under one tag."""
        height, width = pictures[0].shape[:2]
        content = [str(width), str(height), *(_png(p) for p in pictures)]
        with self._writer.as_default():
            tf.summary.write(tag, tf.constant(content), step, _shown_by('images'))

    def flush(self):
        self._writer.flush()


def _png(picture):
    data = io.BytesIO()
    Image.fromarray(np.asarray(picture)).save(data, 'PNG')
    return data.getvalue()


def _shown_by(plugin):
    metadata = tf.compat.v1.SummaryMetadata(plugin_data={'plugin_name': plugin})
    metadata.data_class = 1 if plugin == 'scalars' else 3  # DATA_CLASS_SCALAR, DATA_CLASS_BLOB_SEQUENCE
    return metadata
