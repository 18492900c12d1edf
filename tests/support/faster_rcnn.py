"""A Faster R-CNN whose networks are a few variables, so that results can be computed by hand.

Images are 16 x 16 and have four anchors of 8 x 8: top left, top right, bottom left, bottom right.
"""
import numpy as np
import tensorflow as tf

from object_detection.boxes import anchors, coders, nms, targets
from object_detection.boxes.matchers import ArgmaxMatcher
from object_detection.boxes.samplers import BalancedSampler
from object_detection.layers import core
from object_detection.models import resizers
from object_detection.models.faster_rcnn.model import FasterRCNN
from object_detection.models.faster_rcnn.regions import RegionPooling
from object_detection.models.faster_rcnn.rpn import FirstStage
from object_detection.models.faster_rcnn.second_stage import SecondStage

TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT = ((0., 0., .5, .5), (0., .5, .5, 1.), (.5, 0., 1., .5),
                                                  (.5, .5, 1., 1.))


class Extractor:
    """The feature map is the image, subsampled by 8; features of regions are the regions."""

    def __init__(self):
        self.image_network = core.Network([core.Conv2D(3, 1, 1, regularizer=core.L2(2.))])
        self.region_network = core.Network([core.Conv2D(3, 2, 1)])

    @property
    def classification_backbone(self):
        return core.Network([*self.image_network.first_layers(1), *self.region_network.first_layers(1)])

    def normalize(self, images):
        return images / 100.

    def feature_maps(self, inputs, training):
        return [inputs[:, ::8, ::8]]

    def region_features(self, regions, training):
        return regions


class Rpn(tf.Module):
    """Predicts its variables for every image: encodings [A, 4] and logits [A, 2]."""

    def __init__(self, count):
        super().__init__()
        self.encodings, self.logits = tf.Variable(tf.zeros([count, 4])), tf.Variable(tf.zeros([count, 2]))

    def __call__(self, maps, training):
        batch = tf.shape(maps[0])[0]
        return {'box_encodings': tf.tile(self.encodings[tf.newaxis], [batch, 1, 1]),
                'class_predictions_with_background': tf.tile(self.logits[tf.newaxis], [batch, 1, 1])}


class Head(tf.Module):
    """Predicts its variables for every region: encodings [boxes, 4], logits [3] of background and two classes, and mask
    logits [2, 2, 2]."""

    def __init__(self, boxes=1):
        super().__init__()
        self.encodings, self.logits = tf.Variable(tf.zeros([boxes, 4])), tf.Variable([0., 2., 1.])
        self.mask_logits = tf.Variable(tf.zeros([2, 2, 2]))

    def __call__(self, features, training):
        return self._tiled(self.encodings, features), self._tiled(self.logits, features)

    def masks(self, features, training):
        return self._tiled(self.mask_logits, features)

    def _tiled(self, values, features):
        return tf.tile(values[tf.newaxis], [tf.shape(features)[0], *[1] * values.shape.rank])


def model(head=None, resizer=None, scales=(1.,), clip_anchors=True, mask_weight=None, minibatch=100, sampler=None,
          **second_stage):
    coder = coders.FasterRcnnCoder((1., 1., 1., 1.))
    return FasterRCNN(
        num_classes=2, resizer=resizer or resizers.FixedShape(16, 16), feature_extractor=Extractor(),
        rpn_features=lambda x, training: x, rpn_predictor=Rpn(4 * len(scales)),
        first_stage=FirstStage(
            anchors.Grid(scales, (1.,), (8, 8), (8, 8), (4, 4)),
            targets.TargetAssigner(ArgmaxMatcher(.7, .3, force_match_for_each_row=True), coder),
            BalancedSampler(minibatch), nms.NonMaxSuppression(0., .7, 6, 6, change_frame=False),
            clip_anchors=clip_anchors),
        second_stage=SecondStage(
            targets.TargetAssigner(ArgmaxMatcher(.5, .5), coder), sampler, nms.NonMaxSuppression(.1, .5, max_total=3),
            tf.nn.softmax, **second_stage),
        pooling=RegionPooling(2, 1, 1), box_predictor=head or Head(), mask_weight=mask_weight)


def groundtruth_of(boxes, classes, batch=1):
    """Return the groundtruth of equal images, padded to four boxes; masks fill the upper half of each box."""
    count = len(boxes)
    padded, labels, masks = np.zeros((4, 4)), np.zeros((4, 2)), np.zeros((4, 16, 16))
    padded[:count] = np.reshape(boxes, (count, 4))
    labels[range(count), classes] = 1.
    for mask, (top, left, bottom, right) in zip(masks, (padded * 16).astype(int)):
        mask[top:(top + bottom) // 2, left:right] = 1.
    values = {'groundtruth_boxes': padded, 'groundtruth_classes': labels, 'groundtruth_instance_masks': masks,
              'groundtruth_weights': np.arange(4) < count}
    return {**{name: tf.constant(np.stack([value] * batch), tf.float32) for name, value in values.items()},
            'num_groundtruth_boxes': tf.fill([batch], count)}


def predict(detector, batch=1, **keywords):
    inputs, shapes = detector.preprocess(tf.fill([batch, 16, 16, 3], 200.))
    return detector.predict(inputs, shapes, **keywords), shapes


def losses_of(detector, groundtruth, batch=1):
    """Return {name without Loss/: float}."""
    losses = detector.loss(*predict(detector, batch), groundtruth)
    return {name.removeprefix('Loss/'): float(value) for name, value in losses.items()}
