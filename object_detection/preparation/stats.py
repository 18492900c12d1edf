"""The numbers of a prepared data set, for stats.json and report.html. No times, so that equal runs give equal files."""
import collections
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from object_detection.preparation import depth
from object_detection.preparation.anchors import AnchorRange, anchor_range
from object_detection.preparation.annotations.load import Drawn
from object_detection.preparation.boxes import Annotation
from object_detection.preparation.manifest import Picture
from object_detection.preparation.options import SUBSETS, Options

VERDICTS = ('skipped', 'duplicate', 'conflict', 'no box', 'surplus')
STEPS = ('files', 'readable', 'without duplicates', 'without conflicts', 'with a box', 'taken')
SIZE_EDGES = (0, 128, 256, 512, 1024, 2048, 4096, 8192, 1 << 20)  # pixels of the shorter side
ASPECT_EDGES = (0, 0.4, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 1e9)  # width / height
BOX_EDGES = (0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.001)  # see _relative_size
SCORE_EDGES = tuple(round(0.1 * i, 1) for i in range(10)) + (1.001,)


NO_LABEL = '(no label)'
BACKGROUND_ROW = '(background)'
NO_ANNOTATIONS: dict[str, Any] = {'files': [], 'unmatched': [], 'broken': [], 'unread': [], 'left_out': {}}


def collect(pictures: Sequence[Picture], labels: Sequence[str], options: Options,
            annotations: Mapping[str, Any] | None = None,
            drawn: Mapping[str, Collection[str]] | None = None,
            examples: Sequence[Picture] | None = None) -> dict[str, Any]:
    """Return the content of stats.json: everything worth knowing about the pictures and the decisions on them.

    annotations: from `annotated`. drawn: {path: labels} if labels are those of boxes; a picture counts for each.
    examples: tiles or pictures whose boxes count, those that are in; None: pictures.
    """
    taken = [picture for picture in (pictures if examples is None else examples) if not picture.verdict]
    readable = [picture for picture in pictures if picture.verdict != 'skipped']
    boxes = [box for picture in taken for box in picture.boxes]
    sizes = [_relative_size(box, picture) for picture in taken for box in picture.boxes]
    ranges = collections.defaultdict(list)
    for picture in readable:
        if picture.note and picture.note.startswith(depth.NOTE):
            ranges[picture.note].append(picture.path)
    of_label: dict[str, list[Picture]] = {label: [] for label in labels}
    for picture in pictures:
        none = BACKGROUND_ROW if picture.background else NO_LABEL
        for label in (drawn[picture.path] if drawn is not None else [picture.label]) or [none]:
            of_label.setdefault(label or none, []).append(picture)
    return {
        'options': _options(options),
        'labels': [{'label': label, 'id': number if label in labels else None, **_counts(members)}
                   for number, (label, members) in enumerate(of_label.items(), start=1)],
        'several_labels': sum(len(labels) > 1 for labels in (drawn or {}).values()),
        'totals': _counts(pictures),
        'steps': list(STEPS),
        'boxes': {
            'count': len(boxes),
            'by_origin': dict(sorted(collections.Counter(box.origin for box in boxes).items())),
            'by_label': dict(sorted(collections.Counter(box.label for box in boxes).items())),
            'masks': sum(box.mask is not None for box in boxes),
            'keypoints': sum(visible > 0 for box in boxes for *_, visible in box.keypoints),
        },
        'annotations': annotations or NO_ANNOTATIONS,
        'histograms': {
            'shorter side': histogram([min(p.width, p.height) for p in readable], SIZE_EDGES),
            'aspect': histogram([p.width / p.height for p in readable], ASPECT_EDGES),
            'box size': histogram(sizes, BOX_EDGES),
            'score': histogram([box.score for box in boxes if box.score is not None], SCORE_EDGES),
        },
        'anchors': _compare_with_anchors(sizes, anchor_range(options.pipeline_config_path)),
        'formats': dict(sorted(collections.Counter(p.format for p in readable).items())),
        'skipped': [_named(p) for p in pictures if p.verdict == 'skipped'],
        'skipped_by_reason': dict(collections.Counter(
            (p.reason or '').partition(':')[0] for p in pictures if p.verdict == 'skipped').most_common()),
        'duplicates': _groups(pictures, 'duplicate'),
        'conflicts': _groups(pictures, 'conflict'),
        'across': _across(pictures),
        'no_box_by_reason': dict(collections.Counter(
            str(p.reason) for p in pictures if p.verdict == 'no box').most_common()),
        'no_box': [_named(p) for p in pictures if p.verdict == 'no box'],
        'review': [{'path': p.path, 'jpg': p.jpg, 'label': p.label, 'reasons': p.review,
                    'boxes': [[*box.corners] for box in p.boxes]}
                   for p in pictures if p.review],
        'dynamic_range': [{'how': note.removeprefix(depth.NOTE), 'pictures': paths}
                          for note, paths in sorted(ranges.items(), key=lambda item: -len(item[1]))],
        'notes': [{'path': p.path, 'note': p.note} for p in readable if p.note],
    }


def annotated(drawn: Drawn, by_hand: Mapping[str, Annotation]) -> dict[str, Any]:
    """Return what became of the annotations: how many fit a picture, which do not, and what else is not used."""
    left_out = collections.Counter[str]()
    for annotation in by_hand.values():
        left_out.update(annotation.left_out)
    return {
        'files': [{'name': name, 'described': group.count, 'fit': group.count - len(group.unmatched),
                   'unused': group.unused} for name, group in drawn.groups.items()],
        'unmatched': [{'name': name, 'reason': reason} for group in drawn.groups.values()
                      for name, reason in sorted(group.unmatched)],
        'broken': sorted(problem for problems in drawn.broken.values() for problem in problems),
        'unread': [{'name': name, 'format': what} for name, what in sorted(drawn.unread.items())],
        'left_out': dict(left_out.most_common()),
    }


def histogram(values: Sequence[float], edges: Sequence[float]) -> dict[str, list]:
    """Return {'edges': [n + 1], 'counts': [n]}; a value on an edge belongs to the bin that starts there."""
    counts, _ = np.histogram(values, edges)
    return {'edges': list(edges), 'counts': counts.tolist()}


def _compare_with_anchors(sizes: Sequence[float], anchors: AnchorRange | None) -> dict[str, Any] | None:
    """Count the boxes, given by their relative sizes, that are outside the range of the anchors; None without anchors.

    A box of half an anchor's area has an IoU of at most a half with it, and so has one of twice its area.
    """
    if not anchors:
        return None
    return {'smallest': anchors.smallest, 'largest': anchors.largest, 'said': anchors.description,
            'boxes_below': sum(size < anchors.smallest / 2 ** 0.5 for size in sizes),
            'boxes_above': sum(size > anchors.largest * 2 ** 0.5 for size in sizes)}


def _options(options):
    """Return the options that the result depends on, without paths and numbers of processes."""
    left_out = ('dataset', 'output', 'images', 'background', 'coco', 'annotations', 'check', 'workers',
                'detector_batch', 'pipeline_config_path', 'split_given')
    kept = {name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(options).items() if name not in left_out}
    return kept | ({'split': 'given'} if options.split_given else {})


def _counts(pictures):
    verdicts = collections.Counter(picture.verdict for picture in pictures)
    left = len(pictures)
    after = {STEPS[0]: left}
    for step, verdict in zip(STEPS[1:], VERDICTS):
        left -= verdicts[verdict]
        after[step] = left
    return {'after': after, 'negatives': sum(not p.verdict and not p.boxes for p in pictures),
            **{subset: sum(p.subset == subset for p in pictures) for subset in SUBSETS}}


def _relative_size(box, picture):
    """Return the side of a square of the box's area as a fraction of the longer side; resizing does not change it."""
    pixels = (box.ymax - box.ymin) * picture.jpg_height * (box.xmax - box.xmin) * picture.jpg_width
    return pixels ** 0.5 / max(picture.jpg_width, picture.jpg_height)


def _named(picture):
    return {'path': picture.path, 'label': picture.label, 'reason': picture.reason}


def _groups(pictures, verdict):
    """Return the groups with a picture of that verdict: path, label, verdict and reason of each of their pictures."""
    groups = collections.defaultdict(list)
    for picture in pictures:
        if picture.group:
            groups[picture.group].append(picture)
    return [[{'path': p.path, 'label': p.label, 'verdict': p.verdict or 'in', 'reason': p.reason} for p in members]
            for members in groups.values() if any(p.verdict == verdict for p in members)]


def _across(pictures):
    """Return the groups of copies that a split that is kept has in several parts: path and subset of each."""
    groups = collections.defaultdict(list)
    for picture in pictures:
        if picture.group and not picture.verdict:
            groups[picture.group].append(picture)
    return [[{'path': p.path, 'subset': p.subset} for p in members] for members in groups.values()
            if len({p.subset for p in members}) > 1]
