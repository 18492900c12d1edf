"""A model of three variables, for tests of checkpoints."""
import tensorflow as tf

from object_detection import checkpoints
from object_detection.training import optimizer, schedules


class Model(tf.Module):
    """The outline of a detector: a backbone in a feature extractor, and a head whose shape depends on the classes."""

    def __init__(self, fill=0., classes=3, width=2):
        super().__init__()
        self._feature_extractor = tf.Module()
        self._feature_extractor.backbone = tf.Module()
        self._feature_extractor.backbone.kernel = tf.Variable(tf.fill([4, width], fill))
        self._feature_extractor.backbone.mean = tf.Variable(tf.fill([width], fill), trainable=False)
        self._box_predictor = tf.Module()
        self._box_predictor.kernel = tf.Variable(tf.fill([width, classes], fill))

    def restore_map(self, kind):
        if kind == 'classification':
            return {'feature_extractor': self._feature_extractor.backbone}
        if kind == 'detection':
            return {'model': tf.train.Checkpoint(_feature_extractor=self._feature_extractor)}
        return {'model': self}

    def values(self):
        return [float(v.numpy().flat[0]) for v in (self._feature_extractor.backbone.kernel,
                                                   self._feature_extractor.backbone.mean, self._box_predictor.kernel)]


def manager(folder, model, max_to_keep=10, averaged=False, keep_optimizer=None):
    """Return (checkpoints.Manager of the folder, global step, optimizer)."""
    step = tf.Variable(0, dtype=tf.int64)
    optimize = optimizer.Momentum(model.trainable_variables, schedules.constant(1.))
    if averaged:
        optimize = optimizer.MovingAverage(optimize, model.trainable_variables, .5)
    return checkpoints.Manager(folder, step, model, optimize, max_to_keep, keep_optimizer), step, optimize


def train_a_step(model, step, optimize):
    """Descend by a gradient of ones at rate 1."""
    variables = model.trainable_variables
    optimize.apply([tf.ones_like(v) for v in variables], variables, step)
    step.assign_add(1)
