"""The training step of a model whose gradients are computed by hand, and the choice of variables to train."""
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.layers import core
from object_detection.models.detector import Detector
from object_detection.training import optimizer, step
from object_detection.utils.errors import UserError

WEIGHT_DECAY = .5


class Linear(Detector):
    """loss = 3 * sum(kernel) * mean of the image + 4 * bias; weight decay on the kernel."""

    def __init__(self):
        super().__init__(num_classes=1, resizer=None)
        self._feature_extractor, self._box_predictor = tf.Module(), tf.Module()
        self._feature_extractor.kernel = tf.Variable([1., 2.])
        self._box_predictor.bias = tf.Variable([10.])

    def normalize(self, images, shapes):
        return images

    def predict(self, inputs, shapes, training, groundtruth):
        assert training
        return {'value': tf.reduce_sum(self._feature_extractor.kernel) * tf.reduce_mean(inputs)}

    def postprocess(self, predictions, shapes):
        return {}

    def loss(self, predictions, shapes, groundtruth):
        return {'Loss/localization_loss': 3. * predictions['value'],
                'Loss/classification_loss': 4. * tf.reduce_sum(self._box_predictor.bias)}

    def regularization_losses(self):
        return [core.L2(WEIGHT_DECAY)([self._feature_extractor.kernel])]


def one_step(options='', optimizer_options='use_moving_average: false'):
    """Do one step of plain descent at rate 1 on an image of ones; return (model, losses before, optimizer)."""
    config = text_format.Parse(options, protos.TrainConfig())
    text = f'momentum_optimizer {{ momentum_optimizer_value: 0 learning_rate {{ constant_learning_rate {{ '\
           f'learning_rate: 1 }} }} }} {optimizer_options}'
    model, count = Linear(), tf.Variable(0, dtype=tf.int64)
    variables = step.trainable(model, config)
    optimize = optimizer.build(text_format.Parse(text, protos.Optimizer()), list(model.trainable_variables))
    features = {'image': tf.ones([1, 2, 2, 3]), 'true_image_shape': tf.constant([[2, 2, 3]])}
    truth = {'num_groundtruth_boxes': tf.constant([0])}
    spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, (features, truth))
    losses = step.trace_step(model, variables, optimize, count, config, tf.distribute.get_strategy(), spec)(
        [(features, truth)])
    assert int(count) == 1
    return model, {name: float(value) for name, value in losses.items()}, optimize


def moved(model):
    """Return how far the kernel and the bias went down."""
    return [*(np.array([1., 2.]) - model._feature_extractor.kernel), *(10. - model._box_predictor.bias)]


@pytest.mark.parametrize(('options', 'expected'), [
    ('add_regularization_loss: false', [3, 3, 4]),
    ('', [3.5, 4, 4]),  # 3 + weight decay * kernel
    ('add_regularization_loss: false bias_grad_multiplier: 2', [3, 3, 8]),
    ('add_regularization_loss: false gradient_clipping_by_norm: 1', np.array([3, 3, 4]) / 34 ** .5),
    ('add_regularization_loss: false gradient_clipping_by_norm: 6', [3, 3, 4]),  # the norm is 5.8
    ('add_regularization_loss: false bias_grad_multiplier: 2 gradient_clipping_by_norm: 1',
     np.array([3, 3, 8]) / 82 ** .5),  # the multiplier first, then the clipping
    ('add_regularization_loss: false freeze_variables: ".*bias"', [3, 3, 0]),
    ('add_regularization_loss: false freeze_variables: "FeatureExtractor" gradient_clipping_by_norm: 2', [0, 0, 2]),
    ('update_trainable_variables: "_feature_extractor" freeze_variables: "_box_predictor"', [3.5, 4, 0]),
])
def test_gradients(options, expected):
    np.testing.assert_allclose(moved(one_step(options)[0]), expected, rtol=1e-6)


def test_expressions_are_matched_from_the_start_of_the_name():
    with pytest.raises(UserError, match="'bias' matches no variable"):
        one_step('freeze_variables: "bias"')


def test_losses():
    found = one_step()[1]
    assert found == {'Loss/localization_loss': 9., 'Loss/classification_loss': 40.,
                     'Loss/regularization_loss': WEIGHT_DECAY * 2.5, 'Loss/total_loss': 49 + WEIGHT_DECAY * 2.5}
    frozen = one_step('freeze_variables: "_feature_extractor"')[1]
    assert frozen == found  # as in the reference, weight decay of what is frozen is part of the loss
    assert 'Loss/regularization_loss' not in one_step('add_regularization_loss: false')[1]


def test_moving_averages_include_frozen_variables():
    model, _, optimize = one_step('freeze_variables: "_feature_extractor"', 'moving_average_decay: 0.5')
    rate = 1 - 2 / 11  # of the first step: 1 - (1 + 1) / (10 + 1)
    kernel, bias = model._feature_extractor.kernel, model._box_predictor.bias
    np.testing.assert_allclose(optimize.get_slot(bias, 'average'), [6. * rate], rtol=1e-6)
    np.testing.assert_allclose(optimize.get_slot(kernel, 'average'), np.array([1., 2.]) * rate, rtol=1e-6)


class Named(tf.Module):
    def __init__(self):
        super().__init__()
        self._feature_extractor, self._box_predictor = tf.Module(), tf.Module()
        self._feature_extractor.kernel, self._box_predictor.bias = tf.Variable(1.), tf.Variable(1.)


@pytest.mark.parametrize('text, left', [
    ('', {'kernel', 'bias'}),
    ('freeze_variables: "FeatureExtractor"', {'bias'}),
    ('freeze_variables: "model/_feature_extractor/"', {'bias'}),
    ('freeze_variables: ".*bias"', {'kernel'}),
    ('update_trainable_variables: "_box_predictor"', {'bias'}),
])
def test_trainable(text, left):
    model = Named()
    chosen = step.trainable(model, text_format.Parse(text, protos.TrainConfig()))
    names = {id(model._feature_extractor.kernel): 'kernel', id(model._box_predictor.bias): 'bias'}
    assert {names[id(variable)] for variable in chosen} == left


@pytest.mark.parametrize('text, says', [
    ('freeze_variables: "resnet"', 'matches no variable; there are, for example, _'),
    ('freeze_variables: "_"', 'leave no variable to train'),
])
def test_trainable_mistakes(text, says):
    with pytest.raises(UserError, match=says):
        step.trainable(Named(), text_format.Parse(text, protos.TrainConfig()))
