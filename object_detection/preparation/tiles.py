"""--tile: cut pictures into overlapping tiles with their boxes, so that small objects keep their size in the model.

Everything up to the split is decided for whole pictures; the tiles of a picture are in its subset. A box that the edge
of a tile cuts is kept where enough of it is visible (--min_visible, as overlap_thresh of the reference's
random_crop_image).
"""
import collections
import contextlib
import dataclasses
import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from object_detection.preparation.manifest import Box, Manifest, Picture
from object_detection.preparation.masks import Crop
from object_detection.preparation.options import SUBSETS, Options
from object_detection.preparation.reading import PARTIAL, TileTask, Window, cut_tiles
from object_detection.preparation.scan import Source
from object_detection.preparation.workers import Crashed, unordered
from object_detection.utils import console
from object_detection.utils.errors import UserError

FOLDER = 'tiles'
LEAST_PIXELS = 1.0  # of the shorter side of a cut box


@dataclasses.dataclass(frozen=True)
class Tile:
    """A tile. picture: what becomes a record. window: in pixels of the jpg of `source`. numbers: of its boxes there."""
    picture: Picture
    source: Picture
    window: Window
    numbers: list[int]


def make(pictures: Iterable[Picture], sources: Sequence[Source], manifest: Manifest, options: Options) -> list[Tile]:
    """Cut the pictures that are in, write the tiles that become records, and delete all others that a run has written.

    A picture with a box that is in no tile gets a line for the review list. Without --tile there are none.
    """
    tiles = [tile for picture in pictures if options.tile and not picture.verdict for tile in _cut(picture, options)]
    files = {source.path: source.file for source in sources}
    wanted = {tile.picture.jpg: _key(tile) for tile in tiles}
    known = manifest.tiles()
    manifest.forget_tiles(_deleted(known.keys() - wanted.keys(), options.output))
    ready = {jpg: row for jpg, row in known.items() if row[0] == wanted.get(jpg) and _intact(options.output / jpg, row)}
    windows: dict[str, dict[str, Window]] = collections.defaultdict(dict)
    for tile in tiles:
        if tile.picture.jpg not in ready:
            windows[tile.source.path][tile.picture.jpg] = tile.window
    by_path = {tile.source.path: tile.source for tile in tiles}
    tasks = [TileTask(by_path[path].sha256, files[path], str(options.output), options.mindim, options.bits, missing)
             for path, missing in windows.items()]
    for rows in _write(tasks, manifest, options):
        made = {jpg: (wanted[jpg], *row) for jpg, row in rows.items()}
        manifest.keep_tiles(made)
        ready |= made
    for tile in tiles:
        _, tile.picture.jpg_size, tile.picture.jpg_mtime_ns, tile.picture.jpg_sha256 = ready[tile.picture.jpg]
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


def numbers(tiles: Sequence[Tile], pictures: Iterable[Picture]) -> dict[str, Any]:
    """Return what stats.json says of the tiles of pictures: how many, boxes that an edge cuts, boxes in no tile."""
    boxes = sum(len(picture.boxes) for picture in pictures if not picture.verdict)
    there = {(tile.source.path, number) for tile in tiles for number in tile.numbers}
    return {'pictures': len({tile.source.path for tile in tiles}), 'tiles': len(tiles),
            'boxes': sum(len(tile.numbers) for tile in tiles),
            'cut': sum(_is_cut(box) for tile in tiles for box in tile.picture.boxes),
            'negatives': sum(not tile.picture.boxes for tile in tiles), 'boxes_of_pictures': boxes,
            'boxes_in_no_tile': boxes - len(there),
            **{subset: sum(tile.picture.subset == subset for tile in tiles) for subset in SUBSETS}}


def _is_cut(box):
    return 0.0 in (box.ymin, box.xmin) or 1.0 in (box.ymax, box.xmax)


def _cut(picture: Picture, options: Options) -> Iterator[Tile]:
    """Yield the tiles of a picture that have boxes, or with --negatives or in the background show no part of one."""
    assert options.tile
    size = picture.jpg_width, picture.jpg_height
    there = set[int]()
    for top in starts(size[1], options.tile, options.overlap):
        for left in starts(size[0], options.tile, options.overlap):
            window = left, top, min(options.tile, size[0]), min(options.tile, size[1])
            shown = [(i, *cut(box, window, size)) for i, box in enumerate(picture.boxes)]
            kept = [(i, box) for i, share, box in shown if share >= options.min_visible and _has_pixels(box, window)]
            if kept or ((options.negatives or picture.background) and not any(share > 0 for _, share, _ in shown)):
                there.update(i for i, _ in kept)
                yield Tile(_tile_picture(picture, window, [box for _, box in kept]), picture, window,
                           [i for i, _ in kept])
    if lost := len(picture.boxes) - len(there):
        picture.review.append(f'{lost} of {len(picture.boxes)} boxes are in no tile: less than '
                              f'{options.min_visible:.0%} of each is visible in tiles of {options.tile} pixels')


def _has_pixels(box, window):
    return (box.xmax - box.xmin) * window[2] >= LEAST_PIXELS and (box.ymax - box.ymin) * window[3] >= LEAST_PIXELS


def _tile_picture(picture, window, boxes):
    """Return the Picture of a tile: its path ends with the window as a media fragment (xywh, W3C)."""
    left, top, width, height = window
    number = hashlib.sha256(f'{picture.sha256} {left} {top}'.encode()).hexdigest()  # so that tiles of pictures mix
    return dataclasses.replace(picture, path=f'{picture.path}#xywh={left},{top},{width},{height}', sha256=number,
                               jpg=f'{FOLDER}/{picture.jpg[len("jpg/"):-len(".jpg")]}/{left}_{top}.jpg', boxes=boxes,
                               jpg_width=width, jpg_height=height, review=[])


def _key(tile):
    """Return what the bytes of a tile depend on."""
    return f'{tile.source.sha256} {tile.source.options} {",".join(map(str, tile.window))}'


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


def _write(tasks, manifest, options) -> Iterator[Mapping[str, tuple[int, int, str]]]:
    if not tasks:
        return
    manifest.keep_tiles({jpg: ('', 0, 0, '') for task in tasks for jpg in task.windows})  # so that no other is deleted
    for folder in {Path(options.output, jpg).parent for task in tasks for jpg in task.windows}:
        folder.mkdir(parents=True, exist_ok=True)
    (options.output / PARTIAL).mkdir(exist_ok=True)
    with console.progress('cutting tiles', len(tasks), 'pictures') as bar:
        for done, (task, rows) in enumerate(unordered(cut_tiles, tasks, min(options.workers, len(tasks))), start=1):
            if isinstance(rows, Crashed):
                rows = 'decoding it takes the process down'
            if isinstance(rows, str):
                raise UserError(f'{task.file}: {rows}; run the same command again')
            yield rows
            bar.update(done)
    shutil.rmtree(options.output / PARTIAL, ignore_errors=True)
