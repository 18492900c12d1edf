"""The groundtruth of a batch as both stages of Faster R-CNN match it."""
import typing

import tensorflow as tf

from object_detection.models.detector import Tensors, trim_padding
from object_detection.models.faster_rcnn.regions import ImageSize, to_pixels


class Groundtruth(typing.NamedTuple):
    """N >= 1 boxes per image.

    Attributes:
        boxes: float32 [B, N, 4], in pixels of the padded input.
        labels: float32 [B, N, 1 + num_classes], one-hot, class 0 being the background.
        weights: float32 [B, N], 0 for padding.
        masks: float32 [B, N, h, w], 0 or 1, of the padded input, or None.
        mask_weights: float32 [B, N], 0 for objects whose mask is unknown, or None if all are known.
    """
    boxes: tf.Tensor
    labels: tf.Tensor
    weights: tf.Tensor
    masks: tf.Tensor | None
    mask_weights: tf.Tensor | None

    @classmethod
    def from_batch(cls, batch: Tensors, image_size: ImageSize) -> 'Groundtruth':
        """Convert the groundtruth that Detector.loss takes; rows that are padding in every image are dropped."""
        batch = trim_padding(batch)
        return cls(to_pixels(batch['groundtruth_boxes'], image_size),
                   tf.pad(batch['groundtruth_classes'], [[0, 0], [0, 0], [1, 0]]), batch['groundtruth_weights'],
                   batch.get('groundtruth_instance_masks'), batch.get('groundtruth_instance_mask_weights'))
