"""Feature extractors: a backbone with its neck, one for each `type` of a config's feature_extractor section.

SSD, FASTER_RCNN and CENTER_NET map each type to its constructor. Constructors take the fields of the section as
keywords (conv_hyperparams as Hyperparams) and have their own defaults for those left out. docs/adding_a_backbone.md
shows how to add one.
"""
from collections.abc import Callable

from object_detection.layers.feature_extractors import (
    center_net,
    efficientnet_bifpn,
    faster_rcnn,
    fpn,
    multi_resolution,
)

SSD: dict[str, Callable] = {
    **efficientnet_bifpn.SSD,
    **fpn.SSD,
    **multi_resolution.SSD,
}
FASTER_RCNN: dict[str, Callable] = {
    **faster_rcnn.FASTER_RCNN,
}
CENTER_NET: dict[str, Callable] = {
    **center_net.CENTER_NET,
}
