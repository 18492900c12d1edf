"""Write records of drawn shapes with boxes, masks and keypoints, to train every family of detectors on.

A box and a label determine a shape: a square fills its box, a circle touches its sides, a triangle stands on its bottom
with the tip in the middle. So masks and keypoints can be added to records of such shapes that have only boxes.
"""
import io
import math
from os import PathLike

import numpy as np
from PIL import Image, ImageDraw

from object_detection import records

CORNERS: dict[str, dict[str, tuple[float, float]]] = {  # (y, x) in the box, 0..1, in the order of the keypoints
    'circle': {},
    'square': {'top left': (0, 0), 'top right': (0, 1), 'bottom right': (1, 1), 'bottom left': (1, 0)},
    'triangle': {'tip': (0, .5), 'right': (1, 1), 'left': (1, 0)},
}
LABELS = tuple(CORNERS)  # ids from 1 in this order
KEYPOINTS = tuple(f'{label} {corner}' for label in LABELS for corner in CORNERS[label])  # ids from 0
CIRCLE = [(.5 + .5 * math.sin(angle), .5 + .5 * math.cos(angle))
          for angle in np.linspace(0, 2 * math.pi, 72, endpoint=False)]


def label_map() -> str:
    """Return the text of the label map, with the keypoints."""
    items = []
    for number, label in enumerate(LABELS, 1):
        keypoints = [f'  keypoints {{ id: {KEYPOINTS.index(name)} label: "{name}" }}\n'
                     for name in KEYPOINTS if name.startswith(f'{label} ')]
        items.append(f'item {{\n  id: {number}\n  name: "{label}"\n{"".join(keypoints)}}}\n')
    return '\n'.join(items)


def draw(path: str | PathLike, count: int, seed: int) -> None:
    """Write `count` scenes of one to three shapes, with boxes and labels only, to a TFRecord file."""
    with records.Writer(path) as writer:
        for number in range(count):
            writer.write(scene(np.random.default_rng([seed, number]), f'scene{number:05d}.jpg').to_bytes())


def scene(rng: np.random.Generator, name: str) -> records.Example:
    """Draw a picture of 160 to 320 pixels a side: plain shapes that do not overlap, on colored noise."""
    height, width = (int(side) for side in rng.integers(160, 321, 2))
    noise = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
    image = noise.resize((width, height), Image.Resampling.BICUBIC)
    boxes, labels = [], []
    for _ in range(rng.integers(1, 4)):
        side = int(min(height, width) * rng.uniform(.2, .5))
        top, left = int(rng.integers(0, height - side)), int(rng.integers(0, width - side))
        box = top / height, left / width, (top + side) / height, (left + side) / width
        if any(min(box[2], b[2]) > max(box[0], b[0]) and min(box[3], b[3]) > max(box[1], b[1]) for b in boxes):
            continue
        label = int(rng.integers(len(LABELS)))
        image.paste(tuple(rng.integers(0, 256, 3).tolist()), mask=_mask(LABELS[label], box, height, width))
        boxes.append(box)
        labels.append(label + 1)
    return records.Example(_encoded(image, 'JPEG'), height, width, filename=name, source_id=name, boxes=boxes,
                           labels=labels, texts=[LABELS[label - 1] for label in labels])


def complete(source: str | PathLike, target: str | PathLike) -> None:
    """Copy a TFRecord file and add the mask and the keypoints of each shape."""
    index = records.Records(source)
    with records.Writer(target) as writer:
        for number in range(len(index)):
            example = records.Example.from_bytes(index[number])
            names = [LABELS[label - 1] for label in example.labels]
            example.masks = [_encoded(_mask(name, box, example.height, example.width), 'PNG')
                             for name, box in zip(names, example.boxes)]
            corners = [_corners(name, box) for name, box in zip(names, example.boxes)]
            example.keypoints = [[point or (0., 0.) for point in points] for points in corners]
            example.keypoint_visibility = [2 if point else 0 for points in corners for point in points]
            writer.write(example.to_bytes())


def _mask(label, box, height, width):
    """Draw a one-channel picture, 255 inside the shape. box: (ymin, xmin, ymax, xmax), normalized to 0..1."""
    points = CIRCLE if label == 'circle' else CORNERS[label].values()
    pixels = [(x * width - .5, y * height - .5) for y, x in (_place(point, box) for point in points)]
    mask = Image.new('L', (width, height))
    ImageDraw.Draw(mask).polygon(pixels, fill=255)
    return mask


def _corners(label, box):
    """Return (y, x), normalized to 0..1, for each of KEYPOINTS; None for those of other labels."""
    own = {f'{label} {corner}': _place(point, box) for corner, point in CORNERS[label].items()}
    return [own.get(name) for name in KEYPOINTS]


def _place(point, box):
    (y, x), (ymin, xmin, ymax, xmax) = point, box
    return ymin + y * (ymax - ymin), xmin + x * (xmax - xmin)


def _encoded(image, kind):
    data = io.BytesIO()
    image.save(data, kind, quality=90)
    return data.getvalue()
