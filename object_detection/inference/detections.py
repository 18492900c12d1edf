"""The detections in a picture, and what runs a detector. Imports no TensorFlow."""
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Detections:
    """Detections in one picture, best first.

    Attributes:
        boxes: float32 [D, 4] (ymin, xmin, ymax, xmax), normalized to the picture.
        scores: float32 [D].
        classes: int64 [D], label ids, from 1.
        masks: float32 [D, h, w], 0..1, each the content of its box; None if the model has none.
        keypoints: float32 [D, K, 2] (y, x), normalized to the picture; None if the model has none.
        keypoint_scores: float32 [D, K]; None if the model has none.
    """
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    masks: np.ndarray | None = None
    keypoints: np.ndarray | None = None
    keypoint_scores: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: np.ndarray) -> 'Detections':
        """Return some of them: rows is bool [D] or int [n]."""
        optional = {name: value[rows] for name in ('masks', 'keypoints', 'keypoint_scores')
                    if (value := getattr(self, name)) is not None}
        return Detections(self.boxes[rows], self.scores[rows], self.classes[rows], **optional)


class Runner(Protocol):
    """A loaded detector.

    Attributes:
        name: for people, such as its path.
        batch: pictures that one call of the network takes; None for any number.
        labels: {label id: name}, as far as the model carries them.
    """
    name: str
    batch: int | None
    labels: dict[int, str]

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect objects in pictures, uint8 [H, W, 3], RGB, upright. Their sizes may differ."""


class Limited:
    """A Runner that returns the `most` best detections of another one."""

    def __init__(self, runner: Runner, most: int) -> None:
        self.name, self.batch, self.labels = runner.name, runner.batch, runner.labels
        self._runner, self._most = runner, most

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As Runner.detect."""
        return [found.select(np.arange(min(len(found), self._most))) for found in self._runner.detect(images)]


def from_outputs(outputs: Mapping[str, np.ndarray], i: int, first_class: int = 1) -> Detections:
    """Return the detections in picture i of a batch.

    Args:
        outputs: arrays [B, D, ...] under the SavedModel's names; num_detections [B] is optional.
        first_class: what detection_classes count from.
    """
    count = int(outputs['num_detections'][i]) if 'num_detections' in outputs else outputs['detection_scores'].shape[1]
    optional = {name: np.asarray(outputs[f'detection_{name}'][i, :count], np.float32)
                for name in ('masks', 'keypoints', 'keypoint_scores') if f'detection_{name}' in outputs}
    classes = np.rint(outputs['detection_classes'][i, :count]).astype(np.int64) + 1 - first_class
    return Detections(np.asarray(outputs['detection_boxes'][i, :count], np.float32),
                      np.asarray(outputs['detection_scores'][i, :count], np.float32), classes, **optional)
