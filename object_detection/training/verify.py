"""The phase of train_t2.py: a short training and evaluation in a folder that is deleted afterwards."""
import tempfile
from typing import Any

import tensorflow as tf

from object_detection.config import pipeline
from object_detection.evaluation import evaluator
from object_detection.training import train
from object_detection.utils import machine
from object_detection.utils.phases import Report, Stopping


def try_out(report: Report, stopping: Stopping, config_text: str, num_steps: int, sample_1_of_n: int = 1,
            cpus: int | None = None) -> dict[str, Any]:
    """Build, restore, train, evaluate: a phase (utils/phases.py).

    Args:
        config_text: the pipeline.config.
        num_steps: how many steps to train; 0: only build the model and restore its checkpoint.
        sample_1_of_n: evaluate every n-th picture only.
        cpus: see devices.strategy.
    Events: those of train.train and evaluator.evaluate.
    Returns:
        {'peak_memory', 'peak_gpu_memory'} of training, in bytes; None where it is unknown.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        done = train.train(report, stopping, config_text, folder, num_steps, log_every_n=1, cpus=cpus)
        memory = {'peak_memory': machine.peak_memory(), 'peak_gpu_memory': _peak_gpu_memory()}
        if num_steps and pipeline.parse(config_text).eval_input_reader:
            evaluator.evaluate(report, stopping, config_text, folder, done['checkpoint'], sample_1_of_n=sample_1_of_n)
    return memory


def _peak_gpu_memory():
    """Return the most memory that TensorFlow has taken of one GPU so far."""
    gpus = tf.config.list_logical_devices('GPU')
    return max((tf.config.experimental.get_memory_info(gpu.name)['peak'] for gpu in gpus), default=None)
