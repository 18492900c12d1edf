import numpy as np
import tensorflow as tf

from object_detection.layers import randomness


def test_numbers_repeat_at_a_position_and_differ_between_draws_and_positions():
    def draws(position):
        with randomness.at(tf.constant(position, tf.int64)):
            return [randomness.uniform([2, 3]).numpy() for _ in range(2)]

    first, second = draws(5)
    np.testing.assert_array_equal(draws(5), [first, second])
    assert not np.array_equal(first, second) and not np.array_equal(draws(6)[0], first)


def test_seeds_are_those_of_a_position_and_a_purpose():
    assert randomness.step_seed(0) is None
    with randomness.at(tf.constant(7, tf.int64)):
        assert [randomness.step_seed(purpose).numpy().tolist() for purpose in range(2)] == [[1 << 32, 7],
                                                                                            [(1 << 32) + 1, 7]]
    assert randomness.step_seed(0) is None
