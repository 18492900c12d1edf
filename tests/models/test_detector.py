"""What all detectors share, by hand."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection.boxes.nms import Detections
from object_detection.models import detector
from tests.support import faster_rcnn


def test_the_four_calls_are_required():
    with pytest.raises(TypeError, match=r'loss.*postprocess.*predict'):
        detector.Detector(num_classes=1, resizer=None)


@pytest.mark.parametrize('shape', [[], [2]])
def test_total_loss(shape):
    model = faster_rcnn.model()
    kernel = model._feature_extractor_for_proposal_features.first_layers(1)[0].kernel
    kernel.assign(tf.fill(kernel.shape, 2.))  # 3 weights, L2 with factor 2: 2 / 2 * 3 * 4
    losses = {'Loss/a': tf.fill(shape, 1.), 'Loss/b': tf.fill(shape, 3.)}
    total = model.with_total_loss(losses, add_regularization_loss=False)
    assert {*total} == {'Loss/a', 'Loss/b', 'Loss/total_loss'}
    np.testing.assert_allclose(total['Loss/total_loss'], tf.fill(shape, 4.))
    total = model.with_total_loss(losses, add_regularization_loss=True)
    np.testing.assert_allclose(total['Loss/regularization_loss'], 12.)
    np.testing.assert_allclose(total['Loss/total_loss'], tf.fill(shape, 16.))
    assert {*losses} == {'Loss/a', 'Loss/b'}


@pytest.mark.parametrize(('counts', 'rows'), [([1, 2], 2), ([0, 0], 1), ([4, 0], 4)])
def test_padding_of_all_images_is_cut_off(counts, rows):
    groundtruth = {'groundtruth_boxes': tf.zeros([2, 4, 4]), 'groundtruth_keypoints': tf.zeros([2, 4, 3, 2]),
                   'groundtruth_area': tf.zeros([2, 4]), 'num_groundtruth_boxes': tf.constant(counts)}
    trimmed = detector.trim_padding(groundtruth)
    assert {name: value.shape for name, value in trimmed.items()} == {
        'groundtruth_boxes': [2, rows, 4], 'groundtruth_keypoints': [2, rows, 3, 2]}


def test_detections_take_the_scores_of_their_boxes():
    selected = Detections(tf.zeros([1, 3, 4]), tf.constant([[.9, .6, 0.]]), tf.constant([[1., 0., 0.]]),
                          tf.constant([[2, 1, 0]]), tf.constant([2]))
    scores = tf.constant([[[.1, .2], [.6, .3], [.4, .9]]])
    named = detector.detection_dict(selected, tf.zeros([1, 3, 4]), scores)
    np.testing.assert_allclose(named['detection_multiclass_scores'], [[[.4, .9], [.6, .3], [0., 0.]]])
    assert named['num_detections'].numpy().tolist() == [2.]
