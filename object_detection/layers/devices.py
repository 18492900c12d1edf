"""The devices that a phase computes on, and the error when they run out of memory."""
import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from object_detection.layers.machines import Machines
from object_detection.utils import console, endings
from object_detection.utils.phases import OutOfMemory

# Passes of TensorFlow's graph optimizer over a training step on a CPU.
_PASSES = {name: name == 'arithmetic_optimization' for name in (
    'arithmetic_optimization', 'constant_folding', 'dependency_optimization', 'function_optimization',
    'layout_optimizer', 'loop_optimization', 'remapping', 'shape_optimization')}


def strategy(report: Callable, cpus: int | None = None, training: bool = False, machines: Machines | None = None
             ) -> tf.distribute.Strategy:
    """Return the strategy to compute with: MirroredStrategy for several GPUs, else TensorFlow's default strategy.

    Inside the scope of a strategy it is that one: a program may train in its own process, with a strategy of its own.

    Args:
        report: called with the event 'device' and its device=name, count=number; before several machines connect, with
            the event 'connecting'.
        cpus: split this process's CPU into this many logical devices and use them (for tests without GPUs).
        training: on CPUs run only one pass of TensorFlow's graph optimizer, that of arithmetic. It takes 0.5 to 1 s and
            makes a step 4 percent faster (EfficientDet D0, MobileNetV2 FPNLite); the others take as long again and gain
            nothing. On GPUs all run: they choose the memory layout of convolutions.
        machines: if they are several, the strategy is theirs.
    """
    gpus = tf.config.list_physical_devices('GPU')
    if not gpus and training:
        tf.config.optimizer.set_experimental_options(_PASSES)
    if cpus:
        cpu = tf.config.list_physical_devices('CPU')[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpus)
        return tf.distribute.MirroredStrategy([f'CPU:{i}' for i in range(cpus)])
    for gpu in gpus:  # otherwise TensorFlow allocates all memory at once
        with contextlib.suppress(RuntimeError):  # too late: the program that calls this has used the GPU already
            tf.config.experimental.set_memory_growth(gpu, True)
    name = tf.config.experimental.get_device_details(gpus[0]).get('device_name', 'GPU') if gpus else 'CPU'
    if machines and machines.count > 1:
        report('connecting')
        with console.muffled():  # gRPC's servers say hello
            made = machines.strategy()
        report('device', device=name, count=made.num_replicas_in_sync)
        return made
    if tf.distribute.has_strategy():
        report('device', device=name, count=tf.distribute.get_strategy().num_replicas_in_sync)
        return tf.distribute.get_strategy()
    report('device', device=name, count=max(1, len(gpus)))
    return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()


@contextlib.contextmanager
def out_of_memory(batch_size: int, advice: str) -> Iterator[None]:
    """Inside the block, turn TensorFlow's ResourceExhaustedError, and those of the libraries below it, into OutOfMemory
    that says what to do."""
    try:
        yield
    except tf.errors.OpError as error:
        if not isinstance(error, tf.errors.ResourceExhaustedError) and not endings.ALLOCATION_FAILED.search(str(error)):
            raise
        lines = str(error).splitlines()
        reason = next((line for line in lines if line.startswith('OOM')), lines[0])  # a graph's error starts elsewhere
        raise OutOfMemory(f'memory ran out at batch size {batch_size} ({reason[:160]}). {advice}') from error
