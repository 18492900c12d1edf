"""Where a training step spends its time, how far from what the processor can do, and what it keeps in memory.

    python -m benchmarks.step_profile --config A.config --batch_size 8 [--size 320] [--precision mixed_bfloat16]

The step of a pipeline.config trains on drawn pictures, one batch again and again, on the CPU. TensorFlow's profiler
times the operations. The table has for each kind

    ms     their time. Several run at once, so all times add up to more than the step; they are scaled to add up to it.
    GB     what their inputs and outputs hold
    GFLOP  of convolutions and matrix products, a multiplication and an addition counted as two
    least  ms that they would take if each moved its bytes as fast as an addition of two large tensors does, or computed
           as fast as a product of two large matrices, whichever takes longer

and, with --memory (Linux), the tensors that are alive when the step uses most memory, by the operation that made them.
"""
import argparse
import collections
import ctypes
import math
import os
import re
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import drawn
from object_detection.utils import environment, machine

SHOWN = 25
WARM_UP = 3  # steps
KINDS = {  # of TensorFlow's ops, or of those that oneDNN puts in their place
    'convolution': ('Conv2D', 'FusedConv2D', 'PadWithConv2D'),
    'convolution, gradient of input': ('Conv2DBackpropInput',),
    'convolution, gradient of filter': ('Conv2DBackpropFilter', 'Conv2DBackpropFilterWithBias'),
    'depthwise convolution': ('DepthwiseConv2dNative', 'FusedDepthwiseConv2dNative'),
    'depthwise, gradient of input': ('DepthwiseConv2dNativeBackpropInput',),
    'depthwise, gradient of filter': ('DepthwiseConv2dNativeBackpropFilter',),
    '1 x 1 convolution as matrix product': ('MatMul', 'FusedMatMul'),
    'batch normalization': ('FusedBatchNorm', 'FusedBatchNormV3'),
    'batch normalization, gradient': ('FusedBatchNormGrad', 'FusedBatchNormGradV3'),
    'optimizer': ('ResourceApplyKerasMomentum', 'ResourceApplyRMSProp', 'ResourceApplyAdam')}
KIND_OF = {op: kind for kind, ops in KINDS.items() for op in ops}
FREE = {'Reshape', 'Identity', 'IdentityN', 'ReadVariableOp', 'Const', 'Shape'}  # they move nothing


def events(run, folder):
    """Profile run() and return [(start in ns, name, {stat: value})] of what the host did."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # TensorBoard's plugin reads the same file

    tf.profiler.experimental.start(str(folder))
    run()
    tf.profiler.experimental.stop()
    space = xplane_pb2.XSpace()
    space.ParseFromString(next(folder.rglob('*.xplane.pb')).read_bytes())
    found = []
    for plane in space.planes:
        names = {key: about.name for key, about in plane.stat_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                stats = {names[stat.metadata_id]: stat.str_value or names.get(stat.ref_value) or stat.uint64_value
                         or stat.int64_value for stat in event.stats}
                stats['ms'] = event.duration_ps / 1e9
                found.append((line.timestamp_ns * 1000 + event.offset_ps,
                              plane.event_metadata[event.metadata_id].name, stats))
    return sorted(found, key=lambda event: event[0])


def work(op):
    """Return (bytes of the inputs and outputs, FLOPs) of an op of a graph; sizes that are not known count as 1."""
    def size(tensor):
        return math.prod(n or 1 for n in tensor.shape) if tensor.shape.rank is not None else 1

    moved = sum(size(tensor) * tensor.dtype.size for tensor in (*op.inputs, *op.outputs[:1])
                if tensor.dtype.name not in ('resource', 'variant'))
    if op.type == 'MatMul':
        inner = op.inputs[0].shape[0 if op.get_attr('transpose_a') else 1]
        return moved, 2 * size(op.outputs[0]) * inner
    if 'Conv2D' not in op.type and 'Conv2d' not in op.type:
        return moved, 0
    places, filters = op.outputs[0], op.inputs[1]  # of the forward pass
    if 'Backprop' in op.type:
        places, filters = op.inputs[2], op.outputs[0] if 'Filter' in op.type else op.inputs[1]
    return moved, 2 * size(places) * size(filters) // filters.shape[2 if 'Depthwise' in op.type else 3]


def speeds(dtype):
    """Return (bytes, FLOPs) per second that large tensors reach here; FLOPs of `dtype`."""
    import tensorflow as tf

    def fastest(function, *arguments):
        def seconds():
            began = time.perf_counter()
            function(*arguments)[0, 0].numpy()
            return time.perf_counter() - began
        return min(seconds() for _ in range(8))

    x, a = tf.random.normal([8192, 4096]), tf.cast(tf.random.normal([2048, 2048]), dtype)
    return 3 * 4 * 8192 * 4096 / fastest(tf.add, x, x + 1.), 2 * 2048 ** 3 / fastest(tf.matmul, a, a)


def by_kind(graph, run, steps, folder, bandwidth, rate):
    """Return {kind: [seconds of a step, bytes, FLOPs, seconds that they take at least]}."""
    ops = {op.name: op for op in graph.get_operations()}
    table = collections.defaultdict(lambda: [0., 0., 0., 0.])
    for _, name, stats in events(lambda: [run() for _step in range(steps)], folder):
        path, executed = name.rsplit(':', 1) if ':' in name else (name, '')
        if path not in ops or executed in FREE:
            continue
        kind = re.sub('^_(Mkl)?(Native)?', '', executed)
        row = table[KIND_OF.get(kind, 'others: element by element, and sums')]
        moved, flops = work(ops[path])
        for i, value in enumerate((stats['ms'] / 1000, moved, flops, max(moved / bandwidth, flops / rate))):
            row[i] += value / steps
    return dict(table)


def at_peak(run, folder):
    """Return [(bytes, op, shape)] of the tensors alive when most memory is in use, of those that run() makes."""
    alive, now, most, found = {}, 0, 0, {}
    for _, name, stats in events(run, folder):
        if name == 'MemoryAllocation':
            alive[stats['addr']] = stats['allocation_bytes'], stats.get('tf_op', ''), stats.get('shape', '')
            now += stats['allocation_bytes']
            if now > most:
                most, found = now, dict(alive)
        elif name == 'MemoryDeallocation' and stats['addr'] in alive:
            now -= alive.pop(stats['addr'])[0]
    return sorted(found.values(), reverse=True)


def count_memory():
    """Make TensorFlow report what its CPU allocator does, which no public function does."""
    import tensorflow as tf
    library = ctypes.CDLL(str(Path(tf.__file__).with_name('libtensorflow_cc.so.2')))
    library._ZN3tsl23EnableCPUAllocatorStatsEv()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', type=Path, required=True)
    parser.add_argument('--size', type=int, help='height and width of the input, overriding the config')
    parser.add_argument('--batch_size', type=int, default=2)
    parser.add_argument('--precision', choices=('float32', 'mixed_bfloat16'), default='float32')
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument('--memory', action='store_true')
    args = parser.parse_args()
    environment.prepare_tensorflow()
    os.environ['CUDA_VISIBLE_DEVICES'] = '-1'

    from object_detection.layers import devices
    from object_detection.training import mixed_precision
    devices.strategy(lambda *_, **__: None, training=True)  # sets the graph optimizer
    if args.memory:
        count_memory()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        drawn.scenes(folder, args.batch_size, 1)
        dataset, trace = drawn.steps(args.config, folder, args.size, args.batch_size)
        features, groundtruth = next(iter(dataset))
        del features['filename']
        step = trace(dtype=mixed_precision.DTYPES[args.precision])

        def run():
            step(features, groundtruth)['Loss/total_loss'].numpy()

        seconds, cpu = [], []
        for _ in range(WARM_UP + args.steps):
            began, before = time.perf_counter(), time.process_time()
            run()
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - before)
        median = statistics.median(seconds[WARM_UP:])
        print(f'{machine.processor()}, {machine.cores()} cores; {args.config.stem}, batch {args.batch_size}, '
              f'{args.precision}\nstep {median * 1000:.0f} ms (median of {args.steps}); '
              f'{statistics.median(cpu[WARM_UP:]) / median / machine.cores():.0%} of the cores\' time')
        bandwidth, rate = speeds(mixed_precision.DTYPES[args.precision])
        table = by_kind(step.graph, run, args.steps, folder / 'time', bandwidth, rate)
        print(f'additions move {bandwidth / 1e9:.1f} GB/s, matrix products compute {rate / 1e9:.0f} GFLOP/s\n')
        scale = median / sum(row[0] for row in table.values())
        print('| | ms | GB | GFLOP | least |\n|---|---|---|---|---|')
        rows = sorted(table.items(), key=lambda item: -item[1][0])
        total = 'all', [sum(column) for column in zip(*table.values())]
        for kind, (spent, moved, flops, least) in [*rows, total]:
            print(f'| {kind} | {spent * scale * 1e3:.0f} | {moved / 1e9:.2f} | {flops / 1e9:.1f} | {least * 1e3:.0f} |')
        if args.memory:
            found = at_peak(run, folder / 'memory')
            print(f'\n{sum(size for size, _, _ in found) / 1e6:.0f} MB at the peak of a step; the largest:')
            for size, op, shape in found[:SHOWN]:
                print(f'{size / 1e6:8.1f} MB  {shape:22} {op}')


if __name__ == '__main__':
    main()
