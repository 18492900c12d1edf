"""The third stage: instance masks (Mask R-CNN, He et al. 2017)."""
import tensorflow as tf

from object_detection.boxes.targets import Targets
from object_detection.layers import parts
from object_detection.models.faster_rcnn.groundtruth import Groundtruth
from object_detection.models.faster_rcnn.regions import ImageSize, crop, to_normalized
from object_detection.models.faster_rcnn.second_stage import for_matched_class


def detection_masks(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Select the mask of each detection's class.

    Args:
        logits: float32 [B, D, C, h, w] with C = num_classes, or 1 for class-agnostic masks.
        classes: float32 [B, D], from 0.
    Returns:
        float32 [B, D, h, w], 0..1, each within its detection's box.
    """
    if logits.shape[2] == 1:
        return tf.sigmoid(logits[:, :, 0])
    return tf.sigmoid(tf.gather(logits, tf.cast(classes, tf.int32), batch_dims=2))


def loss(logits: tf.Tensor, boxes: tf.Tensor, count: tf.Tensor, groundtruth: Groundtruth, targets: Targets,
         image_size: ImageSize, clamp: bool) -> tf.Tensor:
    """Compute the sigmoid cross entropy of the masks of each box's matched class, a scalar: the mean over all pixels
    of the boxes that match an object whose mask is known.

    Args:
        logits: float32 [B, P, C, h, w] with C = num_classes or 1, masks within the boxes.
        boxes: float32 [B, P, 4], in pixels of the padded input.
        count: int32 or float32 [B], number of boxes; those beyond it are padding.
        groundtruth: with masks.
        targets: of the boxes.
        image_size: of the padded input.
        clamp: see regions.crop.
    """
    logits = for_matched_class(logits, targets)
    batch, num_boxes, height, width = tf.unstack(tf.shape(groundtruth.masks))
    matches = tf.maximum(targets.matches, 0)
    mask_indices = tf.range(batch)[:, tf.newaxis] * num_boxes + matches
    whole = tf.reshape(tf.cast(groundtruth.masks, tf.float32), [-1, height, width, 1])
    target_masks = crop(whole, tf.reshape(to_normalized(boxes, image_size), [-1, 4]), tf.reshape(mask_indices, [-1]),
                        logits.shape[2:], clamp)
    target_masks = tf.reshape(tf.stop_gradient(target_masks), tf.shape(logits))
    weights = targets.box_weights * tf.sequence_mask(count, tf.shape(boxes)[1], tf.float32)
    if groundtruth.mask_weights is not None:
        weights *= tf.gather(groundtruth.mask_weights, matches, batch_dims=1)
    entropy = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(target_masks, logits), [2, 3])
    pixels = tf.reduce_sum(weights) * (logits.shape[2] * logits.shape[3])
    return tf.reduce_sum(entropy * weights) / parts.loss_normalizer(pixels)
