import numpy as np
import pytest
import tensorflow as tf

from object_detection.boxes import nms
from object_detection.boxes.nms import NonMaxSuppression
from object_detection.utils import tracing
from tests.support import boxes_golden

DEFAULTS = {'score_threshold': 1e-8, 'iou_threshold': .5}
SETTINGS = {
    'capped': {'iou_threshold': .6, 'max_per_class': 7}, 'few': {'score_threshold': .3, 'iou_threshold': .3},
    'none': {'score_threshold': .9999999}, 'crowded': {'iou_threshold': .2},
    'soft': {'score_threshold': 1e-3, 'iou_threshold': 1., 'soft_sigma': .5}, 'agnostic': {'class_agnostic': True},
    'same frame': {'change_frame': False}}
WINDOW = tf.constant([[0., 0., 1., 1.]])


def run(suppression, *inputs):
    return tf.function(suppression.__call__, autograph=False)(*(tf.constant(value) for value in inputs))


@pytest.mark.parametrize('few_classes', [0, 100], ids=['top pairs', 'class by class'])
@pytest.mark.parametrize('name', boxes_golden.names('nms'))
def test_equals_the_reference_bit_for_bit(name, few_classes, monkeypatch):
    monkeypatch.setattr(nms, '_FEW_CLASSES', few_classes)
    inputs, outputs = boxes_golden.case(f'nms {name}')
    detections = run(NonMaxSuppression(**DEFAULTS | SETTINGS.get(name, {})), *inputs.values())
    for key, expected in outputs.items():
        np.testing.assert_array_equal(getattr(detections, key), expected, err_msg=key)


@pytest.mark.parametrize('name', ['capped', 'few', 'none', 'plain', 'same frame'])  # equal scores have no order there
def test_the_portable_way_equals_the_reference(name):
    inputs, outputs = boxes_golden.case(f'nms {name}')
    with tracing.portable_ops():
        detections = run(NonMaxSuppression(**DEFAULTS | SETTINGS.get(name, {})), *inputs.values())
    for key in ('boxes', 'scores', 'classes', 'count'):
        np.testing.assert_allclose(getattr(detections, key), outputs[key], atol=1e-6, err_msg=key)


@pytest.mark.parametrize('per_class', [False, True], ids=['shared boxes', 'boxes of each class'])
def test_the_portable_way_equals_the_usual_one(per_class):
    random = np.random.default_rng(2)
    corners = random.uniform(-.2, 1.1, [2, 400, *([3] if per_class else []), 2]).astype(np.float32)
    boxes = np.concatenate([corners, corners + random.uniform(.05, .3, corners.shape).astype(np.float32)], -1)
    inputs = boxes, random.uniform(0., 1., [2, 400, 3]).astype(np.float32), np.array([[0, 0, 1, .8]] * 2, np.float32)
    usual = run(NonMaxSuppression(.1, .3, 15, 30), *inputs)
    with tracing.portable_ops():
        portable = run(NonMaxSuppression(.1, .3, 15, 30), *inputs)
    for key in ('boxes', 'scores', 'classes', 'count'):
        np.testing.assert_allclose(getattr(portable, key), getattr(usual, key), atol=1e-6, err_msg=key)


def test_too_few_top_pairs_fall_back_to_class_by_class(monkeypatch):
    monkeypatch.setattr(nms, '_TOP_PAIRS', 1)
    inputs, outputs = boxes_golden.case('nms crowded')
    detections = run(NonMaxSuppression(**DEFAULTS | SETTINGS['crowded']), *inputs.values())
    np.testing.assert_array_equal(detections.indices, outputs['indices'])


def test_by_hand():
    boxes = tf.constant([[[0., 0., .5, .5], [0., .1, .5, .6], [.5, .5, 1.5, 1.5], [2., 2., 3., 3.]]])
    scores = tf.constant([[[.6, .1], [.9, .2], [.3, .8], [.95, 0.]]])
    detections = run(NonMaxSuppression(.15, .5, max_total=4), boxes, scores, WINDOW)
    # Box 3 is outside the window; box 1 suppresses box 0 in class 0; box 0 is below the score threshold in class 1.
    np.testing.assert_array_equal(detections.indices, [[1, 2, 2, 1]])
    np.testing.assert_array_equal(detections.classes, [[0., 1., 0., 1.]])
    np.testing.assert_allclose(detections.scores, [[.9, .8, .3, .2]])
    np.testing.assert_allclose(detections.boxes[0, 1], [.5, .5, 1., 1.])
    assert detections.count.numpy() == [4]


def test_slots_without_a_detection_hold_zeros():
    boxes, scores = tf.constant([[[.1, .1, .4, .4], [.5, .5, .9, .9]]]), tf.constant([[[.9], [.05]]])
    detections = run(NonMaxSuppression(.1, .5, max_total=3), boxes, scores, WINDOW)
    assert detections.count.numpy() == [1]
    np.testing.assert_allclose(detections.boxes, [[[.1, .1, .4, .4], [0.] * 4, [0.] * 4]])
    np.testing.assert_allclose(detections.scores, [[.9, 0., 0.]])
    np.testing.assert_array_equal(detections.indices, [[0, 0, 0]])


@pytest.mark.parametrize('seed', range(4))
def test_against_plain_python(seed):
    random = np.random.default_rng(seed)
    boxes = np.sort(random.integers(0, 8, (1, 60, 2, 2)), -2).reshape(1, 60, 4).astype(np.float32) / 8
    scores = (random.integers(0, 9, (1, 60, 6)) / 8).astype(np.float32)
    detections = run(NonMaxSuppression(.1, .4, max_per_class=9, max_total=40), boxes, scores, WINDOW)
    expected = _greedy(boxes[0], scores[0], .1, .4, 9, 40)
    assert detections.count.numpy() == [len(expected)]
    assert [(int(c), int(i)) for c, i in zip(detections.classes[0], detections.indices[0])][:len(expected)] == expected


def _greedy(boxes, scores, score_threshold, iou_threshold, max_per_class, max_total):
    """Return (class, box) of the detections, by textbook NMS."""
    def overlap(a, b):
        height, width = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
        shared = max(height, 0.) * max(width, 0.)
        return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared) if shared else 0.
    selected = []
    for label in range(scores.shape[1]):
        kept = []
        for box in np.argsort(-scores[:, label], kind='stable'):
            if scores[box, label] > score_threshold and len(kept) < max_per_class and all(
                    overlap(boxes[box], boxes[other]) <= iou_threshold for other in kept):
                kept.append(box)
        selected += [(label, int(box)) for box in kept if np.prod(boxes[box, 2:] - boxes[box, :2]) > 0]
    return sorted(selected, key=lambda pair: -scores[pair[1], pair[0]])[:max_total]
