"""Decode the bytes of any picture file to an upright, shrunk 8-bit sRGB picture: Pillow, libjpeg-turbo and libvips.

JPEGs are decoded directly to about the size needed (the DCT is scaled by 1/2, 1/4 or 1/8), which is what makes large
photographs fast. Color conversion and rotation come after shrinking, when there is less to do.
"""
import contextlib
import dataclasses
import functools
import io
import os
import struct
import warnings
import zlib

os.environ.setdefault('VIPS_CONCURRENCY', '1')  # one process per core runs already
import numpy as np
import pyvips
import simplejpeg
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from object_detection.preparation.depth import eight_bits
from object_detection.utils.limits import MOST_PIXELS, MOST_PIXELS_OPENED

with contextlib.suppress(ImportError):  # optional: HEIC pictures of iPhones
    from pillow_heif import register_heif_opener
    register_heif_opener()

pyvips.cache_set_max(0)  # no picture comes twice
# Formats of photographs (JPEG covers the MPO of phones): those Pillow registers at import, and those it registers on
# Image.init(), where available. EPS, WMF and the like are left out because reading them starts other programs.
COMMON = ('JPEG', 'PNG', 'GIF', 'BMP', 'DIB', 'PPM')
RARE = ('TIFF', 'WEBP', 'AVIF', 'HEIF', 'JPEG2000', 'ICO', 'QOI')
COLOR_SPACES = {'RGB': 'RGB', 'L': 'GRAY'}  # of JPEGs: Pillow's name -> simplejpeg's
LEAST_SIDE = 16
BLOCKS_KEPT = 16  # memory blocks reused for the next picture, which halves the time of small ones
LONGEST_SIDE = 65_500  # libjpeg's limit
ORIENTATION = 0x0112
# What Pillow's decoders raise on broken or mislabeled files.
DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError,
                  MemoryError, RuntimeError, struct.error, zlib.error)
KINDS = ((b'<!doctype', 'a web page'), (b'<html', 'a web page'), (b'<svg', 'an SVG drawing'), (b'<?xml', 'XML'),
         (b'%pdf', 'a PDF document'), (b'pk\x03\x04', 'a ZIP archive'), (b'\x1f\x8b', 'a gzip archive'),
         (b'\x1aE\xdf\xa3', 'a video'), (b'rar!', 'a RAR archive'), (b'%!ps', 'PostScript'), (b'8bps', 'Photoshop'))

Image.MAX_IMAGE_PIXELS = MOST_PIXELS_OPENED // 2  # Pillow warns from here and refuses from twice this
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)
warnings.filterwarnings('ignore', module=r'PIL\..*')  # odd metadata of pictures that decode well
Image.core.set_blocks_max(BLOCKS_KEPT)


class Unusable(Exception):
    """A file that cannot be used, with the reason."""


@dataclasses.dataclass(slots=True)
class Decoded:
    """A decoded picture.

    image: RGB, upright, shrunk. width, height: of the upright original. turned: EXIF orientation, 1 to 8.
    note: what was wrong with the file, if it could be decoded all the same, or how it was brought to 8 bits a channel.
    """
    image: Image.Image
    format: str
    width: int
    height: int
    turned: int
    note: str | None


def decode(data: bytes, mindim: int | None = None, bits: int | None = None) -> Decoded:
    """Decode the bytes of a picture file; Unusable if it holds no picture, or one that is broken, tiny or huge.

    mindim: shrink the shorter side to this many pixels; smaller pictures keep their size. bits: used of 16, see depth.
    """
    note = None
    try:
        decoded = _decode(data, mindim, bits)
    except Image.DecompressionBombError as error:
        raise Unusable(f'more than {MOST_PIXELS_OPENED // 10**6} megapixels') from error
    except UnidentifiedImageError as error:
        raise Unusable(_kind(data)) from error
    except DECODER_ERRORS as error:
        if not data.startswith(b'\xff\xd8'):
            raise Unusable(f'broken: {_first_line(error)}') from error
        decoded, note = _without_tail(data, mindim), 'the end of the file is broken, the picture is not'
    return dataclasses.replace(decoded, note=note or decoded.note)


def decode_array(data: bytes) -> tuple[np.ndarray, int, int]:
    """Decode as `decode`, to an upright uint8 [H, W, 3]; also return the (width, height) of the upright original.

    An ordinary JPEG comes straight from libjpeg-turbo: to Pillow's pixels and back takes two thirds of its time again.
    """
    try:
        with _open(data) as image:
            profile, (width, height) = image.info.get('icc_profile'), image.size
            if (image.format == 'JPEG' and image.mode == 'RGB' and min(width, height) >= LEAST_SIDE
                    and max(width, height) <= LONGEST_SIDE and shrunk(width, height, None) == (width, height)
                    and _orientation(image) == 1 and not (profile and _transform(profile, image.mode))):
                return simplejpeg.decode_jpeg(data, 'RGB'), width, height
    except (*DECODER_ERRORS, Image.DecompressionBombError):
        pass  # decode says what is wrong
    decoded = decode(data)
    return np.asarray(decoded.image), decoded.width, decoded.height


def _decode(data, mindim, bits=None):
    with _open(data) as image:
        width, height = image.size
        if min(width, height) < LEAST_SIDE:
            raise Unusable(f'too small: {width}x{height}; a side needs {LEAST_SIDE} pixels')
        size = shrunk(width, height, mindim)
        if max(size) > LONGEST_SIDE:
            raise Unusable(f'too long: {width}x{height}; a JPEG has at most {LONGEST_SIDE} pixels a side')
        if image.format == 'PNG':  # its decoder passes over damaged data in silence
            with Image.open(io.BytesIO(data), formats=('PNG',)) as checked:
                checked.verify()
        turned = _orientation(image)
        profile = image.info.get('icc_profile')
        small, note = _shrink_jpeg(data, image, size), None
        if not small:
            small, note = _shrink(image, size, data, bits)
        if size[0] * size[1] > .99 * MOST_PIXELS and size != (width, height):
            note = note or (f'shrunk to {size[0]}x{size[1]}: TensorFlow decodes at most {MOST_PIXELS / 1e6:.1f} '
                            'megapixels')
        upright = _turn(_to_srgb(small, profile), turned)
        if turned > 4:
            width, height = height, width
        return Decoded(upright, image.format, width, height, turned, note)


def _open(data):
    try:
        return Image.open(io.BytesIO(data), formats=COMMON)
    except UnidentifiedImageError:
        Image.init()
        return Image.open(io.BytesIO(data), formats=[name for name in RARE if name in Image.OPEN])


def shrunk(width: int, height: int, mindim: int | None) -> tuple[int, int]:
    """Return (width, height) with the shorter side shrunk to mindim; never larger than before.

    Without it, or if that is not enough, both are shrunk until TensorFlow can decode the picture.
    """
    shorter = min(width, height)
    if mindim and shorter > mindim:
        width, height = round(width * mindim / shorter), round(height * mindim / shorter)
    if width * height > MOST_PIXELS:
        scale = (MOST_PIXELS / (width * height)) ** .5
        width, height = int(width * scale), int(height * scale)
    return width, height


def _shrink(image, size, data, bits):
    """Decode an opened picture of any format and resize it to (width, height); return it and a note, or None."""
    drafted = image.draft(image.mode, size)
    image, note = eight_bits(image, data, bits)
    image.load()
    flat = _flatten(image)
    width, height = drafted[1][2:] if drafted else flat.size
    if flat.size != size:
        flat = _resize(flat.tobytes(), flat.size, flat.mode, width, height, size)
    return flat, note


def _shrink_jpeg(data, image, size):
    """Decode an opened JPEG in this (width, height); None unless it is an undamaged JPEG of a common color space.

    simplejpeg calls the same library as Pillow and gives the same pixels, but writes them straight into the buffer that
    is resized: with Pillow, preparing a picture costs 5 % (12 megapixels) to 16 % (0.6 megapixels) more.
    """
    space = COLOR_SPACES.get(image.mode) if image.format in ('JPEG', 'MPO') else None
    if not space:
        return None
    least = min(old // new for old, new in zip(image.size, size))
    scale = next(scale for scale in (8, 4, 2, 1) if scale <= max(least, 1))
    width, height = (-(-side // scale) for side in image.size)
    try:
        pixels = simplejpeg.decode_jpeg(data, space, min_height=height, min_width=width)
    except ValueError:  # Pillow decodes it or says what is wrong
        return None
    if (width, height) == size:
        return Image.frombuffer(image.mode, size, pixels)
    return _resize(pixels, (width, height), image.mode, image.width / scale, image.height / scale, size)


def _resize(pixels, stored, mode, width, height, size):
    """Resize pixels of 8 bits a channel, bicubic with antialiasing.

    pixels has the size `stored`, of which the picture covers width x height: a JPEG decoded at a quarter of its size
    may end within the last row or column. Only Pillow takes fractions into account; libvips needs half of its time.
    """
    if (width, height) != stored:
        image = Image.frombuffer(mode, stored, pixels)
        return image.resize(size, Image.Resampling.BICUBIC, box=(0, 0, width, height))
    image = pyvips.Image.new_from_memory(pixels, *stored, len(mode), 'uchar')
    small = image.resize(size[0] / width, vscale=size[1] / height, kernel='cubic')
    return Image.frombuffer(mode, (small.width, small.height), small.write_to_memory())


def _flatten(image):
    """Convert to a mode that can be resized, with transparent pixels on white."""
    if image.has_transparency_data:
        pixels = image.convert('RGBA')
        flat = Image.new('RGB', pixels.size, 'white')
        flat.paste(pixels, mask=pixels.getchannel('A'))
        return flat
    return image if image.mode in ('L', 'RGB', 'CMYK', 'LAB') else image.convert('RGB')


def _to_srgb(image, profile):
    transform = _transform(profile, image.mode) if profile else None
    if transform:
        return ImageCms.applyTransform(image, transform)
    return image if image.mode == 'RGB' else image.convert('RGB')


@functools.lru_cache(maxsize=16)
def _transform(profile, mode):
    """Return the transform from an ICC profile to sRGB; None if it is sRGB already or the profile cannot be used."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if 'srgb' in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile('sRGB'), mode, 'RGB')
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _orientation(image):
    try:
        turned = image.getexif().get(ORIENTATION, 1)
    except DECODER_ERRORS:  # broken EXIF data is common
        return 1
    return turned if turned in range(2, 9) else 1


def _turn(image, turned):
    if turned == 1:
        return image
    exif = Image.Exif()
    exif[ORIENTATION] = turned
    image.info = {'exif': exif.tobytes()}
    upright = ImageOps.exif_transpose(image)
    upright.info = {}
    return upright


def _without_tail(data, mindim):
    """Decode a JPEG whose end is missing, provided that no pixels are: only the end marker, or garbage in its place.

    It is decoded with two different tails appended; pixels that differ were read from the tail, so they are missing.
    """
    tails = (bytes(4096), b'\x55' * 4096)
    try:
        first, second = (_decode(data + tail + b'\xff\xd9', mindim) for tail in tails)
    except DECODER_ERRORS as error:
        raise Unusable(f'broken: {_first_line(error)}') from error
    if first.image.tobytes() != second.image.tobytes():
        raise Unusable('truncated: the end of the picture is missing')
    return first


def _kind(data):
    start = data[:64].lstrip(b'\xef\xbb\xbf \r\n\t').lower()
    for magic, kind in KINDS:
        if start.startswith(magic.lower()):
            return f'not a picture: {kind}'
    if data[4:8] == b'ftyp':
        brand = data[8:12]
        if brand in (b'heic', b'heix', b'mif1', b'msf1', b'heim', b'hevc'):
            return 'HEIC picture; `pip install pillow-heif` makes it readable'
        return 'broken: AVIF' if brand in (b'avif', b'avis') else 'not a picture: a video'
    if not any(data[:4096]):
        return 'not a picture: only zeros'
    if data[:4] in (b'II*\0', b'MM\0*'):
        return 'TIFF of a kind that Pillow cannot read, or broken; save it with 8 or 16 bits a channel'
    return 'not a picture: text' if _is_text(data[:500]) else 'not a picture, or its beginning is broken'


def _is_text(start):
    try:
        text = start.decode()
    except UnicodeDecodeError as error:
        return error.start > 0 and error.start >= len(start) - 3  # cut off within a character
    return all(letter.isprintable() or letter in '\t\n\r\f\v' for letter in text)


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
