"""Train every model family from random weights on drawn shapes, export it, and print a table.

    python -m benchmarks.families                                   # all of them: more than two hours on two cores
    python -m benchmarks.families --family centernet mask_rcnn
    python -m benchmarks.families --records FOLDER                  # your own shapes: see README.md

Each config of this folder is trained and evaluated by train_and_eval_tf2.py and exported by
exporter_main_v2.py; then ten test pictures go through the checkpoint's model and through the export.
"""
import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from demo import shapes
from object_detection import records
from object_detection.config import pipeline as config
from object_detection.utils import environment, files

CONFIGS = Path(__file__).resolve().parent
ROOT = CONFIGS.parents[1]
FAMILIES = ('efficientdet', 'centernet', 'centernet_keypoints', 'faster_rcnn', 'mask_rcnn')
SETS = {'train': 800, 'test': 120}  # pictures to draw
TARGET = .9  # mAP@.50IOU
TOLERANCE = 1e-4  # difference of the export, relative to each output's largest value
PICTURES = 10
KINDS = {'boxes': 'DetectionBoxes', 'masks': 'DetectionMasks', 'keypoints': 'Keypoints'}
COLUMNS = ('family', 'feature extractor', 'pixels', 'steps', 'seconds', *(f'{kind} mAP@.50' for kind in KINDS),
           'export differs by')


def prepare(source, folder):
    """Write train.tfrecords, test.tfrecords and label_map.pbtxt to `folder`, with masks and corners.

    source: a folder with records of the same names, boxes and labels of shapes.LABELS in them; None draws shapes.
    """
    for seed, (name, count) in enumerate(SETS.items()):
        boxes_only = folder / f'{name}_boxes.tfrecords' if source is None else source / f'{name}.tfrecords'
        if source is None:
            shapes.draw(boxes_only, count, seed)
        shapes.complete(boxes_only, folder / f'{name}.tfrecords')
    files.write_text(folder / 'label_map.pbtxt', shapes.label_map())


def measure(name, data, folder):
    """Train, evaluate and export one family in `folder`, which is deleted first. Return {column name: value}."""
    started = time.perf_counter()
    pipeline = train(name, data, folder)
    seconds = time.perf_counter() - started
    steps, (_, model) = pipeline.train_config.num_steps, config.architecture(pipeline)
    run('exporter_main_v2.py', '--trained_checkpoint_dir', folder / 'model', '--output_directory', folder / 'exported',
        folder=folder)
    found = at_half(newest_metrics(folder / 'model'))
    difference = export_difference(pipeline, folder, data / 'test.tfrecords')
    return dict(zip(COLUMNS, (name, model.feature_extractor.type, model.image_resizer.fixed_shape_resizer.height, steps,
                              round(seconds), *found, difference)))


def train(name, data, folder):
    """Train and evaluate NAME.config in `folder`, which is deleted first, after NAME_start.config if it exists.

    Return the config.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if (CONFIGS / f'{name}_start.config').exists():
        train(f'{name}_start', data, folder / 'start')
    files.write_text(folder / 'pipeline.config', text_of(name, data, folder / 'start' / 'model' / 'ckpt-2'))
    pipeline = config.read(folder / 'pipeline.config')
    run('train_and_eval_tf2.py', '--model_dir', folder / 'model', '--checkpoint_every_n',
        pipeline.train_config.num_steps, folder=folder)
    return pipeline


def text_of(name, data, start):
    """Return the text of NAME.config with its paths filled in. start: the checkpoint of NAME_start.config."""
    text = (CONFIGS / f'{name}.config').read_text(encoding='utf-8')
    return text.replace('RECORDS', data.as_posix()).replace('START', start.as_posix())


def run(script, *arguments, folder):
    """Run one of the suite's scripts on folder/pipeline.config; its output goes to a log file in `folder`."""
    command = [sys.executable, script, '--pipeline_config_path', folder / 'pipeline.config', *arguments]
    log = folder / f'{Path(script).stem}.log'
    with log.open('w', encoding='utf-8') as output:
        code = subprocess.run([str(word) for word in command], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
                              check=False).returncode
    if code:
        sys.exit(f'{script} ended with {code}; its output is in {log}')


def newest_metrics(model_dir):
    evaluated = json.loads((model_dir / 'run.json').read_text(encoding='utf-8'))['checkpoints'].values()
    return max(evaluated, key=lambda entry: entry['step'])['eval']


def at_half(metrics):
    """Return mAP@.50IOU for each of KINDS, averaged over the classes for keypoints; None if not evaluated."""
    found = [[value for name, value in metrics.items() if name.startswith(f'{prefix}_Precision/mAP@.50IOU')]
             for prefix in KINDS.values()]
    return [statistics.mean(values) if values else None for values in found]


def export_difference(pipeline, folder, test):
    """Return the largest difference between the outputs of the checkpoint's model and of the export on ten pictures.

    Each output, counts and classes included, is compared relative to its largest value.
    """
    import tensorflow as tf

    from object_detection import checkpoints
    from object_detection.models import build
    model = build.build(pipeline.model)
    checkpoints.restore_model(model, checkpoints.load(folder / 'model'))
    exported = tf.saved_model.load(str(folder / 'exported' / 'saved_model'))
    index, worst = records.Records(test), 0.
    for number in range(PICTURES):
        encoded = records.Example.from_bytes(index[number]).encoded
        image = tf.io.decode_jpeg(encoded, channels=3)[tf.newaxis]
        inputs, true_shapes = model.preprocess(tf.cast(image, tf.float32))
        ours, theirs = model.postprocess(model.predict(inputs, true_shapes), true_shapes), exported(image)
        ours['detection_classes'] += 1.
        for key, value in ours.items():
            expected = value.numpy().astype(np.float64)
            scale = max(np.abs(expected).max(initial=0.), 1e-6)
            worst = max(worst, np.abs(theirs[key].numpy() - expected).max(initial=0.) / scale)
    return worst


def line(row):
    """Format a row of the Markdown table."""
    values = [value if isinstance(value, str) else '' if value is None else f'{value:.3g}' if name == COLUMNS[-1] else
              str(value) if isinstance(value, int) else f'{value:.3f}' for name, value in row.items()]
    return f'| {" | ".join(values)} |'


def missed(row):
    """Return a line for each value of a row that misses its target."""
    low = [f'{row["family"]}: {name} is {row[name]:.3f}, target: {TARGET}' for name in row
           if name.endswith('mAP@.50') and row[name] is not None and row[name] < TARGET]
    if row[COLUMNS[-1]] > TOLERANCE:
        low.append(f'{row["family"]}: the export differs by {row[COLUMNS[-1]]:.1e}')
    return low


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--family', nargs='+', choices=FAMILIES, default=FAMILIES, metavar='NAME',
                        help=f'of {", ".join(FAMILIES)} (default: all)')
    parser.add_argument('--records', type=Path, help='folder with train.tfrecords and test.tfrecords of such shapes')
    parser.add_argument('--work', type=Path, default=ROOT / 'out' / 'families', help='folder for all files')
    args = parser.parse_args()
    environment.prepare_tensorflow()
    work = args.work.resolve()
    (work / 'data').mkdir(parents=True, exist_ok=True)
    prepare(args.records, work / 'data')
    print(f'| {" | ".join(COLUMNS)} |\n{"|---" * len(COLUMNS)}|', flush=True)
    failures = []
    for name in args.family:
        row = measure(name, work / 'data', work / name)
        print(line(row), flush=True)
        failures += missed(row)
    print('\n'.join(failures) or 'all targets reached')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
