"""Areas and overlaps of masks as uint8 NumPy arrays [N, height, width] of 0 and 1, under the reference's names."""
import numpy as np

EPSILON = 1e-7


def area(masks: np.ndarray) -> np.ndarray:
    """Return the areas, float32 [N], of masks [N, height, width].

    Raises:
        ValueError: the masks are not uint8.
    """
    _check(masks)
    return masks.sum((1, 2), dtype=np.float32)


def intersection(masks1: np.ndarray, masks2: np.ndarray) -> np.ndarray:
    """Return the intersection areas, float32 [N, M], of all pairs of masks1 [N, ...] and masks2 [M, ...].

    Raises:
        ValueError: masks are not uint8.
    """
    _check(masks1, masks2)
    return np.tensordot(masks1.astype(np.float32), masks2.astype(np.float32), axes=([1, 2], [1, 2]))


def iou(masks1: np.ndarray, masks2: np.ndarray) -> np.ndarray:
    """Return the intersection over union, float32 [N, M], of all pairs; 0 of two empty masks."""
    shared = intersection(masks1, masks2)
    return shared / np.maximum(area(masks1)[:, np.newaxis] + area(masks2) - shared, EPSILON)


def ioa(masks1: np.ndarray, masks2: np.ndarray) -> np.ndarray:
    """Return the intersection over the area of masks2, float32 [N, M], of all pairs."""
    return intersection(masks1, masks2) / (area(masks2) + EPSILON)


def _check(*masks: np.ndarray) -> None:
    if any(mask.dtype != np.uint8 for mask in masks):
        raise ValueError('Masks type should be np.uint8')
