"""Export a trained model: checkpoint and pipeline.config in, SavedModel out.

    python exporter_main_v2.py --input_type image_tensor --pipeline_config_path models/d1/pipeline.config \
        --trained_checkpoint_dir models/d1 --output_directory models/d1/exported

Of the config only the model section is needed, so an unpacked zoo tarball exports as it is. The output folder holds
saved_model/ (signature serving_default, any batch size), checkpoint/ckpt-0 and pipeline.config.
"""
import argparse
import time

from utils import errors, files

INPUT_TYPES = ('image_tensor', 'float_image_tensor', 'encoded_image_string_tensor', 'tf_example')


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--input_type', choices=INPUT_TYPES, default='image_tensor',
                        help='what the exported model takes (default: %(default)s)')
    parser.add_argument('--pipeline_config_path', required=True)
    parser.add_argument('--trained_checkpoint_dir', required=True,
                        help='a folder of checkpoints, of which the newest counts, or one (.../ckpt-7)')
    parser.add_argument('--output_directory', required=True, help='new or empty folder; nothing is overwritten')
    parser.add_argument('--config_override', default='',
                        help='a piece of pipeline.config laid over the file, as "model { ssd { ... } }"')
    args = parser.parse_args(argv)
    started = time.perf_counter()

    from object_detection import config
    pipeline = config.override(config.read(args.pipeline_config_path), args.config_override)
    files.vacant_dir(args.output_directory)

    from object_detection.export import saved_model
    from object_detection.models import build
    from object_detection.training import checkpoint
    prefix = checkpoint.find(args.trained_checkpoint_dir)
    model = build.build(pipeline.model)
    step = checkpoint.restore_model(model, prefix, pipeline.eval_config.use_moving_averages)
    print(f'{prefix} ({"no step counter" if step is None else f"step {step}"})')
    difference = saved_model.write(model, args.input_type, pipeline, args.output_directory)
    print(f'{args.output_directory}/saved_model: loaded again, answers as the model in memory '
          f'(largest difference {difference:.0e})')
    print(f'done in {time.perf_counter() - started:.1f} s')


if __name__ == '__main__':
    errors.run_main(main)
