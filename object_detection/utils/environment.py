"""The environment variables of TensorFlow, which count only if they are set before it is imported."""
import os

TENSORFLOW = {
    # Without it, `import tensorflow` imports all of Keras, which nothing here uses.
    'TF_USE_LEGACY_KERAS': '1',
    # Without it, TensorFlow complains on every computer that has no GPU. What is wrong still comes as an exception.
    'TF_CPP_MIN_LOG_LEVEL': '3',
    # oneDNN's kernels, which TensorFlow takes by itself on some processors only. On others a step of Faster or
    # Mask R-CNN is more than twice as fast with them; benchmarks/README.md has the times.
    'TF_ENABLE_ONEDNN_OPTS': '1',
}


def prepare_tensorflow():
    """Set what the user has not set."""
    for name, value in TENSORFLOW.items():
        os.environ.setdefault(name, value)
