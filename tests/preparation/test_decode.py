"""Shrinking against Pillow's LANCZOS, for both ways of decoding."""
import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from demo.make_scenes import photograph
from object_detection.preparation.decode import Unusable, decode, decode_array
from tests.support.hostile import encoded, readable, unusable


@pytest.fixture(scope='module')
def photo():
    return photograph(3, 600, 450)


def decibels(a, b):
    return 10 * np.log10(255 ** 2 / np.mean((np.asarray(a, np.float64) - np.asarray(b, np.float64)) ** 2))


@pytest.mark.parametrize('mindim', [400, 225, 201, 130, 112, 50])  # DCT scaled by 1, 1/2, 1/4 and 1/8
@pytest.mark.parametrize(('kind', 'mode', 'options'), [
    ('JPEG', 'RGB', {}), ('JPEG', 'RGB', {'progressive': True}), ('JPEG', 'L', {}), ('JPEG', 'CMYK', {}),
    ('PNG', 'RGB', {})])
def test_shrinking_is_close_to_lanczos(photo, kind, mode, options, mindim):
    data = encoded(photo.convert(mode), kind, **({'quality': 95} if kind == 'JPEG' else {}), **options)
    small = decode(data, mindim).image
    with Image.open(io.BytesIO(data)) as image:
        expected = image.convert('RGB').resize((round(600 * mindim / 450), mindim), Image.Resampling.LANCZOS)
    assert (small.mode, small.size) == ('RGB', expected.size)
    assert decibels(small, expected) > 40


def test_jpeg_pixels_are_those_of_pillow(photo):
    """Both decode with libjpeg-turbo, so without shrinking all pixels are equal."""
    for mode in ('RGB', 'L'):
        data = encoded(photo.convert(mode), 'JPEG', quality=90)
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(np.asarray(decode(data).image), np.asarray(image.convert('RGB')))


def test_damaged_jpegs_are_left_to_pillow(photo):
    """Pillow decodes a JPEG with a misplaced marker in the middle, so `decode` does too."""
    data = bytearray(encoded(photo, 'JPEG', quality=90))
    data[len(data) // 2:len(data) // 2 + 2] = b'\xff\xd5'
    with pytest.raises(ValueError):
        simplejpeg.decode_jpeg(bytes(data), 'RGB')
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(decode(bytes(data)).image), np.asarray(image.convert('RGB')))


@pytest.mark.parametrize('name', readable())
def test_arrays_are_the_decoded_pictures(name):
    data = readable()[name]
    decoded = decode(data)
    image, width, height = decode_array(data)
    np.testing.assert_array_equal(image, np.asarray(decoded.image))
    assert (width, height) == (decoded.width, decoded.height)


@pytest.mark.parametrize('name', unusable())
def test_arrays_of_unusable_files_say_the_same(name):
    data = unusable()[name][0]
    with pytest.raises(Unusable) as expected:
        decode(data)
    with pytest.raises(Unusable) as raised:
        decode_array(data)
    assert str(raised.value) == str(expected.value)
