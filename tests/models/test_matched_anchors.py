"""Which anchors a model matches with groundtruth boxes in training, for pictures of it."""
import numpy as np
import tensorflow as tf

from object_detection.config import pipeline
from object_detection.models import build
from tests.support import faster_rcnn

BOXES = np.array([[[.1, .1, .6, .5], [0, 0, 0, 0]]], np.float32)


def groundtruth(num_classes):
    return {'groundtruth_boxes': tf.constant(BOXES), 'groundtruth_weights': tf.constant([[1., 0.]]),
            'groundtruth_classes': tf.one_hot([[0, 0]], num_classes), 'num_groundtruth_boxes': tf.constant([1])}


def iou(box, anchors):
    shared = np.maximum(np.minimum(box[2:], anchors[:, 2:]) - np.maximum(box[:2], anchors[:, :2]), 0).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + (anchors[:, 2:] - anchors[:, :2]).prod(1) - shared)


def check(model, size, threshold):
    model.predict(tf.zeros((1, *size, 3)), tf.constant([[*size, 3]]), training=False)
    anchors, matches = model.matched_anchors(groundtruth(model.num_classes), size)
    likeness = iou(BOXES[0, 0], anchors)
    expected = likeness >= threshold
    expected[likeness.argmax()] = True  # forced
    np.testing.assert_array_equal(matches[0].numpy() == 0, expected)
    assert (matches[0].numpy()[~expected] < 0).all()


def test_ssd():
    model = build.build(pipeline.override(pipeline.read('models/demo/pipeline.config'), '''
        model { ssd { image_resizer { fixed_shape_resizer { height: 128 width: 128 } } } }''').model)
    check(model, (128, 128), .5)


def test_faster_rcnn():
    model = faster_rcnn.model()
    faster_rcnn.predict(model)
    truth = groundtruth(2) | {'groundtruth_boxes': tf.constant([[faster_rcnn.TOP_RIGHT, (0., 0., 0., 0.)]])}
    anchors, matches = model.matched_anchors(truth, (16, 16))
    np.testing.assert_allclose(anchors, [faster_rcnn.TOP_LEFT, faster_rcnn.TOP_RIGHT, faster_rcnn.BOTTOM_LEFT,
                                         faster_rcnn.BOTTOM_RIGHT])
    assert (matches[0].numpy() == 0).tolist() == [False, True, False, False]
