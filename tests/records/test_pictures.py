"""records.pictures, without TensorFlow, refuses the pictures that TensorFlow cannot decode."""
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.records import pictures

WIDTH, HEIGHT = 48, 32
PIXELS = np.asarray(Image.effect_mandelbrot((WIDTH, HEIGHT), (-2, -1, 1, 1), 100).convert('RGB'))
PICTURE = Image.fromarray(PIXELS)


def encode(kind, image=PICTURE, **options):
    encoded = io.BytesIO()
    image.save(encoded, kind, **options)
    return encoded.getvalue()


def png(pixels, depth=8, extra=b'', color=2):
    """A PNG of RGB values, with an additional chunk."""
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    rows = b''.join(b'\0' + row.tobytes() for row in pixels)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', WIDTH, HEIGHT, depth, color, 0, 0, 0))
            + extra + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def interlaced(missing=0):
    """A gray PNG in Adam7 passes; all rows black, without the last bytes."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    size = sum((1 + len(range(x, WIDTH, dx))) * len(range(y, HEIGHT, dy)) for x, y, dx, dy in passes)
    header = struct.pack('>IIBBBBB', WIDTH, HEIGHT, 8, 0, 0, 0, 1)
    chunks = ((b'IHDR', header), (b'IDAT', zlib.compress(bytes(size - missing))), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(struct.pack('>I', len(data)) + name + data
                                            + struct.pack('>I', zlib.crc32(name + data)) for name, data in chunks)


def changed(data, at, by=1):
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1:] if at >= 0 else changed(data, len(data) + at, by)


JPEG, PLAIN, INTERLACED = encode('JPEG'), png(PIXELS), interlaced()
SIXTEEN = PIXELS.astype(np.uint16) * 257
ENCODED = {
    'JPEG': JPEG, 'progressive': encode('JPEG', progressive=True), 'grey': encode('JPEG', PICTURE.convert('L')),
    'CMYK': encode('JPEG', PICTURE.convert('CMYK')),
    'of a phone': encode('MPO', save_all=True, append_images=[PICTURE]),
    'without its end': JPEG[:-2], 'half': JPEG[:len(JPEG) // 2], 'with more behind it': JPEG + b'more',
    'header only': JPEG[:20], 'PNG': encode('PNG'), 'palette': encode('PNG', PICTURE.convert('P')),
    'alpha': encode('PNG', PICTURE.convert('RGBA')), 'bits': encode('PNG', PICTURE.convert('1')),
    'by hand': PLAIN, 'text': png(PIXELS, extra=b'\0\0\0\3tEXta\0b' + b'\0\0\0\0'),  # wrong checksum, but ancillary
    'unknown critical chunk': png(PIXELS, extra=b'\0\0\0\0ABCD' + struct.pack('>I', zlib.crc32(b'ABCD'))),
    'interlaced': INTERLACED, 'interlaced, short of rows': interlaced(3),
    'without IEND': PLAIN[:-12], 'IEND cut': PLAIN[:-4], 'IEND checksum': changed(PLAIN, -1),
    'data checksum': changed(PLAIN, -13), 'data flipped': changed(PLAIN, len(PLAIN) // 2),
    'short of rows': png(PIXELS[:-3]), '16 bits': png(SIXTEEN.astype('>u2'), 16),
    '12 of 16 bits': png((SIXTEEN >> 4).astype('>u2'), 16),
    'GIF': encode('GIF'), 'animation': encode('GIF', save_all=True, append_images=[Image.fromarray(255 - PIXELS)]),
    'GIF cut': encode('GIF')[:-60], 'BMP': encode('BMP'), 'BMP grey': encode('BMP', PICTURE.convert('L')),
    'BMP palette': encode('BMP', PICTURE.convert('P')), 'BMP bits': encode('BMP', PICTURE.convert('1')),
    'BMP alpha': encode('BMP', PICTURE.convert('RGBA')), 'BMP cut': encode('BMP')[:-9],
    'BMP with more behind it': encode('BMP') + b'more', 'WebP': encode('WEBP'),
    'WebP lossless': encode('WEBP', lossless=True), 'WebP cut': encode('WEBP')[:-9],
    'WebP animation': encode('WEBP', save_all=True, append_images=[Image.fromarray(255 - PIXELS)]),
    'DIB': encode('DIB'), 'PPM': encode('PPM'), 'JPEG 2000': encode('JPEG2000'), 'ICO': encode('ICO'),
    'text file': b'a/b/c.jpg', 'web page': b'<html>', 'nothing': b'', 'zeros': bytes(1000)}


@pytest.mark.parametrize('channels', [3, 1])
@pytest.mark.parametrize('name', ENCODED)
def test_pictures_that_tensorflow_decodes(name, channels):
    found = pictures.examine(ENCODED[name], channels=channels)
    try:
        image = tf.io.decode_image(ENCODED[name], channels=channels, expand_animations=False)
    except tf.errors.InvalidArgumentError:
        assert any(fault.fatal for fault in found.faults)
        return
    assert not any(fault.fatal for fault in found.faults), found
    assert found.size == image.shape[1::-1]


def test_damaged_pictures_agree_in_all_but_a_few():
    """2000 changes of bytes, seeded. Pillow and TensorFlow judge a handful of JPEGs differently."""
    random = np.random.default_rng(5)
    jpeg, differing = encode('JPEG', PICTURE.resize((192, 128)), quality=90), {'JPEG': 0, 'PNG': 0}
    for name, data in (('JPEG', jpeg), ('PNG', encode('PNG', PICTURE.resize((96, 64))))):
        for _ in range(1000):
            changed = bytearray(data)
            at, count = int(random.integers(len(data))), int(random.choice([1, 2, 20]))
            kind = random.integers(3)
            if kind == 0:
                del changed[at:]
            elif kind == 1:
                changed[at] ^= 1 << int(random.integers(8))
            else:
                changed[at:at + count] = random.bytes(count)
            try:
                tf.io.decode_image(bytes(changed), channels=3, expand_animations=False)
                decoded = True
            except tf.errors.InvalidArgumentError:
                decoded = False
            faults = pictures.examine(bytes(changed)).faults
            differing[name] += decoded == any(fault.fatal for fault in faults)
    assert differing['PNG'] == 0 and differing['JPEG'] < 10, differing


@pytest.mark.parametrize(('name', 'declared', 'says'), [
    ('JPEG', 'jpg', None), ('JPEG', 'image/jpeg', None), ('JPEG', 'JPEG', None), ('PNG', '', None),
    ('PNG', '.png', None),
    ('PNG', 'jpg', 'image/format says jpg, but the picture is PNG, and read as that'),
    ('JPEG', 'png', 'image/format says png, but the picture is JPEG, and read as that'),
    ('16 bits', 'png', 'the picture has 16 bits a channel, of which training reads the upper 8'),
    ('12 of 16 bits', 'png', 'the picture has 16 bits a channel, of which only the lower ones are used: training sees '
                             'it black; scale it to 8 bits'),
    ('BMP palette', 'bmp', 'the picture is a BMP with a palette, whose colors TensorFlow ignores; save it as PNG'),
    ('animation', 'gif', 'the picture is an animation, of which only the first frame is used'),
])
def test_pictures_that_are_decoded_to_something_else(name, declared, says):
    assert [fault.kind for fault in pictures.examine(ENCODED[name], declared).faults] == [says] * bool(says)


def test_a_damaged_jpeg_that_can_be_decoded_is_said():
    jpeg = encode('JPEG', PICTURE.resize((192, 128)), quality=90)
    fault, = pictures.examine(jpeg[:-60] + jpeg[-50:]).faults
    assert fault.kind == 'the data of the JPEG is damaged; part of the picture may be garbage' and not fault.fatal


@pytest.mark.parametrize(('data', 'says'), [
    (b'/9j/4AAQSkZJRg', 'base64 text'), (b'data/a.jpg', "the text 'data/a.jpg'"), (b'<html>', 'text with tags')])
def test_what_is_no_picture_is_named(data, says):
    fault, = pictures.examine(data).faults
    assert fault.kind == pictures.BROKEN and fault.detail == f'{len(data)} bytes that are no picture but {says}'
