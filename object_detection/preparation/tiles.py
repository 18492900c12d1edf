"""--tile: cut pictures into overlapping tiles with their boxes, so that small objects keep their size in the model.

Everything up to the split is decided for whole pictures; the tiles of a picture are in its subset. A box that the edge
of a tile cuts is kept where enough of it is visible (--min_visible, as overlap_thresh of the reference's
random_crop_image).
"""
import collections
import contextlib
import dataclasses
import hashlib
import itertools
import json
import shutil
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from object_detection.preparation.columns import Index, Texts
from object_detection.preparation.manifest import Box, Manifest, Picture
from object_detection.preparation.masks import Crop
from object_detection.preparation.options import SUBSETS, Options
from object_detection.preparation.reading import PARTIAL, TileTask, Window, cut_tiles
from object_detection.preparation.scan import Files
from object_detection.preparation.table import Pictures, Table
from object_detection.preparation.workers import Crashed, Workers
from object_detection.utils import console
from object_detection.utils.errors import UserError

FOLDER = 'tiles'
LEAST_PIXELS = 1.0  # of the shorter side of a cut box


class Tiles:
    """The tiles of pictures, those of a picture one behind the other.

    pictures: what becomes records. sources: for each tile the number of its picture.
    """

    def __init__(self) -> None:
        self.pictures = Pictures(Table(0))
        self.sources = array('q')
        self._windows, self._numbers = array('i'), Texts()

    def __len__(self) -> int:
        return len(self.sources)

    def append(self, source: int, window: Window, numbers: list[int]) -> None:
        self.sources.append(source)
        self._windows.extend(window)
        self._numbers.append(json.dumps(numbers))

    def numbers(self, i: int) -> list[int]:
        """Return which of its picture's boxes a tile shows."""
        return json.loads(self._numbers[i])

    def window(self, i: int) -> Window:
        """Return where a tile lies, in pixels of the jpg of its picture."""
        left, top, width, height = self._windows[4 * i:4 * i + 4]
        return left, top, width, height


def make(pictures: Pictures, sources: Files, manifest: Manifest, options: Options, workers: Workers) -> Tiles:
    """Cut the pictures that are in, write the tiles that become records, and delete all others that a run has written.

    A picture with a box that is in no tile gets a line for the review list. Without --tile there are none. sources: the
    files of the pictures, whose rows are their places in it.
    """
    tiles = Tiles()
    for number, picture in enumerate(pictures if options.tile else ()):
        for window, kept in () if picture.verdict else _cut(picture, options):
            tiles.append(number, window, kept)
    made = tiles.pictures = Pictures(Table(len(tiles)))
    for i, tile in enumerate(made):
        tile.put(_tile_picture(pictures[tiles.sources[i]].value(), tiles.window(i), tiles.numbers(i)))
    index = Index(len(tiles), lambda i: made[i].jpg)
    manifest.forget_tiles(_deleted(manifest.unwanted((tile.jpg for tile in made), 'tiles'), options.output))
    missing = array('q')
    for i, tile in enumerate(made):
        row = manifest.tile(tile.jpg)
        if row and row[0] == _key(pictures[tiles.sources[i]], tiles.window(i)) \
                and _intact(options.output / tile.jpg, row):
            _, tile.jpg_size, tile.jpg_mtime_ns, tile.jpg_sha256 = row
        else:
            missing.append(i)
    manifest.keep_tiles((made[i].jpg, '', 0, 0, '') for i in missing)  # so that no other is deleted
    for written in _write(tiles, missing, pictures, sources, options, workers):
        rows = []
        for jpg, facts in written.items():
            i, = index.rows(jpg)
            made[i].jpg_size, made[i].jpg_mtime_ns, made[i].jpg_sha256 = facts
            rows.append((jpg, _key(pictures[tiles.sources[i]], tiles.window(i)), *facts))
        manifest.keep_tiles(rows)
    return tiles


def starts(side: int, tile: int, overlap: float) -> list[int]:
    """Return where tiles start on a side of a picture, in pixels.

    Each overlaps the next by at least this share, and the last ends with the side. A short side has one tile.
    """
    step = max(1, round(tile * (1 - overlap)))
    return [*range(0, max(side - tile, 0), step), max(side - tile, 0)]


def cut(box: Box, window: Window, size: tuple[int, int]) -> tuple[float, Box]:
    """Return the share of a box's area that lies in a window, and the box in it, normalized to the window.

    window: (left, top, width, height) in pixels of the picture. size: (width, height) of the picture.
    """
    left, top, width, height = window

    def x(value):
        return (value * size[0] - left) / width

    def y(value):
        return (value * size[1] - top) / height
    whole = y(box.ymin), x(box.xmin), y(box.ymax), x(box.xmax)
    ymin, xmin, ymax, xmax = (min(max(value, 0.0), 1.0) for value in whole)
    share = (ymax - ymin) * (xmax - xmin) / ((whole[2] - whole[0]) * (whole[3] - whole[1]))
    points = [(y(py), x(px), visible) for py, px, visible in box.keypoints]
    inside = tuple((py, px, visible) if 0 <= py <= 1 and 0 <= px <= 1 else (0.0, 0.0, 0) for py, px, visible in points)
    mask = box.mask and dataclasses.replace(box.mask, crop=Crop(window, size))
    return share, dataclasses.replace(box, ymin=ymin, xmin=xmin, ymax=ymax, xmax=xmax, mask=mask, keypoints=inside)


def numbers(tiles: Tiles, pictures: Iterable[Picture]) -> dict[str, Any]:
    """Return what stats.json says of the tiles of pictures: how many, boxes that an edge cuts, boxes in no tile."""
    boxes = sum(len(picture.boxes) for picture in pictures if not picture.verdict)
    there = shown = negatives = 0
    for _, members in itertools.groupby(range(len(tiles)), key=tiles.sources.__getitem__):
        inside = [tiles.numbers(i) for i in members]
        there += len(set().union(*inside))
        shown += sum(map(len, inside))
        negatives += inside.count([])
    cut = sum(sum(map(_is_cut, tile.boxes)) for tile in tiles.pictures)
    subsets = collections.Counter(tile.subset for tile in tiles.pictures)
    return {'pictures': len(set(tiles.sources)), 'tiles': len(tiles), 'boxes': shown, 'cut': cut,
            'negatives': negatives, 'boxes_of_pictures': boxes, 'boxes_in_no_tile': boxes - there,
            **{subset: subsets[subset] for subset in SUBSETS}}


def _is_cut(box):
    return 0.0 in (box.ymin, box.xmin) or 1.0 in (box.ymax, box.xmax)


def _cut(picture: Picture, options: Options) -> Iterator[tuple[Window, list[int]]]:
    """Yield (window, numbers of the boxes in it) for each tile of a picture that becomes a record.

    Such a tile has boxes or, with --negatives or in the background, shows no part of one. Boxes that are in no tile get
    a line in the picture's review list.
    """
    assert options.tile
    size, boxes = (picture.jpg_width, picture.jpg_height), picture.boxes
    there = set[int]()
    for top in starts(size[1], options.tile, options.overlap):
        for left in starts(size[0], options.tile, options.overlap):
            window = left, top, min(options.tile, size[0]), min(options.tile, size[1])
            shown = [(i, *cut(box, window, size)) for i, box in enumerate(boxes)]
            kept = [i for i, share, box in shown if share >= options.min_visible and _has_pixels(box, window)]
            if kept or ((options.negatives or picture.background) and not any(share > 0 for _, share, _ in shown)):
                there.update(kept)
                yield window, kept
    if lost := len(boxes) - len(there):
        picture.review += [f'{lost} of {len(boxes)} boxes are in no tile: less than '
                           f'{options.min_visible:.0%} of each is visible in tiles of {options.tile} pixels']


def _has_pixels(box, window):
    return (box.xmax - box.xmin) * window[2] >= LEAST_PIXELS and (box.ymax - box.ymin) * window[3] >= LEAST_PIXELS


def _tile_picture(picture, window, numbers):
    """Return the Picture of a tile: its path ends with the window as a media fragment (xywh, W3C)."""
    left, top, width, height = window
    boxes = [cut(picture.boxes[i], window, (picture.jpg_width, picture.jpg_height))[1] for i in numbers]
    number = hashlib.sha256(f'{picture.sha256} {left} {top}'.encode()).hexdigest()  # so that tiles of pictures mix
    return dataclasses.replace(picture, path=f'{picture.path}#xywh={left},{top},{width},{height}',
                               sha256=number, boxes=boxes, jpg_width=width, jpg_height=height, review=[],
                               jpg=f'{FOLDER}/{picture.jpg[len("jpg/"):-len(".jpg")]}/{left}_{top}.jpg')


def _key(picture, window):
    """Return what the bytes of a tile depend on."""
    return f'{picture.sha256} {picture.options} {",".join(map(str, window))}'


def _intact(file, row):
    try:
        stat = file.stat()
    except FileNotFoundError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == row[1:3]


def _deleted(jpgs, output):
    """Delete tiles and the folders that this empties; return their names."""
    for jpg in jpgs:
        (output / jpg).unlink(missing_ok=True)
    folders = {parent for jpg in jpgs for parent in (output / jpg).parents if output in parent.parents}
    for folder in sorted(folders, key=lambda path: -len(path.parts)):
        with contextlib.suppress(OSError):  # not empty, or not there
            folder.rmdir()
    return jpgs


def _write(tiles, missing, pictures, sources, options, workers) -> Iterator[Mapping[str, tuple[int, int, str]]]:
    """Cut the tiles that are missing; yield {jpg: (size, mtime_ns, SHA-256)} for each picture."""
    if not missing:
        return
    for folder in {tiles.pictures[i].jpg.rpartition('/')[0] for i in missing}:
        (options.output / folder).mkdir(parents=True, exist_ok=True)
    (options.output / PARTIAL).mkdir(exist_ok=True)
    count = len({tiles.sources[i] for i in missing})

    def tasks():
        for number, members in itertools.groupby(missing, key=lambda i: tiles.sources[i]):
            picture = pictures[number]
            yield TileTask(picture.sha256, sources[picture.row].file, str(options.output), options.mindim,
                           options.bits, {tiles.pictures[i].jpg: tiles.window(i) for i in members})
    with console.progress('cutting tiles', count, 'pictures') as bar:
        for done, (task, rows) in enumerate(workers.unordered(cut_tiles, tasks(), count), start=1):
            if isinstance(rows, Crashed):
                rows = 'decoding it takes the process down'
            if isinstance(rows, str):
                raise UserError(f'{task.file}: {rows}; run the same command again')
            yield rows
            bar.update(done)
    shutil.rmtree(options.output / PARTIAL, ignore_errors=True)
