"""The third stage: instance masks (Mask R-CNN, He et al. 2017)."""
import tensorflow as tf

from object_detection.models.faster_rcnn import rpn
from object_detection.models.faster_rcnn.regions import crop
from object_detection.models.faster_rcnn.second_stage import of_class
from object_detection.models.replicas import per_device
from object_detection.utils.errors import UserError


def of_detections(logits, classes):
    """Masks of detections, 0..1.

    Args:
        logits: float32 [B, D, num_classes or 1, h, w]. classes: float32 [B, D], from 0.
    Returns:
        float32 [B, D, h, w], each the mask within its detection's box.
    """
    if logits.shape[2] == 1:
        return tf.sigmoid(logits[:, :, 0])
    return tf.sigmoid(tf.gather(logits, tf.cast(classes, tf.int32), batch_dims=2))


def loss(logits, boxes, count, truth, targets, image_size, clamp):
    """Mean of the sigmoid cross entropy over the pixels of the boxes' masks: those of the class that a box is to have.
    Boxes of objects whose mask is not known do not count.

    Args:
        logits: float32 [B, P, num_classes or 1, h, w], masks within boxes float32 [B, P, 4] (pixels of the padded
            input), of which count int32 [B] are boxes.
        truth, targets: second_stage.Truth and the boxes.targets.Targets of the boxes.
        image_size: (height, width) of the padded input. clamp: as regions.crop.
    Raises:
        UserError: truth has no masks.
    """
    if truth.masks is None:
        raise UserError('the model is to learn instance masks, but the input has none; set load_instance_masks: true '
                        'in the input_reader, and mask_type as the records have them')
    logits = logits[:, :, 0] if logits.shape[2] == 1 else of_class(logits, targets)
    batch, objects, height, width = tf.unstack(tf.shape(truth.masks))
    matches = tf.maximum(targets.matches, 0)
    owners = tf.range(batch)[:, tf.newaxis] * objects + matches
    whole = tf.reshape(tf.cast(truth.masks, tf.float32), [-1, height, width, 1])
    goal = crop(whole, tf.reshape(rpn.fractions(boxes, image_size), [-1, 4]), tf.reshape(owners, [-1]),
                logits.shape[2:], clamp)
    goal = tf.reshape(tf.stop_gradient(goal), tf.shape(logits))
    weights = targets.box_weights * tf.sequence_mask(count, tf.shape(boxes)[1], tf.float32)
    if truth.mask_weights is not None:
        weights *= tf.gather(truth.mask_weights, matches, batch_dims=1)
    entropy = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(goal, logits), [2, 3])
    pixels = tf.reduce_sum(weights) * (logits.shape[2] * logits.shape[3])
    return tf.reduce_sum(entropy * weights) / per_device(pixels)
