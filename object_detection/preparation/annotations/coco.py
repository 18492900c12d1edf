"""COCO JSON, one file for many pictures: boxes, polygons, run-length encoded masks, crowd regions, keypoints."""
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from object_detection.preparation.annotations import json_pieces
from object_detection.preparation.annotations.entry import Entry, Shape, Unreadable, bounds, number, size_of
from object_detection.preparation.columns import Index, Shelf, Texts
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
    entries, points = _read(lambda: ((key, item) for key in KEYS for item in data[key]), path, {})
    return list(entries), points


def read_pieces(file: str, path: str) -> tuple[Iterator[Entry], dict[str, list[str]]] | None:
    """Do the same for a file of any size, whose objects are never all in memory; None if it is not meant as COCO.

    file: where it is. ValueError if it is no JSON object.
    """
    found = {key for key, _ in json_pieces.pieces(file)}
    if len(found.intersection(KEYS)) < 2:
        return None
    if missing := [key for key in KEYS[::2] if key not in found]:  # without objects, there is no annotation
        raise Unreadable(f"cannot be read as COCO annotations (KeyError: '{missing[0]}'); it needs images, annotations "
                         'and categories')
    return _read(lambda: json_pieces.pieces(file), path, Shelf())


def _read(pieces: Callable[[], Iterator[tuple[str, Any]]], path: str,
          shelf: Any) -> tuple[Iterator[Entry], dict[str, list[str]]]:
    """pieces: yields (key, item) of the lists of a file, each time it is called. shelf: for the Shapes, by number."""
    try:
        listed, categories, count = _Images(), dict[Any, Any](), 0
        for key, item in pieces():
            if key == 'images':
                listed.append(item)
            elif key == 'categories':
                categories[_id(item['id'])] = item
                count += 1
        names = {key: composed(str(item['name']).strip()) for key, item in categories.items()}
        if len(categories) < count:
            raise Unreadable('cannot be read as COCO annotations: two categories have the same id')
        listed.index()
        places, lost, unnamed = array('q'), [], set[str]()
        for key, item in pieces():
            if key == 'annotations':
                place, category = listed.find(_id(item['image_id'])), _id(item['category_id'])
                if place is None:
                    lost.append(item['id'])
                elif category not in names:
                    unnamed.add(str(item['category_id']))
                else:
                    shelf[len(places)] = _shape(item, names[category], categories[category])
                    places.append(place)
    except (LookupError, TypeError, AttributeError) as error:
        raise Unreadable(f'cannot be read as COCO annotations ({type(error).__name__}: {error}); it needs images, '
                         'annotations and categories') from error
    if lost:
        raise Unreadable(f'cannot be read as COCO annotations: {len(lost)} annotations belong to no image (annotation '
                         f'{lost[0]}, for example)')
    if unnamed:
        raise Unreadable(f'categories has no name for category_id {", ".join(sorted(unnamed)[:8])}, which annotations '
                         'have')
    points = {names[key]: [str(name) for name in item['keypoints']] for key, item in categories.items()
              if isinstance(item.get('keypoints'), list) and item['keypoints']}
    return listed.entries(path, places, shelf), points


class _Images:
    """The images of a file. Several of one name are one picture."""

    def __init__(self) -> None:
        self._ids: list[Any] = []
        self._names, self._sides = Texts(), array('q')

    def append(self, item: Mapping[str, Any]) -> None:
        self._ids.append(_id(item['id']))
        self._names.append(str(item['file_name']))
        self._sides.extend(size_of(item.get('width'), item.get('height')) or (0, 0))

    def index(self) -> None:
        """Let images be found, once all are there; Unreadable if two have the same id."""
        count = len(self._ids)
        self._index = Index(count, self._ids.__getitem__)
        if next(self._index.repeated(), None):
            raise Unreadable('cannot be read as COCO annotations: two images have the same id')
        # The first and the last image of each one's name.
        self._pictures, self._last = np.arange(count), np.arange(count)
        for rows in Index(count, self._names.__getitem__).repeated():
            self._pictures[rows], self._last[rows] = rows[0], rows[-1]

    def find(self, image: Any) -> int | None:
        rows = self._index.rows(image)
        return int(self._pictures[rows[0]]) if rows else None

    def entries(self, path: str, places: array, shelf: Any) -> Iterator[Entry]:
        """Yield the Entry of each picture. places: of the Shapes on the shelf, the image."""
        order = np.argsort(np.array(places, np.int64), kind='stable')
        starts = np.searchsorted(np.array(places, np.int64)[order], np.arange(len(self._ids) + 1))
        for i, name in enumerate(self._names):
            if self._pictures[i] == i:
                last = int(self._last[i])
                width, height = self._sides[2 * last:2 * last + 2]
                shapes = [shelf.get(number) for number in order[starts[i]:starts[i + 1]].tolist()]
                yield Entry('coco', path, [name], shapes, where=f'image {self._ids[last]}',
                            size=(width, height) if width else None)


def _id(value: Any) -> Any:
    """Return an id; texts of digits and whole floats count as the number, as tools write all three."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20 else value


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
