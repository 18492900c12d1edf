"""Boxes that no anchor of a model matches at the training size, and anchors of the same generator that would.

NumPy only. Boxes of the records are compared with the anchors as they are before augmentation, resized and padded as
the image_resizer does.
"""
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from object_detection.boxes.anchors import AnchorGenerator
from object_detection.config.checks import Finding, Fix, hint, warning

MOST_BOXES = 4000  # that are compared, evenly spread
_FASTER_RCNN = .5  # the first stage forces a match for every box; from this IoU on, the second stage learns from it
_SCALES = .25, .35, .5, .7, 1.4, 2.  # factors that are tried


@dataclasses.dataclass(frozen=True)
class Grid:
    """The anchors of one feature map, in any unit: each combination of a row, a column and one of K.

    y: float64 [rows, K, 2], ymin and ymax. x: float64 [columns, K, 2], xmin and xmax.
    """

    y: np.ndarray
    x: np.ndarray


@dataclasses.dataclass(frozen=True)
class Rules:
    """How anchors match.

    threshold: least IoU. forced: the best anchor of a box matches it in any case. inside: only anchors within the image
    count. normalized: anchors are fractions of the image, not pixels.
    """

    threshold: float
    forced: bool
    inside: bool
    normalized: bool


def rules(model: Any) -> Rules | None:
    """Return the Rules of a model section; None without anchors that are matched by IoU and a threshold."""
    if model.HasField('faster_rcnn'):
        return Rules(_FASTER_RCNN, True, not model.faster_rcnn.clip_anchors_to_image, False)
    matcher = model.ssd.matcher.argmax_matcher
    if not model.HasField('ssd') or matcher.ignore_thresholds or \
            not model.ssd.similarity_calculator.HasField('iou_similarity'):
        return None
    return Rules(matcher.matched_threshold, matcher.force_match_for_each_row, False, True)


def section(model: Any) -> tuple[str, Any]:
    """Return the path and the anchor_generator section of a model section that has one."""
    if model.HasField('faster_rcnn'):
        return 'model.faster_rcnn.first_stage_anchor_generator', model.faster_rcnn.first_stage_anchor_generator
    return 'model.ssd.anchor_generator', model.ssd.anchor_generator


def grids(generator: AnchorGenerator, sizes: Sequence[tuple[int, int]], image_size: tuple[int, int] | None
          ) -> list[Grid]:
    """Take the anchors of a generator apart; the arguments are those of its `generate`."""
    counts = [rows * columns * each for (rows, columns), each in zip(sizes, generator.per_location)]
    parts = np.split(generator.generate(sizes, image_size).astype(np.float64), np.cumsum(counts)[:-1])
    found = []
    for part, (rows, columns), each in zip(parts, sizes, generator.per_location):
        cells = part.reshape(rows, columns, each, 4)
        found.append(Grid(cells[:, 0, :, [0, 2]].transpose(1, 2, 0), cells[0, :, :, [1, 3]].transpose(1, 2, 0)))
    return found


def best_iou(boxes: np.ndarray, anchors: Sequence[Grid], inside: tuple[float, float] | None = None) -> np.ndarray:
    """Return the IoU of each box with the anchor that is most like it.

    Of all anchors of one size, the one whose center is nearest in y and in x overlaps most, so only that is compared.

    Args:
        boxes: float64 [N, 4] in the unit of the anchors.
        inside: (height, width): only anchors within this image count; None: all.
    Returns:
        float64 [N]; 0 where no anchor overlaps.
    """
    best = np.zeros(len(boxes))
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    for grid in anchors:
        for k in range(grid.y.shape[1]):
            height, y = _nearest(boxes[:, 0], boxes[:, 2], grid.y[:, k], inside and inside[0])
            width, x = _nearest(boxes[:, 1], boxes[:, 3], grid.x[:, k], inside and inside[1])
            shared = y * x
            best = np.maximum(best, shared / np.maximum(areas + height * width - shared, 1e-12))
    return best


def _nearest(low: np.ndarray, high: np.ndarray, intervals: np.ndarray, end: float | None) -> tuple[float, np.ndarray]:
    """Return the length of intervals [M, 2], evenly spaced, and the overlap of each (low, high) with the nearest one.

    end: only intervals between 0 and this count; None: all.
    """
    if end is not None:
        intervals = intervals[(intervals[:, 0] >= 0) & (intervals[:, 1] <= end)]
    if not len(intervals):
        return 0., np.zeros(len(low))
    centers = intervals.mean(1)
    step = centers[1] - centers[0] if len(centers) > 1 else 1.
    near = np.clip(np.rint(((low + high) / 2 - centers[0]) / step), 0, len(centers) - 1).astype(int)
    overlap = np.minimum(high, intervals[near, 1]) - np.maximum(low, intervals[near, 0])
    return intervals[0, 1] - intervals[0, 0], np.maximum(overlap, 0)


def resized(boxes: np.ndarray, size: tuple[int, int], resizer: Any) -> tuple[np.ndarray, tuple[int, int]]:
    """Return boxes of a picture as fractions of the padded input, and the input's (height, width).

    Args:
        boxes: float64 [N, 4], normalized to the picture.
        size: (width, height) of the picture.
        resizer: image_resizer section that makes images of one size.
    """
    if resizer.HasField('fixed_shape_resizer'):
        return boxes, (resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width)
    kept = resizer.keep_aspect_ratio_resizer
    scale = min(kept.min_dimension / min(size), kept.max_dimension / max(size))
    side = kept.max_dimension
    width, height = (max(1, round(scale * length)) for length in size)
    return boxes * np.array([height / side, width / side] * 2), (side, side)


def all_resized(pictures: Sequence[tuple[np.ndarray, tuple[int, int]]], resizer: Any) -> np.ndarray:
    """Return `resized` of the (boxes, size) of all pictures, float64 [N, 4]."""
    return np.concatenate([np.zeros((0, 4)), *(resized(boxes, size, resizer)[0] for boxes, size in pictures)])


def check(boxes: np.ndarray, image_size: tuple[int, int], sizes: Sequence[tuple[int, int]], model: Any,
          build: Callable[[Any], AnchorGenerator]) -> list[Finding]:
    """Return a finding if a good part of the boxes matches no anchor, with anchors that would match more.

    Args:
        boxes: float64 [N, 4], fractions of the input.
        image_size: (height, width) of the input.
        sizes: (height, width) of each feature map.
        model: model section, for which `rules` returns Rules.
        build: returns the AnchorGenerator of an anchor_generator section.
    """
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]
    if len(boxes) > MOST_BOXES:
        boxes = boxes[np.linspace(0, len(boxes) - 1, MOST_BOXES).astype(int)]
    how, (path, anchors) = rules(model), section(model)
    if how is None or not len(boxes):
        return []
    compare = _Comparison(boxes, image_size, sizes, how, build)
    missed = compare.iou(anchors) < how.threshold
    share = missed.mean()
    mild, much = (.1, .6) if how.forced else (.01, .05)  # on COCO, the zoo's models at 320 pixels have about .5
    if share < mild:
        return []
    kind = anchors.WhichOneof('anchor_generator_oneof')
    pixels = (boxes * np.tile(image_size, 2))[missed]
    height, width = (pixels[:, 2:] - pixels[:, :2]).T
    message = (f'{missed.sum()} of {len(boxes)} boxes ({share:.0%}) have no anchor with an IoU of {how.threshold:g} at '
               f'the training size of {image_size[0]}x{image_size[1]}, '
               + ('so each has its one best anchor only' if how.forced else 'so they are never learned')
               + f'; half of them are smaller than {np.median(np.sqrt(height * width)):.0f} pixels (root of the area), '
               f'and width / height is {np.quantile(width / height, .1):.2g} to {np.quantile(width / height, .9):.2g}')
    candidates = _candidates(getattr(anchors, kind), kind, np.sqrt(height * width), width / height, min(image_size))
    better = _search(candidates, kind, anchors, compare, share)
    found = warning if share >= much else hint
    if better is None:
        return [found(f'{path}.{kind}', f'{message}. Other anchors of this generator help little: a larger '
                                        'image_resizer, or tiles of the pictures (prepare_data.py), would')]
    changes, left, heads = better
    told = ', '.join(f'{name}: {_shown(value)}' for name, value in changes.items())
    return [found(f'{path}.{kind}', f'{message}; with {told} it would be {left:.0%}'
                  + ('; their number at a location changes, so the heads for boxes start anew' if heads else ''),
                  *(Fix(f'{path}.{kind}.{name}', value,
                        f'{share:.0%} of the boxes had no anchor, with these {left:.0%}')
                    for name, value in changes.items()))]


class _Comparison:
    """Compares the same boxes with the anchors of several sections."""

    def __init__(self, boxes, image_size, sizes, how, build):
        self._how, self._sizes, self._build, self._image_size = how, sizes, build, image_size
        self._boxes = boxes if how.normalized else boxes * np.tile(image_size, 2)

    def grids(self, anchors):
        return grids(self._build(anchors), self._sizes, self._image_size if self._how.normalized else None)

    def iou(self, anchors):
        return best_iou(self._boxes, self.grids(anchors), self._image_size if self._how.inside else None)

    def missed(self, anchors):
        return (self.iou(anchors) < self._how.threshold).mean()

    def per_location(self, anchors):
        return self._build(anchors).per_location


def _search(candidates: Iterator[dict[str, Any]], kind: str, anchors: Any, compare: '_Comparison', share: float
            ) -> tuple[dict[str, Any], float, bool] | None:
    """Return (changes, share missed with them, whether heads change) of the best candidate, if one helps.

    More anchors at a location cost time in every step, and heads that start anew; so they must earn it.
    """
    before = sum(compare.per_location(anchors))
    best, best_cost = None, share
    for changes in candidates:
        changed = type(anchors)()
        changed.CopyFrom(anchors)
        for name, value in changes.items():
            target = getattr(changed, kind)
            if isinstance(value, list):
                getattr(target, name)[:] = value
            else:
                setattr(target, name, value)
        left, after = compare.missed(changed), compare.per_location(changed)
        cost = left + .01 * len(changes) + .03 * max(0., sum(after) / before - 1)
        if left <= share / 2 and cost < best_cost:
            best, best_cost = (changes, left, after != compare.per_location(anchors)), cost
    return best


def _candidates(old: Any, kind: str, sizes_missed: np.ndarray, ratios: np.ndarray, shorter: int
                ) -> Iterator[dict[str, Any]]:
    """Yield changes of the fields of a generator's section: sizes, aspect ratios, and both.

    Args:
        old: the section of its kind.
        sizes_missed, ratios: root of the area in pixels, and width / height, of the boxes without an anchor.
        shorter: side of the input, in pixels.
    """
    if kind == 'flexible_grid_anchor_generator':
        return
    low, middle, high = (float(f'{value:.2g}') for value in np.quantile(ratios, [.1, .5, .9]))
    small = np.quantile(sizes_missed, [.05, .25, .5])
    kept = [float(f'{ratio:.4g}') for ratio in old.aspect_ratios]
    wider = [[1., low, high], [*kept, middle], [*kept, low, high]]
    aspects = [{}, *({'aspect_ratios': list(dict.fromkeys(values))} for values in wider)]
    if kind == 'multiscale_anchor_generator':
        sizes = [{}, {'scales_per_octave': old.scales_per_octave + 1},
                 *({'anchor_scale': float(f'{scale:.3g}')} for scale in (
                     *(old.anchor_scale * factor for factor in _SCALES), *(small / 2 ** old.min_level)))]
    elif kind == 'ssd_anchor_generator':
        sizes = [{}] if old.scales else [{}, *({'min_scale': float(f'{scale:.3g}')} for scale in (
            *(old.min_scale * factor for factor in _SCALES), *(small / shorter)) if scale < old.max_scale)]
    else:
        scales = [float(f'{scale:.4g}') for scale in old.scales]
        sizes = [{}, *({'scales': [float(f'{scale * factor:.3g}') for scale in scales]} for factor in _SCALES),
                 {'scales': [min(scales) / 2, *scales]}, {'scales': [min(scales) / 4, min(scales) / 2, *scales]},
                 {'scales': [*scales, max(scales) * 2]}]
    for size, aspect in itertools.product(sizes, aspects):
        if size or aspect:
            yield {**size, **aspect}


def _shown(value: Any) -> str:
    return f'[{", ".join(f"{one:g}" for one in value)}]' if isinstance(value, list) else f'{value:g}'
