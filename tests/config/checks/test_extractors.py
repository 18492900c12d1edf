"""What the checks know without TensorFlow agrees with the layers."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection.config import pipeline
from object_detection.config.checks import augmentation
from object_detection.config.checks import model as rules
from object_detection.config.checks.extractors import TYPES
from object_detection.inputs.augmentation import autoaugment
from object_detection.layers import core, feature_extractors
from object_detection.layers.backbones import hourglass
from object_detection.layers.feature_extractors.base import BACKBONE_MAX_LEVEL
from object_detection.layers.hyperparams import Hyperparams
from object_detection.layers.necks import bifpn, upsampling
from object_detection.models import build_parts

REGISTRY = {'ssd': feature_extractors.SSD, 'faster_rcnn': feature_extractors.FASTER_RCNN,
            'center_net': feature_extractors.CENTER_NET}
HYPERPARAMS = Hyperparams(activation=tf.nn.relu6, batch_norm={'momentum': .9}, regularizer=core.L2(1e-4))
OPTIONS = {  # {field of feature_extractor: keywords that it becomes}
    'ssd': {'fpn': {'fpn_min_level': 4}, 'bifpn': {'bifpn_min_level': 4}, 'num_layers': {'num_layers': 5},
            'depth_multiplier': {'depth_multiplier': .125}, 'use_explicit_padding': {'use_explicit_padding': True},
            'use_depthwise': {'use_depthwise': True}},
    'faster_rcnn': {'fpn': {'fpn_min_level': 3}, 'conv_hyperparams': {'conv_hyperparams': HYPERPARAMS},
                    'override_base_feature_extractor_hyperparams': {
                        'override_base_feature_extractor_hyperparams': True}},
    'center_net': {'depth_multiplier': {'depth_multiplier': .5}, 'use_separable_conv': {'use_separable_conv': True},
                   'upsampling_interpolation': {'upsampling_interpolation': 'bilinear'},
                   'use_depthwise': {'use_depthwise': True}}}
NEEDED = {'ssd': {'conv_hyperparams': HYPERPARAMS}, 'faster_rcnn': {'region_size': 3}, 'center_net': {}}
SMALL = {'ssd_mobilenet_v1_keras': .25, 'ssd_mobilenet_v2_keras': .25, 'ssd_mobilenet_v1_fpn_keras': .25,
         'ssd_mobilenet_v2_fpn_keras': .25, 'ssd_resnet50_v1_fpn_keras': .125, 'ssd_efficientnet-b0_bifpn_keras': None}
CENTER_NETS = 'mobilenet_v2', 'mobilenet_v2_fpn'


def small(kind, **keywords):
    depth = {} if SMALL[kind] is None else {'depth_multiplier': SMALL[kind]}
    return feature_extractors.SSD[kind](HYPERPARAMS, **depth | keywords)


@pytest.mark.parametrize('architecture', TYPES)
def test_types_are_those_of_the_registry(architecture):
    assert set(TYPES[architecture]) == set(REGISTRY[architecture])


@pytest.mark.parametrize(('architecture', 'kind', 'option'), [
    (architecture, kind, option) for architecture, types in TYPES.items() for kind, extractor in types.items()
    for option in extractor.lacks])
def test_what_a_type_lacks_its_constructor_refuses(architecture, kind, option):
    with pytest.raises(TypeError, match='unexpected keyword'):
        REGISTRY[architecture][kind](**NEEDED[architecture] | OPTIONS[architecture][option])


@pytest.mark.parametrize(('architecture', 'kind', 'option'), [
    (architecture, kind, option) for architecture, kinds in (('ssd', SMALL), ('center_net', CENTER_NETS))
    for kind in kinds for option in OPTIONS[architecture] if option not in TYPES[architecture][kind].lacks])
def test_what_a_type_has_its_constructor_takes(architecture, kind, option):
    keywords = {'depth_multiplier': SMALL[kind]} if SMALL.get(kind) else {}
    assert REGISTRY[architecture][kind](**NEEDED[architecture] | keywords | OPTIONS[architecture][option]).channels


@pytest.mark.parametrize('kind', SMALL)
def test_number_of_feature_maps(kind):
    model = pipeline.parse(f'model {{ ssd {{ feature_extractor {{ type: "{kind}" }} }} }}').model.ssd
    assert len(small(kind).channels) == rules.feature_maps(model.feature_extractor, TYPES['ssd'][kind])


@pytest.mark.parametrize(('kind', 'size', 'keywords'), [
    ('ssd_mobilenet_v2_fpn_keras', (200, 160), {}), ('ssd_mobilenet_v2_fpn_keras', (224, 160), {}),
    ('ssd_mobilenet_v2_fpn_keras', (225, 161), {}), ('ssd_mobilenet_v2_fpn_keras', (200, 160), {'pad_to_multiple': 32}),
    ('ssd_mobilenet_v2_fpn_keras', (200, 160), {'pad_to_multiple': 8}),
    ('ssd_mobilenet_v2_fpn_keras', (201, 163), {'use_explicit_padding': True}),
    ('ssd_mobilenet_v1_keras', (201, 163), {}), ('ssd_efficientnet-b0_bifpn_keras', (160, 160), {}),
    ('ssd_efficientnet-b0_bifpn_keras', (128, 256), {}), ('ssd_resnet50_v1_fpn_keras', (97, 96), {}),
    ('ssd_resnet50_v1_fpn_keras', (63, 63), {}),
])
def test_image_sizes_that_fit(kind, size, keywords):
    options = ' '.join(f'{name}: {str(value).lower()}' for name, value in keywords.items())
    section = pipeline.parse(f'model {{ ssd {{ feature_extractor {{ type: "{kind}" {options} }} }} }}').model.ssd
    found = list(rules._image_size(size, section.feature_extractor, TYPES['ssd'][kind]))
    extractor = small(kind, **keywords)
    if found:
        with pytest.raises(ValueError, match='does not fit'):
            extractor.feature_maps(tf.zeros([1, *size, 3]))
    else:
        assert len(extractor.feature_maps(tf.zeros([1, *size, 3]))) == len(extractor.channels)


def test_multiples_of_center_net():
    for kind, extractor in TYPES['center_net'].items():
        name, _, size = kind.partition('_')
        stages = len(hourglass.SIZES[int(size)][1]) if name == 'hourglass' else 4
        assert extractor.multiple == 4 * 2 ** (stages - 1), kind
    assert feature_extractors.CENTER_NET['hourglass_10']().multiple == 8
    assert feature_extractors.CENTER_NET['mobilenet_v2']().multiple == 32


@pytest.mark.parametrize('text', [
    'multiscale_anchor_generator { aspect_ratios: [1, 2, 3] scales_per_octave: 2 max_level: 6 }',
    'ssd_anchor_generator { aspect_ratios: [1, 2] }', 'ssd_anchor_generator { scales: [.1, .2, .3] aspect_ratios: 1 }',
    'ssd_anchor_generator { reduce_boxes_in_lowest_layer: false interpolated_scale_aspect_ratio: 0 aspect_ratios: 2 }',
    'grid_anchor_generator { scales: [1, 2] aspect_ratios: [1, 2, 3] }',
    'flexible_grid_anchor_generator { anchor_grid { base_sizes: [4, 5] aspect_ratios: [1, 1] } anchor_grid {} }'])
def test_anchors_per_location(text):
    message = pipeline.parse(f'model {{ ssd {{ anchor_generator {{ {text} }} }} }}').model.ssd.anchor_generator
    grid = build_parts.anchor_generator(message)
    assert rules.anchors_per_location(message) == grid.per_location


def test_names():
    assert set(rules.KERAS_INITIALIZERS) == set(build_parts.KERAS_INITIALIZERS)
    assert set(rules.CLASSIFICATION) == set(build_parts.CLASSIFICATION_LOSSES)
    assert set(rules.LOCALIZATION) == set(build_parts.LOCALIZATION_LOSSES)
    assert rules.FPN_TOP == BACKBONE_MAX_LEVEL
    assert set(rules.COMBINE_METHODS) == set(bifpn.WEIGHTINGS)
    assert set(augmentation.POLICIES) == set(autoaugment.POLICIES)
    for interpolation in rules.INTERPOLATIONS:
        neck = upsampling.UpsamplingFPN([2, 2], 2, [2], interpolation=interpolation)
        assert np.shape(neck([tf.zeros([1, 4, 4, 2]), tf.zeros([1, 2, 2, 2])])) == (1, 4, 4, 2)
