"""Losses of CenterNet, by hand."""
import math

import numpy as np
import pytest
import tensorflow as tf

from object_detection.models.center_net import decoding, losses
from object_detection.models.center_net.tasks import Boxes, Keypoints, ObjectCenter

FOCAL = losses.PenaltyReducedFocal(alpha=2., beta=4.)


def logit(p):
    return math.log(p / (1. - p))


def test_focal_loss():
    logits = tf.constant([logit(.75), logit(.75), logit(.75), -100., 100.])
    target = tf.constant([1., 0., .5, 1., 0.])
    certain = .9999 ** 2 * -math.log(1e-4)  # probabilities are clipped to 1e-4 and 1 - 1e-4
    expected = [.25 ** 2 * -math.log(.75), .75 ** 2 * -math.log(.25), .5 ** 4 * .75 ** 2 * -math.log(.25), certain,
                certain]
    np.testing.assert_allclose(FOCAL(logits, target), expected, rtol=1e-3)
    np.testing.assert_allclose(FOCAL(logits, target)[:3], expected[:3], rtol=1e-6)


def test_focal_loss_has_finite_gradients():
    logits = tf.Variable([-200., -1., 0., 200.])
    for target in (0., .3, 1.):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(FOCAL(logits, tf.fill([4], target)))
        assert np.isfinite(tape.gradient(loss, logits)).all()


def test_l1():
    np.testing.assert_allclose(losses.l1(tf.constant([[1., -2.]]), tf.constant([[0., 1.]]), tf.constant([.5])), [2.])


def test_valid_pixels_cover_some_of_the_image():
    valid = decoding.valid_pixels(tf.constant([[8, 5, 3], [4, 16, 3]]), 4, (3, 4))[..., 0]
    np.testing.assert_array_equal(valid[0], [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(valid[1], [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])


def groundtruth_of(**more):
    """Return the groundtruth of one image with a box of class 0 and a row of padding; the map is 4 x 4."""
    return {'groundtruth_boxes': tf.constant([[[.25, .25, .5, .75], [0., 0., 0., 0.]]]),
            'groundtruth_classes': tf.constant([[[1.], [0.]]]), 'groundtruth_weights': tf.constant([[1., 0.]]), **more}


def cells(groundtruth):
    return groundtruth['groundtruth_boxes'] * 4.


@pytest.mark.parametrize('outputs', [1, 2])
def test_center_loss(outputs):
    # The box spans cells (1, 1) to (2, 3). Its center is in pixel (1, 2), and its peak is so narrow (1/6) that all
    # other pixels are 0.
    logits = np.full((1, 4, 4, 1), logit(.2), np.float32)
    logits[0, 1, 2] = logit(.75)
    valid = np.ones((1, 4, 4, 1), np.float32)
    valid[0, 3] = 0.
    expected = .25 ** 2 * -math.log(.75) + 11 * .2 ** 2 * -math.log(.8)
    groundtruth = groundtruth_of()
    loss = losses.center_loss([tf.constant(logits)] * outputs, ObjectCenter(FOCAL, loss_weight=3.), cells(groundtruth),
                              groundtruth, tf.constant(valid), (4, 4))
    np.testing.assert_allclose(loss, 3. * expected, rtol=1e-5)


def test_box_losses():
    scales, offsets = np.zeros((1, 4, 4, 2), np.float32), np.zeros((1, 4, 4, 2), np.float32)
    scales[0, 1, 2], offsets[0, 1, 2] = (2., 5.), (.25, .5)  # true: size (1, 2), center (1.5, 2)
    scale, offset = losses.box_losses([tf.constant(scales)], [tf.constant(offsets)], Boxes(losses.l1, .1, 2.),
                                      cells(groundtruth_of()), groundtruth_of(), (4, 4))
    np.testing.assert_allclose(scale, .1 * (1. + 3.), rtol=1e-6)
    np.testing.assert_allclose(offset, 2. * (.25 + .5), rtol=1e-6)


def keypoint_task(**more):
    return Keypoints('pose', class_id=0, indices=(0, 1), std_dev=(1., 1.), heatmap_loss=FOCAL, loss=losses.l1, **more)


def keypoint_groundtruth(second):
    keypoints = np.zeros((1, 2, 2, 2), np.float32)
    keypoints[0, 0] = [[.3, .4], second]  # cells (1.2, 1.6)
    return groundtruth_of(groundtruth_keypoints=tf.constant(keypoints))


@pytest.mark.parametrize('per_keypoint', [False, True])
def test_keypoint_offset_and_regression(per_keypoint):
    task = keypoint_task(per_keypoint_offset=per_keypoint)
    channels = 4 if per_keypoint else 2
    offsets, regressions = np.zeros((1, 4, 4, channels), np.float32), np.zeros((1, 4, 4, 4), np.float32)
    offsets[0, 1, 1] = (.3, .5, 9., 9.)[:channels]
    offsets[0, 3, 3] = (.1, .1) if not per_keypoint else (9., 9., .1, .1)
    regressions[0, 1, 2] = (1., 0., 2., 1.)
    predictions = {task.heatmap: [tf.zeros([1, 4, 4, 2])], task.offset: [tf.constant(offsets)],
                   task.regression: [tf.constant(regressions)]}
    groundtruth = keypoint_groundtruth((.75, .75))  # cells (3, 3)
    loss = losses.keypoint_losses(predictions, task, cells(groundtruth), groundtruth, tf.ones([1, 4, 4, 1]), (4, 4))
    # target offsets: (.2, .6) in pixel (1, 1), (0, 0) in (3, 3)
    np.testing.assert_allclose(loss[task.offset], (.1 + .1 + .1 + .1) / 2., rtol=1e-5)
    # relative to pixel (1, 2): (.2, -.4) and (2, 1)
    np.testing.assert_allclose(loss[task.regression], (.8 + .4) / 2., rtol=1e-5)


def test_an_unlabeled_keypoint_has_no_loss_in_its_box():
    task = keypoint_task()
    groundtruth = keypoint_groundtruth((math.nan, math.nan))
    predictions = {task.heatmap: [tf.fill([1, 4, 4, 2], logit(.2))], task.offset: [tf.zeros([1, 4, 4, 2])],
                   task.regression: [tf.zeros([1, 4, 4, 4])]}
    loss = losses.keypoint_losses(predictions, task, cells(groundtruth), groundtruth, tf.ones([1, 4, 4, 1]), (4, 4))
    empty = .2 ** 2 * -math.log(.8)
    # keypoint 0: its peak in (1, 1) and 15 empty pixels; keypoint 1: 16 but for the 2 in the box. One is labeled.
    np.testing.assert_allclose(loss[task.heatmap], .8 ** 2 * -math.log(.2) + 15 * empty + 14 * empty, rtol=1e-5)


def test_losses_without_boxes():
    groundtruth = {name: tf.zeros_like(value) for name, value in keypoint_groundtruth((0., 0.)).items()}
    task, maps = keypoint_task(), [tf.fill([1, 4, 4, 2], 0.)]
    center = losses.center_loss([maps[0][..., :1]], ObjectCenter(FOCAL), cells(groundtruth), groundtruth,
                                tf.ones([1, 4, 4, 1]), (4, 4))
    np.testing.assert_allclose(center, 16 * .25 * math.log(2), rtol=1e-5)
    assert [float(loss) for loss in losses.box_losses(maps, maps, Boxes(losses.l1), cells(groundtruth), groundtruth,
                                                      (4, 4))] == [0., 0.]
    predictions = {task.heatmap: maps, task.offset: maps, task.regression: [tf.fill([1, 4, 4, 4], 1.)]}
    loss = losses.keypoint_losses(predictions, task, cells(groundtruth), groundtruth, tf.ones([1, 4, 4, 1]), (4, 4))
    assert float(loss[task.offset]) == float(loss[task.regression]) == 0.
