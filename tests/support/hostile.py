"""A data set of every kind of picture file found in collections from the web and from phones, and of other files.

`make(folder)` writes it and returns {path in the data set: start of the reason to skip it, or None for a picture}.
"""
import functools
import io
import os
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

WIDTH, HEIGHT = 96, 64


def scene(seed=0, mode='RGB', size=(WIDTH, HEIGHT)):
    """Draw a picture with a smooth background and a few rectangles, different for each seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size[1], 0:size[0]]
    pixels = np.stack([x * 200 / size[0], y * 200 / size[1], (x + y) * 100 / sum(size)], -1)
    for _ in range(5):
        left, top = rng.integers(0, size[0] - 20), rng.integers(0, size[1] - 20)
        pixels[top:top + 20, left:left + 20] = rng.integers(0, 255, 3)
    return Image.fromarray(pixels.astype(np.uint8)).convert(mode)


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def swapped_profile():
    """Return an RGB profile like sRGB in which red and green are swapped."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    count = struct.unpack('>I', data[128:132])[0]
    places = {bytes(data[132 + 12 * i:136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = places[b'rXYZ'], places[b'gXYZ']
    data[red:red + 4], data[green:green + 4] = data[green:green + 4], data[red:red + 4]
    return bytes(data).replace('sRGB'.encode('utf-16-be'), 'odd '.encode('utf-16-be')).replace(b'sRGB', b'odd ')


def png(width, height, data=b'', extra=b''):
    """Return a PNG of one bit per pixel whose header claims this size, whatever its data."""
    header = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    chunks = chunk(b'IHDR', header), extra, chunk(b'IDAT', zlib.compress(data)), chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


@functools.cache
def readable():
    """Return {name: bytes} of files that hold a picture."""
    photo = encoded(scene(1), 'JPEG', quality=90)
    progressive = encoded(scene(2), 'JPEG', progressive=True)
    alpha = scene(3, 'RGBA')
    alpha.putalpha(Image.linear_gradient('L').resize(alpha.size))
    deep = Image.fromarray(np.asarray(scene(4, 'L')).astype(np.uint16) * 257)
    frames = [scene(seed) for seed in (5, 6, 7)]
    animation = {'save_all': True, 'append_images': frames[1:]}
    palette = scene(8).quantize(16)
    files = {
        'baseline.jpg': photo, 'progressive.jpg': progressive,
        'cmyk.jpg': encoded(scene(9, 'CMYK'), 'JPEG'), 'gray.jpg': encoded(scene(10, 'L'), 'JPEG'),
        'no end marker.jpg': encoded(scene(11), 'JPEG')[:-2], 'no end marker progressive.jpg': progressive[:-2] + b'\0',
        'garbage at the end.jpg': encoded(scene(12), 'JPEG') + os.urandom(5000),
        'wrong extension.png': encoded(scene(13), 'JPEG'), 'no extension': encoded(scene(14), 'PNG'),
        'UPPER.JPEG': encoded(scene(15), 'JPEG'),
        'optimized.jpg': encoded(scene(16), 'JPEG', optimize=True, quality=100),
        'full color.jpg': encoded(scene(17), 'JPEG', subsampling=0),
        'stored as rgb.jpg': encoded(scene(18), 'JPEG', keep_rgb=True),
        'palette.png': encoded(palette, 'PNG'), 'palette transparent.png': encoded(palette, 'PNG', transparency=3),
        'alpha.png': encoded(alpha, 'PNG'), 'gray alpha.png': encoded(alpha.convert('LA'), 'PNG'),
        '16 bit.png': encoded(deep, 'PNG'), '1 bit.png': encoded(scene(19, '1'), 'PNG'),
        'still.gif': encoded(scene(20), 'GIF'), 'animated.gif': encoded(frames[0], 'GIF', **animation),
        'animated.webp': encoded(frames[0], 'WEBP', **animation), 'alpha.webp': encoded(alpha, 'WEBP'),
        'lossless.webp': encoded(scene(21), 'WEBP', lossless=True),
        'animated.png': encoded(frames[2], 'PNG', **animation),
        'plain.bmp': encoded(scene(22), 'BMP'), 'palette.bmp': encoded(scene(23).quantize(8), 'BMP'),
        'plain.tif': encoded(scene(24), 'TIFF'), 'cmyk.tif': encoded(scene(25, 'CMYK'), 'TIFF'),
        '16 bit.tif': encoded(deep, 'TIFF'), 'float.tif': encoded(scene(26, 'F'), 'TIFF'),
        'lzw.tif': encoded(scene(27), 'TIFF', compression='tiff_lzw'),
        'pages.tif': encoded(frames[1], 'TIFF', **animation),
        'lab.tif': encoded(Image.merge('LAB', scene(28).split()), 'TIFF'),
        'phone.mpo': encoded(scene(29), 'MPO', save_all=True, append_images=[scene(30)]),
        'plain.jp2': encoded(scene(31), 'JPEG2000'), 'plain.ppm': encoded(scene(32), 'PPM'),
        'plain.qoi': encoded(scene(33), 'QOI'), 'icon.ico': encoded(scene(34, size=(64, 64)), 'ICO'),
        'broken exif.jpg': encoded(scene(35), 'JPEG', exif=b'Exif\0\0II*\0\xff\xff\xff\xff\x12\x01'),
        'broken profile.jpg': encoded(scene(36), 'JPEG', icc_profile=b'not a profile' * 20),
        'gray with rgb profile.jpg': encoded(scene(37, 'L'), 'JPEG', icc_profile=swapped_profile()),
        'profile.jpg': encoded(scene(38), 'JPEG', icc_profile=swapped_profile()),
        'wide.png': encoded(scene(39, size=(3000, 40)), 'PNG'),
        'twin.png': encoded(scene(40), 'PNG'), 'twin.jpg': encoded(scene(41), 'JPEG'),
        'Ünïcödé 犬 🐕.jpg': encoded(scene(42), 'JPEG'), 'spaces  and (brackets) [1].jpg': encoded(scene(43), 'JPEG'),
        "quotes ' & %20 #1 $HOME.jpg": encoded(scene(44), 'JPEG'), f'{"long" * 60}.jpg': encoded(scene(45), 'JPEG'),
        f'{"long" * 60}.png': encoded(scene(46), 'PNG'), 'con.jpg': encoded(scene(47), 'JPEG'),
        'two.dots.and more.jpg': encoded(scene(48), 'JPEG'), '-rf.jpg': encoded(scene(49), 'JPEG'),
    }
    for value in range(2, 9):
        files[f'turned {value}.jpg'] = encoded(scene(50 + value), 'JPEG', exif=orientation(value))
    files['turned.png'] = encoded(scene(60), 'PNG', exif=orientation(6))
    if 'AVIF' in Image.SAVE:
        files['plain.avif'] = encoded(scene(61), 'AVIF')
    if os.name == 'posix':  # names that Windows cannot hold
        files |= {'line\nbreak.jpg': encoded(scene(62), 'JPEG'), 'a<b>:"c"|d?*.jpg': encoded(scene(63), 'JPEG'),
                  'back\\slash.jpg': encoded(scene(64), 'JPEG'), 'dot at the end.': encoded(scene(65), 'JPEG')}
    return files


@functools.cache
def unusable():
    """Return {name: (bytes, start of the reason)} of files that hold no usable picture."""
    photo = encoded(scene(70, size=(400, 300)), 'JPEG', quality=95)
    progressive = encoded(scene(71, size=(400, 300)), 'JPEG', quality=95, progressive=True)
    whole = {kind: encoded(scene(72, size=(400, 300)), kind) for kind in ('PNG', 'GIF', 'WEBP', 'BMP', 'TIFF')}
    damaged = bytearray(whole['PNG'])
    damaged[len(damaged) // 2] ^= 255
    heic = b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(200)
    text_bomb = chunk(b'zTXt', b'k\0\0' + zlib.compress(bytes(90_000_000)))
    giant = bytearray(photo)
    frame = giant.index(b'\xff\xc0') + 5
    giant[frame:frame + 4] = struct.pack('>HH', 65000, 65000)
    return {
        'empty.jpg': (b'', 'empty file'),
        'cut.jpg': (photo[:len(photo) // 2], 'truncated'), 'cut late.jpg': (photo[:-300], 'truncated'),
        'cut progressive.jpg': (progressive[:len(progressive) // 3], 'truncated'),
        'header only.jpg': (photo[:200], 'broken'), 'marker only.jpg': (b'\xff\xd8', 'not a picture'),
        **{f'cut.{kind.lower()}': (data[:len(data) // 2], 'broken') for kind, data in whole.items()},
        'damaged.png': (bytes(damaged), 'broken'),
        'bomb.png': (png(40_000, 40_000, bytes(5001 * 10)), 'more than'), 'bomb.jpg': (bytes(giant), 'more than'),
        'text bomb.png': (png(64, 64, bytes(9 * 64), text_bomb), 'broken'),
        'pixel.gif': (encoded(Image.new('RGB', (1, 1)), 'GIF'), 'too small'),
        'ribbon.png': (encoded(Image.new('L', (70_000, 20)), 'PNG'), 'too long'),
        'page.jpg': (b'<!DOCTYPE html><html><body>404</body></html>', 'not a picture: a web page'),
        'drawing.svg': (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'not a picture: an SVG'),
        'notes.md': ('# Über diese Bilder\n'.encode(), 'not a picture: text'),
        'paper.pdf': (b'%PDF-1.7\n%\xe2\xe3', 'not a picture: a PDF'),
        'archive.zip': (b'PK\x03\x04' + bytes(60), 'not a picture: a ZIP'),
        'clip.mp4': (b'\0\0\0\x20ftypisom\0\0\2\0' + bytes(90), 'not a picture: a video'),
        'clip.webm': (b'\x1aE\xdf\xa3' + bytes(90), 'not a picture: a video'),
        'figure.eps': (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\n', 'not a picture: PostScript'),
        'zeros.jpg': (bytes(20_000), 'not a picture: only zeros'),
        'noise.jpg': (np.random.default_rng(0).bytes(20_000), 'not a picture'),
        'phone.heic': (heic, 'HEIC picture' if 'HEIF' not in Image.OPEN else 'broken'),
        'broken.avif': (b'\0\0\0\x1cftypavif\0\0\0\0avifmif1' + bytes(300), 'broken'),
    }


def make(folder):
    """Write all files to folder/a and folder/b; return {path: start of the reason or None}."""
    Image.init()
    verdicts = {}
    for label in 'ab':
        (folder / label).mkdir(parents=True)
    for name, data in readable().items():
        (folder / 'a' / name).write_bytes(data)
        verdicts[f'a/{name}'] = None
    for name, (data, reason) in unusable().items():
        (folder / 'b' / name).write_bytes(data)
        verdicts[f'b/{name}'] = reason
    (folder / 'b' / 'good.jpg').write_bytes(encoded(scene(80), 'JPEG'))
    (folder / 'b' / 'folder.jpg').mkdir()
    (folder / 'b' / 'folder.jpg' / 'inner.jpg').write_bytes(encoded(scene(81), 'JPEG'))
    (folder / 'b' / '.hidden').write_bytes(b'ignored')
    (folder / 'loose.jpg').write_bytes(encoded(scene(82), 'JPEG'))
    verdicts |= {'b/good.jpg': None, 'b/folder.jpg/inner.jpg': None, 'loose.jpg': "lies in no label's folder"}
    if not (folder / 'A').exists():  # a case-sensitive file system
        (folder / 'a' / 'CASE.jpg').write_bytes(encoded(scene(83), 'JPEG'))
        (folder / 'a' / 'case.jpg').write_bytes(encoded(scene(84), 'JPEG'))
        verdicts |= {'a/CASE.jpg': None, 'a/case.jpg': None}
    if hasattr(os, 'mkfifo'):
        os.mkfifo(folder / 'b' / 'pipe.jpg')
        (folder / 'b' / 'dangling.jpg').symlink_to('nowhere.jpg')
        (folder / 'b' / 'not utf-8 \udcff.jpg').write_bytes(encoded(scene(85), 'JPEG'))
        verdicts |= {'b/pipe.jpg': 'not a regular file', 'b/dangling.jpg': 'cannot be read',
                     'b/not utf-8 \\udcff.jpg': None}
    return verdicts
