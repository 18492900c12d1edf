"""Detections as annotation files, which prepare_data.py and annotation tools read: COCO, Pascal VOC, YOLO, CSV."""
import csv
import io
import itertools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import numpy as np

from object_detection.detection.item import Item
from object_detection.detection.writers import masks, name_of
from object_detection.inference.detections import Detections
from object_detection.utils import files

COLUMNS = ('filename', 'width', 'height', 'class', 'xmin', 'ymin', 'xmax', 'ymax', 'score', 'seconds')
SURE_POINT = .3  # keypoints with a lower score are written as not labeled


class Coco:
    """One COCO JSON file: categories, images, and annotations with a score; masks and keypoints, too.

    Images and annotations are kept in files until the end, so that a long video takes no memory.
    """

    def __init__(self, path: Path, names: Mapping[int, str]) -> None:
        self._path, self._names = path, names
        path.parent.mkdir(parents=True, exist_ok=True)
        self._parts = {name: path.with_name(f'.{name}.tmp').open('w+', encoding='utf-8')
                       for name in ('images', 'annotations')}
        self._images, self._annotations = itertools.count(1), itertools.count(1)
        self._seen: dict[int, int] = {}  # {class id: number of keypoints}

    def make(self, item: Item, found: Detections) -> list[dict[str, Any]]:
        """As Writer.make."""
        boxes = pixels(found, item)
        outlines = masks(found, item.image.shape[:2]) if found.masks is not None and (
            item.image.shape[1::-1] == item.size) else itertools.repeat(None)
        made = []
        for i, (box, outline) in enumerate(zip(boxes.tolist(), outlines)):
            xmin, ymin, xmax, ymax = box
            one = {'category_id': int(found.classes[i]), 'score': round(float(found.scores[i]), 5), 'iscrowd': 0,
                   'bbox': [round(value, 2) for value in (xmin, ymin, xmax - xmin, ymax - ymin)],
                   'area': round((xmax - xmin) * (ymax - ymin), 2)}
            if outline is not None:
                one['segmentation'] = {'size': list(outline.shape), 'counts': _runs(outline)}
                one['area'] = int(outline.sum())
            if found.keypoints is not None:
                one['keypoints'] = _keypoints(found, i, item.size)
            made.append(one)
        return made

    def add(self, item: Item, made: list[dict[str, Any]]) -> None:
        """As Writer.add."""
        image = next(self._images)
        _append(self._parts['images'], {'id': image, 'file_name': item.name, 'width': item.size[0],
                                        'height': item.size[1]})
        for one in made:
            self._seen[one['category_id']] = len(one.get('keypoints', ())) // 3
            _append(self._parts['annotations'], {'id': next(self._annotations), 'image_id': image, **one})

    def close(self) -> None:
        """As Writer.close."""
        categories = []
        for class_id in sorted({*self._names, *self._seen}):
            category: dict[str, Any] = {'id': class_id, 'name': name_of(self._names, class_id)}
            if points := self._seen.get(class_id):
                category['keypoints'] = [f'keypoint_{i}' for i in range(points)]
            categories.append(category)
        partial = self._path.with_name(f'.{self._path.name}.tmp')
        with partial.open('w', encoding='utf-8') as file:
            file.write(f'{{"categories": {json.dumps(categories)}')
            for name, part in self._parts.items():
                file.write(f',\n"{name}": [\n')
                part.seek(0)
                shutil.copyfileobj(part, file)
                file.write(']')
                part.close()
                Path(part.name).unlink()
            file.write('}\n')
        files.replace(partial, self._path)


class Voc:
    """Pascal VOC XML, folder/STEM.xml for each picture."""

    def __init__(self, folder: Path, names: Mapping[int, str]) -> None:
        self._folder, self._names = folder, names

    def make(self, item: Item, found: Detections) -> None:
        """As Writer.make."""
        root = ElementTree.Element('annotation')
        folder, _, name = item.name.rpartition('/')
        _elements(root, {'folder': folder, 'filename': name})
        _elements(ElementTree.SubElement(root, 'size'), {'width': item.size[0], 'height': item.size[1], 'depth': 3})
        for box, class_id, score in zip(pixels(found, item).tolist(), found.classes.tolist(), found.scores.tolist()):
            thing = ElementTree.SubElement(root, 'object')
            _elements(thing, {'name': name_of(self._names, class_id), 'pose': 'Unspecified', 'truncated': 0,
                              'difficult': 0, 'score': f'{score:.5f}'})
            _elements(ElementTree.SubElement(thing, 'bndbox'), {
                side: f'{value:.2f}' for side, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box)})
        ElementTree.indent(root)
        files.write_text(self._folder / f'{item.stem}.xml', ElementTree.tostring(root, 'unicode') + '\n')

    def add(self, item: Item, made: None) -> None:
        """As Writer.add."""

    def close(self) -> None:
        """As Writer.close."""


class Yolo:
    """YOLO txt, folder/STEM.txt for each picture, and folder/classes.txt with the names of the class numbers.

    Class numbers are those of the label map in order; classes without a name follow as they come.
    """

    def __init__(self, folder: Path, names: Mapping[int, str]) -> None:
        self._folder, self._names = folder, names
        self._numbers = {class_id: number for number, class_id in enumerate(sorted(names))}

    def make(self, item: Item, found: Detections) -> list[tuple[int, str]]:
        """As Writer.make."""
        boxes = np.clip(found.boxes, 0, 1)
        centers, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return [(class_id, f'{x:.6f} {y:.6f} {width:.6f} {height:.6f} {score:.5f}')
                for class_id, (y, x), (height, width), score in zip(
                    found.classes.tolist(), centers.tolist(), sides.tolist(), found.scores.tolist())]

    def add(self, item: Item, made: list[tuple[int, str]]) -> None:
        """As Writer.add."""
        lines = [f'{self._numbers.setdefault(class_id, len(self._numbers))} {rest}\n' for class_id, rest in made]
        files.write_text(self._folder / f'{item.stem}.txt', ''.join(lines))

    def close(self) -> None:
        """As Writer.close."""
        files.write_text(self._folder / 'classes.txt',
                         ''.join(f'{name_of(self._names, class_id)}\n' for class_id in self._numbers))


class Table:
    """One CSV file, a line for each detection; a picture without any has a line with its name and size."""

    def __init__(self, path: Path, names: Mapping[int, str]) -> None:
        self._names = names
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open('w', encoding='utf-8', newline='')
        self._file.write(','.join(COLUMNS) + '\n')

    def make(self, item: Item, found: Detections) -> str:
        """As Writer.make."""
        text = io.StringIO(newline='')
        table = csv.writer(text, lineterminator='\n')
        start = (item.name, *item.size)
        seconds = '' if item.seconds is None else f'{item.seconds:.3f}'
        for box, class_id, score in zip(pixels(found, item).tolist(), found.classes.tolist(), found.scores.tolist()):
            table.writerow((*start, name_of(self._names, class_id), *(f'{value:.2f}' for value in box), f'{score:.5f}',
                            seconds))
        if not len(found):
            table.writerow((*start, '', '', '', '', '', '', seconds))
        return text.getvalue()

    def add(self, item: Item, made: str) -> None:
        """As Writer.add."""
        self._file.write(made)

    def close(self) -> None:
        """As Writer.close."""
        self._file.close()


def pixels(found: Detections, item: Item) -> np.ndarray:
    """Return the boxes (xmin, ymin, xmax, ymax) in pixels of the picture, clipped to it, float64 [D, 4]."""
    width, height = item.size
    return np.clip(found.boxes[:, [1, 0, 3, 2]].astype(np.float64), 0, 1) * [width, height, width, height]


def _elements(parent: ElementTree.Element, texts: Mapping[str, Any]) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(parent, tag).text = str(text)


def _append(part: IO[str], value: Any) -> None:
    part.write(f'{"," if part.tell() else ""}{json.dumps(value)}\n')


def _runs(mask: np.ndarray) -> list[int]:
    """Return COCO's run lengths of bool [H, W]: by columns, the first of background."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff([0, *changes, len(flat)]).tolist()
    return [0, *lengths] if flat[0] else lengths


def _keypoints(found: Detections, i: int, size: tuple[int, int]) -> list[float]:
    """Return x, y, visibility of each keypoint of detection i, in pixels; 0, 0, 0 for those that are not sure."""
    assert found.keypoints is not None
    scores = found.keypoint_scores
    sure = np.ones(len(found.keypoints[i]), bool) if scores is None else scores[i] >= SURE_POINT
    return [value for (y, x), known in zip(found.keypoints[i].tolist(), sure.tolist())
            for value in ((round(x * size[0], 2), round(y * size[1], 2), 2) if known else (0, 0, 0))]
