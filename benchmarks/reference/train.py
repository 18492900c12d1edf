"""Train with the reference, as its model_main_tf2 does, and print a line per step. Runs in the reference environment.

    python benchmarks/reference/train.py MODEL_DIR PIPELINE_CONFIG STEPS

Two settings differ from its defaults, both in its favour: one step per iteration instead of a loop of 100 (the first
number would come after 100 steps, and the step is traced twice), and no pictures among the summaries.
"""
import sys

import compat  # noqa: F401, must come before the reference
import tensorflow as tf

from object_detection import model_lib_v2


def main(model_dir, pipeline_config, steps):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.INFO)
    tf.config.set_soft_device_placement(True)
    model_lib_v2.LOG_EVERY = 1
    save = tf.train.CheckpointManager.save

    def saved(*args, **keywords):
        path = save(*args, **keywords)
        print('checkpoint written', flush=True)
        return path
    tf.train.CheckpointManager.save = saved
    with tf.distribute.MirroredStrategy().scope():
        model_lib_v2.train_loop(pipeline_config, model_dir, train_steps=int(steps), checkpoint_every_n=int(steps),
                                record_summaries=False, num_steps_per_iteration=1)


if __name__ == '__main__':
    main(*sys.argv[1:])
