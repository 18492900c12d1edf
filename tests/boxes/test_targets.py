import numpy as np
import pytest
import tensorflow as tf

from object_detection.boxes import coders, matchers, ops, targets
from tests.support import boxes_golden

SETTINGS = {'plain': (.5, .5, True, True), 'ties': (.5, .3, True, True), 'swapped': (.6, .4, False, False),
            'crowded': (.5, .5, True, True), 'no thresholds': (None, None, True, True)}


def test_match_by_hand():
    similarity = tf.constant([[[.9, .4, .2, 0.], [.1, .45, .2, 0.]]])
    match = matchers.ArgmaxMatcher(.5, .3).match(similarity, tf.constant([[True, True]]))
    np.testing.assert_array_equal(match, [[0, matchers.IGNORED, matchers.BACKGROUND, matchers.BACKGROUND]])
    match = matchers.ArgmaxMatcher(.5, .3, negatives_lower_than_unmatched=False).match(
        similarity, tf.constant([[True, True]]))
    np.testing.assert_array_equal(match, [[0, matchers.BACKGROUND, matchers.IGNORED, matchers.IGNORED]])


def test_forced_matches():
    similarity = tf.constant([[[.9, .4, .4], [.95, .2, .1], [0., 0., 0.], [.1, .3, .3]]])
    matcher = matchers.ArgmaxMatcher(.5, .5, force_match_for_each_row=True)
    # Anchor 0 is most similar to box 1, but boxes 0 and 1 claim it and the first gets it. Of equals, box 3 claims the
    # first.
    np.testing.assert_array_equal(matcher.match(similarity, tf.constant([[True] * 4])), [[0, 3, -1]])
    np.testing.assert_array_equal(matcher.match(similarity, tf.constant([[False, True, False, False]])), [[1, -1, -1]])


@pytest.mark.parametrize('name', boxes_golden.names('targets'))
def test_targets_equal_the_reference(name):
    inputs, outputs = boxes_golden.case(f'targets {name}')
    assigner = targets.TargetAssigner(matchers.ArgmaxMatcher(*SETTINGS[name]), coders.FasterRcnnCoder(),
                                      negative_class_weight=.7)
    assigned = assigner.assign(*(tf.constant(inputs[key]) for key in ('anchors', 'boxes', 'labels', 'weights')),
                            [1., 0., 0., 0., 0.])
    for key in ('matches', 'classes', 'box_weights'):
        np.testing.assert_array_equal(getattr(assigned, key), outputs[key], err_msg=key)
    np.testing.assert_array_equal(assigned.class_weights, outputs['class_weights'][..., 0])
    np.testing.assert_allclose(assigned.boxes, outputs['boxes'], rtol=1e-5, atol=1e-5)


def test_padding_alone_leaves_background():
    anchors = tf.constant([[0., 0., .5, .5], [.5, .5, 1., 1.]])
    assigned = targets.TargetAssigner(matchers.ArgmaxMatcher(force_match_for_each_row=True), coders.FasterRcnnCoder()
                                   ).assign(anchors, tf.zeros([1, 2, 4]), tf.zeros([1, 2, 3]), tf.zeros([1, 2]),
                                            [0.] * 3)
    np.testing.assert_array_equal(assigned.matches, [[-1, -1]])
    np.testing.assert_array_equal(assigned.class_weights, [[1., 1.]])
    assert not assigned.boxes.numpy().any() and not assigned.box_weights.numpy().any()


def test_other_similarities():
    anchors, boxes = tf.constant([[0., 0., 1., 1.], [0., 0., 4., 4.]]), tf.constant([[[0., 0., 2., 2.]]])
    for similarity, expected in ((ops.ioa, [[0, -1]]), (lambda a, b: -ops.squared_distance(a, b), [[-1, -1]])):
        assigner = targets.TargetAssigner(matchers.ArgmaxMatcher(), coders.FasterRcnnCoder(), similarity)
        assigned = assigner.assign(anchors, boxes, tf.ones([1, 1, 1]), tf.ones([1, 1]), [0.])
        np.testing.assert_array_equal(assigned.matches, expected)
