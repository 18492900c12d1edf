"""Build the model that a pipeline.config describes.

To add an architecture: write a function of its section that returns a Detector, and name it in ARCHITECTURES.
"""
from collections.abc import Callable

from object_detection import protos
from object_detection.layers import initializers
from object_detection.models.center_net import build as center_net
from object_detection.models.detector import Detector
from object_detection.models.faster_rcnn import build as faster_rcnn
from object_detection.models.ssd import build as ssd

ARCHITECTURES: dict[str, Callable[..., Detector]] = {
    'ssd': ssd.build, 'faster_rcnn': faster_rcnn.build, 'center_net': center_net.build}


def build(model_config: protos.DetectionModel, seed: int = 0) -> Detector:
    """Build the model of a config, with all its variables.

    Args:
        model_config: the model section, in which config.checks.check_model finds no error.
        seed: of the initial values; the same seed gives the same values.
    """
    architecture = model_config.WhichOneof('model')
    initializers.seed(seed)
    return ARCHITECTURES[architecture](getattr(model_config, architecture))
