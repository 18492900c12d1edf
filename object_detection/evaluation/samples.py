"""Evaluated batches taken apart into images, with boxes, keypoints and masks in pixels of the original picture."""
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from object_detection.boxes import ops
from object_detection.models.detector import Tensors


@dataclass
class Sample:
    """One image with its objects.

    Attributes:
        image: uint8 [h, w, 3], as the model saw it, without padding.
        size: (height, width) of the original picture.
        groundtruth: see evaluation.metrics.
        detections: see evaluation.metrics; the best first, keypoints with keypoint_scores float32 [n, K].
    """

    image: np.ndarray
    size: np.ndarray
    groundtruth: dict[str, np.ndarray]
    detections: dict[str, np.ndarray]


def samples(features: Tensors, groundtruth: Tensors, detections: Tensors, num_masks: int) -> Iterator[Sample]:
    """Yield the Sample of each image of a batch.

    Args:
        features, groundtruth: from inputs.eval_dataset.
        detections: from Detector.postprocess.
        num_masks: only the first `num_masks` samples have masks, because resizing them takes time.
    """
    features, groundtruth, detections = (tf.nest.map_structure(lambda tensor: tensor.numpy(), part)
                                         for part in (features, groundtruth, detections))
    input_size = np.array(features['image'].shape[1:3], np.float32)
    for i, (height, width) in enumerate(features['true_image_shape'][:, :2]):
        size = features['original_image_spatial_shape'][i]
        objects = _rows(groundtruth, 'groundtruth_', i, groundtruth['num_groundtruth_boxes'][i])
        found = _rows(detections, 'detection_', i, int(detections['num_detections'][i]))
        instance_masks, box_masks = objects.pop('instance_masks', None), found.pop('masks', None)
        if i < num_masks:
            if instance_masks is not None:
                objects['masks'] = resize_masks(instance_masks[:, :height, :width], size)
            if box_masks is not None:
                found['masks'] = paste_masks(box_masks, found['boxes'], size)
        # Groundtruth is normalized to the padded input, detections to the image in it.
        image_share = np.array([height, width], np.float32) / input_size
        for part, share in ((objects, image_share), (found, np.ones(2, np.float32))):
            pixels = size.astype(np.float32)
            part['boxes'] = part['boxes'] / np.tile(share, 2) * np.tile(pixels, 2)
            if 'keypoints' in part:
                part['keypoints'] = part['keypoints'] / share * pixels
        objects['classes'] = objects['classes'].argmax(-1) + 1
        found['classes'] = found['classes'].astype(np.int64) + 1
        yield Sample(np.clip(features['image'][i, :height, :width], 0, 255).astype(np.uint8), size, objects, found)


def _rows(batch: dict[str, np.ndarray], prefix: str, i: int, count: int) -> dict[str, np.ndarray]:
    """Return the first `count` objects of image i, of the arrays whose name has the prefix, without it."""
    return {name.removeprefix(prefix): values[i, :count] for name, values in batch.items() if name.startswith(prefix)}


def paste_masks(masks: np.ndarray, boxes: np.ndarray, size: np.ndarray | tuple[int, int]) -> np.ndarray:
    """Paste masks that each fill their box into images.

    Args:
        masks: float32 [n, h, w], 0..1, the contents of the boxes; the object is where they are above 0.5.
        boxes: float32 [n, 4] (ymin, xmin, ymax, xmax), normalized.
        size: (height, width) of the images.
    Returns:
        bool [n, height, width].
    """
    if not len(masks):
        return np.zeros([0, *size], bool)
    with tf.device('CPU'):  # a hundred masks of a large picture would fill a GPU's memory
        pasted = tf.image.crop_and_resize(masks[..., tf.newaxis], ops.image_relative_to(boxes), tf.range(len(masks)),
                                          size)
        return (pasted[..., 0] > .5).numpy()


def resize_masks(masks: np.ndarray, size: np.ndarray | tuple[int, int]) -> np.ndarray:
    """Resize masks of an image by nearest neighbor.

    Args:
        masks: float32 [n, h, w], the object is where they are above 0.
        size: (height, width) of the result.
    Returns:
        bool [n, height, width].
    """
    with tf.device('CPU'):
        resized = tf.raw_ops.ResizeNearestNeighbor(images=masks[..., tf.newaxis], size=size, align_corners=True)
        return (resized[..., 0] > 0).numpy()
