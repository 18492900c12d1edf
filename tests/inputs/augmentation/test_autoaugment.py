"""AutoAugment against the reference's operations (tests/golden/autoaugment.npz), and as an option."""
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.inputs import augmentation
from object_detection.inputs.augmentation import autoaugment
from object_detection.inputs.augmentation.random import Random
from tests.golden import make_autoaugment

GOLDEN = np.load(Path(make_autoaugment.__file__).with_name('autoaugment.npz'))
CASES = json.loads(str(GOLDEN['cases']))


class Given:
    """In place of Random: the numbers of a golden case, in the order in which the reference draws them."""

    def __init__(self, seed, boxes):
        given = make_autoaugment.numbers(seed)
        self._sign, self._places = given['sign'], iter(given['place'])
        chances = given['chance'][:boxes]
        visits = range(boxes)  # the order in which boxes are visited
        places = [[next(self._places), next(self._places)] if chance < .5 else [0., 0.] for chance in chances]
        self._of_boxes = iter([chances, visits, places])
        self._places = iter(given['place'])

    def chance(self, probability):
        return tf.constant(probability == 1 or self._sign < probability)

    def integer(self, low, high):
        return low + tf.cast(next(self._places) * tf.cast(high - low, tf.float32), tf.int32)

    def uniform(self, shape):
        return tf.constant(next(self._of_boxes), tf.float32, shape)


def operate(name, level, image, boxes, random):
    """Run an operation with probability 1, which is 1/3 for each box inside boxes."""
    operation, amount = autoaugment.OPERATIONS[name]
    return operation(image, boxes, tf.constant(amount(level), tf.float32), 1., random)


@pytest.mark.parametrize('number', range(len(CASES)), ids=[f'{case["name"]} {case["level"]}' for case in CASES])
def test_operation(number):
    case = CASES[number]
    image, boxes = tf.constant(make_autoaugment.picture()), tf.constant(make_autoaugment.BOXES)
    found, moved = operate(case['name'], case['level'], image, boxes, Given(case['seed'], len(boxes)))
    different = found.numpy().astype(int) - GOLDEN[f'{number} image']
    assert (different != 0).mean() < 2e-3, np.abs(different).max()
    np.testing.assert_allclose(moved, GOLDEN[f'{number} boxes'], atol=1e-6)
    if case['level'] and case['name'] != 'BBox_Cutout':
        assert (found != image).numpy().mean() > .01


@pytest.mark.parametrize('size', [(1, 1), (2, 50), (50, 2)])
def test_sharpness_leaves_an_image_alone_that_is_all_border(size):
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (*size, 3)), tf.uint8)
    found, _ = operate('Sharpness', 10, image, tf.zeros([0, 4]), Random(0, tf.constant(0, tf.int64)))
    np.testing.assert_array_equal(found, image)


def build(policy):
    option = text_format.Parse(f'autoaugment_image {{ policy_name: "{policy}" }}', protos.PreprocessingStep())
    return augmentation.build([option])


@pytest.mark.parametrize('policy', ['v0', 'v1', 'v2', 'v3', 'test'])
def test_policies(policy):
    augment, picture = build(policy), tf.constant(make_autoaugment.picture())

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.int64), tf.TensorSpec([None, 4])])
    def apply(position, boxes):
        return augment({'image': picture, 'boxes': boxes}, Random(3, position))

    given, nothing = tf.constant(make_autoaugment.BOXES), tf.zeros([0, 4])
    pictures = set()
    for position in tf.range(25, dtype=tf.int64):
        found = apply(position, given)
        assert found['image'].dtype == tf.uint8 and found['image'].shape == (64, 96, 3)
        boxes = found['boxes'].numpy()
        assert boxes.shape == (4, 4) and boxes.min() >= 0 and boxes.max() <= 1
        assert (boxes[:, :2] <= boxes[:, 2:]).all()
        pictures.add(found['image'].numpy().tobytes())
        assert apply(position, nothing)['boxes'].shape == (0, 4)
    assert len(pictures) > (0 if policy == 'test' else 5)
    np.testing.assert_array_equal(found['image'], apply(position, given)['image'])


@pytest.mark.parametrize('name', ['TranslateX_BBox', 'TranslateY_BBox', 'ShearX_BBox', 'ShearY_BBox', 'Rotate_BBox'])
def test_boxes_follow_the_picture(name):
    """A white rectangle and its box, which at corners may be larger, but never smaller than what it shows."""
    image, box = np.zeros([200, 260, 3], np.uint8), tf.constant([[.4, .5, .6, .8]])
    image[80:120, 130:208] = 255
    for position in tf.range(6, dtype=tf.int64):
        moved, around = operate(name, 3, tf.constant(image), box, Random(0, position))
        rows, columns = (np.flatnonzero((moved.numpy() == 255).all(2).any(axis)) for axis in (1, 0))
        seen = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]) / [200, 260, 200, 260]
        np.testing.assert_allclose(around[0], seen, atol=2.1 / 200)
