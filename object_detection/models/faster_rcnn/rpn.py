"""The first stage: a region proposal network (Ren et al. 2015)."""
import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from object_detection.boxes import ops
from object_detection.boxes.anchors import AnchorGenerator
from object_detection.boxes.nms import Detections, NonMaxSuppression
from object_detection.boxes.samplers import BalancedSampler, Draw
from object_detection.boxes.targets import TargetAssigner
from object_detection.layers import randomness
from object_detection.models import losses
from object_detection.models.detector import Predictions
from object_detection.models.faster_rcnn.groundtruth import Groundtruth
from object_detection.models.faster_rcnn.regions import ImageSize, image_window
from object_detection.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class FirstStage:
    """Anchors, proposals and their loss. Boxes are in pixels of the padded input.

    Attributes:
        anchors: generates them.
        assigner: matches anchors to groundtruth boxes.
        sampler: draws the anchors of an image that count in the loss.
        non_max_suppression: selects the proposals; its max_total is P.
        localization_weight, objectness_weight: factors of the two losses.
        clip_anchors: in training, clip anchors that reach over the edge of the input instead of dropping them.
    """
    anchors: AnchorGenerator
    assigner: TargetAssigner
    sampler: BalancedSampler
    non_max_suppression: NonMaxSuppression
    localization_weight: float = 1.
    objectness_weight: float = 1.
    clip_anchors: bool = False

    def generate_anchors(self, maps: list[tf.Tensor], image_size: ImageSize, training: bool
                         ) -> tuple[np.ndarray | tf.Tensor, np.ndarray | tf.Tensor | None]:
        """Generate the anchors of feature maps.

        Args:
            maps: list of [B, h_i, w_i, C].
            image_size: of the padded input.
            training: drop or clip anchors as clip_anchors says; otherwise they are clipped.
        Returns:
            anchors: float32 [A, 4].
            indices: int32 [A], which of the predictions of all cells belong to them; None for all.
            Both are NumPy arrays, or tensors if the size of the maps is unknown while tracing; then so is A.
        """
        if None in maps[0].shape[1:3]:
            return self._dynamic_anchors(maps, image_size, training)
        return self.fixed_anchors([tuple(x.shape[1:3]) for x in maps], image_size, training)

    def fixed_anchors(self, sizes: Sequence[tuple[int, int]], image_size: ImageSize, training: bool
                      ) -> tuple[np.ndarray, np.ndarray | None]:
        """As generate_anchors, for feature maps of these sizes (height, width)."""
        anchors = self.anchors.generate(sizes, None)
        window = np.array([0, 0, *image_size], np.float32)
        if self.clip_anchors or not training:
            return np.clip(anchors, np.tile(window[:2], 2), np.tile(window[2:], 2)), None
        inside = np.flatnonzero((anchors[:, :2] >= window[:2]).all(1) & (anchors[:, 2:] <= window[2:]).all(1))
        if not inside.size:
            raise UserError(f'no anchor lies within an image of {image_size[0]}x{image_size[1]}; set '
                            'clip_anchors_to_image: true, or smaller scales in first_stage_anchor_generator')
        return anchors[inside], inside.astype(np.int32)

    def _dynamic_anchors(self, maps, image_size, training):
        window = tf.cast(tf.stack([0, 0, *image_size]), tf.float32)
        anchors = dynamic_anchors(self.anchors, [tf.unstack(tf.shape(x)[1:3]) for x in maps])
        if self.clip_anchors or not training:
            return ops.clip(anchors[tf.newaxis], window[tf.newaxis])[0], None
        inside = tf.reduce_all((anchors[:, :2] >= window[:2]) & (anchors[:, 2:] <= window[2:]), axis=1)
        return tf.boolean_mask(anchors, inside), tf.cast(tf.where(inside)[:, 0], tf.int32)

    def propose(self, encodings: tf.Tensor, objectness: tf.Tensor, anchors: np.ndarray | tf.Tensor,
                true_image_shapes: tf.Tensor) -> Detections:
        """Select the anchors that look most like objects as proposals, decoded and clipped to the image.

        Args:
            encodings: float32 [B, A, 4].
            objectness: float32 [B, A, 2], logits of background and object.
            anchors: float32 [A, 4].
            true_image_shapes: int32 [B, 3].
        Returns:
            P proposals per image, float32 [B, P, 4], best first.
        """
        boxes, scores = self.assigner.coder.decode(encodings, anchors), tf.nn.softmax(objectness)[..., 1:]
        return self.non_max_suppression(boxes, scores, image_window(true_image_shapes))

    def loss(self, predictions: Predictions, groundtruth: Groundtruth) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute the localization loss and the objectness loss, scalars: the mean over the sampled anchors of each
        image, then over the images.

        Args:
            predictions: of FasterRCNN.predict.
        """
        encodings, objectness = (predictions[name] for name in (
            'rpn_box_encodings', 'rpn_objectness_predictions_with_background'))
        is_object = tf.ones_like(groundtruth.weights)[..., tf.newaxis]
        targets = self.assigner.assign(predictions['anchors'], groundtruth.boxes, is_object, groundtruth.weights, [0.])
        positive = targets.matches >= 0
        indices, count = self.sampler.sample(tf.not_equal(targets.class_weights, 0.), positive,
                                             drawing(objectness, 0))
        encodings, objectness, target_encodings, weights, positive = (
            tf.gather(tensor, indices, batch_dims=1) for tensor in (
                encodings, objectness, targets.boxes, targets.box_weights, positive))
        mean = losses.mean_weights(count, tf.shape(indices)[1])
        localization = losses.SmoothL1()(encodings, target_encodings, weights * mean)
        classification = losses.Softmax()(objectness, tf.one_hot(tf.cast(positive, tf.int32), 2), mean)
        return (losses.batch_mean(localization) * self.localization_weight,
                losses.batch_mean(classification) * self.objectness_weight)


def dynamic_anchors(generator: AnchorGenerator, sizes: list[tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
    """Generate the anchors of feature maps whose sizes are scalar tensors: generator.generate(sizes, None).

    Each cell has the anchors of the first one, shifted by the distance between the first two cells of a map of 2 x 2.

    Args:
        generator: one that works in pixels.
        sizes: (height, width) of each map, int32 scalars.
    Returns:
        float32 [A, 4], in pixels.
    """
    samples = generator.generate([(2, 2)] * len(sizes), None)
    ends = np.cumsum([4 * count for count in generator.per_location])
    grids = []
    for (rows, columns), cells in zip(sizes, np.split(samples, ends[:-1])):
        first, right, down, _ = cells.reshape(4, -1, 4)
        by_row, by_column = (tf.range(tf.cast(length, tf.float32))[:, tf.newaxis] * (following - first)[0]
                             for length, following in ((rows, down), (columns, right)))
        shifts = by_row[:, tf.newaxis] + by_column
        grids.append(tf.reshape(shifts[:, :, tf.newaxis] + first, [-1, 4]))
    return tf.concat(grids, 0)


def drawing(logits: tf.Tensor, purpose: int) -> Draw:
    """Return the random numbers to sample with, as BalancedSampler.sample takes them.

    The draws differ from step to step and from image to image, yet a resumed run repeats those of an unbroken one. In
    training they depend on the global step, so that a batch that is divided draws the same; elsewhere on the bits of
    logits, float32 [...]. The number `purpose` tells draws of one step apart.
    """
    seed = randomness.step_seed(purpose)
    if seed is None:
        seed = tf.stack([tf.reduce_sum(tf.cast(tf.bitcast(logits, tf.int32), tf.int64)), purpose])
    return lambda shape: randomness.uniform_share(shape, seed, tf.float64)
