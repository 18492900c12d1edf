"""The first stage: a region proposal network (Ren et al. 2015)."""
import dataclasses

import numpy as np
import tensorflow as tf

from object_detection.boxes import ops
from object_detection.boxes.nms import NonMaxSuppression
from object_detection.boxes.samplers import BalancedSampler
from object_detection.boxes.targets import TargetAssigner
from object_detection.models import losses
from object_detection.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class FirstStage:
    """Anchors, proposals and their loss. Boxes are in pixels of the padded input.

    anchors: generator of boxes/anchors.py.
    assigner: which anchors are objects, and where these are.
    sampler: how many anchors of an image count in the loss.
    suppression: of proposals; its max_total is how many an image can have.
    clip_anchors: in training, anchors that reach over the edge of the image are clipped; otherwise left out.
    """
    anchors: object
    assigner: TargetAssigner
    sampler: BalancedSampler
    suppression: NonMaxSuppression
    localization_weight: float = 1.
    objectness_weight: float = 1.
    clip_anchors: bool = False

    def anchors_of(self, maps, image_size, training):
        """Anchors float32 [A, 4] of feature maps (list of [B, h, w, C]) of an image of (height, width), and the
        indices int32 [A] of the cells' predictions that they belong to, or None for all.

        NumPy arrays, or tensors where the size is known only when the graph runs; then A is not known before either.
        """
        if None in maps[0].shape[1:3]:
            return self._anchors_of_any(maps, image_size, training)
        anchors = self.anchors.generate([tuple(x.shape[1:3]) for x in maps], None)
        window = np.array([0, 0, *image_size], np.float32)
        if self.clip_anchors or not training:
            return np.clip(anchors, np.tile(window[:2], 2), np.tile(window[2:], 2)), None
        inside = np.flatnonzero((anchors[:, :2] >= window[:2]).all(1) & (anchors[:, 2:] <= window[2:]).all(1))
        if not inside.size:
            raise UserError(f'no anchor lies within an image of {image_size[0]}x{image_size[1]}; set '
                            'clip_anchors_to_image: true, or smaller scales in first_stage_anchor_generator')
        return anchors[inside], inside.astype(np.int32)

    def _anchors_of_any(self, maps, image_size, training):
        window = tf.cast(tf.stack([0, 0, *image_size]), tf.float32)
        anchors = anchors_of_any(self.anchors, [tf.unstack(tf.shape(x)[1:3]) for x in maps])
        if self.clip_anchors or not training:
            return ops.clip(anchors[tf.newaxis], window[tf.newaxis])[0], None
        inside = tf.reduce_all((anchors[:, :2] >= window[:2]) & (anchors[:, 2:] <= window[2:]), axis=1)
        return tf.boolean_mask(anchors, inside), tf.cast(tf.where(inside)[:, 0], tf.int32)

    def decode(self, encodings, anchors):
        """Boxes [B, A, 4] of encodings [B, A, 4]."""
        return self.assigner.coder.decode(encodings, anchors)

    def propose(self, encodings, objectness, anchors, true_image_shapes):
        """boxes.nms.Detections of the anchors that look most like objects, clipped to the picture.

        Args:
            encodings, objectness: float32 [B, A, 4] and [B, A, 2], logits of background and object.
            true_image_shapes: int32 [B, 3].
        """
        scores = tf.nn.softmax(objectness)[..., 1:]
        return self.suppression(self.decode(encodings, anchors), scores, window(true_image_shapes))

    def loss(self, predictions, truth):
        """(localization, objectness): each image's mean over its sample of anchors, then the mean over the images."""
        encodings, objectness = (predictions[name] for name in (
            'rpn_box_encodings', 'rpn_objectness_predictions_with_background'))
        is_object = tf.ones_like(truth.weights)[..., tf.newaxis]
        targets = self.assigner.assign(predictions['anchors'], truth.boxes, is_object, truth.weights, [0.])
        positive = targets.matches >= 0
        indices, count = self.sampler.sample(tf.not_equal(targets.class_weights, 0.), positive, seed(objectness, 0))
        encodings, objectness, codes, weights, positive = (tf.gather(tensor, indices, batch_dims=1) for tensor in (
            encodings, objectness, targets.boxes, targets.box_weights, positive))
        sampled = tf.sequence_mask(count, tf.shape(indices)[1], tf.float32)
        share = sampled / tf.cast(tf.maximum(count, 1), tf.float32)[:, tf.newaxis]
        localization = losses.SmoothL1()(encodings, codes, weights * share)
        classification = losses.Softmax()(objectness, tf.one_hot(tf.cast(positive, tf.int32), 2), share)
        return tuple(tf.reduce_mean(tf.reduce_sum(loss, 1)) * weight for loss, weight in (
            (localization, self.localization_weight), (classification, self.objectness_weight)))


def anchors_of_any(generator, sizes):
    """What generator.generate(sizes, None) gives, float32 [A, 4], for sizes that are pairs of scalar tensors.

    Each cell has the anchors of the first one, moved by as much as those of the next ones differ from it.
    """
    found = generator.generate([(2, 2)] * len(sizes), None)
    ends = np.cumsum([4 * count for count in generator.per_location])
    grids = []
    for (rows, columns), cells in zip(sizes, np.split(found, ends[:-1])):
        first, right, down, _ = cells.reshape(4, -1, 4)
        by_row, by_column = (tf.range(tf.cast(length, tf.float32))[:, tf.newaxis] * (following - first)[0]
                             for length, following in ((rows, down), (columns, right)))
        moves = by_row[:, tf.newaxis] + by_column
        grids.append(tf.reshape(moves[:, :, tf.newaxis] + first, [-1, 4]))
    return tf.concat(grids, 0)


def window(true_image_shapes):
    """float32 [B, 4]: where the pictures lie in the padded input, in pixels."""
    corner = tf.cast(true_image_shapes[:, :2], tf.float32)
    return tf.concat([tf.zeros_like(corner), corner], -1)


def seed(logits, purpose):
    """int64 [2] for random numbers, from the bits of logits and a number that tells uses apart. What is drawn changes
    from step to step and with every image, yet a run that is resumed draws as if it had not stopped."""
    bits = tf.cast(tf.bitcast(logits, tf.int32), tf.int64)
    return tf.stack([tf.reduce_sum(bits), purpose])


def pixels(boxes, image_size):
    """Boxes [..., 4] in pixels from fractions of an image of (height, width)."""
    return ops.scale(boxes, *(tf.cast(side, tf.float32) for side in image_size))


def fractions(boxes, image_size):
    """Boxes [..., 4] as fractions of an image of (height, width) from pixels."""
    return ops.scale(boxes, *(1. / tf.cast(side, tf.float32) for side in image_size))
