"""Which devices a phase computes on, and what running out of their memory looks like."""
import contextlib

import tensorflow as tf

from utils.phases import OutOfMemory


def strategy(report, cpus=None):
    """MirroredStrategy for several GPUs, TensorFlow's default for one or none; reports device(device, count).

    Args:
        cpus: divide this process's CPU into so many logical devices and use these (for tests without GPUs).
    """
    gpus = tf.config.list_physical_devices('GPU')
    if cpus:
        cpu = tf.config.list_physical_devices('CPU')[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpus)
        return tf.distribute.MirroredStrategy([f'CPU:{i}' for i in range(cpus)])
    for gpu in gpus:  # without this TensorFlow takes all of the memory at once
        tf.config.experimental.set_memory_growth(gpu, True)
    name = tf.config.experimental.get_device_details(gpus[0]).get('device_name', 'GPU') if gpus else 'CPU'
    report('device', device=name, count=max(1, len(gpus)))
    return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()


@contextlib.contextmanager
def out_of_memory(batch_size):
    """Inside the block, TensorFlow's word for "no memory left" becomes OutOfMemory with advice."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise OutOfMemory(f'memory ran out at batch size {batch_size} ({str(error).splitlines()[0][:160]}). Make the '
                          'batch_size smaller, and learning_rate_base with it by the same factor, or the image_resizer '
                          'smaller; training goes on from the last checkpoint') from error
