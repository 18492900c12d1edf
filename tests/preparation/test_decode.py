"""Shrinking against Pillow's own LANCZOS, in the two ways that pictures are decoded."""
import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from object_detection.preparation.decode import decode
from tests.support.hostile import encoded


@pytest.fixture(scope='module')
def photograph():
    """RGB, 600x450, with detail down to five pixels that gets weaker with its size, as in photographs."""
    rng = np.random.default_rng(3)
    noise = (rng.normal(size=(450 * columns // 600, columns, 3)).astype(np.float32) for columns in (6, 24, 120))
    strengths = (48, 24, 10)
    layers = [np.stack([np.asarray(Image.fromarray(channel).resize((600, 450), Image.Resampling.BICUBIC))
                        for channel in np.moveaxis(layer, -1, 0)], -1) for layer in noise]
    total = 128 + sum(strength * layer for strength, layer in zip(strengths, layers))
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def decibels(a, b):
    return 10 * np.log10(255 ** 2 / np.mean((np.asarray(a, np.float64) - np.asarray(b, np.float64)) ** 2))


@pytest.mark.parametrize('mindim', [400, 225, 201, 130, 112, 50])  # no scaling of the DCT; 1/2, 1/4 and 1/8
@pytest.mark.parametrize(('kind', 'mode', 'options'), [
    ('JPEG', 'RGB', {}), ('JPEG', 'RGB', {'progressive': True}), ('JPEG', 'L', {}), ('JPEG', 'CMYK', {}),
    ('PNG', 'RGB', {})])
def test_shrunk_as_by_lanczos(photograph, kind, mode, options, mindim):
    data = encoded(photograph.convert(mode), kind, **({'quality': 95} if kind == 'JPEG' else {}), **options)
    small = decode(data, mindim).image
    with Image.open(io.BytesIO(data)) as image:
        expected = image.convert('RGB').resize((round(600 * mindim / 450), mindim), Image.Resampling.LANCZOS)
    assert (small.mode, small.size) == ('RGB', expected.size)
    assert decibels(small, expected) > 36


def test_jpeg_pixels_are_those_of_pillow(photograph):
    """Both decode with libjpeg-turbo; not shrunk, every pixel is the same."""
    for mode in ('RGB', 'L'):
        data = encoded(photograph.convert(mode), 'JPEG', quality=90)
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(np.asarray(decode(data).image), np.asarray(image.convert('RGB')))


def test_what_is_not_sound_is_left_to_pillow(photograph):
    """A JPEG with a marker in the middle that does not belong there: Pillow decodes it, so we do."""
    data = bytearray(encoded(photograph, 'JPEG', quality=90))
    data[len(data) // 2:len(data) // 2 + 2] = b'\xff\xd5'
    with pytest.raises(ValueError):
        simplejpeg.decode_jpeg(bytes(data), 'RGB')
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(decode(bytes(data)).image), np.asarray(image.convert('RGB')))
