"""The feature extractors: every `type`, and what the rest of its section may say.

The constructors are in layers/feature_extractors, which imports TensorFlow; a test checks that they agree.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Extractor:
    """What a config must know about one type.

    pyramid: the section that gives min_level and max_level, fpn or bifpn; None: there is no pyramid.
    lacks: fields of feature_extractor that have no meaning for it.
    levels: min_level and max_level where that section is not given.
    multiple: height and width of the image must be multiples of it.
    classifier: a classification checkpoint can start it.
    """

    pyramid: str | None = None
    lacks: tuple[str, ...] = ()
    levels: tuple[int, int] = (3, 7)
    multiple: int = 1
    classifier: bool = True


_SSD_PLAIN = Extractor(lacks=('fpn', 'bifpn'))
_SSD_FPN = Extractor('fpn', ('bifpn', 'num_layers'))
_SSD_RESNET = Extractor('fpn', ('bifpn', 'num_layers', 'use_explicit_padding', 'use_depthwise'))
_EFFICIENTNET = Extractor('bifpn', ('fpn', 'num_layers', 'depth_multiplier', 'use_explicit_padding', 'use_depthwise'))
_SPLIT_BACKBONE = Extractor(lacks=('fpn', 'conv_hyperparams', 'override_base_feature_extractor_hyperparams'))
_UPSAMPLING = ('use_separable_conv', 'upsampling_interpolation', 'use_depthwise')
_RESNET = Extractor(lacks=('depth_multiplier', *_UPSAMPLING), multiple=32)
_MOBILENET_FPN = Extractor(lacks=('use_depthwise',), multiple=32)

TYPES = {
    'ssd': {
        **{f'ssd_mobilenet_v{version}_keras': _SSD_PLAIN for version in (1, 2)},
        **{f'ssd_mobilenet_v{version}_fpn_keras': _SSD_FPN for version in (1, 2)},
        **{f'ssd_resnet{depth}_v1_fpn_keras': _SSD_RESNET for depth in (50, 101, 152)},
        **{f'ssd_efficientnet-b{version}_bifpn_keras': _EFFICIENTNET for version in range(8)},
    },
    'faster_rcnn': {
        **{f'faster_rcnn_resnet{depth}_keras': _SPLIT_BACKBONE for depth in (50, 101, 152)},
        **{f'faster_rcnn_resnet{depth}_fpn_keras': Extractor('fpn', levels=(2, 6)) for depth in (50, 101, 152)},
        'faster_rcnn_inception_resnet_v2_keras': _SPLIT_BACKBONE,
    },
    'center_net': {
        **{f'hourglass_{size}': Extractor(lacks=_RESNET.lacks, multiple=multiple, classifier=False)
           for size, multiple in ((10, 8), (20, 16), (32, 32), (52, 128), (104, 128))},
        **{f'resnet_v2_{depth}': _RESNET for depth in (50, 101)},
        **{f'resnet_v1_{depth}_fpn': _RESNET for depth in (18, 34, 50, 101)},
        'mobilenet_v2': Extractor(lacks=_UPSAMPLING, multiple=32),
        'mobilenet_v2_fpn': _MOBILENET_FPN,
        'mobilenet_v2_fpn_sep_conv': _MOBILENET_FPN,
    },
}
