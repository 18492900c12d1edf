"""Measure the input pipeline beside decoding alone and beside the reference's pipeline.

    python benchmarks/inputs.py
    python benchmarks/inputs.py --reference "PYTHONPATH=benchmarks/reference ~/reference_env/bin/python"

Writes records of 500x500 JPEGs to a temporary folder and trains nothing: flip, crop and resize to 512, as the SSD
configs do. --reference: a command that runs Python in the reference's environment. On a busy machine compare the CPU
times: they count this process alone.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

PIPELINE = """
model {{ ssd {{ num_classes: 3 image_resizer {{ fixed_shape_resizer {{ height: 512 width: 512 }} }} }} }}
train_config {{
  batch_size: 16
  data_augmentation_options {{ random_horizontal_flip {{ }} }}
  data_augmentation_options {{ random_crop_image {{ min_object_covered: 0.0 min_aspect_ratio: 0.75 max_aspect_ratio: 3.0
    min_area: 0.75 max_area: 1.0 overlap_thresh: 0.0 }} }}
}}
train_input_reader {{ tf_record_input_reader {{ input_path: "{records}" }} }}
"""

REFERENCE = """
import sys, time
import compat
from object_detection import inputs
from object_detection.builders import image_resizer_builder
from object_detection.utils import config_util

configs = config_util.get_configs_from_pipeline_file(sys.argv[1])

class Model:
    def preprocess(self, images):
        image, shape = image_resizer_builder.build(configs['model'].ssd.image_resizer)(images[0])
        return image[None], shape[None]

dataset = inputs.train_input(configs['train_config'], configs['train_input_config'], configs['model'], Model())
"""
MEASURE = """
iterator = iter(dataset)
for _ in range(8):
    next(iterator)
wall, cpu = time.perf_counter(), time.process_time()
for _ in range(batches):
    next(iterator)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(f'{name:28s} {batches * 16 / wall:7.0f} pictures/s, {cpu / batches / 16 * 1000:6.2f} ms CPU each', flush=True)
"""



def write_records(path, count=320):
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


def measure(name, dataset, batches):
    exec(MEASURE, {'name': name, 'dataset': dataset, 'batches': batches, 'time': time})  # the reference's code


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--reference', help='command that runs Python in the reference environment')
    parser.add_argument('--batches', type=int, default=60, help='batches of 16 to measure (default: %(default)s)')
    args = parser.parse_args()
    import tensorflow as tf

    from object_detection import inputs, records
    from object_detection.config import pipeline as config
    from object_detection.inputs.order import Stream

    def resize(image):
        resized = tf.compat.v1.image.resize(image, [512, 512])
        return tf.ensure_shape(resized, [512, 512, 3]), tf.constant([512, 512, 3])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'train.tfrecords')
        write_records(path)
        pipeline = Path(folder, 'pipeline.config')
        pipeline.write_text(PIPELINE.format(records=path.as_posix()), encoding='utf-8')
        index = records.Records(path)
        print(f'{os.cpu_count()} cores, {index.lengths.mean() / 1000:.0f} KB a record')
        pictures = [records.Example.from_bytes(index[i]).encoded for i in range(len(index))]
        decoded = tf.data.Dataset.from_tensor_slices(pictures).repeat().map(tf.io.decode_jpeg, tf.data.AUTOTUNE)
        measure('decoding alone, from memory', decoded.batch(16).prefetch(2), args.batches)
        stream = Stream(config.read(pipeline).train_input_reader)
        read = tf.data.Dataset.range(0, 1 << 20, 16).map(lambda p: tf.numpy_function(stream.read, [p, 16], tf.string))
        measure('reading, shuffled, alone', read, args.batches * 5)
        measure('train_dataset', inputs.train_dataset(config.read(pipeline), resize), args.batches)
        if args.reference:
            script = Path(folder, 'reference.py')
            settings = f"name, batches = 'train_input of the reference', {args.batches}"
            script.write_text(REFERENCE + settings + MEASURE, encoding='utf-8')
            subprocess.run(f'{args.reference} {script} {pipeline}', shell=True, check=True, stderr=subprocess.DEVNULL)


if __name__ == '__main__':
    main()
