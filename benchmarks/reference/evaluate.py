"""Evaluate the newest checkpoint with the reference, as its model_main_tf2 --checkpoint_dir does, once. Runs in the
reference environment.

    python benchmarks/reference/evaluate.py MODEL_DIR PIPELINE_CONFIG
"""
import sys

import compat  # noqa: F401, must come before the reference
import tensorflow as tf

from object_detection import model_lib_v2


def main(model_dir, pipeline_config):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.INFO)
    tf.config.set_soft_device_placement(True)
    model_lib_v2.eval_continuously(pipeline_config, model_dir=model_dir, checkpoint_dir=model_dir, wait_interval=1,
                                   timeout=1)


if __name__ == '__main__':
    main(*sys.argv[1:])
