"""COCO JSON, one file for many pictures: boxes, polygons, run-length encoded masks, crowd regions, keypoints."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from object_detection.preparation.annotations.entry import Entry, Shape, Unreadable, bounds, number, size_of
from object_detection.preparation.masks import Runs
from object_detection.preparation.scan import composed

KEYS = ('images', 'annotations', 'categories')


def looks_like(data: Any) -> bool:
    """Return whether the content of a JSON file is meant as COCO annotations."""
    return isinstance(data, dict) and sum(key in data for key in KEYS) > 1


def read(data: Any, path: str) -> tuple[list[Entry], dict[str, list[str]]]:
    """Return the Entries of all pictures that a file lists, and {class: names of its keypoints}.

    Annotations that cannot be used become Shapes with a problem. path: of the file, relative to the folder it was found
    in. Raises Unreadable for a file whose parts do not fit together.
    """
    try:
        categories = {_id(item['id']): item for item in data['categories']}
        names = {key: composed(str(item['name']).strip()) for key, item in categories.items()}
        if len(categories) < len(data['categories']):
            raise Unreadable('cannot be read as COCO annotations: two categories have the same id')
        images = {_id(item['id']): str(item['file_name']) for item in data['images']}
        if len(images) < len(data['images']):
            raise Unreadable('cannot be read as COCO annotations: two images have the same id')
        entries = {str(item['file_name']): Entry('coco', path, [str(item['file_name'])], [], where=_where(item),
                                                 size=size_of(item.get('width'), item.get('height')))
                   for item in data['images']}
        lost = [item['id'] for item in data['annotations'] if _id(item['image_id']) not in images]
        unnamed = sorted({str(item['category_id']) for item in data['annotations']
                          if _id(item['category_id']) not in names})
        for item in data['annotations'] if not lost and not unnamed else ():
            entry = entries[images[_id(item['image_id'])]]
            assert entry.shapes is not None
            entry.shapes.append(_shape(item, names[category := _id(item['category_id'])], categories[category]))
    except (LookupError, TypeError, AttributeError) as error:
        raise Unreadable(f'cannot be read as COCO annotations ({type(error).__name__}: {error}); it needs images, '
                         'annotations and categories') from error
    if lost:
        raise Unreadable(f'cannot be read as COCO annotations: {len(lost)} annotations belong to no image (annotation '
                         f'{lost[0]}, for example)')
    if unnamed:
        raise Unreadable(f'categories has no name for category_id {", ".join(unnamed[:8])}, which annotations have')
    points = {names[key]: [str(name) for name in item['keypoints']] for key, item in categories.items()
              if isinstance(item.get('keypoints'), list) and item['keypoints']}
    return list(entries.values()), points


def _id(value: Any) -> Any:
    """Return an id; texts of digits and whole floats count as the number, as tools write all three."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20 else value


def _where(item):
    return f'image {item["id"]}'


def _shape(item: Mapping[str, Any], name: str, category: Mapping[str, Any]) -> Shape:
    shape = Shape(name, (0.0, 0.0, 0.0, 0.0), difficult=item.get('difficult') == 1, crowd=bool(item.get('iscrowd')))
    try:
        shape.polygons, shape.runs = _segmentation(item.get('segmentation'))
    except Unreadable as error:
        shape.no_mask = str(error)
    try:
        shape.keypoints = _keypoints(item.get('keypoints'), category.get('keypoints'))
    except Unreadable as error:
        shape.no_keypoints = str(error)
    box = item.get('bbox')
    if isinstance(box, Sequence) and len(box) == 4:
        x, y, width, height = map(number, box)
        shape.box = (x, y, x + width, y + height)
    elif box is not None and box != []:
        shape.problem = 'with a bbox that is not four numbers'
    elif shape.polygons:
        shape.box = bounds(np.concatenate(shape.polygons))
    elif shape.runs:
        shape.box = shape.runs.bounds()
    else:
        shape.problem = shape.no_mask or 'without a bbox and an outline'
    return shape


def _segmentation(value: Any) -> tuple[tuple[np.ndarray, ...], Runs | None]:
    """Return (polygons, runs) of a segmentation: a list of polygons, or a run-length encoded mask."""
    if not value:
        return (), None
    if isinstance(value, list):
        if not all(isinstance(outline, list) and len(outline) % 2 == 0 for outline in value):
            raise Unreadable('with a segmentation that is neither polygons nor runs')
        polygons = [np.array([number(value) for value in outline]) for outline in value]
        return tuple(polygon for polygon in polygons if len(polygon) >= 6), None
    try:
        height, width = (int(side) for side in value['size'])
        counts = value['counts']
        runs = decoded(counts) if isinstance(counts, str) else [int(count) for count in counts]
        return (), Runs(np.array(runs, np.int64), (0, 0, width, height), by_columns=True)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f'with a segmentation that is neither polygons nor runs ({error})') from error


def decoded(text: str) -> list[int]:
    """Return the runs of COCO's compressed form: 5 bits a letter, and differences from the fourth run on.

    ValueError or OverflowError if it is none.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text.encode('ascii'):
        bits = letter - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


def _keypoints(values: Any, names: Any) -> tuple[tuple[float, float, int], ...]:
    if not values:
        return ()
    names = names if isinstance(names, list) else []
    if not isinstance(values, list):
        raise Unreadable('with keypoints that are no list')
    if len(values) % 3 or len(values) != 3 * len(names):
        raise Unreadable(f'with {len(values) / 3:g} keypoints, of which its category names {len(names)}')
    numbers = [number(value) for value in values]
    return tuple((x, y, int(visible) if visible in (0, 1, 2) else 0)
                 for x, y, visible in zip(numbers[::3], numbers[1::3], numbers[2::3]))
