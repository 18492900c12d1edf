"""Pictures of more than 8 bits a channel: which value becomes white, in every format and mode."""
import io
import json

import numpy as np
import pytest
import pyvips
from PIL import Image

from object_detection.preparation import depth
from object_detection.preparation.decode import Unusable, decode
from tests.support.hostile import chunk, encoded

SIZE = (48, 32)


def ramp(most, kind=np.uint16, channels=1):
    """Return [32, 48, channels], from 0 to `most` along the width."""
    row = np.linspace(0, most, SIZE[0]).astype(kind)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (SIZE[1], SIZE[0], channels)))


def deep(values, suffix, **options):
    """Encode uint16 [H, W, C] of one to four channels with libvips."""
    height, width, channels = values.shape
    image = pyvips.Image.new_from_memory(values.tobytes(), width, height, channels, 'ushort')
    image = image.copy(interpretation='grey16' if channels < 3 else 'rgb16')
    return image.write_to_buffer(suffix, **options)


def gray(values, kind):
    return encoded(Image.fromarray(values[..., 0]), kind)


@pytest.mark.parametrize(('most', 'bits'), [
    (200, 8), (255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14), (16384, 16),
    (65535, 16)])
def test_white_is_the_least_that_holds_all_pixels(most, bits):
    for data in (gray(ramp(most), 'PNG'), gray(ramp(most), 'TIFF'), deep(ramp(most, channels=3), '.png'),
                 deep(ramp(most, channels=3), '.tif'), deep(ramp(most, channels=3), '.tif', compression='lzw'),
                 gray(ramp(most), 'JPEG2000')):
        decoded = decode(data)
        expected = (ramp(most, channels=3) * (255.999 / (2 ** bits - 1))).astype(np.uint8)
        np.testing.assert_array_equal(np.asarray(decoded.image), expected)
        assert decoded.note == f'dynamic range: {bits} of 16 bits, 0 to {2 ** bits - 1} became 0 to 255'


def test_full_range_colors_are_those_of_pillow():
    """Pillow takes the upper 8 bits; so do we, if all 16 are used."""
    rng = np.random.default_rng(0)
    values = np.append(rng.integers(0, 65536, (SIZE[1], SIZE[0], 2)), ramp(65535), -1).astype(np.uint16)
    for suffix in ('.png', '.tif'):
        data = deep(values, suffix)
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(np.asarray(decode(data).image), np.asarray(image.convert('RGB')))


def test_table_equals_the_upper_bits_for_every_value():
    np.testing.assert_array_equal(depth._table(65535), np.arange(65536) >> 8)


@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize('opaque', [4095, 65535])
def test_opacity_has_a_range_of_its_own(channels, opaque):
    values = ramp(4095, channels=channels)
    values[..., -1] = opaque
    values[:8, :, -1] = 0
    pixels = np.asarray(decode(deep(values, '.png')).image)
    assert pixels[:8].min() == 255  # transparent is white
    np.testing.assert_array_equal(pixels[8:, :, 0], (ramp(4095)[8:, :, 0] * (255.999 / 4095)).astype(np.uint8))


@pytest.mark.parametrize(('values', 'note'), [
    (ramp(1, np.float32), 'floats, 0 to 1'), (ramp(200, np.float32), 'floats, 0 to 255'),
    (ramp(4000, np.float32), 'floats, 0 to 4095'), (ramp(1e6, np.float32), 'floats, 0 to 1e+06'),
    (ramp(2, np.float32) - 1, 'floats, -1 to 1'), (ramp(16000, np.int32), 'integers, 0 to 16383'),
    (ramp(70000, np.int32), 'integers, 0 to 70000')])
def test_floats_and_long_integers(values, note):
    decoded = decode(gray(values, 'TIFF'))
    assert decoded.note == f'dynamic range: {note} became 0 to 255'
    pixels = np.asarray(decoded.image)[0, :, 0]
    assert pixels[0] == 0 and pixels[-1] > 190 and (np.diff(pixels.astype(int)) >= 0).all()


def test_what_is_not_finite_is_black():
    values = ramp(1, np.float32)
    values[0, 0], values[0, 1], values[0, 2] = np.nan, np.inf, -np.inf
    assert np.asarray(decode(gray(values, 'TIFF')).image)[0, :3].max() == 0


def test_the_file_may_name_its_white():
    """MaxSampleValue: a dark picture of a camera with 12 bits stays dark. A value that pixels exceed does not count."""
    for most, named, white in ((900, 4095, 4095), (5000, 4095, 16383), (900, 7, 1023)):
        data = encoded(Image.fromarray(ramp(most)[..., 0]), 'TIFF', tiffinfo={281: named})
        assert decode(data).note == f'dynamic range: {white.bit_length()} of 16 bits, 0 to {white} became 0 to 255'


def test_bits_of_the_user():
    decoded = decode(gray(ramp(900), 'PNG'), bits=12)
    assert np.asarray(decoded.image).max() == int(900 * 255.999 / 4095)
    clipped = decode(gray(ramp(5000), 'PNG'), bits=12)
    assert clipped.note.endswith('12 of 16 bits, 0 to 4095 became 0 to 255; brighter pixels, up to 5000, are white')
    assert np.asarray(clipped.image)[0, -1].tolist() == [255] * 3


@pytest.mark.parametrize('mode', [
    '1', 'L', 'LA', 'La', 'P', 'PA', 'RGB', 'RGBA', 'RGBa', 'RGBX', 'CMYK', 'YCbCr', 'LAB', 'HSV', 'I', 'F', 'I;16',
    'I;16L', 'I;16B'])
def test_every_mode_of_pillow_that_a_file_can_have(mode):
    """A bright picture stays bright and a dark one dark, in each format that takes the mode; 8 bits have no note."""
    tried = 0
    for kind in ('PNG', 'TIFF', 'JPEG2000', 'WEBP', 'JPEG', 'BMP', 'GIF', 'PPM', 'ICO', 'QOI', 'AVIF'):
        if mode in ('I', 'F') and kind not in ('PNG', 'TIFF', 'PPM'):
            continue  # Pillow clips to 8 bits on writing
        try:
            white = {'LAB': (255, 128, 128), 'CMYK': (0, 0, 0, 0), 'YCbCr': (255, 128, 128), 'HSV': (0, 0, 255),
                     'P': 255, 'PA': (255, 255), 'LA': (255, 255), 'La': (255, 255), 'I': 65535, 'F': 1.0, '1': 1,
                     'L': 255}.get(mode, 4095 if mode.startswith('I;16') else tuple([255] * len(mode)))
            image = Image.new(mode, SIZE, white)
            if mode in ('P', 'PA'):
                image.putpalette([value for value in range(256) for _ in range(3)])
            data = encoded(image, kind)
        except (OSError, ValueError, KeyError):
            continue
        tried += 1
        decoded = decode(data)
        assert decoded.image.mode == 'RGB' and np.asarray(decoded.image).min() >= 250, kind
        assert bool(decoded.note) == (Image.open(io.BytesIO(data)).mode in ('I', 'F', 'I;16', 'I;16B')), kind
    assert tried or mode in ('La', 'RGBa', 'I;16L')


def test_transparent_color_of_a_deep_png():
    """The chunk tRNS names a gray value that is transparent."""
    data = gray(ramp(4095), 'PNG')
    header = data.index(b'IDAT') - 4
    assert decode(data[:header] + chunk(b'tRNS', b'\0\0') + data[header:]).note.startswith('dynamic range: 12')


def test_colors_that_pillow_reads_as_eight_bits_are_said():
    """JPEG 2000: libvips in its wheels cannot read it. The bits stand in its SIZ marker."""
    data = bytearray(encoded(Image.new('RGB', SIZE, 'white'), 'JPEG2000', no_jp2=True))
    place = data.index(b'\xff\x51') + 40
    assert depth._precision(bytes(data)) == 8
    data[place] = 15
    assert depth._precision(bytes(data)) == 16


def test_a_tiff_that_pillow_cannot_read():
    image = pyvips.Image.new_from_memory(ramp(1, np.float32, 3).tobytes(), *SIZE, 3, 'float')
    with pytest.raises(Unusable, match='TIFF of a kind that Pillow cannot read'):
        decode(image.write_to_buffer('.tif'))


def test_each_picture_is_decided_by_itself_and_reported(run, tmp_path, capsys):
    """10, 12, 14 and 16 bits in one data set: none is black; --bits reads them again, all alike."""
    rng = np.random.default_rng(1)
    for i, bits in enumerate((10, 12, 12, 14, 16)):
        (tmp_path / 'd' / 'a').mkdir(parents=True, exist_ok=True)
        values = rng.integers(0, 2 ** bits, (64, 64), np.uint16)
        values[0, 0] = 2 ** bits - 1
        Image.fromarray(values).save(tmp_path / 'd' / 'a' / f'{i}.png')
    output = run(tmp_path / 'd')
    for jpg in output.rglob('*.jpg'):
        assert 110 < np.asarray(Image.open(jpg)).mean() < 145
    numbers = json.loads((output / 'stats.json').read_text())
    assert [(len(entry['pictures']), entry['how']) for entry in numbers['dynamic_range']] == [
        (2, '12 of 16 bits, 0 to 4095 became 0 to 255'), (1, '10 of 16 bits, 0 to 1023 became 0 to 255'),
        (1, '14 of 16 bits, 0 to 16383 became 0 to 255'), (1, '16 of 16 bits, 0 to 65535 became 0 to 255')]
    assert 'Dynamic range' in (output / 'report.html').read_text()
    assert '2 pictures: 12 of 16 bits, 0 to 4095' in ''.join(capsys.readouterr())
    run(tmp_path / 'd', bits=16)
    means = sorted(np.asarray(Image.open(jpg)).mean() for jpg in output.rglob('*.jpg'))
    assert means[:4] == pytest.approx([1.5, 7.5, 7.5, 31.5], abs=0.7)  # of 0 to 3, 0 to 15, 0 to 63
