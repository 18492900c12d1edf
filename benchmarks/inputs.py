"""Measure the input pipeline of training beside decoding alone and beside the reference's pipeline.

    python -m benchmarks.inputs --config A.config ... [--reference_python ~/reference_env/bin/python]

Writes records of 500x500 JPEGs to a temporary folder and trains nothing. Each pipeline.config keeps its augmentations
and its size. On a busy machine compare the CPU times: they count the one process that prepares the pictures.
"""
import argparse
import inspect
import os
import subprocess
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np

from benchmarks import drawn
from object_detection.utils import environment, files

BATCH = 16
REFERENCE = """
import sys, time
import compat
from object_detection import inputs
from object_detection.builders import image_resizer_builder
from object_detection.utils import config_util

configs = config_util.get_configs_from_pipeline_file(sys.argv[1])
architecture = getattr(configs['model'], configs['model'].WhichOneof('model'))

class Model:
    def preprocess(self, images):
        image, shape = image_resizer_builder.build(architecture.image_resizer)(images[0])
        return image[None], shape[None]

measure('train_input of the reference',
        inputs.train_input(configs['train_config'], configs['train_input_config'], configs['model'], Model()),
        int(sys.argv[2]))
"""


def measure(name, dataset, batches):
    """Print pictures per second and CPU time of each. Runs in the reference's process, too."""
    iterator = iter(dataset)
    for _ in range(8):
        next(iterator)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(batches):
        next(iterator)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    pictures = batches * 16
    print(f'  {name:30s} {pictures / wall:7.0f} pictures/s, {cpu / pictures * 1000:6.2f} ms CPU each', flush=True)


def write_records(path, count=320):
    """Write pictures of about 70 kB that compress as photographs do, each with a box."""
    from PIL import Image

    from object_detection import records
    rng = np.random.default_rng(0)
    gradient = np.add.outer(np.arange(500), np.arange(500))[..., None] * [0.2, 0.15, 0.1]
    with records.Writer(path) as writer:
        for i in range(count):
            noise = np.kron(rng.normal(0, 25, (100, 100, 3)), np.ones((5, 5, 1))) + rng.normal(0, 12, (500, 500, 3))
            encoded = BytesIO()
            Image.fromarray(np.clip(gradient + noise, 0, 255).astype(np.uint8)).save(encoded, 'JPEG', quality=88)
            writer.write(records.Example(encoded.getvalue(), 500, 500, filename=f'{i}.jpg', labels=[1 + i % 3],
                                         boxes=[(0.2, 0.3, 0.6, 0.8)]).to_bytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', type=Path, nargs='+', required=True)
    parser.add_argument('--reference_python', help='python of its environment; without it only the suite runs')
    parser.add_argument('--batches', type=int, default=60, help=f'batches of {BATCH} to measure (default: %(default)s)')
    args = parser.parse_args()
    environment.prepare_tensorflow()
    import tensorflow as tf

    from object_detection import inputs, records
    from object_detection.config import label_map, pipeline
    from object_detection.inputs.order import Stream
    from object_detection.models import build
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        drawn.records(data, 1, 1)
        write_records(data / 'train.tfrecords')
        index = records.Records(data / 'train.tfrecords')
        print(f'{os.cpu_count()} cores, {index.lengths.mean() / 1000:.0f} kB a record')
        encoded = [records.Example.from_bytes(index[i]).encoded for i in range(len(index))]
        decoded = tf.data.Dataset.from_tensor_slices(encoded).repeat().map(tf.io.decode_jpeg, tf.data.AUTOTUNE)
        measure('decoding alone, from memory', decoded.batch(BATCH).prefetch(2), args.batches)
        files.write_text(data / 'reference.py', inspect.getsource(measure) + REFERENCE)
        for number, path in enumerate(args.config):
            print(path.stem, flush=True)
            written = data / f'{number}.config'
            files.write_text(written, drawn.adapted(path, data, None, BATCH, 100))
            config = pipeline.read(written)
            if not number:
                stream = Stream(config.train_input_reader)
                positions = tf.data.Dataset.range(1 << 20).batch(BATCH)
                measure('reading, shuffled, alone', positions.map(
                    lambda batch, stream=stream: tf.numpy_function(stream.read, [batch], tf.string)), args.batches * 5)
            labels = label_map.load(config.train_input_reader.label_map_path)
            dataset = inputs.train_dataset(config, build.build(config.model).resizer, labels)
            measure('train_dataset', dataset, args.batches)
            if args.reference_python:
                subprocess.run([args.reference_python, data / 'reference.py', written, str(args.batches)], check=True,
                               env=os.environ | {'PYTHONPATH': str(Path(__file__).with_name('reference'))},
                               stderr=subprocess.DEVNULL)


if __name__ == '__main__':
    main()
