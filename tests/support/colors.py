"""A Runner without a network: it finds the red and the blue rectangle of drawn pictures."""
import numpy as np
from PIL import Image

from object_detection.inference.detections import Detections

COLORS = {1: (255, 0, 0), 2: (0, 0, 255)}
GROUND = 90, 120, 90


class Colors:
    """Returns the bounding box of the red pixels (class 1, score .9) and of the blue ones (class 2, score .6)."""
    name, batch = 'colors', None

    def __init__(self, labels=None, batch=None):
        self.labels = {1: 'red', 2: 'blue'} if labels is None else labels
        self.batch, self.calls = batch, []

    def detect(self, images):
        self.calls.append([image.shape[:2] for image in images])
        return [self._detect(image) for image in images]

    @staticmethod
    def _detect(image):
        boxes, classes = [], []
        for class_id, color in COLORS.items():
            rows, columns = np.nonzero((np.abs(image.astype(int) - color) < 60).all(-1))
            if len(rows):
                height, width = image.shape[:2]
                boxes.append((rows.min() / height, columns.min() / width, (rows.max() + 1) / height,
                              (columns.max() + 1) / width))
                classes.append(class_id)
        scores = np.array([.9, .6], np.float32)[np.array(classes, int) - 1]
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), scores, np.array(classes, np.int64))


def scene(boxes, size=(160, 120), noise=0):
    """An image, uint8 [H, W, 3]: rectangles {class id: (xmin, ymin, xmax, ymax)} on a ground of noise."""
    image = np.full((size[1], size[0], 3), GROUND, np.uint8)
    image += np.random.default_rng(noise).integers(0, 60, image.shape, np.uint8)
    for class_id, (xmin, ymin, xmax, ymax) in boxes.items():
        image[ymin:ymax, xmin:xmax] = COLORS[class_id]
    return image


def save(path, boxes, size=(160, 120), noise=0, exif=None):
    """Write a scene as PNG or, by the suffix, another format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(scene(boxes, size, noise))
    if exif:
        tags = Image.Exif()
        tags[0x0112] = exif
        picture.save(path, exif=tags.tobytes())
    else:
        picture.save(path)
