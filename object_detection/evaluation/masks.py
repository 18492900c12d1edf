"""Instance masks in the size of the original picture, for metrics."""
import tensorflow as tf


def paste(masks, boxes, size):
    """Detected masks at their places: bool [n, height, width].

    Args:
        masks: float32 [n, h, w], 0..1, each the content of its box; above .5 is the object.
        boxes: float32 [n, 4], fractions of the picture.
        size: (height, width) of the picture.
    """
    if not len(masks):
        return tf.zeros([0, *size], tf.bool).numpy()
    with tf.device('CPU'):  # a hundred masks of a large picture take a GPU's memory
        top, left, bottom, right = tf.unstack(boxes, axis=-1)
        height, width = tf.maximum(bottom - top, 1e-4), tf.maximum(right - left, 1e-4)
        picture = tf.stack([-top / height, -left / width, (1. - top) / height, (1. - left) / width], -1)  # seen from it
        pasted = tf.image.crop_and_resize(masks[..., tf.newaxis], picture, tf.range(len(masks)), size)
        return (pasted[..., 0] > .5).numpy()


def original(masks, size):
    """Masks [n, h, w] of the resized picture in its original size, bool [n, height, width]: the nearest pixel."""
    with tf.device('CPU'):
        resized = tf.raw_ops.ResizeNearestNeighbor(images=masks[..., tf.newaxis], size=size, align_corners=True)
        return (resized[..., 0] > 0).numpy()
