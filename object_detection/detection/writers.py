"""What detect.py writes for people: drawn pictures and videos, and cut-out objects.

Each Writer has `make`, which runs in several threads at once, and `add`, which gets what `make` returned in the order
of the items, in one thread.
"""
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import simplejpeg
from PIL import Image

from object_detection.detection import video
from object_detection.detection.item import Item, Source
from object_detection.evaluation import drawing
from object_detection.inference.detections import Detections
from object_detection.preparation.names import safe

QUALITY = 92  # of JPEGs
CAPTION_SHARE = .2  # height of a caption: at most this share of the side of a typical box
LEAST_CROP = 2  # pixels of a side


class Writer(Protocol):
    """Writes one kind of results."""

    def make(self, item: Item, found: Detections) -> Any:
        """Prepare, or write, what belongs to one item."""

    def add(self, item: Item, made: Any) -> None:
        """Take what `make` returned, in the order of the items."""

    def close(self) -> None:
        """Complete what is written."""


class Pictures:
    """Drawn pictures, folder/STEM.jpg; with `drawn` False the pictures themselves, without anything drawn on them."""

    def __init__(self, folder: Path, names: Mapping[int, str], drawn: bool = True, frames_only: bool = False) -> None:
        self._folder, self._names, self._drawn, self._frames_only = folder, names, drawn, frames_only

    def make(self, item: Item, found: Detections) -> None:
        """As Writer.make."""
        if self._frames_only and not item.source.is_video:
            return
        write_jpeg(self._folder / f'{item.stem}.jpg', draw(item, found, self._names) if self._drawn else item.image)

    def add(self, item: Item, made: None) -> None:
        """As Writer.add."""

    def close(self) -> None:
        """As Writer.close."""


class Videos:
    """Drawn videos, folder/STEM.mp4. Pictures are passed over."""

    def __init__(self, folder: Path, names: Mapping[int, str]) -> None:
        self._folder, self._names = folder, names
        self._source: Source | None = None
        self._writer: video.Writer | None = None

    def make(self, item: Item, found: Detections) -> np.ndarray | None:
        """As Writer.make."""
        return draw(item, found, self._names) if item.source.is_video else None

    def add(self, item: Item, made: np.ndarray | None) -> None:
        """As Writer.add."""
        if made is None:
            return
        if item.source is not self._source or not self._writer:
            self.close()
            path = self._folder / f'{item.source.stem}.mp4'
            path.parent.mkdir(parents=True, exist_ok=True)
            self._source, self._writer = item.source, video.Writer(path, (made.shape[1], made.shape[0]), item.rate)
        self._writer.write(made, item.seconds or 0.)

    def close(self) -> None:
        """As Writer.close."""
        if self._writer:
            writer, self._writer = self._writer, None
            writer.close()


class Crops:
    """The objects, cut out: folder/CLASS/STEM-NUMBER.jpg, the best of a picture is number 1."""

    def __init__(self, folder: Path, names: Mapping[int, str]) -> None:
        self._folder, self._names = folder, names

    def make(self, item: Item, found: Detections) -> None:
        """As Writer.make."""
        height, width = item.image.shape[:2]
        boxes = np.rint(np.clip(found.boxes, 0, 1) * np.tile([height, width], 2)).astype(int).tolist()
        for number, ((top, left, bottom, right), class_id) in enumerate(zip(boxes, found.classes.tolist()), start=1):
            if bottom - top >= LEAST_CROP and right - left >= LEAST_CROP:
                label = safe(name_of(self._names, class_id))
                write_jpeg(self._folder / label / f'{item.stem}-{number}.jpg', item.image[top:bottom, left:right])

    def add(self, item: Item, made: None) -> None:
        """As Writer.add."""

    def close(self) -> None:
        """As Writer.close."""


def name_of(names: Mapping[int, str], class_id: int) -> str:
    """Return the name of a class; category_7 for an id without one."""
    return names.get(class_id) or f'category_{class_id}'


def draw(item: Item, found: Detections, names: Mapping[int, str]) -> np.ndarray:
    """Return the image with its detections, uint8 [H, W, 3]."""
    height, width = item.image.shape[:2]
    captions = [f'{name_of(names, class_id)} {score:.0%}'
                for class_id, score in zip(found.classes.tolist(), found.scores.tolist())]
    scale = np.array([height, width], np.float32)
    points, pixels = found.keypoints, found.boxes * np.tile(scale, 2)
    sides = np.sqrt(np.prod(np.maximum(pixels[:, 2:] - pixels[:, :2], 0), axis=1))
    fitting = max(drawing.LEAST_FONT, round(float(np.median(sides)) * CAPTION_SHARE)) if len(found) else 0
    return drawing.draw_objects(
        item.image, pixels, captions, found.classes.tolist(),
        None if found.masks is None else masks(found, (height, width)), None if points is None else points * scale,
        font_size=min(drawing.font_size_of(item.image), fitting) or None)


def masks(found: Detections, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield the mask of each detection in its picture, bool [height, width]. size: (height, width)."""
    for box, mask in zip(found.boxes, found.masks if found.masks is not None else ()):
        whole = np.zeros(size, bool)
        (top, left), (bottom, right) = (np.rint(corner * size).astype(int) for corner in (box[:2], box[2:]))
        if bottom > top and right > left:
            content = Image.fromarray(mask).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
            y, x = max(top, 0), max(left, 0)
            inside = np.asarray(content)[y - top:size[0] - top, x - left:size[1] - left] > .5
            whole[y:y + inside.shape[0], x:x + inside.shape[1]] = inside
        yield whole


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """Write an image, uint8 [H, W, 3], whole or not at all; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.tmp')
    partial.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), QUALITY, colorsubsampling='420'))
    partial.replace(path)
