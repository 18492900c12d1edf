"""The model section of a config, read: the one place that knows both its fields and our constructors.

A further architecture is a file with a function of its section, and a line in ARCHITECTURES.
"""
from object_detection.layers import initializers
from object_detection.models.center_net import build as build_center_net
from object_detection.models.faster_rcnn import build as build_faster_rcnn
from object_detection.models.ssd import build as build_ssd

ARCHITECTURES = {'ssd': build_ssd.build, 'faster_rcnn': build_faster_rcnn.build, 'center_net': build_center_net.build}


def build(model_config, seed=0):
    """The model that a DetectionModel message describes, with all its variables.

    Args:
        model_config: DetectionModel in which config.checks.check_model finds no error.
        seed: of the start values; the same seed gives the same values.
    """
    architecture = model_config.WhichOneof('model')
    initializers.seed(seed)
    return ARCHITECTURES[architecture](getattr(model_config, architecture))
