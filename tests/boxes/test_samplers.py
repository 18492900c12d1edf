"""Balanced random samples."""
import numpy as np
import tensorflow as tf

from object_detection.boxes.samplers import BalancedSampler


def draw(seed):
    return lambda shape: tf.random.stateless_uniform(shape, seed, dtype=tf.float64)


def sample(sampler, candidate, positive, seed=(1, 2)):
    """The indices drawn, per image."""
    indices, counts = sampler.sample(tf.constant(candidate, tf.bool), tf.constant(positive, tf.bool), draw(seed))
    return [row[:count].tolist() for row, count in zip(indices.numpy(), counts.numpy())]


def test_positives_fill_their_share_and_negatives_the_rest():
    candidate = np.array([[True] * 9 + [False], [True] * 9 + [False], [False] * 10])
    positive = np.array([[True] * 4 + [False] * 6, [False] * 9 + [True], [True] * 10])
    for seed in range(5):
        many, few, none = sample(BalancedSampler(6, .5), candidate, positive, (seed, 0))
        assert sorted(i < 4 for i in many) == [False] * 3 + [True] * 3
        assert len(set(few)) == 6 and max(few) < 9  # the positive is no candidate
        assert none == []


def test_positives_do_not_fill_up_for_missing_negatives():
    drawn, = sample(BalancedSampler(6, .5), np.ones((1, 10), bool), np.arange(10)[np.newaxis] < 9)
    assert len(drawn) == 4 and 9 in drawn


def test_fewer_candidates_than_asked_for():
    drawn, = sample(BalancedSampler(100, .5), np.ones((1, 3), bool), np.array([[True, False, False]]))
    assert sorted(drawn) == [0, 1, 2] and drawn[0] == 0


def test_number_of_candidates_unknown_when_the_graph_is_traced():
    sampler = BalancedSampler(6, .5)
    traced = tf.function(lambda candidate, positive, seed: sampler.sample(candidate, positive, draw(seed)),
                         autograph=False, input_signature=[
        tf.TensorSpec([1, None], tf.bool), tf.TensorSpec([1, None], tf.bool), tf.TensorSpec([2], tf.int32)])
    for count in (3, 20):
        candidate, positive = tf.ones([1, count], tf.bool), tf.range(count)[tf.newaxis] < 2
        indices, drawn = traced(candidate, positive, [1, 2])
        expected, expected_drawn = sampler.sample(candidate, positive, draw([1, 2]))
        assert indices.shape == [1, 6] and indices.numpy().max() < count
        assert drawn.numpy().tolist() == expected_drawn.numpy().tolist()
        if count == 20:
            np.testing.assert_array_equal(indices, expected)


def test_no_positives_wanted():
    drawn, = sample(BalancedSampler(2, 0.), np.ones((1, 5), bool), np.arange(5)[np.newaxis] < 2)
    assert len(drawn) == 2 and min(drawn) >= 2


def test_seed_decides_and_every_candidate_has_the_same_chance():
    candidate, positive = np.ones((1, 20), bool), np.arange(20)[np.newaxis] < 10
    draw = [sample(BalancedSampler(8, .5), candidate, positive, (seed, 0))[0] for seed in range(400)]
    assert draw[0] == sample(BalancedSampler(8, .5), candidate, positive, (0, 0))[0]
    counts = np.bincount(np.concatenate(draw), minlength=20)  # each expected 400 * 4 / 10 times, deviation 10
    assert counts.min() > 110 and counts.max() < 210
