"""The two networks of a two-stage detector, and its heads."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection.layers import core, feature_extractors
from object_detection.layers.backbones import inception_resnet_v2, resnet_v1
from object_detection.layers.heads.convolutional import RPNFeatures
from object_detection.layers.heads.mask_rcnn import MaskHead, MaskRCNNBoxPredictor
from object_detection.layers.hyperparams import Hyperparams
from tests.support import parity

PLAIN, NORMED = Hyperparams(), Hyperparams(activation=tf.nn.relu, batch_norm={})


def keys(module):
    return {key: variable.shape.as_list() for key, variable in parity.variables_by_key(it=module).items()}


def test_two_halves_are_the_whole_network():
    hyperparams = resnet_v1.default_hyperparams()
    make = {levels: resnet_v1.ResNetV1(50, hyperparams, depth_multiplier=.1, levels=levels)
            for levels in ((2, 3, 4, 5), (2, 3, 4), (5,))}
    whole, first, second = make.values()
    joined = core.Network([*first.first_layers(first.num_layers), *second.first_layers(second.num_layers)])
    assert keys(joined) == keys(whole)
    parity.assign(parity.variables_by_key(it=whole), {
        key: variable.numpy() for key, variable in parity.variables_by_key(it=joined).items()})
    images = tf.random.stateless_normal([1, 64, 48, 3], [1, 2])
    maps = first(images)
    np.testing.assert_allclose(second(maps[4])[5], whole(images)[5], rtol=1e-4, atol=1e-6)
    assert second.channels == {5: 204} and maps[4].shape == [1, 4, 3, 102]


def test_inception_resnet_v2():
    first = inception_resnet_v2.InceptionResNetV2(inception_resnet_v2.default_hyperparams(freeze_batchnorm=True))
    assert first(tf.zeros([1, 50, 33, 3])).shape == [1, 4, 3, 1088]
    top = inception_resnet_v2.InceptionResNetV2Top(inception_resnet_v2.default_hyperparams())
    assert top(tf.zeros([2, 5, 5, 1088])).shape == [2, 3, 3, 1536]
    assert core.regularization_losses(first) == []


def test_pyramid():
    extractor = feature_extractors.FASTER_RCNN['faster_rcnn_resnet50_fpn_keras'](
        region_size=3, conv_hyperparams=NORMED, fpn_min_level=2, fpn_max_level=6, additional_layer_depth=8)
    maps = extractor.feature_maps(tf.zeros([1, 60, 64, 3]))  # padded to 64 x 64
    assert [x.shape.as_list() for x in maps] == [[1, size, size, 8] for size in (16, 8, 4, 2, 1)]
    assert extractor.region_features(tf.zeros([5, 3, 3, 8])).shape == [5, 1, 1, 1024]
    assert keys(extractor.region_network)['it/layer_with_weights-0/kernel'] == [72, 1024]


def test_box_predictor_takes_the_mean_of_a_region():
    predictor = MaskRCNNBoxPredictor(2, 3, PLAIN)
    dense = predictor._class_prediction_head.submodules[1]
    dense.kernel.assign([[1., 0., 0., 2.], [0., 1., 0., 0.]])
    dense.bias.assign([0., 0., 5., 0.])
    boxes, classes = predictor(tf.constant([[[[1., 2.], [3., 6.]]]]))
    assert boxes.shape == [1, 3, 4]
    np.testing.assert_allclose(classes, [[2., 4., 5., 4.]])
    sharing = MaskRCNNBoxPredictor(2, 3, NORMED, share_box_across_classes=True, dropout_rate=.5)
    shared, _ = sharing(tf.ones([6, 2, 2, 2]))
    assert shared.shape == [6, 1, 4]


@pytest.mark.parametrize(('options', 'depths', 'shape'), [
    ({'size': (9, 7)}, [256, 5], [2, 5, 9, 7]),
    ({'size': (9, 7), 'num_convolutions': 3, 'depth': 0, 'class_agnostic': True}, [8, 8, 1], [2, 1, 9, 7]),
    ({'size': (9, 6), 'convolve_then_upsample': True, 'depth': 4}, [4, 4, 5], [2, 5, 9, 6]),
])
def test_mask_head(options, depths, shape):
    head = MaskHead(16, (3, 2), 5, NORMED, **options)
    assert head(tf.zeros([2, 3, 2, 16])).shape == shape
    kernels = [shape for key, shape in keys(head).items() if key.endswith('kernel')]
    assert sorted(kernel[3] for kernel in kernels) == sorted(depths)


def test_mask_head_resizes_bilinearly_with_aligned_corners():
    head = MaskHead(1, (2, 2), 1, PLAIN, size=(3, 3), num_convolutions=1)
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1.
    head._mask_predictor_layers.submodules[0].kernel.assign(kernel)
    np.testing.assert_allclose(head(tf.constant([[[[0.], [4.]], [[8.], [12.]]]])),
                               [[[[0., 2., 4.], [4., 6., 8.], [8., 10., 12.]]]])


def test_rpn_features():
    plain, normed = RPNFeatures(3, PLAIN, 4, 3, dilation=2), RPNFeatures(3, NORMED, 4)
    assert set(keys(plain)) == {'it/layer_with_weights-0/kernel', 'it/layer_with_weights-0/bias'}
    assert 'it/layer_with_weights-1/beta' in keys(normed)
    assert float(tf.reduce_max(plain(tf.fill([1, 5, 5, 3], 1e6)))) in (0., 6.)


def test_batch_norm_of_vectors():
    norm = core.BatchNorm(2, momentum=.5)
    output = norm(tf.constant([[1., 5.], [3., 5.]]), training=True)
    np.testing.assert_allclose(output, [[-1., 0.], [1., 0.]], atol=1e-3)
    np.testing.assert_allclose(norm.moving_mean, [1., 2.5])
