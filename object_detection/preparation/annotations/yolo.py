"""YOLO txt, one file for each picture: a line for each object, of a class number and of fractions of the picture.

Boxes (center x, center y, width, height, and perhaps a score), polygons and corners of turned boxes (x, y, x, y, ...),
and poses: a box and its keypoints, of which the data.yaml says how many there are (kpt_shape).
"""
import re

import numpy as np

from object_detection.preparation.annotations.class_names import ClassNames
from object_detection.preparation.annotations.entry import Entry, Shape, Unknown, Unreadable, bounds, read_text

_NUMBER = re.compile(r'[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|nan', re.IGNORECASE)
LARGEST = 2.0  # a coordinate beyond is no fraction of the picture


def read(file: str, path: str, names: ClassNames, named_like_a_picture: bool) -> tuple[Entry, dict[str, list[str]]]:
    """Return the Entry of a file, and {class: names of its keypoints}.

    Unknown if it is another text (a caption, ...), Unreadable if it is broken.

    path: of the file, relative to the folder it was found in. names: of the class numbers. A file that is not named
    like a picture must begin with a whole box.
    """
    lines = [(number, line.split()) for number, line in enumerate(read_text(file).splitlines(), start=1)
             if line.strip()]
    least = 1 if named_like_a_picture else 5
    if not _starts_like_yolo(lines[0][1], least) if lines else not named_like_a_picture:
        raise Unknown('')
    known = names.of(file) if lines else None
    shapes = [_shape(number, words, known) for number, words in lines]
    points = {known.names[number]: points for number, points in known.keypoint_names.items()
              if number in known.names} if known else {}
    return Entry('yolo', path, [], shapes, fractions=True), points


def count_objects(file: str) -> int | None:
    """Return the number of objects in a file whose class names may be unknown; None if it is another text, or empty."""
    try:
        lines = [line.split() for line in read_text(file).splitlines() if line.strip()]
    except Unreadable:
        return None
    return len(lines) if lines and _starts_like_yolo(lines[0], 5) else None


def _starts_like_yolo(words, least):
    """Return whether a line is that of an object: at least so many numbers, a whole one first, and no caption after."""
    return len(words) >= least and all(map(_NUMBER.fullmatch, words[:least + 1])) and float(words[0]).is_integer()


def _shape(number, words, known):
    try:
        index, values = float(words[0]), [float(word) for word in words[1:]]
    except ValueError as error:
        raise Unreadable(f'line {number} is not class and numbers') from error
    if not index.is_integer():
        raise Unreadable(f'line {number}: the class number {words[0]} is no whole number')
    name = known.name(int(index), number)
    if any(abs(value) > LARGEST for value in values[:4]):
        raise Unreadable(f'line {number} is in pixels; YOLO has fractions of the width and height, 0 to 1')
    if known.keypoints and len(values) == 4 + known.keypoints * known.keypoint_values:
        return Shape(name, _box(values), keypoints=_keypoints(values[4:], known.keypoint_values))
    if len(values) in (4, 5):  # a fifth is a score
        return Shape(name, _box(values))
    if len(values) >= 6 and len(values) % 2 == 0:
        if any(abs(value) >= LARGEST for value in values):  # 2 is a keypoint that is visible
            raise Unreadable(f'line {number} is no polygon: not all of its numbers are fractions. If it has keypoints, '
                             'kpt_shape in the data.yaml must say how many')
        return Shape(name, bounds(values), polygons=(np.array(values),))
    raise Unreadable(f'line {number} has {len(values)} numbers after the class; a box has 4')


def _box(values):
    x, y, width, height = values[:4]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _keypoints(values, each):
    """Return ((x, y, visibility), ...); without visibility, a point at 0, 0 is not labeled."""
    points = (values[i:i + each] for i in range(0, len(values), each))
    return tuple((x, y, (int(visible[0]) if visible[0] in (0, 1, 2) else 0) if visible else 2 * (x != 0 or y != 0))
                 for x, y, *visible in points)
