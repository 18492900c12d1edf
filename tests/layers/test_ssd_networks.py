"""Feature extractors and box predictors against the reference: checkpoint keys, numbers, regularization."""
import pytest
import tensorflow as tf

from object_detection.config import pipeline as config
from object_detection.layers import core, feature_extractors
from object_detection.layers.heads.convolutional import ConvolutionalBoxPredictor
from object_detection.layers.heads.weight_shared import WeightSharedBoxPredictor
from object_detection.models import build_parts
from tests.support import parity

SMALL = ('efficientdet_d0', 'efficientdet_d1', 'ssd_mobilenet_v2_fpnlite', 'ssd_mobilenet_v1_fpn', 'ssd_mobilenet_v2')
LARGE = ('efficientdet_d7', 'ssd_resnet50_v1_fpn')  # in the parity kit only


class Network(tf.Module):
    """The variables of a detector, as plain constructors make them."""

    def __init__(self, ssd):
        super().__init__()
        extractor, pyramid = ssd.feature_extractor, {}
        for prefix, field in (('fpn_', 'fpn'), ('bifpn_', 'bifpn')):
            if extractor.HasField(field):
                pyramid = {(name if name == 'additional_layer_depth' else prefix + name): value
                           for name, value in _fields(getattr(extractor, field)).items()}
        self._feature_extractor = feature_extractors.SSD[extractor.type](
            conv_hyperparams=build_parts.hyperparams(extractor.conv_hyperparams), **pyramid,
            **build_parts.changed(extractor, 'depth_multiplier', 'min_depth', 'use_depthwise',
                                  'override_base_feature_extractor_hyperparams'))
        kind = ssd.box_predictor.WhichOneof('box_predictor_oneof')
        predictor = getattr(ssd.box_predictor, kind)
        common = {'in_channels': self._feature_extractor.channels, 'kernel_size': predictor.kernel_size,
                  'num_class_slots': ssd.num_classes + ssd.add_background_class,
                  'hyperparams': build_parts.hyperparams(predictor.conv_hyperparams)}
        if kind == 'convolutional_box_predictor':
            self._box_predictor = ConvolutionalBoxPredictor(anchors_per_location=[3, 6, 6, 6, 6, 6], **common)
        else:
            anchors = ssd.anchor_generator.multiscale_anchor_generator
            self._box_predictor = WeightSharedBoxPredictor(
                anchors_per_location=len(anchors.aspect_ratios) * anchors.scales_per_octave, **common,
                **{name: getattr(predictor, name) for name in (
                    'depth', 'num_layers_before_predictor', 'class_prediction_bias_init', 'share_prediction_tower',
                    'use_depthwise')})


def _fields(message):
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}


@pytest.mark.parametrize('name', map(parity.case, (*SMALL, *LARGE)))
def test_keys_shapes_and_numbers_are_the_references(name):
    golden = parity.Golden(name)
    network = Network(config.read(parity.config_path(name)).model.ssd)
    variables = parity.variables_by_key(model=network)
    assert {key: variable.shape.as_list() for key, variable in variables.items()} == golden.shapes
    parity.assign(variables, golden.weights())

    inputs = golden.resized(network._feature_extractor.normalize)
    maps = network._feature_extractor.feature_maps(inputs)
    assert [x.shape[-1] for x in maps] == network._feature_extractor.channels
    predictions = {'preprocessed': inputs, **{f'feature_maps/{i}': x for i, x in enumerate(maps)},
                   **network._box_predictor(maps)}
    apart = {key: (golden.difference(key, value), golden.tolerance(key)) for key, value in predictions.items()}
    assert all(difference <= tolerance for difference, tolerance in apart.values()), apart
    total = tf.add_n(core.regularization_losses(network))
    assert float(total) == pytest.approx(golden.meta['losses']['regularization'], rel=1e-5)
