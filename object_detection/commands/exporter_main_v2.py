"""Export a trained model: checkpoint and pipeline.config in, SavedModel out.

Only the model section of the config is needed, so an unpacked zoo tarball exports as it is. The output folder will hold
saved_model/ (signature serving_default, any batch size), checkpoint/ckpt-0 and pipeline.config.
"""
import time
from collections.abc import Sequence
from pathlib import Path

from object_detection.commands import exporting
from object_detection.export import INPUT_TYPES
from object_detection.utils import args, errors

TENSORFLOW_1 = 'is a flag of export_inference_graph.py, of TensorFlow 1; '


def main(argv: Sequence[str] | None = None) -> None:
    parser = args.Parser(__doc__)
    parser.add_argument('--input_type', choices=INPUT_TYPES, default='image_tensor', help='input of the exported model')
    exporting.add_options(parser)
    args.add_switch(parser, 'use_side_inputs', 'refused: only Context R-CNN, which is not supported, has side inputs')
    args.add_refused(parser, {
        'trained_checkpoint_prefix': f'{TENSORFLOW_1}here it is --trained_checkpoint_dir',
        **dict.fromkeys(('input_shape', 'write_inference_graph', 'additional_output_tensor_names'),
                        f'{TENSORFLOW_1}the SavedModel takes images of any size and has all outputs'),
        **dict.fromkeys(('side_input_shapes', 'side_input_types', 'side_input_names'),
                        'only Context R-CNN has side inputs, and it is not supported')})
    options = parser.parse_args(argv)
    if options.use_side_inputs:
        parser.error('--use_side_inputs: only Context R-CNN has side inputs, and it is not supported')
    started = time.perf_counter()
    config = exporting.read_config(parser, options)
    model, source = exporting.restored_model(config, options)
    from object_detection.export import saved_model
    difference = saved_model.write(model, options.input_type, config, options.output_directory,
                                   source)
    print(f'{Path(options.output_directory, "saved_model")}: loaded again, gives the same results as the model in '
          f'memory (largest difference {difference:.0e})')
    print(f'done in {time.perf_counter() - started:.1f} s')


def run() -> None:
    """The command: main, with a user's mistakes as messages and exit codes."""
    errors.run_main(main)
