"""Pictures of what the network sees in training: augmented inputs with their boxes, masks, and matched anchors."""
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from object_detection.evaluation import drawing
from object_detection.utils import files

PICTURES = 8
_LEAST_SIDE = 640  # pixels of the longer side, so that captions can be read


def draw(run: Any, folder: Path, count: int = PICTURES) -> list[str]:
    """Draw the first `count` pictures of the batches that come next; return the paths of the PNGs.

    On the left a picture as the network takes it, without normalization, with its groundtruth. With anchors, on the
    right those that are matched with each box, thin in the color of the box, and how many they are; a box without one
    is told as such.

    Args:
        run: training.train._Run.
        folder: must exist.
    """
    paths: list[str] = []
    labels = run.labels
    while len(paths) < count:
        for features, groundtruth in run.next_batch(int(run.step.numpy())):
            features, groundtruth = ({name: run.strategy.experimental_local_results(value)[0]
                                      for name, value in part.items()} for part in (features, groundtruth))
            size = run.model.resizer.size
            matched = run.model.matched_anchors(groundtruth, size) if size else None
            for i in range(min(len(features['image']), count - len(paths))):
                sample = {name: value[i].numpy() for name, value in groundtruth.items()}
                anchors = (matched[0], matched[1][i].numpy()) if matched else None
                name = features['filename'][i].numpy().decode('utf-8', 'replace')
                paths.append(_save(draw_sample(features['image'][i].numpy(), sample, labels, anchors), folder,
                                   len(paths) + 1, name))
    return paths


def draw_sample(image: np.ndarray, groundtruth: dict[str, np.ndarray], labels: Any,
                anchors: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
    """Draw one input.

    Args:
        image: [h, w, 3], 0..255.
        groundtruth: of one picture, padded, as inputs.train_dataset yields it.
        labels: LabelMap; None: classes are numbers.
        anchors: float32 [A, 4], normalized to the input, and int32 [A], the box that each is matched with.
    Returns:
        uint8 [H, W, 3].
    """
    height, width = image.shape[:2]
    scale = max(1., _LEAST_SIDE / max(height, width))
    size = round(width * scale), round(height * scale)
    picture = np.asarray(Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).resize(
        size, Image.Resampling.BILINEAR))
    count = int(groundtruth['num_groundtruth_boxes'])
    boxes = groundtruth['groundtruth_boxes'][:count] * np.array([size[1], size[0]] * 2)
    classes = groundtruth['groundtruth_classes'][:count].argmax(1) + 1
    names = [labels.name_of(int(number)) if labels else str(number) for number in classes]
    masks, keypoints = (groundtruth.get(f'groundtruth_{name}') for name in ('instance_masks', 'keypoints'))
    left = drawing.draw_objects(
        picture, boxes, names, classes, None if masks is None else masks[:count] > .5,
        None if keypoints is None else keypoints[:count] * np.array([size[1], size[0]]))
    if anchors is None:
        return left
    every, matches = anchors
    numbers = np.arange(1, count + 1)  # a color for each box
    counts = np.bincount(matches[matches >= 0], minlength=count)[:count]
    captions = [f'{number} anchor{"" if number == 1 else "s"}' if number else 'no anchor' for number in counts]
    right = Image.fromarray(drawing.draw_objects(picture, boxes, captions, numbers))
    canvas = ImageDraw.Draw(right)
    for anchor, match in zip(every[matches >= 0] * np.array([size[1], size[0]] * 2), matches[matches >= 0]):
        ymin, xmin, ymax, xmax = anchor.tolist()
        canvas.rectangle((xmin, ymin, xmax, ymax), outline=drawing.COLORS[int(match) % len(drawing.COLORS)])
    gap = np.full((size[1], max(4, size[0] // 80), 3), 255, np.uint8)
    return np.concatenate([left, gap, np.asarray(right)], 1)


def _save(image: np.ndarray, folder: Path, number: int, name: str) -> str:
    stem = re.sub(r'[^\w.-]+', '_', Path(name).stem)[:60]
    path = folder / f'{number:02d}{"_" if stem else ""}{stem}.png'
    with files.naming_file(path):
        Image.fromarray(image).save(path)
    return str(path)
