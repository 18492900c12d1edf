"""The analysis of one evaluation, from its pictures to its files."""
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from object_detection.config.label_map import LabelMap
from object_detection.evaluation.analysis import bootstrap, findings, mistakes, plots, statistics
from object_detection.evaluation.analysis.matching import Matches

if TYPE_CHECKING:
    from object_detection.evaluation.samples import Sample

ALL = 'all classes'


class Analysis:
    """Add each evaluated picture, then finish."""

    def __init__(self, labels: LabelMap) -> None:
        self._labels = labels
        self._names = {item.id: item.display_name or item.name for item in labels.items}
        self._matches, self._worst = Matches(), mistakes.Worst()
        self._pictures: list[tuple] = []

    def add(self, name: str, sample: 'Sample') -> None:
        """Add a picture: its file name, and its Sample."""
        first = self._matches.objects
        part = self._matches.add(sample.groundtruth, sample.detections)
        self._worst.add(name, sample, part, first)

    def extend(self, other: 'Analysis') -> None:
        """Add the pictures of another one after those of this one; the other is of no use then."""
        pictures, objects = self._matches.pictures, self._matches.objects
        self._matches.extend(other._matches)
        self._worst.extend(other._worst, pictures, objects)

    def finish(self, expected: int) -> dict[str, Any]:
        """Return all that is known, for JSON.

        Args:
            expected: number of pictures that there are.
        Returns:
            {'pictures', 'expected', 'map', 'interval': [low, high], 'resamples': of bootstrap, 'threshold',
            'classes': [OneClass as dict], 'confusion', 'curves', 'calibration', 'errors': {kind: number},
            'worst': [file names], 'warnings': [texts]}. map and interval are None without groundtruth; it is COCO's mAP
            of boxes.
        """
        matched = self._matches.all()
        classes = statistics.by_class(matched, self._names)
        aps = [entry.ap for entry in classes if entry.ap is not None]
        mean = float(np.mean(aps)) if aps else None
        threshold = statistics.threshold(matched)
        least = .5 if threshold is None else threshold
        differences = bootstrap.resamples(matched, self._matches.pictures) if aps else np.zeros(0)
        low, high = bootstrap.interval(differences) if aps else (0., 0.)
        self._pictures = self._worst.pictures(least)
        warnings = [findings.incomplete(self._matches.pictures, expected)]
        warnings.append(findings.too_small((high - low) / 2, self._matches.pictures) if mean else
                        f'mAP is 0: {"; ".join(findings.zero(matched, self._names))}')
        lines = {ALL: statistics.curves(matched, np.ones(len(matched.cls), bool), len(matched.object_cls))}
        lines |= {entry.name: statistics.curves(matched, matched.cls == entry.label_id, entry.groundtruth)
                  for entry in classes if entry.groundtruth}
        return {'pictures': self._matches.pictures, 'expected': expected, 'map': mean,
                'interval': None if mean is None else [max(mean + low, 0.), min(mean + high, 1.)],
                'resamples': np.round(differences, 6).tolist(), 'threshold': threshold,
                'classes': [dataclasses.asdict(entry) for entry in classes],
                'confusion': statistics.confusion(matched, self._names, least), 'curves': lines,
                'calibration': statistics.calibration(matched), 'errors': mistakes.count(matched, least),
                'worst': [name for name, *_ in self._pictures], 'warnings': [text for text in warnings if text]}

    def draw(self, content: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return {name: uint8 [H, W, 3]}, the pictures of what `finish` has returned."""
        least = .5 if content['threshold'] is None else content['threshold']
        drawn = {'confusion_matrix': plots.confusion(content), 'curves': plots.curves(content),
                 'calibration': plots.calibration(content)}
        worst = plots.worst(self._pictures, self._labels, least)
        return drawn if worst is None else {**drawn, 'worst_pictures': worst}
