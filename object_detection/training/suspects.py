"""The pictures of a step whose loss was not finite, kept for a look at them."""
import json
import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from object_detection import inputs, protos
from object_detection.config.label_map import LabelMap
from object_detection.evaluation import drawing
from object_detection.inputs.order import Stream
from object_detection.models.resizers import Resizer
from object_detection.utils import files

FOLDER = 'not_finite'


def keep(model_dir: Path, config: protos.TrainEvalPipelineConfig, resizer: Resizer, labels: LabelMap | None, seed: int,
         skipped: Collection[int], steps: Sequence[int]) -> Path:
    """Write the batches of these steps once more, as the network saw them, with their boxes.

    Args:
        model_dir: gets a folder not_finite/step_N, N being the last of the steps: a PNG of each picture, named by step,
            position in the batch and file, and pictures.json with place in the records, boxes (ymin, xmin, ymax, xmax,
            normalized), classes, and weights.
        Others: see inputs.train_dataset.
    Returns:
        that folder.
    """
    folder = files.make_dir(model_dir / FOLDER / f'step_{steps[-1]}')
    size, reader = config.train_config.batch_size, config.train_input_reader
    stream = Stream(reader, seed, skipped=skipped)
    described = []
    for step in steps:
        dataset = inputs.train_dataset(config, resizer, labels, 1, (step - 1) * size, seed, skipped)
        places = stream.records_at((step - 1) * size, size)
        for number, (features, groundtruth) in enumerate(dataset.take(size).as_numpy_iterator()):
            name = features['filename'][0].decode('utf-8', 'replace')
            path = folder / f'step_{step}_{number}_{re.sub(r"[^A-Za-z0-9_-]", "_", Path(name).stem)[:60]}.png'
            objects = _objects(groundtruth)
            _draw(features['image'][0], objects, labels).save(path)
            described.append({'step': step, 'file': path.name, 'filename': name,
                              'record': stream.records.where(int(places[number])),
                              **{key: _json(values.tolist()) for key, values in objects.items()}})
    files.write_text(folder / 'pictures.json', json.dumps(described, indent=1, ensure_ascii=False) + '\n')
    return folder


def _objects(groundtruth: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return boxes [N, 4], classes [N] (ids from 1) and weights [N] of the objects of a batch of one."""
    count = int(groundtruth['num_groundtruth_boxes'][0])
    return {'boxes': groundtruth['groundtruth_boxes'][0, :count],
            'classes': groundtruth['groundtruth_classes'][0, :count].argmax(-1) + 1,
            'weights': groundtruth['groundtruth_weights'][0, :count]}


def _json(values: Any) -> Any:
    """Return nested lists of numbers, those that JSON lacks as 'nan', 'inf', '-inf'."""
    if isinstance(values, list):
        return [_json(value) for value in values]
    return values if math.isfinite(values) else str(values)


def _draw(image: np.ndarray, objects: dict[str, np.ndarray], labels: LabelMap | None) -> Image.Image:
    """image: float32 [H, W, 3], 0..255."""
    height, width = image.shape[:2]
    pixels = np.clip(np.nan_to_num(image), 0, 255).astype(np.uint8)
    boxes = objects['boxes'].astype(np.float64) * [height, width, height, width]
    shown = np.isfinite(boxes).all(-1)  # what cannot be drawn stands in pictures.json
    classes = objects['classes'][shown]
    captions = [labels.name_of(int(number)) if labels else str(number) for number in classes]
    limit = 2 * max(height, width)
    return Image.fromarray(drawing.draw_objects(pixels, np.clip(boxes[shown], -limit, limit), captions, classes))
