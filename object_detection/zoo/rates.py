"""The learning rates that the zoo's models were trained with, to hold others against."""
import re
from typing import NamedTuple

from object_detection import protos
from object_detection.config.pipeline import architecture


class Released(NamedTuple):
    """optimizer: momentum_optimizer or adam_optimizer. rate: the highest of its schedule, for this batch_size."""

    optimizer: str
    batch_size: int
    rate: float

    def scaled(self, batch_size: int) -> float:
        """Return the rate for another batch size, in proportion (Goyal et al. 2017), to three digits."""
        return float(f'{self.rate * batch_size / self.batch_size:.3g}')


_MOMENTUM = 'momentum_optimizer'
ADAM = Released('adam_optimizer', 128, .001)
# The first pattern that matches 'ARCHITECTURE FEATURE_EXTRACTOR STAGES' counts.
_RELEASED = (
    ('ssd ssd_mobilenet_v2_keras', Released(_MOMENTUM, 512, .8)),
    ('ssd .*(mobilenet_v2_fpn|efficientnet)', Released(_MOMENTUM, 128, .08)),
    ('ssd .*(mobilenet_v1_fpn|resnet)', Released(_MOMENTUM, 64, .04)),
    ('faster_rcnn .*inception_resnet_v2.* 3', Released(_MOMENTUM, 16, .008)),
    ('faster_rcnn .*inception_resnet_v2', Released(_MOMENTUM, 64, .16)),
    ('faster_rcnn .*resnet', Released(_MOMENTUM, 64, .04)),
    ('center_net mobilenet', Released('adam_optimizer', 512, .005)),
    ('center_net ', ADAM),
)
# The pipeline.config in EfficientDet D7's tarball has this rate for a batch of 16.
_EXCEPTIONS = {('ssd_efficientnet-b6_bifpn_keras', 16, .08)}


def released(config: protos.TrainEvalPipelineConfig) -> Released | None:
    """Return what the zoo's model of the same architecture and feature extractor was trained with; None: unknown.

    A feature extractor of another width (depth_multiplier) is another network.
    """
    name, model = architecture(config)
    if getattr(model.feature_extractor, 'depth_multiplier', 1) != 1:
        return None
    kind = f'{name} {model.feature_extractor.type} {getattr(model, "number_of_stages", 0)}'
    return next((found for pattern, found in _RELEASED if re.match(pattern, kind)), None)


def is_released(config: protos.TrainEvalPipelineConfig, rate: float) -> bool:
    """Return whether a released config departs from the others with just this rate and batch_size."""
    _, model = architecture(config)
    return (model.feature_extractor.type, config.train_config.batch_size, float(f'{rate:.6g}')) in _EXCEPTIONS
