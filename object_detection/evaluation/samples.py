"""Single pictures out of evaluated batches, with all that is in them in pixels of the original picture."""
from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass
class Sample:
    """One picture.

    image: uint8 [h, w, 3] as the model saw it, without padding. size: (height, width) of the original.
    truth, found: what the collectors of training/metrics take; found, the best first, also keypoint_scores with
    keypoints.
    """

    image: np.ndarray
    size: np.ndarray
    truth: dict
    found: dict


def samples(features, truth, found, masked):
    """Yields the Samples of a batch.

    Args:
        features, truth: from inputs.eval_dataset. found: from the model's postprocess.
        masked: so many of the first pictures get their masks, which takes time.
    """
    features, truth, found = (tf.nest.map_structure(lambda t: t.numpy(), part) for part in (features, truth, found))
    padded = np.array(features['image'].shape[1:3], np.float32)
    for i, (height, width) in enumerate(features['true_image_shape'][:, :2]):
        size = features['original_image_spatial_shape'][i]
        objects, detections = truth['num_groundtruth_boxes'][i], int(found['num_detections'][i])
        there = {name.removeprefix('groundtruth_'): values[i, :objects] for name, values in truth.items()
                 if name.startswith('groundtruth_')}
        detected = {name.removeprefix('detection_'): values[i, :detections] for name, values in found.items()
                    if name.startswith('detection_')}
        contents, instances = detected.pop('masks', None), there.pop('instance_masks', None)
        if i < masked:
            if contents is not None:
                detected['masks'] = paste_masks(contents, detected['boxes'], size)
            if instances is not None:
                there['masks'] = masks_in_original_size(instances[:, :height, :width], size)
        pixels = size.astype(np.float32)
        share = np.array([height, width], np.float32) / padded  # of the picture in its padded version
        for part, whole in ((there, share), (detected, np.ones(2, np.float32))):
            part['boxes'] = part['boxes'] / np.tile(whole, 2) * np.tile(pixels, 2)
            if 'keypoints' in part:
                part['keypoints'] = part['keypoints'] / whole * pixels
        there['classes'] = there['classes'].argmax(-1) + 1
        detected['classes'] = detected['classes'].astype(np.int64) + 1
        yield Sample(np.clip(features['image'][i, :height, :width], 0, 255).astype(np.uint8), size, there, detected)


def paste_masks(masks, boxes, size):
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


def masks_in_original_size(masks, size):
    """Masks [n, h, w] of the resized picture in its original size, bool [n, height, width]: the nearest pixel."""
    with tf.device('CPU'):
        resized = tf.raw_ops.ResizeNearestNeighbor(images=masks[..., tf.newaxis], size=size, align_corners=True)
        return (resized[..., 0] > 0).numpy()
