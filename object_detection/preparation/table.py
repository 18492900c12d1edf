"""The pictures of a data set as a table: a column for each field of Picture, some 300 bytes for all that is known.

    for picture in pictures:            # a Row: a Picture whose fields are read from and written to the columns
        if not picture.verdict:
            picture.subset = 'train'
"""
import itertools
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np

from object_detection.preparation.columns import Categories, Digests, Numbers, Shelf, Texts
from object_detection.preparation.manifest import Box, Picture

BLOCK = 1 << 16  # boxes that are stored together
OFFSET = 32  # bits of where a box starts in its block
BOX = np.dtype([*((name, 'f8') for name in ('ymin', 'xmin', 'ymax', 'xmax', 'score')), ('coco', 'i4'), ('label', 'i4'),
                ('origin', 'i1'), ('difficult', '?')])
NO_CLASS = np.iinfo('i4').min


class Table:
    """The columns. thumbnail: returns the thumbnail of a path, which is no column: it stays in the manifest."""

    def __init__(self, count: int, thumbnail: Callable[[str], bytes] | None = None) -> None:
        self.count, self._thumbnail = count, thumbnail
        self.columns: dict[str, Any] = {
            'path': Texts(count), 'label': Categories(count, ''), 'size': Numbers(count),
            'mtime_ns': Numbers(count), 'options': Categories(count, ''), 'problem': Categories(count),
            'note': Categories(count), 'sha256': Digests(count, ''), 'format': Categories(count, ''),
            'width': Numbers(count, np.int32), 'height': Numbers(count, np.int32),
            'turned': Numbers(count, np.int8, 1), 'hash': Numbers(count, optional=True),
            'jpg': Texts(count), 'jpg_size': Numbers(count), 'jpg_mtime_ns': Numbers(count),
            'jpg_width': Numbers(count, np.int32), 'jpg_height': Numbers(count, np.int32),
            'jpg_sha256': Digests(count, ''), 'verdict': Categories(count), 'reason': Texts(count),
            'subset': Categories(count), 'group': Digests(count, None), 'boxes': Boxes(count), 'review': Lines(count)}

    def thumbnail(self, path: str) -> bytes:
        return self._thumbnail(path) if self._thumbnail else b''


class Row(Picture):
    """A Picture in a row of a Table: its fields are those of the row. Lists (boxes, review) are set as a whole."""
    __slots__ = ('row', 'table')

    def __init__(self, table: Table, row: int) -> None:
        self.table, self.row = table, row

    @property
    def thumbnail(self) -> bytes:
        return self.table.thumbnail(self.path)

    @thumbnail.setter
    def thumbnail(self, value: bytes) -> None:
        """A thumbnail is kept by Manifest.keep_facts."""

    def put(self, picture: Picture) -> None:
        """Set all fields."""
        for name, column in self.table.columns.items():
            column[self.row] = getattr(picture, name)

    def value(self) -> Picture:
        """Return a copy that stands alone, without its thumbnail."""
        return Picture(**{name: column[self.row] for name, column in self.table.columns.items()})


def _field(name):
    return property(lambda row: row.table.columns[name][row.row],
                    lambda row, value: row.table.columns[name].__setitem__(row.row, value))


class Pictures(Sequence[Row]):
    """Rows of a table, all of them or some."""

    def __init__(self, table: Table, rows: np.ndarray | range | None = None) -> None:
        self.table, self.rows = table, range(table.count) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, i: int) -> Row: ...
    @overload
    def __getitem__(self, i: slice) -> 'Pictures': ...

    def __getitem__(self, i: int | slice) -> 'Row | Pictures':
        return Pictures(self.table, self.rows[i]) if isinstance(i, slice) else Row(self.table, int(self.rows[i]))

    def __iter__(self) -> Iterator[Row]:
        table = self.table
        return (Row(table, row) for row in (self.rows if isinstance(self.rows, range) else self.rows.tolist()))


@overload
def pick(pictures: Pictures, places: Iterable[int]) -> Pictures: ...
@overload
def pick(pictures: Sequence[Picture], places: Iterable[int]) -> Sequence[Picture]: ...


def pick(pictures: Any, places: Iterable[int]) -> Any:
    """Return the pictures at some places of a sequence."""
    kept = np.array(array('q', places))
    if isinstance(pictures, Pictures):
        return Pictures(pictures.table, np.asarray(pictures.rows)[kept])
    return [pictures[i] for i in kept.tolist()]


@overload
def select(pictures: Pictures, condition: Callable[[Picture], object]) -> Pictures: ...
@overload
def select(pictures: Sequence[Picture], condition: Callable[[Picture], object]) -> Sequence[Picture]: ...


def select(pictures: Any, condition: Callable[[Picture], object]) -> Any:
    """Return the pictures that meet a condition."""
    return pick(pictures, (i for i, picture in enumerate(pictures) if condition(picture)))


class Lines:
    """A column of lists of texts, most of which are empty."""

    def __init__(self, count: int) -> None:
        self._texts = Texts(count)

    def __getitem__(self, i: int) -> list[str]:
        text = self._texts[i]
        return json.loads(text) if text else []

    def __setitem__(self, i: int, lines: list[str]) -> None:
        self._texts[i] = json.dumps(lines) if lines else None


class Boxes:
    """A column of lists of Boxes, those of a picture side by side. Masks and keypoints are on disk."""

    def __init__(self, count: int) -> None:
        self.counts = np.zeros(count, np.int32)
        self._starts = array('q', bytes(8 * count))
        self._labels, self._origins = Categories(), Categories()
        self._blocks: list[np.ndarray] = []
        self._used = BLOCK
        self._extras: Shelf | None = None  # {row: [(mask, keypoints), ...]}

    def __getitem__(self, i: int) -> list[Box]:
        count = self.counts.item(i)
        if not count:
            return []
        block, offset = divmod(self._starts[i], 1 << OFFSET)
        labels, origins = self._labels.values, self._origins.values
        extras = (self._extras and self._extras.get(i)) or itertools.repeat((None, ()))
        return [Box(ymin, xmin, ymax, xmax, labels[label], None if math.isnan(score) else score, origins[origin],
                    None if coco == NO_CLASS else coco, difficult, mask, keypoints)
                for (ymin, xmin, ymax, xmax, score, coco, label, origin, difficult), (mask, keypoints)
                in zip(self._blocks[block][offset:offset + count].tolist(), extras)]

    def __setitem__(self, i: int, boxes: list[Box]) -> None:
        self.counts[i] = len(boxes)
        if not boxes:
            return
        if self._used + len(boxes) > BLOCK:
            self._blocks.append(np.zeros(max(BLOCK, len(boxes)), BOX))
            self._used = 0
        self._starts[i] = (len(self._blocks) - 1) << OFFSET | self._used
        self._blocks[-1][self._used:self._used + len(boxes)] = [
            (*box.corners, math.nan if box.score is None else box.score, NO_CLASS if box.coco is None else box.coco,
             self._labels.code(box.label), self._origins.code(box.origin), box.difficult) for box in boxes]
        self._used += len(boxes)
        if any(box.mask or box.keypoints for box in boxes) or (self._extras and self._extras.get(i)):
            self._extras = self._extras or Shelf()
            self._extras[i] = [(box.mask, box.keypoints) for box in boxes]


for _name in Table(0).columns:
    setattr(Row, _name, _field(_name))
