"""Annotations -> boxes of the upright picture with its labels, and what does not fit."""
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from object_detection.preparation.annotations.entry import OF_ONE_PICTURE, Entry, Shape
from object_detection.preparation.annotations.labels import Labels
from object_detection.preparation.annotations.load import Drawn
from object_detection.preparation.boxes import Annotation, iou
from object_detection.preparation.columns import Index, Keyed, Shelf
from object_detection.preparation.layout import Layout
from object_detection.preparation.manifest import Box, Picture
from object_detection.preparation.masks import Mask
from object_detection.preparation.options import Options

LEAST_PIXELS = 1.0  # a box with a shorter side is a slip of the mouse
MOST_OUTSIDE = 0.02  # of a side of the picture, and 2 pixels: rounding, and tools that do not clip
LEAST_OVERLAP = 0.5  # IoU of a box and its outline; below, one of them is wrong
CROWD = 'crowd regions'
# EXIF orientation -> where the point (x, y) of the stored picture, 0..1, lies in the upright one.
UPRIGHT: dict[int, Callable[[Any, Any], tuple[Any, Any]]] = {
    1: lambda x, y: (x, y), 2: lambda x, y: (1 - x, y), 3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y), 5: lambda x, y: (y, x), 6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x), 8: lambda x, y: (y, 1 - x)}


def fit(picture: Picture, entry: Entry, labels: Labels, options: Options) -> Annotation:
    """Return the boxes of the objects that can be used.

    A box whose name is no label is left out and reported: it may be the folder that is wrong. If the size in the entry
    is not that of the picture, nor of a larger or smaller copy, nothing is used.
    """
    frame = _frame(picture, entry)
    if frame is None:
        assert entry.size
        return _unusable(entry.origin, [
            f'{entry.place}: is for a picture of {entry.size[0]}x{entry.size[1]}, and this one has '
            f'{picture.width}x{picture.height}: not used'])
    result = Annotation([], entry.origin)
    boxes: list[Box] = []
    for shape in entry.shapes or ():
        label, corners = labels.find(shape.name), _normalized(shape.box, frame, picture)
        if label is None or corners is None or shape.problem or (shape.crowd and not options.keep_crowds):
            reason = _why_not(shape, label, labels, options)
            result.left_out[reason] += 1
            if reason != CROWD:
                result.findings.append(f'{entry.place}: box {reason}: left out')
            continue
        box = Box(*corners, label, None, entry.origin, difficult=shape.difficult)
        boxes.append(box)
        problems = [_strange(shape.box, frame, picture)]
        if options.masks:
            box.mask, problem = _mask(shape, frame, box)
            problems.append(problem)
        if options.keypoints and label in labels.keypoints:
            box.keypoints = tuple(_keypoint(point, frame) for point in shape.keypoints)
            problems.append(shape.no_keypoints)
        result.findings += [f'{entry.place}: box of {shape.name!r} {problem}' for problem in problems if problem]
    if options.masks and (missing := sum(box.mask is None for box in boxes)):
        result.findings.append(f'{entry.place}: {missing} of {len(boxes)} objects have no outline, so that the picture '
                               'trains boxes only')
    result.boxes = boxes
    if not boxes and result.left_out.keys() - {CROWD}:
        result.reason, result.unclear = 'all objects drawn on it are left out', True
    elif not boxes and result.left_out:
        result.reason, result.unclear = 'only crowd regions are drawn on it', True
    return result


def _unusable(origin, findings):
    return Annotation(None, origin, findings, reason='its annotation cannot be used', unclear=True)


def _why_not(shape, label, labels, options):
    """Return why an object is left out."""
    if shape.crowd and not options.keep_crowds:
        return CROWD
    if label is None:
        similar = ' or '.join(labels.similar(shape.name))
        return f'named {shape.name!r}, which {f"could be {similar}" if similar else "is no label"}'
    return f'of {shape.name!r} {shape.problem or "without an area inside the picture"}'


@dataclasses.dataclass(frozen=True)
class _Frame:
    """What coordinates are relative to. size: (width, height). turned: the EXIF orientation that is still to undo."""
    size: tuple[int, int]
    turned: int

    def upright(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return the coordinates of points, numbers or arrays, in the upright picture, normalized, not clipped."""
        return UPRIGHT[self.turned](x / self.size[0], y / self.size[1])


def _frame(picture: Picture, entry: Entry) -> _Frame | None:
    """Return what the coordinates of an entry are relative to, None if its size is not that of the picture.

    Most tools show pictures upright. A size that is that of the picture as it is stored, on its side, means that the
    picture was not turned when it was drawn on.
    """
    upright, size = (picture.width, picture.height), entry.size
    if entry.fractions:
        return _Frame((1, 1), 1)
    if size is None or size == upright:
        return _Frame(upright, 1)
    on_its_side = picture.turned > 4 and upright[0] != upright[1]
    if on_its_side and size[::-1] == upright:
        return _Frame(size, picture.turned)
    if _same_proportions(size, upright):
        return _Frame(size, 1)
    return _Frame(size, picture.turned) if on_its_side and _same_proportions(size[::-1], upright) else None


def _same_proportions(a, b):
    """Return whether one size is that of a copy of the other, larger or smaller, with sides rounded to pixels."""
    (width, height), (full_width, full_height) = sorted([a, b], key=lambda size: size[0] * size[1])
    return abs(full_height * width / full_width - height) <= 1 or abs(full_width * height / full_height - width) <= 1


def _normalized(box: Sequence[float], frame: _Frame, picture: Picture) -> tuple[float, float, float, float] | None:
    """Return (ymin, xmin, ymax, xmax) of the upright picture, 0..1; None for a box without area."""
    corners = [frame.upright(box[0], box[1]), frame.upright(box[2], box[3])]
    if not all(math.isfinite(value) for corner in corners for value in corner):
        return None
    xs, ys = ([min(max(value, 0.0), 1.0) for value in axis] for axis in zip(*corners))
    if (max(xs) - min(xs)) * picture.width < LEAST_PIXELS or (max(ys) - min(ys)) * picture.height < LEAST_PIXELS:
        return None
    return min(ys), min(xs), max(ys), max(xs)


def _strange(box: Sequence[float], frame: _Frame, picture: Picture) -> str | None:
    """Return what makes a box doubtful that can be used: its corners are swapped, or it reaches far outside."""
    if box[2] < box[0] or box[3] < box[1]:
        return 'has its corners swapped (xmin > xmax or ymin > ymax): kept, with the corners in order'
    corners = [frame.upright(box[0], box[1]), frame.upright(box[2], box[3])]
    sides = picture.width, picture.height
    outside = [round(max(0.0, -min(axis), max(axis) - 1) * side, 3) for axis, side in zip(zip(*corners), sides)]
    if any(pixels > max(2, MOST_OUTSIDE * side) for pixels, side in zip(outside, sides)):
        return (f'reaches {max(outside):.0f} pixels out of the picture: cut off (so do numbers that mean something '
                'else than this format says)')
    return None


def _mask(shape: Shape, frame: _Frame, box: Box) -> tuple[Mask | None, str | None]:
    """Return the mask of an object or None, and why one that it has cannot be used."""
    if shape.polygons:
        polygons = []
        for outline in shape.polygons:
            points = np.stack(frame.upright(outline[::2], outline[1::2]), axis=1)
            polygons.append(points.clip(0, 1).astype(np.float32).ravel())
        extent = np.concatenate(polygons).reshape(-1, 2)
        mask = Mask(tuple(polygons))
        bounds = (*extent.min(axis=0)[::-1], *extent.max(axis=0)[::-1])
    elif shape.runs:
        width, height = shape.runs.window[2:]
        if shape.runs.by_columns and (width, height) != frame.size:
            return None, f'with a mask of {width}x{height} in a picture of {frame.size[0]}x{frame.size[1]}: no mask'
        mask = Mask(runs=shape.runs, size=frame.size, turned=frame.turned)
        xmin, ymin, xmax, ymax = shape.runs.bounds()
        ends = np.array([frame.upright(xmin, ymin), frame.upright(xmax, ymax)])
        bounds = (*ends.min(axis=0)[::-1], *ends.max(axis=0)[::-1])
    else:
        return None, shape.no_mask
    if not np.isfinite(bounds).all() or iou(box.corners, bounds) < LEAST_OVERLAP:
        return None, 'with an outline elsewhere: no mask'
    return mask, None


def _keypoint(point, frame):
    """Return (y, x, visibility) normalized; 0, 0, 0 for a point that is not labeled, or outside the picture."""
    x, y = frame.upright(point[0], point[1])
    return (y, x, point[2]) if point[2] and 0 <= x <= 1 and 0 <= y <= 1 else (0.0, 0.0, 0)


class Annotations(Keyed[Annotation]):
    """{path: Annotation} of pictures, on disk."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        super().__init__(Index(len(pictures), lambda i: pictures[i].path))
        self._shelf, self._known = Shelf(), bytearray(len(pictures))

    def keep(self, i: int, annotation: Annotation) -> None:
        """Keep the Annotation of the i-th picture."""
        self._shelf[i], self._known[i] = annotation, 1

    def value(self, row: int) -> Annotation | None:
        return self._shelf.get(row) if self._known[row] else None

    def rows(self) -> Iterator[int]:
        return (row for row, known in enumerate(self._known) if known)


def fit_all(pictures: Sequence[Picture], drawn: Drawn, layout: Layout, options: Options) -> Annotations:
    """Return {path: Annotation} for the readable pictures that people have drawn on, and for those with broken files.

    Where labels come from folders, a picture that a list names without objects counts as not drawn on: tools list all.
    Only a list that --annotations names is taken at its word, if no boxes can come from elsewhere.
    """
    elsewhere = bool(options.coco) or options.boxes == 'whole'
    labels = Labels(layout.labels, drawn.keypoints)
    annotations = Annotations(pictures)
    for i, picture in enumerate(pictures):
        if picture.problem:
            continue
        entry, broken = drawn.entries.get(picture.path), drawn.broken.get(picture.path, [])
        found = None
        if entry and (entry.shapes or entry.origin in OF_ONE_PICTURE or layout.from_annotations
                      or (entry.named and not elsewhere)):
            found = fit(picture, entry, labels, options)
            found.findings += broken + drawn.other.get(picture.path, [])
            names = {box.label for box in found.boxes or ()}
            if picture.label and names and picture.label not in names:
                found.findings.append(f'lies in the folder {picture.label}, and its boxes are named '
                                      f'{", ".join(sorted(names))}')
        elif broken:
            found = _unusable('none', broken)
        elif layout.from_annotations:
            found = Annotation([], 'none', reason='not annotated')
        if found:
            if found.boxes is None and (layout.from_annotations or not elsewhere):
                found.boxes = []  # left out: there is no label for boxes from elsewhere, or nothing to find them
            annotations.keep(i, found)
    return annotations
