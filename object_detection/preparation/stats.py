"""The numbers of a prepared data set, for stats.json and report.html. No times, so that equal runs give equal files."""
import collections
import itertools
import json
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from object_detection.preparation import depth
from object_detection.preparation.anchors import AnchorRange, anchor_range
from object_detection.preparation.annotations.load import Drawn
from object_detection.preparation.boxes import Annotation
from object_detection.preparation.columns import Index
from object_detection.preparation.manifest import Picture
from object_detection.preparation.options import SUBSETS, Options

VERDICTS = ('skipped', 'duplicate', 'conflict', 'no box', 'surplus')
COPIED = ('duplicate', 'conflict')
STEPS = ('files', 'readable', 'without duplicates', 'without conflicts', 'with a box', 'taken')
SIZE_EDGES = (0, 128, 256, 512, 1024, 2048, 4096, 8192, 1 << 20)  # pixels of the shorter side
ASPECT_EDGES = (0, 0.4, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 1e9)  # width / height
BOX_EDGES = (0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.001)  # see _relative_size
SCORE_EDGES = tuple(round(0.1 * i, 1) for i in range(10)) + (1.001,)


NO_LABEL = '(no label)'
BACKGROUND_ROW = '(background)'
NO_ANNOTATIONS: dict[str, Any] = {'files': [], 'unmatched': [], 'broken': [], 'unread': [], 'left_out': {}}


class Listing(list):
    """A list of a million entries that are made as they are asked for.

    Jinja and JSONEncoder.iterencode take it for a list; json.dumps without indent does not, whose C code looks
    for what a list holds.

    entry: makes an entry of one of `items`.
    """

    def __init__(self, items: Sequence[Any], entry: Callable[[Any], Any]) -> None:
        super().__init__()
        self._items, self._entry = items, entry

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return len(self._items) > 0

    def __iter__(self) -> Iterator[Any]:
        return map(self._entry, self._items)

    def __getitem__(self, i: Any) -> Any:
        return [*map(self._entry, self._items[i])] if isinstance(i, slice) else self._entry(self._items[i])


class Flattened(Listing):
    """A Listing of the entries of lists, of which none is empty; `entry` makes such a list. Only to go through."""

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(super().__iter__())


def json_text(values: Any) -> Iterator[str]:
    """Yield the text of a JSON file, piece by piece; values may hold Listings."""
    yield from json.JSONEncoder(indent=1, ensure_ascii=False).iterencode(values)
    yield '\n'


def collect(pictures: Sequence[Picture], labels: Sequence[str], options: Options,
            annotations: Mapping[str, Any] | None = None,
            drawn: Sequence[Collection[str]] | None = None,
            examples: Sequence[Picture] | None = None) -> dict[str, Any]:
    """Return the content of stats.json: everything worth knowing about the pictures and the decisions on them.

    annotations: from `annotated`. drawn: for each picture its labels, if these are those of boxes; it counts for each.
    examples: tiles or pictures whose boxes count, those that are in; None: pictures.
    """
    sides, aspects, formats = array('q'), array('d'), collections.Counter[str]()
    rows = {kind: array('q') for kind in ('skipped', 'no box', 'review', 'notes')}
    reasons = {kind: collections.Counter[str]() for kind in ('skipped', 'no box')}
    ranges: dict[str, array] = collections.defaultdict(lambda: array('q'))
    of_label: dict[str, collections.Counter[tuple]] = {label: collections.Counter() for label in labels}
    totals, several = collections.Counter[tuple](), 0
    for i, picture in enumerate(pictures):
        verdict = picture.verdict
        state = (verdict, picture.subset, not verdict and not picture.boxes)
        totals[state] += 1
        none = BACKGROUND_ROW if picture.background else NO_LABEL
        several += drawn is not None and len(drawn[i]) > 1
        for label in (drawn[i] if drawn is not None else [picture.label]) or [none]:
            of_label.setdefault(label or none, collections.Counter())[state] += 1
        if verdict in rows:
            rows[verdict].append(i)
            reason = str(picture.reason or '')
            reasons[verdict][reason.partition(':')[0] if verdict == 'skipped' else reason] += 1
        if picture.review:
            rows['review'].append(i)
        if verdict != 'skipped':
            sides.append(min(picture.width, picture.height))
            aspects.append(picture.width / picture.height)
            formats[picture.format] += 1
            if note := picture.note:
                rows['notes'].append(i)
                if note.startswith(depth.NOTE):
                    ranges[note].append(i)
    boxes = _Boxes(picture for picture in (pictures if examples is None else examples) if not picture.verdict)
    groups = _Groups(pictures)
    return {
        'options': _options(options),
        'labels': [{'label': label, 'id': number if label in labels else None, **_counts(states)}
                   for number, (label, states) in enumerate(of_label.items(), start=1)],
        'several_labels': several,
        'totals': _counts(totals),
        'steps': list(STEPS),
        'boxes': {
            'count': len(boxes.sizes),
            'by_origin': dict(sorted(boxes.origins.items())),
            'by_label': dict(sorted(boxes.labels.items())),
            'masks': boxes.masks,
            'keypoints': boxes.keypoints,
        },
        'annotations': annotations or NO_ANNOTATIONS,
        'histograms': {
            'shorter side': histogram(sides, SIZE_EDGES),
            'aspect': histogram(aspects, ASPECT_EDGES),
            'box size': histogram(boxes.sizes, BOX_EDGES),
            'score': histogram(boxes.scores, SCORE_EDGES),
        },
        'anchors': _compare_with_anchors(boxes.sizes, anchor_range(options.pipeline_config_path)),
        'formats': dict(sorted(formats.items())),
        'skipped': Listing(rows['skipped'], lambda i: _named(pictures[i])),
        'skipped_by_reason': dict(reasons['skipped'].most_common()),
        'duplicates': groups.with_verdict('duplicate'),
        'conflicts': groups.with_verdict('conflict'),
        'across': groups.across(),
        'no_box_by_reason': dict(reasons['no box'].most_common()),
        'no_box': Listing(rows['no box'], lambda i: _named(pictures[i])),
        'review': Listing(rows['review'], lambda i: _to_review(pictures[i])),
        'dynamic_range': [{'how': note.removeprefix(depth.NOTE),
                           'pictures': Listing(paths, lambda i: pictures[i].path)}
                          for note, paths in sorted(ranges.items(), key=lambda item: -len(item[1]))],
        'notes': Listing(rows['notes'], lambda i: {'path': pictures[i].path, 'note': pictures[i].note}),
    }


class _Boxes:
    """The numbers of all boxes of pictures. sizes: see _relative_size."""

    def __init__(self, pictures: Iterable[Picture]) -> None:
        self.sizes, self.scores = array('d'), array('d')
        self.origins, self.labels = collections.Counter[str](), collections.Counter[str]()
        self.masks = self.keypoints = 0
        for picture in pictures:
            for box in picture.boxes:
                self.sizes.append(_relative_size(box, picture))
                if box.score is not None:
                    self.scores.append(box.score)
                self.origins[box.origin] += 1
                self.labels[box.label] += 1
                self.masks += box.mask is not None
                self.keypoints += sum(visible > 0 for *_, visible in box.keypoints)


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


def _compare_with_anchors(sizes: array, anchors: AnchorRange | None) -> dict[str, Any] | None:
    """Count the boxes, given by their relative sizes, that are outside the range of the anchors; None without anchors.

    A box of half an anchor's area has an IoU of at most a half with it, and so has one of twice its area.
    """
    if not anchors:
        return None
    values = np.array(sizes)
    return {'smallest': anchors.smallest, 'largest': anchors.largest, 'said': anchors.description,
            'boxes_below': int((values < anchors.smallest / 2 ** 0.5).sum()),
            'boxes_above': int((values > anchors.largest * 2 ** 0.5).sum())}


def _options(options):
    """Return the options that the result depends on, without paths and numbers of processes."""
    left_out = ('dataset', 'output', 'images', 'background', 'coco', 'annotations', 'check', 'workers', 'scheduler',
                'detector_batch', 'pipeline_config_path', 'split_given')
    kept = {name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(options).items() if name not in left_out and (name, value) != ('shard_size', None)}
    return kept | ({'split': 'given'} if options.split_given else {})


def _counts(states):
    """states: {(verdict, subset, whether it is in without a box): number of pictures}."""
    def count(meets):
        return sum(number for state, number in states.items() if meets(*state))
    left = states.total()
    after = {STEPS[0]: left}
    for step, verdict in zip(STEPS[1:], VERDICTS):
        left -= count(lambda its, subset, empty: its == verdict)  # noqa: B023, called at once
        after[step] = left
    return {'after': after, 'negatives': count(lambda verdict, subset, empty: empty),
            **{name: count(lambda verdict, subset, empty: subset == name) for name in SUBSETS}}  # noqa: B023


def _relative_size(box, picture):
    """Return the side of a square of the box's area as a fraction of the longer side; resizing does not change it."""
    pixels = (box.ymax - box.ymin) * picture.jpg_height * (box.xmax - box.xmin) * picture.jpg_width
    return pixels ** 0.5 / max(picture.jpg_width, picture.jpg_height)


def _named(picture):
    return {'path': picture.path, 'label': picture.label, 'reason': picture.reason}


def _to_review(picture):
    return {'path': picture.path, 'jpg': picture.jpg, 'label': picture.label, 'reasons': picture.review,
            'boxes': [[*box.corners] for box in picture.boxes]}


class _Groups:
    """The groups of copies, in the order of their first pictures.

    After --group_by, a copy that is left out stands alone: the picture that is kept is in another group.
    """

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._pictures = pictures
        rows = np.array(array('q', (i for i, picture in enumerate(pictures) if picture.group)))
        self._groups = [rows[places].tolist() for places
                        in Index(len(rows), lambda place: pictures[int(rows[place])].group).repeated()]
        together = np.zeros(len(pictures), bool)
        for members in self._groups:
            together[members] = True
        left_out = (i for i, picture in enumerate(pictures) if not together[i] and picture.verdict in COPIED)
        self._groups = sorted([*self._groups, *([i] for i in left_out)])

    def with_verdict(self, verdict: str) -> Listing:
        """Return the groups with a picture of a verdict: path, label, verdict and reason of each of their pictures."""
        pictures = self._pictures
        return Listing([members for members in self._groups if any(pictures[i].verdict == verdict for i in members)],
                       lambda members: [{'path': p.path, 'label': p.label, 'verdict': p.verdict or 'in',
                                         'reason': p.reason} for p in (pictures[i] for i in members)])

    def across(self) -> Listing:
        """Return the groups of copies that a split that is kept has in several parts: path and subset of each."""
        pictures = self._pictures
        kept = ([i for i in members if not pictures[i].verdict] for members in self._groups)
        return Listing([members for members in kept if len({pictures[i].subset for i in members}) > 1],
                       lambda members: [{'path': p.path, 'subset': p.subset} for p in (pictures[i] for i in members)])
