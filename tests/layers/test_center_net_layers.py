"""Backbones, necks and heads of CenterNet: what the golden numbers (tests/models) do not cover, by hand."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection.layers.backbones import hourglass, resnet_v2
from object_detection.layers.heads.convolutional import CenterNetHead
from object_detection.layers.necks.upsampling import Conv2DTranspose, Deconvolution, UpsamplingFPN


def test_transposed_convolution_spreads_each_pixel():
    layer = Conv2DTranspose(1, 1, 3, strides=2)
    layer.kernel.assign(tf.reshape(tf.range(9.), [3, 3, 1, 1]))
    layer.bias.assign([.5])
    output = layer(tf.constant([2., 0., 0., 0.], shape=[1, 2, 2, 1]))
    expected = np.full((4, 4), .5)  # all of the 3 x 3 kernel lies inside
    expected[:3, :3] += 2. * np.arange(9.).reshape(3, 3)
    np.testing.assert_allclose(output[0, :, :, 0], expected)


def test_transposed_convolution_for_an_unknown_size():
    layer = Conv2DTranspose(3, 2, 3, strides=2)
    run = tf.function(layer, input_signature=[tf.TensorSpec([None, None, 5, 3])], autograph=False)
    assert run.get_concrete_function().structured_outputs.shape.as_list() == [None, None, 10, 2]
    assert run(tf.zeros([2, 4, 5, 3])).shape == (2, 8, 10, 2)


@pytest.mark.parametrize('depth, strides, channels', [(18, (4, 8, 16, 32), 64), (50, (8, 16, 32, 32), 256)])
def test_resnet_v2_halves_in_the_last_block_of_a_stage(depth, strides, channels):
    network = resnet_v2.ResNetV2(depth)
    maps = network(tf.zeros([1, 64, 64, 3]))
    assert [x.shape[1] for x in maps] == [64 // stride for stride in strides]
    assert [x.shape[3] for x in maps] == network.channels == [channels * 2 ** stage for stage in range(4)]


def test_hourglass_with_two_outputs():
    hourglass.SIZES['test'] = (2, (4, 6, 8), (1, 1, 1), 2)
    try:
        network = hourglass.Hourglass('test')
    finally:
        del hourglass.SIZES['test']
    assert network.multiple == 16
    assert [x.shape.as_list() for x in network(tf.zeros([1, 16, 32, 3]))] == [[1, 4, 8, 4]] * 2


@pytest.mark.parametrize('size, convolutions', [(10, 10), (20, 20), (32, 32), (52, 52), (104, 104)])
def test_the_name_of_an_hourglass_is_its_depth(size, convolutions):
    _, channels, blocks, count = hourglass.SIZES[size]
    inner = sum(4 * number for number in blocks[:-1]) + 2 * blocks[-1]  # down, up, and the innermost
    between = 3 * (count - 1)  # one convolution and a residual block
    assert len(channels) == len(blocks)
    assert 3 + count * (inner + 1) + between == convolutions


def test_pyramid_adds_the_level_above():
    neck = UpsamplingFPN([1, 2], 3, (3,))
    for name in ('layer_with_weights-1', 'layer_with_weights-2', 'layer_with_weights-3'):
        layer = getattr(neck, name)
        layer.kernel.assign(tf.zeros_like(layer.kernel))
    getattr(neck, 'layer_with_weights-1').bias.assign([1., 2., 3.])
    getattr(neck, 'layer_with_weights-2').bias.assign([10., 10., 10.])
    smooth = getattr(neck, 'layer_with_weights-3').kernel
    smooth.assign(tf.scatter_nd([[1, 1, i, i] for i in range(3)], [1.] * 3, smooth.shape))
    norm = getattr(neck, 'layer_with_weights-4')
    norm.moving_variance.assign(norm.moving_variance - norm.epsilon)
    output = neck([tf.zeros([1, 4, 4, 1]), tf.zeros([1, 2, 2, 2])])
    assert output.shape == (1, 4, 4, neck.channels)
    np.testing.assert_allclose(output[0, 2, 1], [11., 12., 13.], rtol=1e-6)
    with pytest.raises(ValueError, match='maps of 5x4 and 4x4'):
        neck([tf.zeros([1, 5, 4, 1]), tf.zeros([1, 2, 2, 2])])


def test_deconvolution_upsamples_eightfold():
    neck = Deconvolution(5)
    assert neck(tf.zeros([1, 2, 3, 5])).shape == (1, 16, 24, 64)
    assert getattr(neck, 'layer_with_weights-1').kernel.shape == (3, 3, 5, 256)
    assert not hasattr(neck, 'layer_with_weights-0')  # the backbone's number


def test_head_starts_at_its_bias():
    head = CenterNetHead(4, 2, (8, 6), (3, 1), bias=-2.19)
    np.testing.assert_allclose(head(tf.zeros([1, 3, 3, 4])), np.full((1, 3, 3, 2), -2.19), rtol=1e-6)
    assert [getattr(head, f'layer_with_weights-{i}').kernel.shape[:3] for i in range(3)] == [
        (3, 3, 4), (1, 1, 8), (1, 1, 6)]
