"""Detect in overlapping tiles, so that small objects on large pictures keep their size in the network."""
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from object_detection.inference.detections import Detections, Runner
from object_detection.preparation.tiles import starts

NEAR_EDGE = .01  # of a tile's side; a box that comes closer to an inner edge counts as cut


class Tiled:
    """A Runner that runs another one on tiles of each picture and on the whole picture, and merges what they find.

    A box at an edge of its tile that is not an edge of the picture is taken for cut. Non-max suppression of each class
    prefers boxes that are not cut, then higher scores. A box is dropped if its IoU with a kept one is above
    `iou_threshold`, or if it is cut and more than `iou_threshold` of its own area lies in a kept one.
    """

    def __init__(self, runner: Runner, tile: int, overlap: float, batch: int, min_score: float,
                 iou_threshold: float = .5) -> None:
        """Wrap a Runner.

        Args:
            tile: side of the tiles in pixels.
            overlap: share of a tile that the next one shows as well.
            batch: tiles that are one call of the network, if it takes several.
            min_score: detections below are dropped before the merging, in which they could win over better ones.
        """
        self.name, self.labels, self.batch = runner.name, runner.labels, runner.batch
        self._runner, self._tile, self._overlap = runner, tile, overlap
        self._at_once = min(batch, runner.batch or batch)
        self._min_score, self._iou_threshold = min_score, iou_threshold

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As Runner.detect."""
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> Detections:
        height, width = image.shape[:2]
        windows = list(self.windows(height, width))
        parts = []
        for first in range(0, len(windows), self._at_once):
            some = windows[first:first + self._at_once]
            found = self._confident([image[top:top + h, left:left + w] for top, left, h, w in some])
            parts += [_moved(one, window, (height, width)) for one, window in zip(found, some)]
        if len(windows) == 1:
            return parts[0][0]
        whole = self._confident([image])[0]
        return merge([*parts, (whole, np.zeros(len(whole), bool))], self._iou_threshold)

    def _confident(self, images: Sequence[np.ndarray]) -> list[Detections]:
        return [found.select(found.scores >= self._min_score) for found in self._runner.detect(images)]

    def windows(self, height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (top, left, height, width) of the tiles of a picture, in pixels."""
        for top, left in itertools.product(starts(height, self._tile, self._overlap),
                                           starts(width, self._tile, self._overlap)):
            yield top, left, min(self._tile, height), min(self._tile, width)


def _moved(found: Detections, window: tuple[int, int, int, int], size: tuple[int, int]
           ) -> tuple[Detections, np.ndarray]:
    """Return the detections in a tile, normalized to the picture; and which of them an inner edge cuts, bool [D]."""
    start, sides, whole = (np.array(pair, np.float32) for pair in (window[:2], window[2:], size))
    inner = np.concatenate([start > 0, start + sides < whole])
    at_edge = np.concatenate([found.boxes[:, :2] < NEAR_EDGE, found.boxes[:, 2:] > 1 - NEAR_EDGE], axis=1)
    points = found.keypoints
    moved = dataclasses.replace(
        found, boxes=(found.boxes * np.tile(sides, 2) + np.tile(start, 2)) / np.tile(whole, 2),
        keypoints=None if points is None else (points * sides + start) / whole)
    return moved, (at_edge & inner).any(axis=1)


def merge(parts: Sequence[tuple[Detections, np.ndarray]], iou_threshold: float) -> Detections:
    """Merge detections of parts of one picture, see Tiled.

    Args:
        parts: (detections normalized to the picture, bool [D]: which are cut).
    """
    every = _concatenated([found for found, _ in parts])
    cut = np.concatenate([which for _, which in parts])
    areas = np.prod(every.boxes[:, 2:] - every.boxes[:, :2], axis=1)
    left = np.lexsort([-every.scores, cut])  # the last key counts most
    kept: list[int] = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        corner = np.maximum(every.boxes[best, :2], every.boxes[left, :2])
        shared = np.prod(np.maximum(np.minimum(every.boxes[best, 2:], every.boxes[left, 2:]) - corner, 0), axis=1)
        whole = np.where(cut[left], areas[left], areas[best] + areas[left] - shared)
        left = left[(every.classes[left] != every.classes[best]) | (shared <= iou_threshold * whole)]
    rows = np.array(kept, np.int64)
    return every.select(rows[np.argsort(-every.scores[rows], kind='stable')])


def _concatenated(parts: Sequence[Detections]) -> Detections:
    arrays: dict[str, Any] = {}
    for field in dataclasses.fields(Detections):
        values = [getattr(part, field.name) for part in parts]
        arrays[field.name] = None if any(value is None for value in values) else np.concatenate(values)
    return Detections(**arrays)
