"""Feature extractors, apart from the reference's numbers: sizes, normalization, training mode, options."""
import functools

import numpy as np
import pytest
import tensorflow as tf

from object_detection.layers import core, feature_extractors
from object_detection.layers.hyperparams import Hyperparams
from tests.support import parity

SMALL = {'ssd_mobilenet_v1_keras': .25, 'ssd_mobilenet_v2_keras': .25, 'ssd_mobilenet_v1_fpn_keras': .25,
         'ssd_mobilenet_v2_fpn_keras': .25, 'ssd_resnet50_v1_fpn_keras': .125, 'ssd_efficientnet-b0_bifpn_keras': None}
HYPERPARAMS = Hyperparams(activation=tf.nn.relu6, batch_norm={'momentum': .9}, regularizer=core.L2(1e-4))


@functools.cache
def _make(kind, **keywords):
    return feature_extractors.SSD[kind](**{'conv_hyperparams': HYPERPARAMS, **_width(kind), **keywords})


def _width(kind):
    return {} if SMALL[kind] is None else {'depth_multiplier': SMALL[kind]}


@pytest.mark.parametrize('kind', SMALL)
def test_maps_have_the_announced_channels_and_halve_in_size(kind):
    extractor = _make(kind)
    maps = extractor.feature_maps(extractor.normalize(tf.zeros([1, 128, 128, 3])))
    assert [x.shape[-1] for x in maps] == extractor.channels
    sizes = [x.shape[1] for x in maps]
    assert sizes in ([16, 8, 4, 2, 1], [8, 4, 2, 1, 1, 1])


@pytest.mark.parametrize('kind', SMALL)
def test_the_mean_pixel_normalizes_to_zero(kind):
    mean = {'ssd_resnet50_v1_fpn_keras': (123.68, 116.779, 103.939),
            'ssd_efficientnet-b0_bifpn_keras': (123.675, 116.28, 103.53)}.get(kind, (127.5,) * 3)
    images = tf.constant(np.full((1, 2, 2, 3), mean), tf.float32)
    np.testing.assert_allclose(_make(kind).normalize(images), 0., atol=1e-4)


def test_normalization():
    pixel = tf.constant([0., 127.5, 255.], shape=[1, 1, 1, 3])

    def normalized(kind):
        return _make(kind).normalize(pixel).numpy().ravel().tolist()
    assert normalized('ssd_mobilenet_v2_keras') == pytest.approx([-1, 0, 1])
    assert normalized('ssd_resnet50_v1_fpn_keras') == pytest.approx([-123.68, 10.721, 151.061])
    assert normalized('ssd_efficientnet-b0_bifpn_keras') == pytest.approx(
        [-.485 / .229, (.5 - .456) / .224, (1 - .406) / .225])


@pytest.mark.parametrize('kind', SMALL)
def test_frozen_batch_norm_updates_no_moment(kind):
    frozen = Hyperparams(activation=tf.nn.relu6, batch_norm={'frozen': True})
    extractor = feature_extractors.SSD[kind](conv_hyperparams=frozen, freeze_batchnorm=True, **_width(kind))
    before = [variable.numpy() for variable in extractor.non_trainable_variables]
    extractor.feature_maps(tf.random.stateless_normal([2, 128, 128, 3], [0, 1]), training=True)
    after = [variable.numpy() for variable in extractor.non_trainable_variables]
    assert all((a == b).all() for a, b in zip(before, after))


def test_training_updates_every_moment_and_gradients_reach_the_stem():
    extractor = _make('ssd_mobilenet_v2_fpn_keras')
    before = [variable.numpy() for variable in extractor.non_trainable_variables]
    with tf.GradientTape() as tape:
        maps = extractor.feature_maps(tf.random.stateless_normal([2, 128, 128, 3], [0, 1]), training=True)
        loss = tf.add_n([tf.reduce_sum(x) for x in maps])
    gradients = tape.gradient(loss, extractor.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    assert all((a != b.numpy()).any() for a, b in zip(before, extractor.non_trainable_variables))


def test_override_gives_the_backbone_the_configured_settings():
    own = _make('ssd_mobilenet_v2_fpn_keras').classification_backbone
    overridden = _make('ssd_mobilenet_v2_fpn_keras', override_base_feature_extractor_hyperparams=True)
    first = getattr(own, 'layer_with_weights-0'), getattr(own, 'layer_with_weights-1')
    assert (first[0].regularizer, first[1].momentum, first[1].epsilon) == (core.L2(4e-5), .9997, 1e-3)
    backbone = overridden.classification_backbone
    first = getattr(backbone, 'layer_with_weights-0'), getattr(backbone, 'layer_with_weights-1')
    assert (first[0].regularizer, first[1].momentum) == (core.L2(1e-4), .9)


def test_override_gives_efficientnet_only_the_weight_decay():
    for keywords, weight in (({}, 1e-5), ({'override_base_feature_extractor_hyperparams': True}, 1e-4)):
        backbone = _make('ssd_efficientnet-b0_bifpn_keras', **keywords).classification_backbone
        assert getattr(backbone, 'layer_with_weights-0').regularizer == core.L2(weight)
        assert getattr(backbone, 'layer_with_weights-1').momentum == .99
        assert getattr(backbone, 'layer_with_weights-2').regularizer is None  # depthwise


def test_the_used_efficientnet_shares_its_layers_with_the_whole_classifier():
    extractor = _make('ssd_efficientnet-b0_bifpn_keras')
    assert extractor._efficientnet.num_layers == 128
    assert extractor.classification_backbone.num_layers == 131
    keys = parity.variables_by_key(model=extractor)
    assert 'model/_efficientnet/layer_with_weights-127/gamma' in keys
    assert 'model/classification_backbone/layer_with_weights-130/kernel' in keys
    assert 'model/classification_backbone/layer_with_weights-127/gamma' not in keys


def test_a_size_that_does_not_fit_is_refused_and_padding_helps():
    image = tf.zeros([1, 200, 160, 3])
    with pytest.raises(ValueError, match=r'13x10 and 14x10.*multiples of'):
        _make('ssd_mobilenet_v2_fpn_keras').feature_maps(image)
    padded = _make('ssd_mobilenet_v2_fpn_keras', pad_to_multiple=32)
    assert [tuple(x.shape[1:3]) for x in padded.feature_maps(image)] == [(28, 20), (14, 10), (7, 5), (4, 3), (2, 2)]
    anyway = _make('ssd_mobilenet_v2_fpn_keras', use_explicit_padding=True)
    assert [tuple(x.shape[1:3]) for x in anyway.feature_maps(image)] == [(25, 20), (13, 10), (7, 5), (4, 3), (2, 2)]


def test_fewer_layers_and_other_levels():
    assert len(_make('ssd_mobilenet_v1_keras', num_layers=3).channels) == 3
    one = _make('ssd_mobilenet_v2_keras', num_layers=1)
    assert [x.shape[1] for x in one.feature_maps(tf.zeros([1, 64, 64, 3]))] == [4]
    levels = _make('ssd_mobilenet_v1_fpn_keras', fpn_min_level=2, fpn_max_level=4)
    assert [x.shape[1] for x in levels.feature_maps(tf.zeros([1, 64, 64, 3]))] == [16, 8, 4]
