"""The phase of train_t2.py: a short training and evaluation in a temporary folder, and what they take."""
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection import protos, records
from object_detection.checkpoints import slim
from object_detection.config import pipeline
from object_detection.doctor import anchors, plot
from object_detection.evaluation import evaluator
from object_detection.models import build_parts
from object_detection.training import train
from object_detection.utils import machine
from object_detection.utils.phases import Report, Stopping

_SECONDS = 20.  # after which no further step is measured
_READ_AHEAD = 4  # batches that may be there before the first step, and are passed over


def try_out(report: Report, stopping: Stopping, config_text: str, num_steps: int, sample_1_of_n: int = 1,
            cpus: int | None = None, worst: Sequence[int] = (), boxes: np.ndarray | None = None,
            plot_folder: str | None = None) -> dict[str, Any]:
    """Build, restore, train, measure, evaluate: a phase (utils/phases.py).

    Args:
        config_text: the pipeline.config.
        num_steps: how many steps to train, and to measure; 0: only build the model and restore its checkpoint.
        sample_1_of_n: evaluate every n-th picture only.
        cpus: see devices.strategy.
        worst: indices of the training records that take the most memory, a batch of them; none: not measured.
        boxes: float64 [N, 4] of the training data, fractions of the input, to compare with the anchors.
        plot_folder: draw inputs here; None: do not.
    Events: those of train.train and evaluator.evaluate; finding(finding); plotted(paths).
    Returns:
        peak_memory, peak_gpu_memory: of training, with the worst batch, in bytes; None where it is unknown.
        With steps: checkpoint_bytes, slot_bytes: of a checkpoint, and of the state of the optimizer in it;
        seconds_per_step; waiting: the share of it that waits for input.
    """
    measured: dict[str, Any] = {}

    def examine(run: Any) -> None:
        if boxes is not None:
            _compare_anchors(report, run, boxes)
        if plot_folder:
            report('plotted', paths=plot.draw(run, Path(plot_folder)))
        if len(worst):
            _train_worst(run, worst, folder)
        measured.update(_measure(run, num_steps), **_sizes(run))

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        done = train.train(report, stopping, config_text, folder, num_steps, log_every_n=1, cpus=cpus,
                           examine=examine if num_steps else None)
        measured |= {'peak_memory': machine.peak_memory(), 'peak_gpu_memory': _peak_gpu_memory()}
        if num_steps and pipeline.parse(config_text).eval_input_reader:
            _evaluate(report, stopping, config_text, folder, done['checkpoint'], sample_1_of_n)
    return measured


def _evaluate(report: Report, stopping: Stopping, config_text: str, folder: str, checkpoint: str, sample_1_of_n: int
              ) -> None:
    """Evaluate a few pictures; report no warnings about the metrics, which mean nothing after a few steps."""
    warnings: list[str] = []

    def pass_on(name: str, **values: Any) -> None:
        if name == 'warning':
            warnings.append(values['text'])
        else:
            report(name, **values)

    result = evaluator.evaluate(pass_on, stopping, config_text, folder, checkpoint, sample_1_of_n=sample_1_of_n)
    for text in warnings:
        if text not in result.get('analysis', {}).get('warnings', ()):
            report('warning', text=text)


def _compare_anchors(report: Report, run: Any, boxes: np.ndarray) -> None:
    """Report boxes without anchors, if the model has anchors and images of one size."""
    generator, size = run.model.anchor_generator, run.model.resizer.size
    if generator is not None and size and generator.grid_sizes:
        for finding in anchors.check(boxes, size, generator.grid_sizes, run.config.model, build_parts.anchor_generator):
            report('finding', finding=finding)


def _train_worst(run: Any, worst: Sequence[int], folder: str) -> None:
    """Train a step on these records, then read on where training was."""
    reader = run.config.train_input_reader
    kept = protos.InputReader()
    kept.CopyFrom(reader)
    data = records.Records(list(reader.tf_record_input_reader.input_path))
    path = Path(folder, 'worst.tfrecords')
    with records.Writer(path) as writer:
        for index in worst:
            writer.write(data[index])
    reader.ClearField('sample_from_datasets_weights')
    reader.sample_1_of_n_examples = 1
    reader.tf_record_input_reader.input_path[:] = [path.as_posix()]
    run.read_from(0)
    _train(run, run.next_batch(0))
    reader.CopyFrom(kept)
    run.read_from(int(run.step.numpy()))


def _measure(run: Any, num_steps: int) -> dict[str, float]:
    """Return the seconds of a step, and the share of them in which it waits for its batch.

    A step ends when its loss is known. Batches that were read while nothing was trained are passed over first.
    """
    at = int(run.step.numpy())
    for _ in range(_READ_AHEAD):
        batch = run.next_batch(at)
    begin, waited, steps = time.monotonic(), 0., 0
    while steps < max(num_steps, 2) and (steps < 2 or time.monotonic() - begin < _SECONDS):
        _train(run, batch)
        trained = time.monotonic()
        batch = run.next_batch(at + steps)
        waited += time.monotonic() - trained
        steps += 1
    seconds = time.monotonic() - begin
    return {'seconds_per_step': seconds / steps, 'waiting': waited / seconds}


def _train(run: Any, batch: Any) -> None:
    float(run.train_step(batch)['Loss/total_loss'])


def _sizes(run: Any) -> dict[str, int]:
    """Return the bytes of the newest checkpoint, and of the optimizer's state, which is taken out of it."""
    prefix = Path(run.checkpoint)

    def size() -> int:
        return sum(path.stat().st_size for path in prefix.parent.iterdir() if path.name.startswith(f'{prefix.name}.'))

    whole = size()
    slim.remove_slots(prefix)
    return {'checkpoint_bytes': whole, 'slot_bytes': whole - size()}


def _peak_gpu_memory():
    """Return the most memory that TensorFlow has taken of one GPU so far."""
    gpus = tf.config.list_logical_devices('GPU')
    return max((tf.config.experimental.get_memory_info(gpu.name)['peak'] for gpu in gpus), default=None)
