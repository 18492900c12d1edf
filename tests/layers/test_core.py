"""Layers: hand-computed numbers."""
import contextlib

import numpy as np
import pytest
import tensorflow as tf

from object_detection.layers import core, initializers, randomness
from object_detection.utils import tracing
from tests.support import parity


def test_variables_exist_after_the_constructor_and_have_keras_names():
    network = core.Network([core.Conv2D(3, 8, 3), core.BatchNorm(8), core.DepthwiseConv2D(8, 3, use_bias=False),
                            core.SeparableConv2D(8, 4, 5), core.Dense(4, 2)])
    shapes = {key: tuple(variable.shape) for key, variable in parity.variables_by_key(net=network).items()}
    prefix = 'net/layer_with_weights-'
    assert shapes == {
        f'{prefix}0/kernel': (3, 3, 3, 8), f'{prefix}0/bias': (8,),
        f'{prefix}1/gamma': (8,), f'{prefix}1/beta': (8,), f'{prefix}1/moving_mean': (8,),
        f'{prefix}1/moving_variance': (8,), f'{prefix}2/depthwise_kernel': (3, 3, 8, 1),
        f'{prefix}3/depthwise_kernel': (5, 5, 8, 1), f'{prefix}3/pointwise_kernel': (1, 1, 8, 4),
        f'{prefix}3/bias': (4,), f'{prefix}4/kernel': (4, 2), f'{prefix}4/bias': (2,)}


def test_sequence_keeps_positions_and_passes_the_training_mode_on():
    steps = core.Sequence([core.Conv2D(1, 1, 1), None, core.Sequence([tf.nn.relu, core.BatchNorm(1)])])
    assert [key for key in parity.variables_by_key(s=steps) if 'moving' not in key] == [
        's/0/kernel', 's/0/bias', 's/2/1/gamma', 's/2/1/beta']
    steps(tf.ones([2, 2, 2, 1]), training=True)
    assert float(parity.variables_by_key(s=steps)['s/2/1/moving_variance'][0]) == pytest.approx(.99)


def test_untracked_attributes_add_no_keys_and_take_any_dict():
    tracked, other = core.Conv2D(1, 1, 1, use_bias=False), core.Conv2D(1, 1, 1, use_bias=False)
    network = core.Network([tracked])
    network.parts = core.Untracked(blocks={2: [tracked], 'last': other}, other=other)
    assert set(parity.variables_by_key(net=network)) == {'net/layer_with_weights-0/kernel'}
    assert network.submodules == (tracked,) and len(network.variables) == 1
    assert network.parts.blocks['last'] is other


def test_batch_norm_uses_batch_moments_and_updates_the_moving_ones():
    norm = core.BatchNorm(1, momentum=.9, epsilon=0.)
    x = tf.reshape(tf.constant([1., 3., 5., 7.]), [4, 1, 1, 1])  # mean 4, variance 5; with Bessel's correction 20 / 3
    np.testing.assert_allclose(tf.reshape(norm(x, training=True), [-1]), np.array([-3, -1, 1, 3]) / 5 ** .5, rtol=1e-5)
    assert float(norm.moving_mean[0]) == pytest.approx(.4)
    assert float(norm.moving_variance[0]) == pytest.approx(.9 + 2 / 3)
    moved = (1. - .4) / (.9 + 2 / 3) ** .5
    assert float(norm(x)[0, 0, 0, 0]) == pytest.approx(moved, rel=1e-5)


def test_frozen_batch_norm_keeps_its_moments_and_trains_gamma_and_beta():
    norm = core.BatchNorm(2, epsilon=0., frozen=True)
    x = tf.random.stateless_normal([4, 3, 3, 2], [1, 2])
    np.testing.assert_allclose(norm(x, training=True), x, rtol=1e-6)
    assert norm.moving_mean.numpy().tolist() == [0., 0.]
    assert [v is norm.gamma or v is norm.beta for v in norm.trainable_variables] == [True, True]


def test_regularization_is_one_term_per_regularizer_and_counts_shared_layers_once():
    conv = core.Conv2D(1, 1, 2, kernel_initializer=initializers.constant(3.), regularizer=core.L2(.5),
                       bias_initializer=initializers.constant(2.), bias_regularizer=core.L1(.25))
    twice = core.Sequence([conv, core.Sequence([conv]), core.DepthwiseConv2D(1, 3)])
    terms = core.regularization_losses(twice)
    assert sorted(float(term) for term in terms) == [.25 * 2, .5 * 4 * 9 / 2]
    assert core.regularization_losses(core.Conv2D(1, 1, 1)) == []
    assert core.regularization_losses(core.Conv2D(1, 1, 1, regularizer=core.L2(1.), trainable=False)) == []


def test_dropout_drops_whole_images_only_in_training():
    x = tf.ones([64, 2, 2, 1])
    drop = core.Dropout(.25, per_image=True)
    assert drop(x) is x
    kept = drop(x, training=True).numpy().reshape(64, 4)
    assert set(np.unique(kept)) == {0., np.float32(1 / .75)}
    assert (kept == kept[:, :1]).all()


def test_upsample_repeats_pixels_for_known_and_unknown_sizes():
    x = tf.reshape(tf.range(6.), [1, 2, 3, 1])
    expected = x.numpy().repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(core.upsample(x), expected)
    unknown = tf.function(core.upsample, input_signature=[tf.TensorSpec([None, None, None, 1])])
    np.testing.assert_array_equal(unknown(x), expected)


def test_padding_for_a_kernel_and_crop():
    x = tf.ones([1, 2, 2, 1])
    assert core.pad_for_kernel(x, 3)[0, :, :, 0].numpy().tolist() == [
        [0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert core.pad_for_kernel(x, 2)[0, :, :, 0].numpy().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert core.crop(tf.ones([1, 4, 5, 1]), tf.ones([1, 3, 4, 7])).shape == [1, 3, 4, 1]


def test_layers_compute_in_the_dtype_of_their_input():
    layers = core.Sequence([core.Conv2D(3, 4, 3), core.BatchNorm(4), core.swish, core.SeparableConv2D(4, 4, 3),
                            core.DepthwiseConv2D(4, 3), core.upsample])
    y = layers(tf.ones([1, 4, 4, 3], tf.bfloat16), training=True)
    assert y.dtype == tf.bfloat16
    assert all(variable.dtype == tf.float32 for variable in layers.variables)


@pytest.mark.parametrize('training_step', [False, True])
def test_swish(training_step):
    x = tf.constant([-90., -1., 0., 2., 90.])
    with tracing.training_step() if training_step else contextlib.nullcontext(), tf.GradientTape() as tape:
        tape.watch(x)
        y = core.swish(x)
    np.testing.assert_allclose(y, tf.nn.silu(x), rtol=1e-6)
    sigmoid = 1 / (1 + np.exp(-np.float64(x)))
    np.testing.assert_allclose(tape.gradient(y, x), sigmoid + x * sigmoid * (1 - sigmoid), rtol=1e-5)


def test_a_training_step_keeps_one_tensor_less_for_swish():
    """The gradient takes nothing that comes before the activation."""
    def slope(x):
        inside = x + 1.
        with tf.GradientTape() as tape:
            tape.watch(inside)
            y = core.swish(inside)
        return tape.gradient(y, inside)

    def uses(graph):
        added = next(op for op in graph.get_operations() if op.type == 'AddV2')
        return {op.type for op in added.outputs[0].consumers()}

    with tracing.training_step():
        graph = tf.function(slope, autograph=False).get_concrete_function(tf.TensorSpec([3])).graph
    assert uses(graph) == {'Sigmoid', 'Mul', 'IdentityN'}  # of the forward pass


def kinds(function):
    return {op.type for op in function.graph.get_operations()}


@pytest.mark.parametrize('layer', [lambda: core.Conv2D(6, 5, 1), lambda: core.SeparableConv2D(6, 5, 3)])
def test_small_convolutions_on_a_cpu_are_matrix_products(layer):
    layer, large = layer(), core.Conv2D(512, 1024, 1)
    x = tf.constant(np.float32(np.random.default_rng(0).normal(size=(2, 4, 3, 6))))

    def slopes():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y * y)
        return y, *tape.gradient(loss, [x, *layer.trainable_variables])

    expected = slopes()
    with tracing.ops_for_cpu():
        traced = tf.function(slopes, autograph=False).get_concrete_function()
        others = [tf.function(layer, autograph=False).get_concrete_function(tf.TensorSpec(shape))
                  for layer, shape in ((layer, [None, None, None, 6]), (large, [1, 32, 32, 512]))]
    assert 'MatMul' in kinds(traced) and 'Conv2D' not in kinds(traced)
    assert all('MatMul' not in kinds(function) and 'Conv2D' in kinds(function) for function in others)
    for value, wanted in zip(traced(), expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)


def test_maps_of_different_sizes_are_named_in_the_error():
    core.check_equal_sizes([tf.ones([1, 4, 4, 2]), tf.ones([1, 4, 4, 2])])
    with pytest.raises(ValueError, match='5x4 and 4x4'):
        core.check_equal_sizes([tf.ones([1, 5, 4, 2]), tf.ones([1, 4, 4, 2])])


def test_dropout_draws_by_position():
    """The same position gives the same numbers, which a resumed run needs; other positions and layers give others."""
    x, drop = tf.ones([64, 2, 2, 1]), core.Dropout(.5)

    def draw(position):
        with randomness.at(tf.constant(position, tf.int64)):
            return drop(x, training=True).numpy(), drop(x, training=True).numpy()
    first, second = draw(7)
    assert (first != second).any()
    np.testing.assert_array_equal(draw(7), (first, second))
    assert (draw(8)[0] != first).any()
    assert (drop(x, training=True).numpy() != drop(x, training=True).numpy()).any()  # outside the block, random
