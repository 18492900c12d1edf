"""Decoding of CenterNet, by hand."""
import math

import numpy as np
import pytest
import tensorflow as tf

from object_detection.models.center_net import decoding, keypoints
from object_detection.models.center_net.tasks import Keypoints


def one_map(rows):
    return tf.constant(rows, tf.float32)[tf.newaxis, :, :, tf.newaxis]


def test_only_local_maxima_are_peaks():
    scores = one_map([[.9, .8, .1], [.7, .1, .1], [.1, .1, .6]])
    peaks = decoding.best_peaks(scores, 3, 3)
    np.testing.assert_allclose(peaks.scores, [[.9, .6, 0.]])
    np.testing.assert_array_equal(peaks.pixels[0, :2], [[0, 0], [2, 2]])
    np.testing.assert_allclose(decoding.best_peaks(scores, 3, 1).scores, [[.9, .8, .7]])


def test_channels_of_peaks():
    scores = tf.stack([one_map([[.1, .2], [.3, .4]])[..., 0], one_map([[.9, .1], [.1, .1]])[..., 0]], -1)
    peaks = decoding.best_peaks(scores, 2, 3)
    np.testing.assert_array_equal(peaks.channels, [[1, 0]])
    np.testing.assert_array_equal(peaks.pixels, [[[0, 0], [1, 1]]])


def test_more_peaks_than_pixels():
    scores = one_map([[.1, .4]])
    assert decoding.best_peaks(scores, 9, 3).scores.shape == (1, 2)
    best, pixels = decoding.best_peaks_per_channel(scores, 4, 1)
    np.testing.assert_allclose(best, [[[.4, .1, 0., 0.]]])
    np.testing.assert_array_equal(pixels, [[[[0, 1], [0, 0], [0, 0], [0, 0]]]])


def test_boxes_are_clipped_to_the_map_and_sizes_to_zero():
    scales, offsets = np.zeros((1, 4, 6, 2), np.float32), np.full((1, 4, 6, 2), .5, np.float32)
    scales[0, 1, 2], scales[0, 3, 5] = (2., 3.), (4., -1.)
    boxes = decoding.boxes_at(tf.constant([[[1, 2], [3, 5]]]), tf.constant(scales), tf.constant(offsets))
    np.testing.assert_allclose(boxes, [[[.5, 1., 2.5, 4.], [1.5, 5.5, 4., 5.5]]])


def test_padding_of_a_very_flat_image_is_hidden():
    valid = decoding.valid_pixels(tf.constant([[2, 64, 3], [64, 64, 3]]), 1, (4, 3))[..., 0]
    np.testing.assert_array_equal(valid[0], [[1, 1, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(valid[1], np.ones((4, 3)))


def task(**more):
    return Keypoints('pose', class_id=0, indices=(0,), std_dev=(1.,), heatmap_loss=None, loss=None, **more)


def refine(ranking='min_distance', boxes=((0., 0., 10., 10.),), **more):
    """Refine a keypoint regressed to (5, 5), with candidates 1 and 2 cells away of scores .3 and .9, and a third below
    the threshold. Return its location and score."""
    candidates = tf.constant([[[[5., 7.], [5., 6.], [5., 5.]]]])
    scores = tf.constant([[[.9, .3, .05]]])
    regressed = tf.constant([[[[5., 5.]]]])
    refined, refined_scores = keypoints.refine(regressed, candidates, scores, task(ranking=ranking, **more),
                                               None if boxes is None else tf.constant([boxes]))
    return refined.numpy()[0, 0, 0].tolist(), float(refined_scores[0, 0, 0])


# sigma of a 10 x 10 box at IoU .7 is 5 / 6
@pytest.mark.parametrize('ranking, options, location, score', [
    ('min_distance', {}, [5., 6.], .3),
    ('score_distance_ratio', {'score_distance_offset': 1.}, [5., 7.], .9),  # .9 / 3 > .3 / 2
    ('score_distance_ratio', {'score_distance_offset': 1e-6}, [5., 7.], .9),  # .45 > .3
    ('score_scaled_distance_ratio', {'score_distance_multiplier': .5}, [5., 7.], .9),  # .9 / 7 > .3 / 6
    ('gaussian_weighted', {}, [5., 6.], .3 * math.exp(-.72)),  # .146 > .9 exp(-4 * .72) = .051
    ('gaussian_weighted', {'std_dev_multiplier': 10.}, [5., 7.], .9 * math.exp(-4 * .0072)),
])
def test_ranking_of_candidates(ranking, options, location, score):
    found = refine(ranking, **options)
    assert found[0] == location
    assert found[1] == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize('options', [
    {'search_scale': .05},  # 12 * .05 < 1
    {'boxes': ((4.8, 4.8, 5.2, 5.2),)},  # none inside
    {'score_threshold': .95},
])
def test_a_keypoint_without_a_fitting_candidate_stays(options):
    assert refine(**options, unmatched_score=.07) == ([5., 5.], pytest.approx(.07))


def test_without_boxes_any_distance_is_allowed():
    assert refine(boxes=None, search_scale=.01) == ([5., 6.], pytest.approx(.3))


def test_normalize_clips_on_request():
    points, scores = tf.constant([[[[2., 4.], [-1., 4.], [2., 9.]]]]), tf.constant([[[.5, .6, .7]]])
    size = tf.constant([[4., 8.]])
    kept = keypoints.normalize(points, scores, size, clip=False)
    np.testing.assert_allclose(kept[0], [[[[.5, .5], [-.25, .5], [.5, 1.125]]]])
    clipped = keypoints.normalize(points, scores, size, clip=True)
    np.testing.assert_allclose(clipped[0], [[[[.5, .5], [0., .5], [.5, 1.]]]])
    np.testing.assert_allclose(clipped[1], [[[.5, 0., 0.]]])


def test_rescore():
    scores, classes = tf.constant([[.8, .8, .8]]), tf.constant([[0, 1, 0]])
    keypoint_scores = tf.constant([[[.5, .1, 9.], [.5, .5, 9.], [.1, .1, 9.]]])
    pose = Keypoints('pose', class_id=0, indices=(0, 1), std_dev=(1., 1.), heatmap_loss=None, loss=None,
                     rescoring_threshold=.2)
    np.testing.assert_allclose(keypoints.rescore(scores, classes, keypoint_scores, pose), [[.4, .8, 0.]], rtol=1e-6)
