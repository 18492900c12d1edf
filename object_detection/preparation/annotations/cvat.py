"""CVAT for images 1.1, one XML file for many pictures: boxes, polygons, ellipses, masks and skeletons."""
import math
from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np

from object_detection.preparation.annotations.entry import (
    Entry,
    Shape,
    Unknown,
    Unreadable,
    bounds,
    number,
    size_of,
)
from object_detection.preparation.masks import Runs
from object_detection.preparation.scan import composed

ELLIPSE = np.linspace(0, 2 * np.pi, 64, endpoint=False)  # angles of the corners of its outline


def read(root: ElementTree.Element, path: str) -> tuple[list[Entry], dict[str, list[str]]]:
    """Return the Entries of all pictures of an <annotations>, and {class: names of its keypoints}.

    Unknown for the format for videos.

    path: of the file, relative to the folder it was found in. Objects without an area (lines, points) become Shapes
    with a problem.
    """
    if root.find('track') is not None:
        raise Unknown('CVAT for video, whose pictures are frames; export "CVAT for images" or COCO')
    names: dict[str, list[str]] = {}
    for skeleton in root.iter('skeleton'):  # its points may stand in any order, and one may be missing
        points = {_label(point) for point in skeleton.iter('points')}
        names[_label(skeleton)] = sorted(points.union(names.get(_label(skeleton), ())), key=_order)
    return [_entry(image, path, names) for image in root.iter('image')], names


def _order(name):
    """Order names like 1, 2, 10 by their number, and others after them."""
    return (0, int(name), '') if name.isdecimal() and len(name) < 10 else (1, 0, name)


def _label(item):
    return composed((item.get('label') or '').strip())


def _entry(image, path, names):
    name, subset = image.get('name') or '', image.get('subset') or ''
    entry = Entry('cvat', path, [f'{subset}/{name}', name] if subset else [name], [], part=subset or None,
                  where=f'image {image.get("id")}')
    try:
        entry.size = size_of(image.get('width'), image.get('height'))
        entry.shapes = [_skeleton(item, names[_label(item)]) if item.tag == 'skeleton' else
                        _shape(item.tag, item.attrib) for item in image if item.tag != 'tag']
    except Unreadable as error:
        entry.shapes, entry.problem = None, str(error)
    return entry


def _shape(kind: str, values: Mapping[str, str]) -> Shape:
    name = composed((values.get('label') or '').strip())
    if kind == 'box':
        xmin, ymin, xmax, ymax = (_get(values, key) for key in ('xtl', 'ytl', 'xbr', 'ybr'))
        if not number(values.get('rotation', 0)):
            return Shape(name, (xmin, ymin, xmax, ymax))
        corners = np.array([[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]])
        return _outlined(name, _turned(corners, values))
    if kind == 'polygon':
        try:
            points = [[float(value) for value in point.split(',')] for point in values.get('points', '').split(';')]
            outline = np.array(points).reshape(-1, 2)
        except ValueError as error:
            raise Unreadable(f'a polygon has the points {values.get("points", "")[:30]!r}') from error
        return _outlined(name, outline)
    if kind == 'ellipse':
        center, radii = (np.array([_get(values, key) for key in keys]) for keys in (('cx', 'cy'), ('rx', 'ry')))
        return _outlined(name, _turned(center + radii * np.stack([np.cos(ELLIPSE), np.sin(ELLIPSE)], 1), values))
    if kind == 'mask':
        return _mask(name, values)
    return Shape(name, (0.0, 0.0, 0.0, 0.0), problem=f'without an area (a {kind})')


def _skeleton(item, names):
    """Return the Shape of a skeleton: its keypoints, and the box around those in the picture, as CVAT's COCO has it."""
    found = {}
    for point in item.iter('points'):
        try:
            x, y = (float(value) for value in (point.get('points') or '').split(','))
        except ValueError as error:
            raise Unreadable(f'a skeleton has the points {(point.get("points") or "")[:30]!r}') from error
        if point.get('outside') != '1':
            found[_label(point)] = (x, y, 1 if point.get('occluded') == '1' else 2)
    values = np.array([point[:2] for point in found.values()]).ravel()
    if not len(values) or not np.isfinite(values).all():
        return Shape(_label(item), (0.0, 0.0, 0.0, 0.0), problem='without an area (a skeleton without points)')
    return Shape(_label(item), bounds(values), keypoints=tuple(found.get(name, (0.0, 0.0, 0)) for name in names))


def _outlined(name, outline):
    return Shape(name, bounds(outline.ravel()), polygons=(outline.ravel(),) if len(outline) > 2 else ())


def _turned(points, values):
    """Turn points [N, 2] around their middle by the `rotation` of a shape, in degrees, clockwise."""
    angle = math.radians(number(values.get('rotation', 0)))
    if not math.isfinite(angle):
        raise Unreadable('an object has a rotation that is no number')
    middle = points.mean(axis=0)
    x, y = (points - middle).T
    return middle + np.stack([x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)], 1)


def _mask(name, values):
    left, top, width, height = (int(_get(values, key)) for key in ('left', 'top', 'width', 'height'))
    try:
        counts = np.array([int(count) for count in values.get('rle', '').split(',')], np.int64)
        runs = Runs(counts, (left, top, width, height), by_columns=False)
    except (ValueError, OverflowError) as error:
        raise Unreadable(f'a mask cannot be read ({error})') from error
    return Shape(name, runs.bounds(), runs=runs)


def _get(values, key):
    value = number(values.get(key))
    if not math.isfinite(value):
        raise Unreadable(f'an object has no {key} that is a number')
    return value
