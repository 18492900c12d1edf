"""What becomes of a detector in other formats: does it convert, what does it find, how fast, how large?

    python -m benchmarks.formats models/*/pipeline.config --pictures FOLDER     # minutes per model on two cores
    python -m benchmarks.formats out/families/*/exported/pipeline.config --pictures out/families/data/test.tfrecords

Each model is a pipeline.config, with the weights of checkpoint/ beside it or random ones. Its SavedModel's detections
above --min_score are the groundtruth: mAP 1 means the same detections. Boxes are compared in pixels of the picture, for
detections that have a counterpart of the same class with an IoU of 0.5. Random weights give detections whose scores
hardly differ, so which of them are the best is chance: of such a model the table says only whether it converts and
runs, how fast, and how large it is.

Writes OUTPUT/formats.json, and OUTPUT/formats.md, as the tables of docs/export.md: milliseconds per picture and the
size of the file; a dash where the format cannot hold the model (the reason is in formats.json).
"""
import argparse
import io
import json
import tempfile
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import fresh_process
from object_detection.utils import environment

QUANTIZATIONS = {'.tflite float': ('none', True, None), '.tflite float, scores > .01': ('none', True, .01),
                 '.tflite int8, scores > .01': ('int8', True, .01), '.tflite float16': ('float16', True, .01),
                 '.tflite dynamic': ('dynamic', True, .01), '.tflite float, fast NMS': ('none', False, None),
                 '.tflite int8, fast NMS': ('int8', False, None)}
ONNX = ('ONNX', 'ONNX, fixed size')
FORMATS = (*QUANTIZATIONS, *ONNX)
DETECTIONS = 100
WIDTH, HEIGHT = 640, 480  # of drawn pictures


def pictures(place: str, count: int) -> list[np.ndarray]:
    """Return pictures, uint8 [H, W, 3]: those of a folder or of records, or drawn ones."""
    from PIL import Image, ImageOps
    if Path(place).is_file():
        from object_detection import records
        index = records.Records(place)
        encoded = (records.Example.from_bytes(index[i]).encoded for i in range(min(count, len(index))))
        return [np.asarray(Image.open(io.BytesIO(data)).convert('RGB')) for data in encoded]
    if place:
        paths = sorted(path for path in Path(place).rglob('*') if path.suffix.lower() in ('.jpg', '.jpeg', '.png'))
        step = max(len(paths) // count, 1)
        return [np.asarray(ImageOps.exif_transpose(Image.open(path)).convert('RGB')) for path in paths[::step][:count]]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(count):
        image = rng.integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
        for _ in range(6):
            top, left = rng.integers(0, HEIGHT - 100), rng.integers(0, WIDTH - 100)
            image[top:top + rng.integers(30, 100), left:left + rng.integers(30, 100)] = rng.integers(80, 255, 3)
        drawn.append(image)
    return drawn


def measure(config_path: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for the SavedModel and each format of one model."""
    environment.prepare_tensorflow()
    from object_detection import checkpoints
    from object_detection.config import pipeline
    from object_detection.inference import checkpoint
    from object_detection.models import build
    config = pipeline.read(config_path)
    model = build.build(config.model)
    beside = Path(config_path).parent / 'checkpoint'
    if beside.is_dir():
        checkpoints.restore_model(model, checkpoints.load(beside), config.eval_config.use_moving_averages)
    images = pictures(options.pictures, options.count)
    expected, milliseconds = _run(checkpoint.runner_of(model, 'SavedModel', {}), images)
    about = {'model': _name(Path(config_path)), 'weights': 'trained' if beside.is_dir() else 'random'}
    rows = [{**about, 'format': 'SavedModel', 'milliseconds': milliseconds}]
    for kind in options.formats:
        with tempfile.TemporaryDirectory() as folder:
            row = {**about, 'format': kind}
            start = time.perf_counter()
            try:
                path = _convert(model, config, kind, Path(folder), images)
                row |= {'megabytes': path.stat().st_size / 1e6, 'conversion': time.perf_counter() - start}
                from object_detection.inference.load import load
                found, row['milliseconds'] = _run(load(path), images)
                if beside.is_dir():
                    row |= _compare(expected, found, images, model.num_classes, options.min_score)
            except Exception as error:  # what a library raises when it cannot convert is a result
                row['fails'] = str(error).strip().splitlines()[0][:200]
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def _name(path):
    """Return NAME for NAME.config, NAME/pipeline.config and NAME/exported/pipeline.config."""
    return next(part for part in (path.stem, *(folder.name for folder in path.parents))
                if part not in ('pipeline', 'exported'))


def _convert(model, config, kind, folder, images):
    """Write the file of a format; UserError if it cannot be."""
    from object_detection import records
    from object_detection.config import checks
    from object_detection.export import companions, limits
    if kind in ONNX:
        from object_detection.export import onnx_file
        checks.demand(limits.onnx(config, kind == 'ONNX', True))
        return onnx_file.write(model, config, folder / 'out', onnx_file.Options(
            'image_tensor' if kind == 'ONNX' else 'float_image_tensor', kind == 'ONNX'), companions.Source())
    from object_detection.export import tflite
    checks.demand(limits.lite(config))
    quantize, regular, threshold = QUANTIZATIONS[kind]
    if quantize == 'int8':
        config = type(config).FromString(config.SerializeToString())
        config.train_input_reader.tf_record_input_reader.input_path[:] = [str(folder / 'records')]
        with records.Writer(str(folder / 'records')) as writer:
            for number, image in enumerate(images):
                writer.write(records.Example(_png(image), *image.shape[:2], filename=f'{number}', format='png',
                                             boxes=[(.1, .1, .9, .9)], labels=[1]).to_bytes())
    keypoints = bool(config.model.center_net.keypoint_estimation_task)
    return tflite.write(model, config, folder / 'out', tflite.Options(
        DETECTIONS, regular, keypoints, quantize, calibration_pictures=len(images),
        score_threshold=threshold), companions.Source())


def _png(image):
    import tensorflow as tf
    return tf.io.encode_png(image).numpy()


def _run(runner, images):
    """Return the detections in each picture, and the median time in milliseconds."""
    found, times = [], []
    runner.detect(images[:1])
    for image in images:
        start = time.perf_counter()
        found += runner.detect([image])
        times.append(time.perf_counter() - start)
    return found, float(np.median(times)) * 1000


def _compare(expected, found, images, num_classes, min_score):
    """Return mAP against the expected detections, and how far the detections agree."""
    from object_detection.evaluation.metrics import Coco
    from object_detection.inference.agreement import agreement
    coco = Coco({number: str(number) for number in range(1, num_classes + 1)})
    kept = [each.select(each.scores >= min_score) for each in expected]
    for wanted, got, image in zip(kept, found, images):
        size, none = np.tile(np.array(image.shape[:2], np.float32), 2), np.zeros(len(wanted), bool)
        coco.add({'boxes': wanted.boxes * size, 'classes': wanted.classes, 'is_crowd': none, 'difficult': none,
                  'group_of': none},
                 {'boxes': got.boxes * size, 'classes': got.classes, 'scores': got.scores})
    agreed = agreement(kept, found, [image.shape for image in images], 0.)
    return {'mAP': dict(coco.evaluate())['DetectionBoxes_Precision/mAP'], 'detections': agreed.detections,
            'lost': agreed.lost, 'box_pixels': agreed.pixels, 'score': agreed.score}


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table of all rows, a line for each model."""
    models: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = row['model'] if row['weights'] == 'random' else f'{row["model"]} (trained)'
        models.setdefault(name, {})[row['format']] = _cell(row)
    columns = list(dict.fromkeys(row['format'] for row in rows))
    lines = [f'| model | {" | ".join(columns)} |', '|---' * (len(columns) + 1) + '|']
    return '\n'.join([*lines, *(f'| {name} | {" | ".join(cells.get(column, "") for column in columns)} |'
                                for name, cells in models.items())]) + '\n'


def _cell(row):
    if 'fails' in row:
        return '-'
    trained = 'mAP' in row
    return ', '.join([*([f'mAP {row["mAP"]:.3f}'] if trained else []), f'{row["milliseconds"]:.3g} ms',
                      *([f'{row["megabytes"]:.1f} MB'] if 'megabytes' in row else []),
                      *([f'{row["lost"]} of {row["detections"]} lost'] if trained and row['lost'] else [])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='pipeline.config files')
    parser.add_argument('--pictures', default='', metavar='FOLDER', help='or records; drawn ones unless given')
    parser.add_argument('--count', type=int, default=50, help='pictures')
    parser.add_argument('--min_score', type=float, default=.3)
    parser.add_argument('--formats', nargs='+', choices=FORMATS, default=FORMATS)
    parser.add_argument('--output', type=Path, default=Path('out/formats'))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for path in options.configs:
        try:
            rows += fresh_process.run(measure, path, options)
        except BrokenProcessPool:
            rows += [{'model': _name(Path(path)), 'weights': 'random', 'format': kind, 'fails': 'memory ran out'}
                     for kind in ('SavedModel', *options.formats)]
        (options.output / 'formats.json').write_text(json.dumps(rows, indent=1))
        (options.output / 'formats.md').write_text(markdown(rows))
    print(markdown(rows))


if __name__ == '__main__':
    main()
