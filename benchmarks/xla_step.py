"""Measure a training step, compiled by XLA, on a machine that has JAX but no TensorFlow.

    python -m benchmarks.xla_step dump --config A.config --size 512 --batch_size 16 --precision float32 --output d0_16
    python xla_step.py run d0_16 [--no_tf32]            # there: needs jax, numpy and this file alone

`dump` traces the step of a pipeline.config (TensorFlow, no GPU) and writes step.hlo, with one drawn batch and all
variables in inputs.npz and what they are in about.json. `run` compiles the step for the first device of JAX and prints
images per second: the median of --rounds rounds of --steps steps each. It trains: each step takes the weights of the
one before. The batch is the same in each and lies on the device, so the input pipeline is not measured. With
`dump --check` TensorFlow computes the step, too, without XLA, and `run` compares the losses of the first step.
"""
import argparse
import json
import os
import re
import statistics
import time
from pathlib import Path


def dump(args):
    """Write step.hlo, inputs.npz and about.json into args.output."""
    import numpy as np
    import tensorflow as tf
    from tensorflow.python.eager.polymorphic_function import compiler_ir

    from benchmarks import drawn
    from object_detection.training import mixed_precision

    scale = mixed_precision.LossScale() if args.precision == mixed_precision.FLOAT16 else None
    drawn.records(args.output.resolve() / 'data', args.batch_size, 1)
    dataset, trace = drawn.steps(args.config, args.output.resolve() / 'data', args.size, args.batch_size)
    whole, plain = (trace(xla=xla, dtype=mixed_precision.DTYPES[args.precision], loss_scale=scale)
                    for xla in (True, False))
    features, groundtruth = next(iter(dataset))
    del features['filename']
    values = [value.numpy() for value in tf.nest.flatten((features, groundtruth))]
    # XLA's parameters: the arguments, then the variables that the function captures
    for captured in whole.captured_inputs:
        if captured.dtype == tf.resource:
            kind = captured._handle_data.shape_and_type[0].dtype
            captured = tf.raw_ops.ReadVariableOp(resource=captured, dtype=kind)
        values.append(captured.numpy())
    compiled = compiler_ir.from_concrete_function(whole)  # experimental_get_compiler_ir of a traced function
    (args.output / 'step.hlo').write_bytes(compiled(stage='hlo_serialized'))
    np.savez(args.output / 'inputs.npz', *values)
    about = {'config': args.config.name, 'size': args.size, 'batch_size': args.batch_size,
             'precision': args.precision, 'tensorflow': tf.__version__,
             'losses': sorted(map(float, plain(features, groundtruth).values())) if args.check else None}
    (args.output / 'about.json').write_text(json.dumps(about, indent=1))
    print(f'{args.output}: {len(values)} inputs, {sum(value.nbytes for value in values) / 1e6:.0f} MB')


def run(args):
    """Compile the step of a folder and print how fast it runs, as a line of JSON."""
    if args.no_tf32:
        os.environ['NVIDIA_TF32_OVERRIDE'] = '0'  # read by cuBLAS and cuDNN when they load
    import jax
    import numpy as np
    from jax._src import compiler  # public JAX compiles only what it has traced itself
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jax._src.lib.mlir import ir

    jax.config.update('jax_enable_x64', True)
    about = json.loads((args.folder / 'about.json').read_text())
    with np.load(args.folder / 'inputs.npz') as kept:
        values = [kept[f'arr_{i}'] for i in range(len(kept.files))]
    device = jax.devices()[0]
    text = xla_client._xla.mlir.hlo_to_stablehlo((args.folder / 'step.hlo').read_bytes())
    began = time.perf_counter()
    with mlir.make_ir_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        main = next(entry for entry in module.body.operations if entry.attributes['sym_name'].value == 'main')
        wanted = [str(kind) for kind in main.type.inputs]
        found = [str(ir.RankedTensorType.get(value.shape, mlir.dtype_to_ir_type(value.dtype))) for value in values]
        if wanted != found:
            raise SystemExit(f'the step takes {wanted}\nand the inputs are {found}')
        becomes = {int(number): int(output) for number, output in re.findall(  # {variable: its new value}
            r'parameter_number = (\d+).*?output_index = array<i64: (\d+)>',
            str(module.operation.attributes['mhlo.input_output_alias']))}
        devices = xla_client.DeviceList((device,))
        executable = compiler.backend_compile_and_load(
            device.client, module, devices, compiler.get_compile_options(num_replicas=1, num_partitions=1), [])
    compiling = time.perf_counter() - began
    buffers = [jax.device_put(value, device) for value in values]

    def steps(count):
        for _ in range(count):
            outputs = executable.execute(buffers)
            for i, number in becomes.items():
                buffers[i] = outputs[number]
        jax.block_until_ready(outputs)
        return outputs

    losses = sorted(float(output) for i, output in enumerate(steps(1))
                    if i not in becomes.values() and output.shape == () and output.dtype == np.float32)
    if expected := about.pop('losses'):
        tolerance = 1e-3 if about['precision'] == 'float32' and args.no_tf32 else 2e-2
        np.testing.assert_allclose(losses, expected, rtol=tolerance, err_msg='losses of the first step')
        print('the losses of the first step are those of TensorFlow')
    steps(2)
    seconds = []
    for _ in range(args.rounds):
        began = time.perf_counter()
        steps(args.steps)
        seconds.append((time.perf_counter() - began) / args.steps)
    median = statistics.median(seconds)
    print(json.dumps({**about, 'device': device.device_kind, 'jax': jax.__version__, 'tf32': not args.no_tf32,
                      'losses': losses, 'compile_seconds': round(compiling, 1), 'step_seconds': median,
                      'images_per_second': about['batch_size'] / median, 'rounds': seconds}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser('dump')
    add.set_defaults(call=dump)
    add.add_argument('--config', type=Path, required=True)
    add.add_argument('--size', type=int, help='height and width of the input, overriding the config')
    add.add_argument('--batch_size', type=int, default=16)
    add.add_argument('--precision', choices=('float32', 'mixed_bfloat16', 'mixed_float16'), default='float32')
    add.add_argument('--output', type=Path, required=True)
    add.add_argument('--check', action='store_true', help='compute the losses with TensorFlow, for comparison')
    add = commands.add_parser('run')
    add.set_defaults(call=run)
    add.add_argument('folder', type=Path)
    add.add_argument('--no_tf32', action='store_true')
    add.add_argument('--steps', type=int, default=20)
    add.add_argument('--rounds', type=int, default=5)
    args = parser.parse_args()
    args.call(args)


if __name__ == '__main__':
    main()
