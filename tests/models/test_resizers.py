import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.models import resizers
from tests.support import boxes_golden

RESIZERS = {
    'fixed': resizers.FixedShape(30, 17), 'nearest': resizers.FixedShape(30, 17, 'nearest'),
    'bicubic': resizers.FixedShape(30, 17, 'bicubic'), 'area': resizers.FixedShape(30, 17, 'area'),
    'keep': resizers.KeepAspectRatio(30, 40), 'keep tall': resizers.KeepAspectRatio(30, 40),
    'pad': resizers.KeepAspectRatio(30, 40, pad=True, value=(1., 2., 3.))}


def read(text):
    return resizers.build(text_format.Parse(text, protos.ImageResizer()))


@pytest.mark.parametrize('known', [True, False], ids=['size known', 'size unknown'])
@pytest.mark.parametrize('name', RESIZERS)
def test_equals_the_reference(name, known):
    inputs, outputs = boxes_golden.case(f'resize {name}')
    signature = [tf.TensorSpec(inputs['image'].shape if known else [None, None, 3])]
    resize = tf.function(RESIZERS[name].__call__, input_signature=signature, autograph=False)
    pixels, shape = resize(inputs['image'])
    np.testing.assert_allclose(pixels, outputs['pixels'], atol=1e-4)
    np.testing.assert_array_equal(shape, outputs['shape'])


def test_batch_equals_one_by_one():
    images = tf.random.stateless_uniform([2, 20, 30, 3], (1, 2), 0, 255)
    pixels, shapes = RESIZERS['pad'].batch(images)
    assert pixels.shape == (2, 40, 40, 3)
    np.testing.assert_array_equal(shapes, [[27, 40, 3]] * 2)
    for i in range(2):
        np.testing.assert_array_equal(RESIZERS['pad'](images[i])[0], pixels[i])
    np.testing.assert_allclose(pixels[:, 27:], tf.broadcast_to([1., 2., 3.], [2, 13, 40, 3]))


def test_whole_numbers_come_in_and_a_size_that_fits_stays():
    image = tf.reshape(tf.range(18, dtype=tf.int32), [2, 3, 3])
    pixels, shape = resizers.FixedShape(2, 3)(tf.cast(image, tf.uint8))
    np.testing.assert_array_equal(pixels, tf.cast(image, tf.float32))
    np.testing.assert_array_equal(shape, [2, 3, 3])


@pytest.mark.parametrize('size', [(8, 8), (8, 4)])
def test_a_size_that_is_known_while_tracing_changes_nothing(size):
    image = tf.random.stateless_uniform([*size, 3], (1, 2)) * 255
    for resizer in (resizers.KeepAspectRatio(8, 8, pad=True, value=(1., 2., 3.)), resizers.KeepAspectRatio(4, 8)):
        unknown = tf.function(resizer, autograph=False, input_signature=[tf.TensorSpec([None, None, 3])])
        for found, expected in zip(resizer(image), unknown(image), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('size', [(2, 3000), (3000, 2)])
def test_a_thin_image_keeps_a_pixel(size):
    pixels, shape = RESIZERS['pad'](tf.ones([*size, 3]))
    assert pixels.shape == (40, 40, 3)
    assert sorted(shape.numpy().tolist()) == [1, 3, 40]


def test_configs():
    assert read('fixed_shape_resizer { height: 3 width: 4 resize_method: AREA }') == resizers.FixedShape(3, 4, 'area')
    assert read('keep_aspect_ratio_resizer { min_dimension: 2 max_dimension: 5 }').size is None
    padded = read('keep_aspect_ratio_resizer { min_dimension: 5 max_dimension: 5 pad_to_max_dimension: true }')
    assert padded.size == (5, 5) and padded.pad_value == (0., 0., 0.)
    pixels, shape = read('identity_resizer {}')(tf.zeros([4, 5, 3]))
    assert pixels.shape == (4, 5, 3) and shape.numpy().tolist() == [4, 5, 3]
