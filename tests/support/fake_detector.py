"""SavedModels that detect whatever is not white.

The class is 1 (person) for a reddish object, else 18 (dog). The score is 0.9, or 0.2 in a dark picture. A second
detection, half as wide, scores 0.05 less if the object is greenish, else 0. The signature is the reference's.
"""
import tensorflow as tf


class Finder(tf.Module):
    def __init__(self, batch):
        super().__init__()
        self.sure = tf.Variable(0.9)
        self.call = tf.function(self._call, input_signature=[
            tf.TensorSpec([batch, None, None, 3], tf.uint8, name='input_tensor')])

    def _call(self, input_tensor):
        images = tf.cast(input_tensor, tf.float32)
        things = tf.reduce_min(images, -1) < 200
        top, bottom = _ends(tf.reduce_any(things, 2))
        left, right = _ends(tf.reduce_any(things, 1))
        weight = tf.cast(things, tf.float32)[..., None]
        red, green, blue = tf.unstack(tf.reduce_sum(images * weight, [1, 2]), axis=1)
        score = tf.where(tf.reduce_mean(images, [1, 2, 3]) < 30, 0.2, self.sure)
        second = tf.where(green > red + blue, score - 0.05, 0.0)
        boxes = tf.stack([tf.stack([top, left, bottom, end], 1) for end in (right, (left + right) / 2)], 1)
        count = tf.ones_like(score)
        return {'detection_boxes': boxes, 'detection_scores': tf.stack([score, second], 1),
                'detection_classes': tf.stack([tf.where(red > green + blue, 1.0, 18.0), 18.0 * count], 1),
                'num_detections': 2 * count}


def _ends(rows):
    """Return the first and last true of rows bool [B, N], each float [B], as fractions of N."""
    size = tf.cast(tf.shape(rows)[1], tf.float32)
    first = tf.cast(tf.argmax(rows, 1), tf.float32) / size
    last = 1 - tf.cast(tf.argmax(rows[:, ::-1], 1), tf.float32) / size
    return first, last


def write(folder):
    """Return {'any': a SavedModel that takes batches, '1': one that does not}, in folders of these names."""
    for name, batch in (('any', None), ('1', 1)):
        finder = Finder(batch)
        tf.saved_model.save(finder, str(folder / name), signatures={'serving_default': finder.call})
    return {name: folder / name for name in ('any', '1')}
