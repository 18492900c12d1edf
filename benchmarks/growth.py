"""How time and memory grow: with the size of pictures, their number in a batch, their boxes, the classes, the records.

    python -m benchmarks.growth [--only size batch ...] [--output out/growth]       # a quarter of an hour on two cores

EfficientDet D0 trains on noise from random weights, 128 pixels and batch 2 where these do not vary. Each point has a
fresh process; its memory is the largest resident size of that process. `grows` is the exponent between the last two
points: 1 is proportional, less is better. Writes growth.md, growth.json, and growth.png. Linux and macOS only.
"""
import argparse
import io
import json
import math
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import drawn, fresh_process
from object_detection.utils import environment, files

CONFIG = Path(__file__).with_name('efficientdet_d0_512.config')
USUAL = {'size': 128, 'batch': 2, 'boxes': 10, 'classes': 10, 'records': 16}
POINTS = {'size': (128, 256, 512, 1024), 'batch': (1, 2, 4, 8, 16, 32), 'boxes': (1, 10, 100, 1000),
          'classes': (1, 10, 100, 1000), 'records': (100, 1000, 10_000, 100_000, 1_000_000)}
TITLES = {'size': 'pixels of a side', 'batch': 'pictures in a batch', 'boxes': 'boxes in a picture',
          'classes': 'classes', 'records': 'records'}
STEPS = 7


def write(folder, size, boxes, classes, records):
    """Write train.tfrecords and test.tfrecords of noise, and label_map.pbtxt."""
    from PIL import Image

    from object_detection.config import label_map
    from object_detection.records import Example, Writer
    rng = np.random.default_rng(0)
    encoded = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8)).save(encoded, 'JPEG')
    corner = rng.uniform(0, .8, (boxes, 2))
    labels = rng.integers(1, classes + 1, boxes).tolist()
    example = Example(encoded.getvalue(), size, size, filename='noise.jpg', labels=labels,
                      boxes=np.concatenate([corner, corner + .15], 1).tolist()).to_bytes()
    for name, count in (('train', records), ('test', 1)):
        with Writer(folder / f'{name}.tfrecords') as writer:
            for _ in range(count):
                writer.write(example)
    label_map.write(folder / 'label_map.pbtxt', [f'class {number}' for number in range(1, classes + 1)])


def step(size, batch, boxes, classes, records):
    """Return the median seconds of a training step, those to trace it, and the peak memory in GB."""
    environment.prepare_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), size, boxes, classes, max(records, batch))
        batches, trace = drawn.steps(CONFIG, Path(folder), size, batch, num_classes=classes, max_boxes=max(boxes, 100))
        started = time.perf_counter()
        compute = trace()
        traced = time.perf_counter() - started
        times, iterator = [], iter(batches)
        for _ in range(STEPS):
            features, groundtruth = next(iterator)
            started = time.perf_counter()
            compute({name: value for name, value in features.items() if name != 'filename'}, groundtruth)
            times.append(time.perf_counter() - started)
    return {'seconds': statistics.median(times[2:]), 'tracing': traced, 'memory': _peak()}


def opened(records, **_):
    """Return the seconds until the first batch of a shuffled data set of so many records, and the peak memory."""
    environment.prepare_tensorflow()
    import tensorflow as tf

    from object_detection import inputs
    from object_detection.config import pipeline
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), 8, 1, 1, records)
        config = pipeline.parse(drawn.adapted(CONFIG, Path(folder), 64, 2, 1))
        before = _peak()
        started = time.perf_counter()
        resized = tf.zeros([64, 64, 3]), tf.constant([64, 64, 3])
        next(iter(inputs.train_dataset(config, lambda image: resized)))
        return {'seconds': time.perf_counter() - started, 'memory': _peak(), 'of which records': _peak() - before}


def _peak():
    unit = 1e9 if sys.platform == 'darwin' else 1e6  # bytes there, kilobytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def exponent(points, key):
    """Return the exponent of growth between the last two points."""
    (x, before), (y, after) = points[-2:]
    return math.log(after[key] / before[key]) / math.log(y / x)


def plot(found, path):
    """Draw seconds and memory against each quantity, and a line that is proportional to it; to the area of pictures."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot, ticker
    figure, axes = pyplot.subplots(2, len(found), figsize=(3.2 * len(found), 5.6), squeeze=False)
    for column, (name, points) in enumerate(found.items()):
        xs = [x for x, _ in points]
        for row, key in enumerate(('seconds', 'memory')):
            ys, axis = [values[key] for _, values in points], axes[row][column]
            axis.loglog(xs, ys, 'o-', label='measured')
            power = 2 if name == 'size' else 1
            axis.loglog(xs, [ys[-1] * (x / xs[-1]) ** power for x in xs], ':', color='gray', label='proportional')
            axis.set_xticks(xs, [f'{x:g}' if x < 1e4 else f'{x / 1e3:g}k' for x in xs])
            axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
            axis.minorticks_off()
            axis.set_ylim(min(ys) / 3, max(ys) * 3)
            axis.set_title(f'{"first batch" if name == "records" else "step"}, s' if key == 'seconds' else 'memory, GB')
            axis.set_xlabel(TITLES[name])
            axis.grid(True, which='major', alpha=.3)
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', choices=POINTS, default=list(POINTS))
    parser.add_argument('--output', type=Path, default=Path('out/growth'))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    found, lines = {}, ['| | | seconds | grows | memory, GB | grows |', '|---|---|---|---|---|---|']
    for name in args.only:
        points = found[name] = []
        for value in POINTS[name]:
            measured = fresh_process.run(opened if name == 'records' else step, **USUAL | {name: value})
            points.append((value, measured))
            grows = ['', ''] if len(points) < 2 else [f'{exponent(points, key):.2f}' for key in ('seconds', 'memory')]
            lines.append(f'| {TITLES[name]} | {value} | {measured["seconds"]:.3g} | {grows[0]} | '
                         f'{measured["memory"]:.2f} | {grows[1]} |')
            print(lines[-1], json.dumps(measured), flush=True)
    files.write_text(args.output / 'growth.md', '\n'.join([*lines, '']))
    files.write_text(args.output / 'growth.json', json.dumps(found, indent=1))
    plot(found, args.output / 'growth.png')


if __name__ == '__main__':
    main()
