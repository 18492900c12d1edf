"""What an annotation file says about one picture, whatever its format; and how its bytes become text."""
import codecs
import dataclasses
import json
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from object_detection.preparation.masks import Runs
from object_detection.utils import limits

ORIGINS = ('voc', 'yolo', 'coco', 'cvat', 'csv')  # a picture takes its boxes from the first of these that it has
OF_ONE_PICTURE = ('voc', 'yolo')  # those that have a file for each picture; the others list many
BOMS = ((codecs.BOM_UTF8, 'utf-8-sig'), (codecs.BOM_UTF32_LE, 'utf-32'), (codecs.BOM_UTF32_BE, 'utf-32'),
        (codecs.BOM_UTF16_LE, 'utf-16'), (codecs.BOM_UTF16_BE, 'utf-16'))


SLACK = 0.05  # of a side of the picture, by which the same box may differ in two files


class Unreadable(Exception):
    """An annotation file, or the part of one about a picture, that is not in the format it promises."""


class Unknown(Exception):
    """A file that is no annotation file. The text says what it is instead, '' if it matters to nobody."""


@dataclasses.dataclass(slots=True)
class Shape:
    """One object as its file has it, in pixels of the size in the file, or in fractions of it.

    box: (xmin, ymin, xmax, ymax). polygons: outlines [x, y, x, y, ...], the object is their union. keypoints: (x, y,
    visibility of COCO) of each. problem: why the object cannot be used. no_mask, no_keypoints: why these cannot.
    """
    name: str
    box: tuple[float, float, float, float]
    difficult: bool = False
    polygons: tuple[np.ndarray, ...] = ()
    runs: Runs | None = None
    keypoints: tuple[tuple[float, float, int], ...] = ()
    crowd: bool = False
    problem: str | None = None
    no_mask: str | None = None
    no_keypoints: str | None = None


@dataclasses.dataclass(slots=True)
class Entry:
    """What one file says about one picture.

    file: relative to the folder it was found in; with `where`, for messages: the line or id in it. names: of the
    picture, as the file has them, the most telling first. size: (width, height) of the picture that the boxes belong
    to, None if the file does not say. fractions: coordinates are 0..1. part: of a split, None if the file does not say.
    shapes: None if `problem` says why they cannot be read. named: whether --annotations names the file.
    """
    origin: str
    file: str
    names: list[str]
    shapes: list[Shape] | None
    size: tuple[int, int] | None = None
    fractions: bool = False
    part: str | None = None
    problem: str | None = None
    where: str = ''
    named: bool = False

    @property
    def place(self) -> str:
        return f'{self.file}, {self.where}' if self.where else self.file


def alike(one: Entry, other: Entry) -> bool:
    """Return whether two entries mean the same objects: each has one of the same name and place in the other.

    Places are compared to 5 % of the picture, and names alone where a file does not give the size.
    """
    ours, theirs = ([(shape.name.casefold(), _fractions(shape, entry)) for shape in entry.shapes or ()
                     if not shape.problem] for entry in (one, other))
    if len(ours) != len(theirs):
        return False
    left = list(theirs)
    for name, box in ours:
        same = next((item for item in left if item[0] == name and (box is None or item[1] is None or all(
            abs(a - b) <= SLACK for a, b in zip(box, item[1])))), None)
        if same is None:
            return False
        left.remove(same)
    return True


def _fractions(shape, entry):
    if entry.fractions:
        return shape.box
    return entry.size and tuple(value / side for value, side in zip(shape.box, entry.size * 2))


def read_bytes(file: str | Path) -> bytes:
    """Return the content of a file; Unreadable if there is none, or if it is a pipe or a device."""
    path = Path(file)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable('not a regular file')  # opening a pipe would block forever
        if message := limits.text_too_large(status.st_size):
            raise Unreadable(message)
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f'cannot be read: {error.strerror}') from error


def read_text(file: str | Path) -> str:
    """Return the text of a file in UTF-8, or in the Unicode encoding that its byte order mark names."""
    return decode(read_bytes(file))


def decode(data: bytes) -> str:
    """Return bytes as text, see read_text."""
    encoding = encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[:error.start].count(b'\n') + 1
        raise Unreadable(f'line {line} is not {"UTF-8" if encoding == "utf-8" else encoding} text; save the file as '
                         'UTF-8') from error


def encoding_of(data: bytes) -> str:
    """Return the encoding that the byte order mark at the beginning of a file names, UTF-8 without one."""
    return next((name for mark, name in BOMS if data.startswith(mark)), 'utf-8')


def read_json(file: str | Path) -> Any:
    """Return the content of a JSON file; Unreadable if it is none."""
    data = read_bytes(file)
    try:
        return json.loads(decode(data))
    except RecursionError as error:
        raise Unreadable('cannot be read as JSON: nested too deep') from error
    except ValueError as error:
        raise Unreadable(f'cannot be read as JSON: {error}') from error


def number(value: Any) -> float:
    """Return a coordinate, which may be text; NaN if it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float('nan')


def size_of(width: Any, height: Any) -> tuple[int, int] | None:
    """Return a size in pixels, None if the file gives none (missing or 0); Unreadable if it is no size."""
    values = [number(value or 0) for value in (width, height)]
    if not all(abs(value) < 1e9 for value in values):  # not a number, or infinite
        raise Unreadable(f'the size {width} x {height} is none')
    return (int(values[0]), int(values[1])) if min(values) >= 1 else None


def bounds(points: Sequence[float] | np.ndarray) -> tuple[float, float, float, float]:
    """Return (xmin, ymin, xmax, ymax) of points x, y, x, y, ..."""
    xs, ys = points[::2], points[1::2]
    return float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys))
