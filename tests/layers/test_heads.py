"""Box predictors: order of anchors, shapes, options. Their numbers are in test_ssd_networks.py."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection.layers import initializers
from object_detection.layers.heads.convolutional import ConvolutionalBoxPredictor, flatten_and_concat
from object_detection.layers.heads.weight_shared import WeightSharedBoxPredictor
from object_detection.layers.hyperparams import Hyperparams
from tests.support import parity

BOXES, CLASSES = 'box_encodings', 'class_predictions_with_background'
PLAIN = Hyperparams(activation=tf.nn.relu)
NORMED = Hyperparams(activation=tf.nn.relu, batch_norm={})


def _maps(*sizes, channels=4, batch=2):
    return [tf.random.stateless_normal([batch, size, size, channels], [size, 0]) for size in sizes]


def test_anchors_run_over_maps_rows_columns_and_anchors_of_a_pixel():
    first, second = np.arange(2 * 1 * 2 * 6).reshape(2, 1, 2, 6), 100 + np.arange(2 * 1 * 1 * 6).reshape(2, 1, 1, 6)
    flat = flatten_and_concat([tf.constant(first, tf.float32), tf.constant(second, tf.float32)], 3)
    assert flat[0].numpy().tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], [100, 101, 102], [103, 104, 105]]
    assert flat[1, 0].numpy().tolist() == [12, 13, 14]
    clipped = flatten_and_concat([tf.constant(first, tf.float32)], 3, clip=(2., 5.))
    assert clipped[0, :, 0].numpy().tolist() == [2, 3, 5, 5]


def test_unknown_batch_and_sizes():
    predictor = WeightSharedBoxPredictor([4, 4], 3, 2, 8, 1, NORMED)
    call = tf.function(predictor, input_signature=[[tf.TensorSpec([None, None, None, 4])] * 2])
    maps = _maps(3, 2)
    for kind, value in call(maps).items():
        np.testing.assert_allclose(value, predictor(maps)[kind], rtol=1e-5, atol=1e-5)


def test_weight_shared_predictor_shares_convolutions_but_not_batch_norms():
    predictor = WeightSharedBoxPredictor([4, 4], 3, 2, 8, 2, NORMED, class_prediction_bias_init=-4.6)
    predictions = predictor(_maps(3, 2))
    assert predictions[BOXES].shape == [2, (9 + 4) * 2, 4]
    assert predictions[CLASSES].shape == [2, (9 + 4) * 2, 3]
    keys = parity.variables_by_key(p=predictor)
    assert sum(key.endswith('/kernel') for key in keys) == 2 * 2 + 2
    assert sum(key.endswith('/gamma') for key in keys) == 2 * 2 * 2
    assert not any('_head_scope' in key and key.endswith('/bias') for key in keys)
    np.testing.assert_allclose(keys[f'p/_prediction_heads/{CLASSES}/_class_predictor_layers/0/bias'], -4.6)


def test_shared_tower_without_batch_norm():
    predictor = WeightSharedBoxPredictor([4], 3, 2, 8, 2, PLAIN, share_prediction_tower=True)
    keys = parity.variables_by_key(p=predictor)
    assert {key for key in keys if 'Tower' in key} == {
        f'p/_head_scope_conv_layers/PredictionTower/{i}/{leaf}' for i in (0, 1) for leaf in ('kernel', 'bias')}


def test_maps_of_different_depths_are_projected_to_the_most_common_one():
    predictor = WeightSharedBoxPredictor([4, 6, 6], 3, 2, 8, 1, NORMED)
    keys = parity.variables_by_key(p=predictor)
    assert keys['p/_additional_projection_layers/0/0/kernel'].shape == [1, 1, 4, 6]
    assert keys['p/_additional_projection_layers/1/0/kernel'].shape == [1, 1, 6, 6]
    assert keys['p/_additional_projection_layers/2/1/gamma'].shape == [6]
    assert predictor([*_maps(2), *_maps(2, 1, channels=6)])[BOXES].shape == [2, (4 + 4 + 1) * 2, 4]


@pytest.mark.parametrize(('keywords', 'depthwise', 'pointwise', 'last'), [
    ({}, True, False, False),
    ({'apply_conv_hyperparams_pointwise': True}, True, True, False),
    ({'apply_conv_hyperparams_to_heads': True}, True, False, True)])
def test_which_separable_kernels_take_the_configured_initializer(keywords, depthwise, pointwise, last):
    ones = Hyperparams(initializer=initializers.ones, batch_norm={})
    predictor = WeightSharedBoxPredictor([4], 3, 2, 8, 1, ones, use_depthwise=True, **keywords)

    def is_ones(key):
        return bool((parity.variables_by_key(p=predictor)[key].numpy() == 1).all())
    tower = 'p/_head_scope_conv_layers/BoxPredictionTower/0'
    assert is_ones(f'{tower}/depthwise_kernel') == depthwise
    assert is_ones(f'{tower}/pointwise_kernel') == pointwise
    head = 'p/_box_prediction_head/_box_encoder_layers/0'
    assert (is_ones(f'{head}/depthwise_kernel'), is_ones(f'{head}/pointwise_kernel')) == (last, last)


def test_clipping_dropout_and_sigmoid():
    predictor = WeightSharedBoxPredictor([4], 3, 2, 8, 0, PLAIN, box_encodings_clip_range=(-.1, .1), dropout_rate=.5,
                                         sigmoid_scores=True)
    maps = _maps(4)
    predictions, training = predictor(maps), predictor(maps, training=True)
    assert np.abs(predictions[BOXES]).max() == np.float32(.1)
    assert 0 < predictions[CLASSES].numpy().min() < predictions[CLASSES].numpy().max() < 1
    assert training[CLASSES].numpy().min() < 0  # logits
    assert (predictor(maps, training=True)[CLASSES].numpy() != training[CLASSES].numpy()).any()
    assert f'p/_prediction_heads/{CLASSES}/_class_predictor_layers/1/bias' in parity.variables_by_key(p=predictor)


def test_convolutional_predictor_has_separate_convolutions_for_each_map():
    predictor = ConvolutionalBoxPredictor([4, 6], 3, [2, 5], NORMED, kernel_size=3, num_layers_before_predictor=1,
                                          min_depth=5, max_depth=5, class_prediction_bias_init=1.)
    predictions = predictor([*_maps(3), *_maps(2, channels=6)])
    assert predictions[BOXES].shape == [2, 9 * 2 + 4 * 5, 4]
    assert predictions[CLASSES].shape == [2, 9 * 2 + 4 * 5, 3]
    keys = parity.variables_by_key(p=predictor)
    assert keys['p/_shared_nets/1/0/kernel'].shape == [1, 1, 6, 5]
    assert keys[f'p/_prediction_heads/{CLASSES}/1/_class_predictor_layers/0/kernel'].shape == [3, 3, 5, 15]
    assert keys[f'p/_prediction_heads/{CLASSES}/1/_class_predictor_layers/0/bias'].numpy().tolist() == [1.] * 15


def test_convolutional_predictor_with_depthwise_convolutions():
    predictor = ConvolutionalBoxPredictor([4], 3, [2], NORMED, kernel_size=3, use_depthwise=True, dropout_rate=.2)
    assert predictor(_maps(3))[CLASSES].shape == [2, 18, 3]
    assert {key.removeprefix(f'p/_prediction_heads/{CLASSES}/0/_class_predictor_layers/')
            for key in parity.variables_by_key(p=predictor) if CLASSES in key and 'moving' not in key} == {
                '1/depthwise_kernel', '2/gamma', '2/beta', '4/kernel', '4/bias'}
