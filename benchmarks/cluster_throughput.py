"""What many GPUs on many machines would wait for: a simulation, from what a step of the suite really sends.

    python -m benchmarks.cluster_throughput d0.config=397 d4.config ssd_resnet50.config=181 faster_rcnn.config

Each argument is a pipeline.config with the images per second of one GPU; one without has the FLOP/s of the one before.
Measured, by tracing the step for two devices: the bytes of all gradients, and every sum over all devices that stands
between the first layer and the update (the moments of each batch normalization, forward and backward). Assumed: all
else, by the options; the last lines of the output name it. Writes Markdown.

The simulation takes the GPUs through one step after the other. Computing is divided evenly among the pieces between two
sums, a third of it forward. Each GPU takes a piece a little slower or faster than the others, and a sum begins when the
last GPU is there. A sum costs what NCCL's ring or tree over one network card per machine costs, whichever is less. The
gradients are one message after the backward pass, as MultiWorkerMirroredStrategy sends them; the last column is for
messages that leave while it still runs.
"""
import argparse
import math
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import drawn
from object_detection.config import pipeline as config
from object_detection.utils import environment

STEPS = 200  # of the simulation


@dataclass(frozen=True)
class Traffic:
    """What a training step of a model costs.

    Attributes:
        name: of the model.
        flops: of the forward pass of one picture.
        gradients: the bytes of all gradients, and of the losses.
        sums: bytes of each sum over all devices before that of the gradients; the first half in the forward pass.
    """
    name: str
    flops: float
    gradients: int
    sums: tuple[int, ...]

    @property
    def forward(self) -> int:
        return len(self.sums) // 2


def traffic(path: Path, folder: Path) -> Traffic:
    """Trace the training step of one picture for two devices, and note what it sums over both."""
    import tensorflow as tf
    strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
    drawn.records(folder, 1, 1)
    original, noted = tf.distribute.ReplicaContext.all_reduce, {}

    def all_reduce(context, operation, value, options=None):
        size = sum(part.shape.num_elements() * part.dtype.size for part in tf.nest.flatten(value))
        noted.setdefault(threading.get_ident(), []).append(size)  # a thread for each device
        return original(context, operation, value, options)

    tf.distribute.ReplicaContext.all_reduce = all_reduce
    try:
        with strategy.scope():
            _, trace = drawn.steps(path, folder, None, 1)
            trace()
    finally:
        tf.distribute.ReplicaContext.all_reduce = original
    *sums, gradients = next(iter(noted.values()))
    return Traffic(path.stem, _flops(config.read(path).model), gradients, tuple(sums))


def _flops(architecture):
    """Of the forward pass of one picture: twice the multiplications of convolutions and matrices, and more."""
    import tensorflow as tf

    from object_detection.models import build
    model = build.build(architecture)
    inputs, shapes = model.preprocess(tf.zeros([1, 640, 640, 3]))
    traced = tf.function(lambda images: tf.nest.flatten(model.predict(images, shapes)),
                         autograph=False).get_concrete_function(tf.TensorSpec(inputs.shape))
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    return tf.compat.v1.profiler.profile(traced.graph, options=options | {'output': 'none'}).total_float_ops


@dataclass(frozen=True)
class Cluster:
    """Machines, GPUs of each, bytes per second of a machine's network, seconds of one hop, and how unequal GPUs are:
    standard deviations, as a share, of a GPU's speed and of the time of one piece of computing."""
    machines: int
    gpus: int
    bandwidth: float
    latency: float
    uneven: float
    noise: float

    def sum_seconds(self, size: float) -> float:
        """Seconds to sum `size` bytes over all GPUs: a ring through all, or a tree over the machines."""
        members = self.machines * self.gpus
        ring = 2 * (members - 1) / members * size / self.bandwidth + 2 * (members - 1) * self.latency
        tree = 2 * size / self.bandwidth + 2 * math.ceil(math.log2(self.machines)) * self.latency
        return min(ring, tree)


def simulate(step: Traffic, seconds: float, cluster: Cluster, moments: bool, overlap: bool, seed: int = 0) -> float:
    """Return the mean seconds of a step that takes `seconds` on one GPU alone."""
    rng = np.random.default_rng(seed)
    speeds = 1 + cluster.uneven * np.abs(rng.standard_normal(cluster.machines * cluster.gpus))
    sums = step.sums if moments else ()
    forward = step.forward if moments else 0
    pieces = np.concatenate([np.full(forward + 1, seconds / 3 / (forward + 1)),
                             np.full(len(sums) - forward + 1, seconds * 2 / 3 / (len(sums) - forward + 1))])
    costs = [*(cluster.sum_seconds(size) for size in sums[:forward]), 0.,
             *(cluster.sum_seconds(size) for size in sums[forward:]), 0.]
    gradients, total = cluster.sum_seconds(step.gradients), 0.
    for _ in range(STEPS):
        clocks = np.zeros(len(speeds))
        for number, (piece, cost) in enumerate(zip(pieces, costs)):
            clocks += piece * speeds * (1 + cluster.noise * rng.standard_normal(len(speeds)))
            if cost:
                clocks[:] = clocks.max() + cost
            if number == forward:
                begun = clocks.max()
        ended = clocks.max()
        # Overlapped messages leave at an even pace, and the last one cannot before the end.
        total += max(ended, begun + gradients) if overlap else ended + gradients
    return total / STEPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='+', metavar='CONFIG[=IMAGES_PER_SECOND]')
    parser.add_argument('--machines', type=int, default=25)
    parser.add_argument('--gpus', type=int, default=4, help='of each machine')
    parser.add_argument('--batch', type=int, nargs='+', default=[16], help='of each GPU: one, or one for each model')
    parser.add_argument('--gigabits', type=float, nargs='+', default=[25., 100.])
    parser.add_argument('--latency', type=float, default=20e-6, help='seconds from one machine to the next')
    parser.add_argument('--uneven', type=float, default=.01, help='standard deviation of the speed of GPUs')
    parser.add_argument('--noise', type=float, default=.02, help='standard deviation of the time of a piece of work')
    parser.add_argument('--record_bytes', type=float, default=153e3, help='of a picture; 153 kB are the mean of COCO')
    parser.add_argument('--record_cpu', type=float, default=2.8e-3,
                        help='CPU seconds of a picture: benchmarks/inputs.py')
    options = parser.parse_args()
    environment.prepare_tensorflow()
    import tensorflow as tf
    cpu = tf.config.list_physical_devices('CPU')[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    steps = models(options)
    print()
    members = options.machines * options.gpus
    heading('model', 'network', 'step of one GPU alone', 'sum of the gradients', 'step of all', 'images/s',
            'efficiency', 'without summing moments', 'and gradients sent during the backward pass')
    for step, seconds, batch in steps:
        for gigabits in options.gigabits:
            cluster = Cluster(options.machines, options.gpus, gigabits * 1e9 / 8, options.latency, options.uneven,
                              options.noise)
            real, *others = (simulate(step, seconds, cluster, moments, overlap)
                             for moments, overlap in ((True, False), (False, False), (False, True)))
            row(step.name, f'{gigabits:g} Gbit/s', f'{seconds * 1e3:.0f} ms',
                f'{cluster.sum_seconds(step.gradients) * 1e3:.0f} ms', f'{real * 1e3:.0f} ms',
                f'{batch * members / real:.0f}', *(f'{seconds / value:.0%}' for value in (real, *others)))
    print(f'\nMeasured: FLOPs, gradients, sums. Assumed: {options.machines} machines of {options.gpus} GPUs; images '
          f'per second of one; {options.latency * 1e6:.0f} us per hop; speeds uneven by {options.uneven:.0%}, pieces '
          f'by {options.noise:.0%} (standard deviations); {options.record_bytes / 1e3:.0f} kB and '
          f'{options.record_cpu * 1e3:.1f} ms of CPU per picture.')


def models(options: argparse.Namespace) -> list[tuple[Traffic, float, int]]:
    """Print what each model needs; return [(traffic, seconds of a step on one GPU alone, batch of one GPU)]."""
    heading('model', 'GFLOP forward', 'gradients, MB', 'sums of moments', 'their kB', 'one GPU, images/s',
            'batch of one GPU', 'all records, MB/s', 'cores per machine to decode')
    steps, rate = [], 0.
    batches = options.batch * len(options.models) if len(options.batch) == 1 else options.batch
    for argument, batch in zip(options.models, batches, strict=True):
        path, _, given = argument.partition('=')
        with tempfile.TemporaryDirectory() as folder:
            step = traffic(Path(path), Path(folder))
        rate = float(given) * step.flops if given else rate
        images = rate / step.flops
        steps.append((step, batch / images, batch))
        row(step.name, f'{step.flops / 1e9:.1f}', f'{step.gradients / 1e6:.1f}', len(step.sums),
            f'{sum(step.sums) / 1e3:.0f}', f'{images:.0f}' if given else f'{images:.0f} (by FLOPs)', batch,
            f'{images * options.machines * options.gpus * options.record_bytes / 1e6:.0f}',
            f'{images * options.gpus * options.record_cpu:.1f}')
    return steps


def heading(*names: str) -> None:
    row(*names)
    print('|---' * len(names) + '|')


def row(*values: object) -> None:
    print(f'| {" | ".join(map(str, values))} |', flush=True)


if __name__ == '__main__':
    main()
