"""Backbone and neck joined: what a config's feature_extractor { type } stands for.

SSD, CENTER_NET and FASTER_RCNN map each type to its constructor. All take the config's fields as keywords
(conv_hyperparams as Hyperparams), and use their own default for one left out.
"""
import functools

from object_detection.layers.feature_extractors import (
    center_net,
    efficientnet_bifpn,
    faster_rcnn,
    fpn,
    multi_resolution,
)

SSD = {
    **{f'ssd_efficientnet-{version}_bifpn_keras': functools.partial(efficientnet_bifpn.EfficientNetBiFPN, version)
       for version in efficientnet_bifpn.BIFPN},
    'ssd_mobilenet_v1_fpn_keras': fpn.MobileNetV1FPN,
    'ssd_mobilenet_v2_fpn_keras': fpn.MobileNetV2FPN,
    **{f'ssd_resnet{depth}_v1_fpn_keras': functools.partial(fpn.ResNetV1FPN, depth) for depth in (50, 101, 152)},
    'ssd_mobilenet_v1_keras': multi_resolution.MobileNetV1,
    'ssd_mobilenet_v2_keras': multi_resolution.MobileNetV2,
}

CENTER_NET = {
    **{f'hourglass_{size}': functools.partial(center_net.Hourglass, size) for size in (10, 20, 32, 52, 104)},
    **{f'resnet_v2_{depth}': functools.partial(center_net.ResNetV2, depth) for depth in (50, 101)},
    **{f'resnet_v1_{depth}_fpn': functools.partial(center_net.ResNetV1FPN, depth) for depth in (18, 34, 50, 101)},
    'mobilenet_v2': center_net.MobileNetV2,
    'mobilenet_v2_fpn': center_net.MobileNetV2FPN,
    'mobilenet_v2_fpn_sep_conv': functools.partial(center_net.MobileNetV2FPN, use_separable_conv=True),
}

FASTER_RCNN = {
    **{f'faster_rcnn_resnet{depth}_keras': functools.partial(faster_rcnn.ResNetV1, depth) for depth in (50, 101, 152)},
    **{f'faster_rcnn_resnet{depth}_fpn_keras': functools.partial(faster_rcnn.ResNetV1FPN, depth)
       for depth in (50, 101, 152)},
    'faster_rcnn_inception_resnet_v2_keras': faster_rcnn.InceptionResNetV2,
}
