"""How far two detectors agree on the same pictures. Imports no TensorFlow."""
import dataclasses
from collections.abc import Sequence

import numpy as np

from object_detection.inference.detections import Detections

LEAST_IOU = .5  # of a detection and its counterpart


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Attributes:
        detections: compared.
        lost: of these, without a counterpart of the same class and LEAST_IOU.
        pixels: the largest difference of a side of a box, in pixels of the picture.
        score: the largest difference of a score.
    """
    detections: int = 0
    lost: int = 0
    pixels: float = 0.
    score: float = 0.


def agreement(expected: Sequence[Detections], found: Sequence[Detections], sizes: Sequence[tuple[int, ...]],
              min_score: float) -> Agreement:
    """Look for a counterpart of each expected detection, the nearest one.

    Args:
        expected, found: of each picture.
        sizes: (height, width, ...) of each picture.
        min_score: of the expected detections that are compared.
    """
    total, lost, pixels, scores = 0, 0, [0.], [0.]
    for wanted, got, size in zip(expected, found, sizes):
        sides = np.tile(np.array(size[:2], np.float32), 2)
        wanted = wanted.select(wanted.scores >= min_score)
        total += len(wanted)
        for box, score, number in zip(wanted.boxes, wanted.scores, wanted.classes):
            same = got.select((got.classes == number) & (_iou(box, got.boxes) >= LEAST_IOU))
            if not len(same):
                lost += 1
                continue
            differences = np.abs((same.boxes - box) * sides).max(-1)
            nearest = int(differences.argmin())
            pixels.append(float(differences[nearest]))
            scores.append(float(abs(same.scores[nearest] - score)))
    return Agreement(total, lost, max(pixels), max(scores))


def _iou(box, boxes):
    """Return the IoU of a box [4] with each of boxes [N, 4]."""
    shared = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0., None).prod(-1)
    areas = [np.clip(each[..., 2:] - each[..., :2], 0., None).prod(-1) for each in (box, boxes)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-12)
