"""Carry checkpoints both ways: saved here, restored and saved by the reference, restored here.

    python -m benchmarks.checkpoints --reference_python ~/reference_env/bin/python [CONFIG ...]

For each pipeline.config (default: one of each family), write a training checkpoint with optimizer slots;
benchmarks/reference/restore.py restores it by every fine_tune_checkpoint_type and as a whole, and saves it again. Every
variable must come back with the same bits, and the predictions must agree.
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOLDEN = 'ssd_mobilenet_v2_fpnlite', 'efficientdet_d0', 'centernet_mobilenetv2_fpn', 'faster_rcnn_resnet50_v1'
DEFAULT = (*(HERE.parent / 'tests' / 'golden' / f'{name}.config' for name in GOLDEN),
           HERE / 'families' / 'mask_rcnn.config')
SIZE = 'image_resizer { fixed_shape_resizer { height: 256 width: 256 } }'


def write(config, folder):
    """Write what reference/restore.py reads, from a freshly initialized model. Return the model and the images."""
    import numpy as np
    import tensorflow as tf

    from object_detection import checkpoints
    from object_detection.models import build
    from object_detection.training import optimizer
    model = build.build(config.model, seed=1)
    step = tf.Variable(7, dtype=tf.int64)
    optimize = optimizer.build(config.train_config.optimizer, list(model.trainable_variables))
    for name in optimize.get_slot_names():
        for variable in model.trainable_variables:
            optimize.get_slot(variable, name).assign(variable * .5)
    checkpoints.Manager(folder / 'training', step, model, optimize, 1).save()
    backbone = tf.train.Checkpoint(**model.restore_map('classification'))
    backbone.save(str(folder / 'classifier' / 'ckpt'))
    images = np.random.default_rng(0).uniform(0, 255, (2, 120, 160, 3)).astype(np.float32)
    np.save(folder / 'images.npy', images)
    return model, images


def check(config, folder, model, images):
    """Yield lines that compare what the reference wrote; the last gives the largest difference of predictions."""
    import numpy as np
    import tensorflow as tf

    from object_detection import checkpoints
    from object_detection.models import build
    ours, back = (checkpoints.load(folder / name) for name in ('training', 'back'))
    missing = sorted(set(ours.values) - set(back.values))
    different = sorted(key for key in set(ours.values) & set(back.values) if not key.startswith('save_counter')
                       and not np.array_equal(ours.values[key], back.values[key]))
    yield f'{len(ours.values)} values written, {len(missing)} missing, {len(different)} different {different[:3]}'
    for kind in ('full', 'detection', 'classification'):
        again = build.build(config.model, seed=2)
        source = folder / ('classifier/ckpt-1' if kind == 'classification' else 'back')
        report = checkpoints.fine_tune(again, source, kind)
        yield f'{kind}: {len(report.restored)} restored, {len(report.new)} new'
    inputs, shapes = model.preprocess(tf.constant(images))
    found, wanted = model.predict(inputs, shapes), np.load(folder / 'predictions.npz')
    worst = {}
    for name in wanted:
        key, _, index = name.partition('|')
        if key in found and found[key][0 if index else ...].shape == wanted[name].shape:
            value = found[key][0] if index else found[key]
            worst[key] = float(np.abs(value - wanted[name]).max() / max(np.abs(wanted[name]).max(), 1e-6))
    yield f'predictions: {max(worst.values()):.1e} largest relative difference, of {", ".join(worst)}'


def main():
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('configs', nargs='*', type=Path, metavar='CONFIG')
    arguments.add_argument('--reference_python', required=True)
    arguments.add_argument('--output', type=Path, default=Path('out/benchmarks/checkpoints'))
    options = arguments.parse_args()
    from object_detection.config import pipeline as configs
    for path in options.configs or DEFAULT:
        folder = options.output / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        config = configs.read(path)
        config = configs.override(config, f'model {{ {config.model.WhichOneof("model")} {{ {SIZE} }} }}')
        if config.model.center_net.feature_extractor.type.endswith('sep_conv'):  # the reference goes by the field
            config.model.center_net.feature_extractor.use_separable_conv = True
        configs.write(config, folder / 'pipeline.config')
        print(f'== {path.stem}', flush=True)
        model, images = write(config, folder)
        subprocess.run([options.reference_python, str(HERE / 'reference' / 'restore.py'),
                        str(folder / 'pipeline.config'), str(folder)], check=True)
        print('\n'.join(check(config, folder, model, images)), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
