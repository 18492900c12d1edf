"""Write drawn scenes with their boxes as records: for the demo's detector, benchmarks and tests."""
from collections.abc import Mapping
from io import BytesIO
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from demo import make_scenes
from object_detection import records
from object_detection.config import label_map


def example(image: np.ndarray, box: tuple[float, float, float, float], label: str, class_id: int,
            name: str) -> records.Example:
    """Return a record with one box.

    Args:
        image: uint8 [height, width, 3].
        box: (ymin, xmin, ymax, xmax), normalized to 0..1.
        label: name of the class.
        class_id: from 1.
        name: file name of the picture.
    """
    encoded = BytesIO()
    Image.fromarray(image).save(encoded, 'JPEG', quality=90)
    return records.Example(encoded.getvalue(), *image.shape[:2], filename=name, source_id=name,
                           boxes=[box], labels=[class_id], texts=[label])


def write(path: str | PathLike, count: int, seed: int, classes: Mapping[str, str] | None = None,
          size: int | None = None) -> list[str]:
    """Write scenes to a TFRecord file, the labels in turn, and return the class names in the order of their ids.

    Args:
        path: the file.
        count: of scenes.
        seed: another seed gives other scenes.
        classes: {label: class name}; None: each label is a class.
        size: resize the pictures to size x size pixels; None: leave them as drawn.
    """
    classes = classes or {label: label for label in make_scenes.LABELS}
    names = sorted(set(classes.values()))
    with records.Writer(path) as writer:
        for number in range(count):
            label = make_scenes.LABELS[number % len(make_scenes.LABELS)]
            image, box = make_scenes.scene(np.random.default_rng([seed, number]), label)
            if size:
                image = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
            name = classes[label]
            writer.write(example(image, box, name, names.index(name) + 1, f'scene{number:05d}.jpg').to_bytes())
    return names


def write_data_set(folder: Path, train: int, test: int, seed: int, classes: Mapping[str, str] | None = None,
                   size: int | None = None) -> None:
    """Write folder/train.tfrecords, test.tfrecords (`train` and `test` scenes; see `write`) and label_map.pbtxt."""
    write(folder / 'train.tfrecords', train, seed, classes, size)
    names = write(folder / 'test.tfrecords', test, seed + 1, classes, size)
    label_map.write(folder / 'label_map.pbtxt', names)
