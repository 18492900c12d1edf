"""Backbone and neck joined: what a config's feature_extractor { type } stands for.

SSD maps each type to its constructor. All take the config's fields as keywords (conv_hyperparams as Hyperparams), and
use their own default for one left out.
"""
import functools

from object_detection.layers.feature_extractors import efficientnet_bifpn, fpn, multi_resolution

SSD = {
    **{f'ssd_efficientnet-{version}_bifpn_keras': functools.partial(efficientnet_bifpn.EfficientNetBiFPN, version)
       for version in efficientnet_bifpn.BIFPN},
    'ssd_mobilenet_v1_fpn_keras': fpn.MobileNetV1FPN,
    'ssd_mobilenet_v2_fpn_keras': fpn.MobileNetV2FPN,
    **{f'ssd_resnet{depth}_v1_fpn_keras': functools.partial(fpn.ResNetV1FPN, depth) for depth in (50, 101, 152)},
    'ssd_mobilenet_v1_keras': multi_resolution.MobileNetV1,
    'ssd_mobilenet_v2_keras': multi_resolution.MobileNetV2,
}
