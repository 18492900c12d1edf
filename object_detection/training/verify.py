"""The phase of train_t2.py: a short training and evaluation in a folder that is thrown away."""
import sys
import tempfile

import tensorflow as tf

from object_detection.config import pipeline as configs
from object_detection.evaluation import evaluator
from object_detection.training import train


def try_out(report, stopping, config_text, num_steps, eval_share=1, cpus=None):
    """A phase (utils/phases.py): build, restore, train, evaluate.

    Args:
        num_steps: how many to train; 0: only build the model and restore its checkpoint.
        eval_share: evaluate every so many-th picture.
        cpus: see devices.strategy.
    Events: those of train.train and evaluator.evaluate.
    Returns:
        {'peak_memory', 'peak_gpu_memory'}: bytes, None where that cannot be known.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        done = train.train(report, stopping, config_text, folder, num_steps, log_every_n=1, cpus=cpus)
        memory = {'peak_memory': _peak_memory(), 'peak_gpu_memory': _peak_gpu_memory()}
        if num_steps and configs.parse(config_text).eval_input_reader:
            evaluator.evaluate(report, stopping, config_text, folder, done['checkpoint'], sample_1_of_n=eval_share)
    return memory


def _peak_memory():
    """The largest resident size of this process so far."""
    if sys.platform == 'win32':
        return None
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def _peak_gpu_memory():
    """The most that TensorFlow has taken of one GPU's memory so far."""
    gpus = tf.config.list_logical_devices('GPU')
    return max((tf.config.experimental.get_memory_info(gpu.name)['peak'] for gpu in gpus), default=None)
