"""What the box predictors share."""
import tensorflow as tf

from object_detection.layers import core

BOXES, CLASSES = 'box_encodings', 'class_predictions_with_background'
_LAYERS = {BOXES: '_box_encoder_layers', CLASSES: '_class_predictor_layers'}


class Head(core.Layer):
    """The last convolutions of one kind of prediction, tracked under the reference's name."""

    def __init__(self, kind, steps):
        super().__init__()
        self._layers = _LAYERS[kind]
        setattr(self, self._layers, core.Sequence(steps))

    def __call__(self, x, training=False):
        return getattr(self, self._layers)(x, training)


def flatten_and_concat(maps, size, clip=None):
    """Maps [B, h, w, anchors * size] -> [B, all anchors, size], clipped to clip = (min, max)."""
    flat = [tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3] // size, size] if None not in x.shape[1:] else
                       [tf.shape(x)[0], -1, size]) for x in maps]
    flat = tf.concat(flat, 1)
    return flat if clip is None else tf.clip_by_value(flat, *clip)
