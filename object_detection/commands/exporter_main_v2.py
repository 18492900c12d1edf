"""Export a trained model: checkpoint and pipeline.config in, SavedModel out.

Only the model section of the config is needed, so an unpacked zoo tarball exports as it is. The output folder will hold
saved_model/ (signature serving_default, any batch size), checkpoint/ckpt-0 and pipeline.config.
"""
import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from object_detection.export import INPUT_TYPES, output_folder
from object_detection.runs import best, metrics
from object_detection.runs.record import Record
from object_detection.utils import args, environment, errors

TENSORFLOW_1 = 'is a flag of export_inference_graph.py, of TensorFlow 1; '


def main(argv: Sequence[str] | None = None) -> None:
    parser = args.Parser(__doc__)
    parser.add_argument('--input_type', choices=INPUT_TYPES, default='image_tensor', help='input of the exported model')
    args.add_pipeline_config(parser)
    parser.add_argument('--trained_checkpoint_dir', metavar='FOLDER',
                        help='a folder of checkpoints, of which --checkpoint chooses, or one checkpoint (.../ckpt-7)')
    parser.add_argument('--checkpoint', default='latest', metavar='best|latest|PATH',
                        help='which one: the newest, that of best/ (where training keeps the one with the best metric) '
                        'there, or one by its name there (ckpt-7) or its path')
    parser.add_argument('--output_directory', required=True, default=argparse.SUPPRESS, metavar='FOLDER',
                        help='new or empty; nothing is overwritten')
    parser.add_argument('--config_override', default='', metavar='TEXT',
                        help='a piece of pipeline.config to lay over the file, as "model { ssd { ... } }"')
    args.add_switch(parser, 'use_side_inputs', 'refused: only Context R-CNN, which is not supported, has side inputs')
    args.add_absl_flags(parser)
    args.add_refused(parser, {
        'trained_checkpoint_prefix': f'{TENSORFLOW_1}here it is --trained_checkpoint_dir',
        **dict.fromkeys(('input_shape', 'write_inference_graph', 'additional_output_tensor_names'),
                        f'{TENSORFLOW_1}the SavedModel takes images of any size and has all outputs'),
        **dict.fromkeys(('side_input_shapes', 'side_input_types', 'side_input_names'),
                        'only Context R-CNN has side inputs, and it is not supported')})
    options = parser.parse_args(argv)
    if options.use_side_inputs:
        parser.error('--use_side_inputs: only Context R-CNN has side inputs, and it is not supported')
    if not options.trained_checkpoint_dir and options.checkpoint in ('best', 'latest'):
        parser.error('give --trained_checkpoint_dir FOLDER (the model_dir), or --checkpoint with the path of one')
    started = time.perf_counter()

    from object_detection.config import checks, pipeline
    config = pipeline.override(pipeline.read(options.pipeline_config_path), options.config_override)
    checks.demand(checks.located(checks.check_model(config), options.pipeline_config_path,
                                 overridden=bool(options.config_override)))
    output_folder.check(options.output_directory)
    source = chosen(options.trained_checkpoint_dir, options.checkpoint)

    environment.prepare_tensorflow()
    from object_detection import checkpoints
    from object_detection.export import saved_model
    from object_detection.models import build
    checkpoint = checkpoints.load(source)
    model = build.build(config.model)
    step = checkpoints.restore_model(model, checkpoint, config.eval_config.use_moving_averages)
    print(f'{checkpoint.prefix} ({"no step counter" if step is None else f"step {step}"})')
    difference = saved_model.write(model, options.input_type, config, options.output_directory)
    print(f'{Path(options.output_directory, "saved_model")}: loaded again, gives the same results as the model in '
          f'memory (largest difference {difference:.0e})')
    if options.checkpoint == 'latest' and (better := better_than(options.trained_checkpoint_dir, checkpoint.prefix)):
        print(f'note: {better}; --checkpoint best exports it')
    print(f'done in {time.perf_counter() - started:.1f} s')


def chosen(folder: str | None, checkpoint: str) -> str:
    """Return what checkpoints.load takes.

    Args:
        folder: a folder of checkpoints or one checkpoint; None if `checkpoint` is a path.
        checkpoint: best, latest, a name in the folder, or a path.
    """
    if checkpoint == 'latest':
        return folder or ''
    if checkpoint == best.FOLDER:
        return str(best.demand(folder or ''))
    inside = Path(folder or '', checkpoint)
    return str(inside) if Path(f'{inside}.index').is_file() else checkpoint


def better_than(folder: str | None, prefix: str) -> str:
    """Return a line about the checkpoint in best/ of a folder if it was evaluated better than another one; else ''."""
    kept = best.read(Path(folder, best.FOLDER)) if folder else None
    if not kept or Path(prefix).resolve().parent != Path(folder or '').resolve():
        return ''
    name = Path(prefix).name
    if name == kept.checkpoint:
        return ''
    value = Record(kept.folder.parent).entries.get(name, {}).get('eval', {}).get(kept.metric)
    if value is not None and not metrics.better(kept.metric, kept.value, value):
        return ''
    known = 'was not evaluated' if value is None else f'has {metrics.short_name(kept.metric)} {value:.4f}'
    return f'{name} {known}, and {kept.folder} holds {kept}'


def run() -> None:
    """The command: main, with a user's mistakes as messages and exit codes."""
    errors.run_main(main)
