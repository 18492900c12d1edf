"""A look at the records of a data set: sizes, boxes, classes, and what tells pictures apart. Imports no TensorFlow."""
import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from object_detection import records
from object_detection.config.checks import label_map_of
from object_detection.config.label_map import LabelMap
from object_detection.preparation.manifest import Picture
from object_detection.preparation.reading import THUMBNAIL, thumbnail
from object_detection.utils.errors import UserError


@dataclasses.dataclass
class Look:
    """A picture of a data set.

    index: of the record. name: of the file, or the source_id. size: (width, height) in pixels. boxes: float64 [N, 4],
    ymin, xmin, ymax, xmax, normalized. ids: int64 [N], classes as the input pipeline finds them.
    """

    index: int
    name: str
    size: tuple[int, int]
    boxes: np.ndarray
    ids: np.ndarray


@dataclasses.dataclass
class Split:
    """The data of one input_reader.

    name: of the reader. total: number of records. looks: of those that were opened and can be read. labels: its label
    map. pictures: a Picture (path, sha256, thumbnail) of each look, for preparation.duplicates.
    """

    name: str
    total: int
    looks: list[Look]
    labels: LabelMap | None
    pictures: list[Picture]

    def boxes_of(self) -> Counter[int]:
        """Return {class id: number of boxes}."""
        return Counter(int(class_id) for look in self.looks for class_id in look.ids)

    @property
    def share(self) -> float:
        """How much of the data was looked at, 0..1."""
        return len(self.looks) / self.total if self.total else 1.


def read(config: Any, readable: Mapping[str, Any], sample: int | None) -> list[Split]:
    """Look at the records of the input readers; those of train_input_reader come first.

    Args:
        config: TrainEvalPipelineConfig.
        readable: the names of the readers whose records can be read (records.check_data).
        sample: number of records of each to open, evenly spread; None for all.
    """
    readers = {'train_input_reader': config.train_input_reader}
    readers |= {f'eval_input_reader[{i}]': reader for i, reader in enumerate(config.eval_input_reader)}
    return [_read(name, reader, sample) for name, reader in readers.items() if name in readable]


def _read(name: str, reader: Any, sample: int | None) -> Split:
    data = records.Records(list(reader.tf_record_input_reader.input_path))
    labels = label_map_of(reader)
    chosen = range(len(data)) if not sample else sorted({i * len(data) // sample for i in range(sample)})
    split = Split(name, len(data), [], labels, [])
    for index in chosen:
        try:
            example = records.Example.from_bytes(data.read(index)[0])
            with Image.open(BytesIO(example.encoded)) as image:
                size = image.size
                image.draft('RGB', (4 * THUMBNAIL, 4 * THUMBNAIL))
                small = thumbnail(image.convert('RGB'))
        except (UserError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue  # records.check has told what is wrong with it
        boxes, ids = _objects(example, labels)
        split.looks.append(Look(index, example.filename or example.source_id or f'record {index}', size, boxes, ids))
        split.pictures.append(Picture(f'{name} {index}', '', len(example.encoded), 0, '', thumbnail=small,
                                      sha256=hashlib.sha256(example.encoded).hexdigest()))
    return split


def _objects(example: records.Example, labels: LabelMap | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes and class ids that the input pipeline hands on; none where their numbers differ."""
    boxes = np.array(example.boxes, np.float64).reshape(-1, 4)
    ids = [labels.ids.get(text, -1) for text in example.texts] if labels and example.texts else example.labels
    if len(ids) != len(boxes):
        return np.zeros((0, 4)), np.zeros(0, np.int64)
    kept = [i for i, (box, class_id) in enumerate(zip(boxes, ids)) if class_id > 0 and all(map(math.isfinite, box))]
    return boxes[kept], np.array(ids, np.int64)[kept]
