"""Time a training step of any model, the suite and the reference in turn, and print a table.

    python -m benchmarks.step_times --reference_python FOLDER/bin/python --config A.config B.config ...

Each pipeline.config without keypoints (a released one works unchanged) is pointed at drawn shapes with boxes and masks
and trained from random weights for a few steps by both sides, --runs times in turn. For CenterNet with MobileNetV2 the
reference downloads pretrained weights, so it needs the internet.
"""
import argparse
import shutil
import statistics
import sys
from pathlib import Path

from benchmarks import side_by_side
from demo import shapes
from object_detection.config import pipeline as config
from object_detection.utils import files

SIDES = ('suite', 'reference')
PICTURES = {'train': 32, 'test': 1}  # the suite evaluates after training; the evaluation is not timed
WARMUP = 3


def adapted(path, data, size, batch_size, steps):
    """Return the text of a pipeline.config that trains on `data`, with inputs of size x size unless None."""
    pipeline = config.read(path)
    training = pipeline.train_config
    training.batch_size, training.num_steps = batch_size, steps
    for field in ('fine_tune_checkpoint', 'fine_tune_checkpoint_type', 'sync_replicas', 'replicas_to_aggregate',
                  'use_bfloat16'):
        training.ClearField(field)
    if size:
        _, model = config.architecture(pipeline)
        model.image_resizer.Clear()
        model.image_resizer.fixed_shape_resizer.height = model.image_resizer.fixed_shape_resizer.width = size
    del pipeline.eval_input_reader[1:]
    for reader, name in zip((pipeline.train_input_reader, pipeline.eval_input_reader[0]), PICTURES):
        reader.ClearField('num_keypoints')  # the drawn records have none
        reader.label_map_path = f'{data.as_posix()}/label_map.pbtxt'
        reader.tf_record_input_reader.input_path[:] = [f'{data.as_posix()}/{name}.tfrecords']
    return config.to_text(pipeline)


def measure(path, pythons, args):
    """Return {side: [seconds per step of each run]} for one pipeline.config."""
    folder = args.work.resolve() / path.stem
    files.write_text(folder / 'pipeline.config', adapted(path, args.work.resolve() / 'data', args.size, args.batch_size,
                                                         args.steps))
    samples = {side: [] for side in pythons}
    for _ in range(args.runs):
        for side, python in pythons.items():
            shutil.rmtree(folder / side, ignore_errors=True)
            command = side_by_side.training(side, python, str(folder / 'pipeline.config'), str(folder / side),
                                            args.steps)
            lines, _, _ = side_by_side.run(command, folder / f'{side}.log')
            samples[side].append(side_by_side.settled_step(side_by_side.step_ends(lines), WARMUP))
    return samples


def row(name, samples):
    medians = [statistics.median(values) for values in samples.values()]
    cells = [f'{median:.3g} s ({min(values):.3g} to {max(values):.3g})'
             for median, values in zip(medians, samples.values())]
    return f'| {name} | {" | ".join(cells)} | {medians[0] / medians[-1]:.2f} |'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--reference_python', help='python of its environment; without it only the suite runs')
    parser.add_argument('--config', type=Path, nargs='+', required=True)
    parser.add_argument('--size', type=int, help='height and width of the input, overriding the config')
    parser.add_argument('--batch_size', type=int, default=2)
    parser.add_argument('--steps', type=int, default=12)
    parser.add_argument('--runs', type=int, default=1)
    parser.add_argument('--work', type=Path, default=side_by_side.ROOT / 'out' / 'step_times')
    args = parser.parse_args()
    data = args.work.resolve() / 'data'
    data.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate(PICTURES.items()):
        shapes.draw(data / f'{name}_boxes.tfrecords', count, seed)
        shapes.complete(data / f'{name}_boxes.tfrecords', data / f'{name}.tfrecords')
    files.write_text(data / 'label_map.pbtxt', shapes.label_map())
    pythons = {side: python for side, python in zip(SIDES, (sys.executable, args.reference_python)) if python}
    print(f'| batch {args.batch_size} | {" | ".join(pythons)} | ratio |\n{"|---" * (len(pythons) + 2)}|', flush=True)
    for path in args.config:
        print(row(path.stem, measure(path, pythons, args)), flush=True)


if __name__ == '__main__':
    main()
