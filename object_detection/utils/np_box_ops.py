"""Areas and overlaps of boxes as NumPy arrays [N, 4] of (ymin, xmin, ymax, xmax), under the reference's names."""
import numpy as np


def area(boxes: np.ndarray) -> np.ndarray:
    """Return the areas [N] of boxes [N, 4]."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def intersection(boxes1: np.ndarray, boxes2: np.ndarray) -> np.ndarray:
    """Return the intersection areas [N, M] of all pairs of boxes1 [N, 4] and boxes2 [M, 4]."""
    sides = np.minimum(boxes1[:, np.newaxis, 2:], boxes2[:, 2:]) - np.maximum(boxes1[:, np.newaxis, :2], boxes2[:, :2])
    return np.maximum(sides, 0.).prod(-1)


def iou(boxes1: np.ndarray, boxes2: np.ndarray) -> np.ndarray:
    """Return the intersection over union [N, M] of all pairs of boxes1 [N, 4] and boxes2 [M, 4]."""
    shared = intersection(boxes1, boxes2)
    return shared / (area(boxes1)[:, np.newaxis] + area(boxes2) - shared)


def ioa(boxes1: np.ndarray, boxes2: np.ndarray) -> np.ndarray:
    """Return the intersection over the area of boxes2, [N, M], of all pairs of boxes1 [N, 4] and boxes2 [M, 4]."""
    return intersection(boxes1, boxes2) / area(boxes2)
