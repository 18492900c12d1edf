"""Non-max suppression when each class has its own boxes."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection.boxes.nms import NonMaxSuppression

WINDOW = tf.constant([[0., 0., 1., 1.]])


@pytest.mark.parametrize('classes', [2, 6])  # class by class, and by top pairs
@pytest.mark.parametrize('seed', range(3))
def test_equals_nms_of_each_class_alone(classes, seed):
    random = np.random.default_rng(seed)
    corners = np.sort(random.integers(-1, 9, (1, 50, classes, 2, 2)), -2)
    boxes = corners.reshape(1, 50, classes, 4).astype(np.float32) / 8
    scores = random.permutation(50 * classes).reshape(1, 50, classes).astype(np.float32) / 1000
    scores[0, 45:] = -1.  # none
    suppression = NonMaxSuppression(.01, .4, max_per_class=8, max_total=30)
    detections = suppression(tf.constant(boxes), tf.constant(scores), WINDOW)
    expected = []
    for label in range(classes):
        alone = NonMaxSuppression(.01, .4, 8, 8)(
            tf.constant(boxes[:, :, label]), tf.constant(scores[:, :, label:label + 1]), WINDOW)
        expected += [(float(score), label, int(index), box.tolist()) for score, index, box in zip(
            alone.scores[0], alone.indices[0], alone.boxes[0].numpy())][:int(alone.count[0])]
    expected = sorted(expected, reverse=True)[:30]
    assert int(detections.count[0]) == len(expected) > 10
    selected = [(float(score), int(label), int(index), box.tolist()) for score, label, index, box in zip(
        detections.scores[0], detections.classes[0], detections.indices[0], detections.boxes[0].numpy())]
    assert selected[:len(expected)] == expected
    assert max(index for _, _, index, _ in expected) < 45


def test_one_box_by_hand():
    boxes = tf.constant([[[[.1, .1, .5, .5], [.2, .2, .9, 1.4]]]])
    detections = NonMaxSuppression(.1, .5, max_total=2)(boxes, tf.constant([[[.3, .6]]]), WINDOW)
    np.testing.assert_allclose(detections.boxes, [[[.2, .2, .9, 1.], [.1, .1, .5, .5]]])
    np.testing.assert_array_equal(detections.classes, [[1., 0.]])
    np.testing.assert_array_equal(detections.indices, [[0, 0]])
