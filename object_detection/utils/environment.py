"""Environment variables of TensorFlow, which must be set before it is imported."""
import os

TENSORFLOW = {
    # Otherwise `import tensorflow` imports all of Keras, which nothing here uses.
    'TF_USE_LEGACY_KERAS': '1',
    # Otherwise TensorFlow complains on every computer without a GPU. Errors still raise exceptions.
    'TF_CPP_MIN_LOG_LEVEL': '3',
    # oneDNN's kernels, which TensorFlow turns on only for some processors. On others they make a step of Faster or
    # Mask R-CNN more than twice as fast; benchmarks/README.md has the times.
    'TF_ENABLE_ONEDNN_OPTS': '1',
}


def prepare_tensorflow() -> None:
    """Set the variables that the user has not set."""
    for name, value in TENSORFLOW.items():
        os.environ.setdefault(name, value)
