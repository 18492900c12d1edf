"""Models of tests/support/tiny.py with random weights: in memory, as a checkpoint, exported."""
import numpy as np
import tensorflow as tf

from object_detection import checkpoints
from object_detection.config import pipeline
from object_detection.export import saved_model
from object_detection.models import build
from tests.support import tiny


def sure_model(config):
    """A model of random weights, those of the heads large enough for scores that differ."""
    model = build.build(config.model, seed=3)
    draw = np.random.default_rng(0)
    for name, variable in checkpoints.keys(model).items():
        if name.startswith('_box_predictor') and name.endswith('kernel'):
            variable.assign(draw.normal(0., .2, variable.shape))
    return model


def export(folder):
    """Records and config in `folder`, and an export of random weights in export/; returns the folder."""
    config = pipeline.read(tiny.write(folder))
    saved_model.write(build.build(config.model, seed=1), 'image_tensor', config, folder / 'export')
    return folder


def checkpoint(folder):
    """Records, config and ckpt-3 of random weights in `folder`; returns the folder."""
    model = build.build(pipeline.read(tiny.write(folder)).model, seed=3)
    tf.train.Checkpoint(model=model).write(str(folder / 'ckpt-3'))
    return folder


def export_arguments(folder, output, *more):
    """The command line that exports what `checkpoint` has written."""
    return [f'--pipeline_config_path={folder / "pipeline.config"}', f'--trained_checkpoint_dir={folder / "ckpt-3"}',
            f'--output_directory={output}', *more]
