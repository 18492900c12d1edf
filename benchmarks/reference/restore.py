"""Restore a checkpoint of this suite in the reference, and save it again. Runs in the reference environment.

    python benchmarks/reference/restore.py PIPELINE_CONFIG FOLDER

FOLDER holds what benchmarks/checkpoints.py wrote: training/ckpt-1 (step, model, optimizer), classifier/ckpt-1 (a
backbone as feature_extractor) and images.npy. Every restore has to match all objects of the reference. Written: back/
(the training checkpoint, saved by the reference) and predictions.npz.
"""
import sys
from pathlib import Path

import compat  # noqa: F401, must come before the reference
import numpy as np
import tensorflow as tf

from object_detection.builders import model_builder, optimizer_builder
from object_detection.utils import config_util

mobilenet_v2 = tf.keras.applications.MobileNetV2
for module in (tf.keras.applications, tf.compat.v1.keras.applications):  # CenterNet would download a classifier
    module.MobileNetV2 = lambda *args, **keywords: mobilenet_v2(*args, **keywords | {'weights': None})


def built(config, images):
    """Build the model. Return it and a function that predicts on the images, which also creates the variables."""
    model = model_builder.build(config.model, is_training=False)
    inputs, shapes = model.preprocess(tf.constant(images))
    return model, lambda: model.predict(inputs, shapes)


def main(path, folder):
    config, folder = config_util.get_configs_from_pipeline_file(path), Path(folder)
    config = config_util.create_pipeline_proto_from_configs(config)
    images = np.load(folder / 'images.npy')
    for kind, saved in (('full', 'training'), ('detection', 'training'), ('classification', 'classifier')):
        model, predict = built(config, images)
        predict()
        objects = model.restore_from_objects(fine_tune_checkpoint_type=kind)
        found = tf.train.Checkpoint(**objects).restore(str(folder / saved / 'ckpt-1')).expect_partial()
        found.assert_existing_objects_matched()
        print(f'fine_tune_checkpoint_type {kind}: all matched')

    model, predict = built(config, images)
    predict()
    step = tf.Variable(0, trainable=False, dtype=tf.int64)
    optimizer, _ = optimizer_builder.build(config.train_config.optimizer, global_step=step)
    optimizer._create_all_weights(model.trainable_variables)  # as its first step does
    checkpoint = tf.train.Checkpoint(step=step, model=model, optimizer=optimizer)
    checkpoint.restore(str(folder / 'training' / 'ckpt-1')).assert_existing_objects_matched()
    print(f'training checkpoint: all matched, step {int(step)}')
    values = {name: value for name, value in predict().items() if tf.is_tensor(value) and value.dtype.is_floating}
    values |= {f'{name}/0': value[0] for name, value in predict().items() if isinstance(value, list)}
    np.savez(folder / 'predictions.npz', **{name.replace('/', '|'): value.numpy() for name, value in values.items()})
    tf.train.CheckpointManager(checkpoint, str(folder / 'back'), 1).save()


if __name__ == '__main__':
    main(*sys.argv[1:])
