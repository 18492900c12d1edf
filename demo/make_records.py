"""Drawn scenes as records with their true boxes: to train the demo's box finder, and for benchmarks and tests."""
from io import BytesIO

import numpy as np
from PIL import Image

from demo import make_scenes
from object_detection import records
from object_detection.config import label_map


def example(image, box, label, class_id, name):
    """One record. image: uint8 [height, width, 3]; box: (ymin, xmin, ymax, xmax), 0..1; class_id from 1."""
    encoded = BytesIO()
    Image.fromarray(image).save(encoded, 'JPEG', quality=90)
    return records.Example(encoded.getvalue(), *image.shape[:2], filename=name, source_id=name,
                           boxes=[box], labels=[class_id], texts=[label])


def write(path, count, seed, classes=None, size=None):
    """Write `count` scenes, the labels in turn, to the TFRecord file `path`.

    Args:
        classes: {label: class name}; default: every label is a class of its own.
        size: enlarge or shrink the pictures to size x size pixels; default: as drawn.
    Returns:
        The sorted class names; class ids are their positions, from 1.
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


def write_data_set(folder, train, test, seed, classes=None, size=None):
    """Write folder/train.tfrecords, test.tfrecords (numbers of pictures) and label_map.pbtxt."""
    write(folder / 'train.tfrecords', train, seed, classes, size)
    names = write(folder / 'test.tfrecords', test, seed + 1, classes, size)
    label_map.write(folder / 'label_map.pbtxt', names)
