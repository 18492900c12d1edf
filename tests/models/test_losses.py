import numpy as np
import pytest
import tensorflow as tf

from object_detection.models import losses
from tests.support import boxes_golden

CLASSIFICATION = {
    'focal': losses.Focal(1.5, .25), 'focal without alpha': losses.Focal(2., None), 'sigmoid': losses.sigmoid,
    'softmax': losses.Softmax(2.), 'softmax of logits': losses.Softmax(2., targets_are_logits=True),
    'bootstrapped': losses.BootstrappedSigmoid(.8), 'bootstrapped hard': losses.BootstrappedSigmoid(.8, hard=True)}
LOCALIZATION = {'smooth l1': losses.SmoothL1(.1), 'l2': losses.l2, 'iou': losses.iou, 'giou': losses.giou}
MINERS = {'plain': losses.HardExampleMiner(20, .5, 1., .5),
          'negatives': losses.HardExampleMiner(None, .7, 1., 0., 1., 5)}


@pytest.mark.parametrize('name', CLASSIFICATION)
def test_classification_losses_equal_the_reference(name):
    inputs, outputs = boxes_golden.case('losses')
    loss = CLASSIFICATION[name](*(tf.constant(inputs[key]) for key in ('logits', 'labels', 'weights')))
    np.testing.assert_allclose(loss, outputs[name], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize('name', LOCALIZATION)
def test_localization_losses_equal_the_reference(name):
    inputs, outputs = boxes_golden.case('losses')
    loss = LOCALIZATION[name](*(tf.constant(inputs[key]) for key in ('codes', 'wanted', 'weights')))
    np.testing.assert_allclose(loss, outputs[name], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize('name', MINERS)
def test_hard_example_mining_equals_the_reference(name):
    inputs, outputs = boxes_golden.case(f'mining {name}')
    values = {key: tf.constant(value) for key, value in inputs.items()}
    mask = MINERS[name].mask(values['classification'], values['localization'], values['boxes'], values['matches'])
    for key in ('classification', 'localization'):
        np.testing.assert_allclose(np.sum(mask * values[key]), outputs[key], rtol=1e-5)


def test_focal_by_hand():
    loss = losses.Focal(2., .25)(tf.constant([[[0., 0.]]]), tf.constant([[[1., 0.]]]), tf.constant([[2.]]))
    np.testing.assert_allclose(loss, [[2 * (.25 + .75) * .25 * np.log(2)]], rtol=1e-6)


def test_focal_loss_and_gradient_of_certain_predictions_are_finite():
    logits = tf.constant([[[-200., 200., -200., 200.]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = losses.Focal(1.5, .25)(logits, tf.constant([[[0., 1., 1., 0.]]]), tf.ones([1, 1]))
    np.testing.assert_allclose(loss, [[200 * .25 + 200 * .75]], rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, logits), [[[0., 0., -.25, .75]]], atol=1e-6)


def textbook_focal(logits, targets, weights, gamma, alpha):
    """Lin et al. 2017, equation 5, in float64: the loss and its gradient with a different upstream for each box."""
    logits, targets = tf.constant(logits, tf.float64), tf.constant(targets, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        p = tf.where(targets == 1., tf.sigmoid(logits), 1. - tf.sigmoid(logits))
        factor = 1. if alpha is None else tf.where(targets == 1., alpha, 1. - tf.constant(alpha, tf.float64))
        loss = tf.reduce_sum(-factor * (1. - p) ** gamma * tf.math.log(p), -1) * weights
    return loss, tape.gradient(loss, logits, output_gradients=tf.constant(UPSTREAM, tf.float64))


UPSTREAM = np.array([[1., -2., .5], [3., 1., 1.]])


@pytest.mark.parametrize('gamma', [0., 1.5, 2.])
@pytest.mark.parametrize('alpha', [None, .25, 1.])
def test_focal_and_its_gradient(gamma, alpha):
    rng = np.random.default_rng(0)
    labels = np.float32([[[0, 1, 0, 1], [0, 0, 0, 1]], [[1, 0, 0, 0], [0, 0, 1, 0]]])  # the first box has two labels
    matches = np.int32([[0, -1, 1], [-2, 1, -1]])
    targets = np.where(matches[..., np.newaxis] >= 0, labels[np.arange(2)[:, np.newaxis], matches], 0)
    logits, weights = np.float32(rng.normal(0, 4, (2, 3, 4))), np.float32([[1, .5, 2], [0, 1, 1]])
    expected = textbook_focal(logits, targets, weights, gamma, alpha)
    focal, logits = losses.Focal(gamma, alpha), tf.constant(logits)
    for form in (lambda: focal(logits, targets, weights), lambda: focal.of_matched(logits, labels, matches, weights)):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = form()
        slope = tape.gradient(loss, logits, output_gradients=tf.constant(UPSTREAM, tf.float32))
        np.testing.assert_allclose(loss, expected[0], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(slope, expected[1], rtol=1e-5, atol=1e-7)


def test_focal_without_any_match():
    logits, none = tf.zeros([1, 2, 3]), tf.constant([[-1, -2]])
    loss = losses.Focal(2., .25).of_matched(logits, tf.ones([1, 1, 3]), none, tf.constant([[1., 0.]]))
    np.testing.assert_allclose(loss, [[3 * .75 * .25 * np.log(2), 0]], rtol=1e-6)


def test_smooth_l1_by_hand():
    loss = losses.SmoothL1(2.)(tf.constant([[[1., -5., 0., 2.]]]), tf.zeros([1, 1, 4]), tf.constant([[3.]]))
    np.testing.assert_allclose(loss, [[3 * (.5 + 2 * 4 + 0 + 2)]])
