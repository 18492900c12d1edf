"""From a picture to the input of a network of fixed size, and its boxes back. Imports no TensorFlow."""
import dataclasses

import numpy as np

from object_detection.export.description import FIT, Input
from object_detection.inference.detections import Detections


def prepare(image: np.ndarray, spec: Input) -> tuple[np.ndarray, np.ndarray]:
    """Turn a picture into an input.

    Args:
        image: uint8 [H, W, 3].
        spec: the input tensor.
    Returns:
        [height, width, 3] of spec.dtype, and float32 [2], the share of its height and width that is not padding.
    """
    if not spec.height:
        return image.astype(spec.dtype, copy=False), np.ones(2, np.float32)
    size = (spec.height, spec.width)
    if spec.resize == FIT:
        size = fitted(image.shape[:2], size)
    pixels = resize(image, size, spec.method)
    share = np.array(size, np.float32) / np.array([spec.height, spec.width], np.float32)
    if size != (spec.height, spec.width):
        padded = np.broadcast_to(np.array(spec.pad, np.float32), [spec.height, spec.width, 3]).copy()
        padded[:size[0], :size[1]] = pixels
        pixels = padded
    if spec.dtype == 'uint8':
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), share
    if any(spec.mean) or any(value != 1. for value in spec.std):
        pixels = (pixels - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return pixels, share


def fitted(size: tuple[int, ...], limit: tuple[int, int]) -> tuple[int, int]:
    """Return the size (height, width) scaled to fit into a square `limit`, as the image_resizer computes it."""
    sides = np.array(size, np.float32)
    scaled = np.maximum(np.rint(np.min(np.array(limit, np.float32) / sides) * sides), 1)
    return int(scaled[0]), int(scaled[1])


def resize(image: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """Resize as TensorFlow 1 does: no antialiasing, pixel (0, 0) of the result on pixel (0, 0) of the source.

    Args:
        image: [H, W, 3].
        size: (height, width) of the result.
        method: one of description.METHODS.
    Returns:
        float32 [height, width, 3].
    """
    if image.shape[:2] == size:
        return image.astype(np.float32)
    (top, bottom, down), (left, right, across) = (_sources(old, new) for old, new in zip(image.shape, size))
    if method == 'nearest':
        return image[top][:, left].astype(np.float32)
    rows = image[top], image[bottom]
    upper, lower = (_lerp(row[:, left], row[:, right], across[:, np.newaxis]) for row in rows)
    return _lerp(upper, lower, down[:, np.newaxis, np.newaxis])


def _sources(old, new):
    """Return for each of `new` pixels the two of `old` that it lies between, and its distance from the first."""
    places = np.arange(new, dtype=np.float32) * (np.float32(old) / np.float32(new))
    first = np.minimum(places.astype(np.int64), old - 1)
    return first, np.minimum(first + 1, old - 1), places - first.astype(np.float32)


def _lerp(first, second, share):
    first = first.astype(np.float32)
    return first + (second.astype(np.float32) - first) * share


def restore(detections: Detections, share: np.ndarray) -> Detections:
    """Bring detections that are normalized to a padded input back to the picture, clipped to it.

    Those that lie in the padding are dropped.

    Args:
        share: see `prepare`.
    """
    boxes = np.clip(detections.boxes / np.tile(share, 2), 0., 1.)
    points = detections.keypoints
    moved = dataclasses.replace(detections, boxes=boxes, keypoints=None if points is None else points / share)
    return moved.select((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
