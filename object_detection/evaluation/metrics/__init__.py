"""Metrics over all evaluated images, with the reference's names. Imports no TensorFlow.

Each collector has add(groundtruth, detections), called once per image, and evaluate(). The arguments of `add` are dicts
of arrays of n objects, in pixels of the original picture:
    boxes: float32 [n, 4], (ymin, xmin, ymax, xmax).
    classes: int [n], class ids, from 1.
    masks: bool [n, height, width], of the size of the picture; for metrics of masks.
    keypoints: float32 [n, K, 2], (y, x); for metrics of keypoints.
Detections also have
    scores: float32 [n].
Groundtruth also has
    is_crowd, difficult, group_of: bool [n].
    area: float32 [n], 0 where unknown; for metrics of keypoints.
    keypoint_visibilities: bool [n, K]; for metrics of keypoints.
    instance_mask_weights: float32 [n], 0 where the record has no masks; optional.
"""
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from object_detection import protos
from object_detection.config.label_map import LabelMap
from object_detection.config.metrics_set import METRICS, Metric, chosen
from object_detection.evaluation.metrics.coco import Coco
from object_detection.evaluation.metrics.keypoints import Keypoints
from object_detection.evaluation.metrics.pascal_voc import PascalVoc

__all__ = ['Coco', 'Collector', 'Keypoints', 'PascalVoc', 'collectors']


class Collector(Protocol):
    """What Coco, Keypoints and PascalVoc have in common."""

    def add(self, groundtruth: dict[str, np.ndarray], detections: dict[str, np.ndarray]) -> None:
        """Add one image; the module's docstring lists the arrays."""

    def extend(self, other: Any) -> None:
        """Add the images of another one, which follow those of this one."""

    def evaluate(self) -> list[tuple[str, float]]:
        """Return (name, value) of each metric; the names are TensorBoard tags."""


def collectors(options: protos.EvalConfig, labels: LabelMap) -> list[Collector]:
    """Return a collector for each metric that eval_config `options` asks for."""
    names = {item.id: item.display_name or item.name for item in labels.items}
    build: dict[str, Callable[..., Collector]] = {'coco': _coco, 'pascal_voc': _pascal_voc}
    return [*(build[METRICS[name].family](METRICS[name], names, options) for name in chosen(options)),
            *(_keypoints(metric.coco_keypoint_metrics, labels) for metric in options.parameterized_metric)]


def _coco(kind: Metric, names: dict[int, str], options: protos.EvalConfig) -> Coco:
    return Coco(names, kind.prefix, kind.masks, options.include_metrics_per_category, options.all_metrics_per_category)


def _pascal_voc(kind: Metric, names: dict[int, str], options: protos.EvalConfig) -> PascalVoc:
    bounds = (options.recall_lower_bound, options.recall_upper_bound) if kind.recall_bounds else (0., 1.)
    return PascalVoc(names, kind.prefix, kind.masks, kind.weighted, kind.group_of, bounds)


def _keypoints(metric: protos.CocoKeypointMetrics, labels: LabelMap) -> Keypoints:
    item = labels.item_of(metric.class_label)
    sigmas = {index: metric.keypoint_label_to_sigmas.get(label) for label, index in item.keypoints.items()}
    return Keypoints(item.id, metric.class_label, sigmas)
