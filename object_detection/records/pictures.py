"""What the input pipeline makes of an encoded picture: the rules of tf.io.decode_image, without TensorFlow."""
import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

import simplejpeg
from PIL import Image, UnidentifiedImageError

from object_detection.utils.limits import MOST_JPEG_BYTES, MOST_PIXELS, MOST_PIXELS_OPENED

BROKEN = 'the picture cannot be decoded'
_DECODABLE = ('JPEG', 'PNG', 'GIF', 'BMP', 'WEBP')
_NAMES = {'jpg': 'JPEG', 'jpeg': 'JPEG', 'png': 'PNG', 'gif': 'GIF', 'bmp': 'BMP', 'webp': 'WEBP'}  # of image/format
_BYTES = {b'/9j/': 'base64 text', b'iVBORw0KGgo': 'base64 text', b'<': 'text with tags', b'%PDF': 'a PDF document',
          b'PK\x03\x04': 'a ZIP archive', b'\x1f\x8b': 'gzip data', b'\x93NUMPY': 'a NumPy array'}
_PNG = b'\x89PNG\r\n\x1a\n'
_CRITICAL = (b'IHDR', b'PLTE', b'IDAT', b'IEND')
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of the color types of a PNG
# Of an interlaced PNG: first column and row, and the steps from one to the next.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, LookupError, ArithmeticError, struct.error, zlib.error)
_DARK = 1 << 13  # the upper 8 of 16 bits are below 32: nearly black

Image.MAX_IMAGE_PIXELS = MOST_PIXELS_OPENED // 2  # Pillow warns from here and refuses from twice this
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)


class Fault(NamedTuple):
    """Something wrong with a record.

    severity: 'error' (spoils a training) or 'warning' (worth a look). kind: the same text for the same fault in any
    record. detail: of this record. fatal: the input pipeline fails at the record, or the loss is not finite.
    """

    severity: str
    kind: str
    detail: str = ''
    fatal: bool = False


class Picture(NamedTuple):
    """size: (width, height), None if it is unknown."""

    size: tuple[int, int] | None
    faults: list[Fault]


def fatal(kind: str, detail: str = '') -> Fault:
    return Fault('error', kind, detail, fatal=True)


def examine(data: bytes, declared: str = '', channels: int = 3) -> Picture:
    """Look at an encoded picture.

    Args:
        declared: image/format of the record, which the input pipeline does not read.
        channels: that TensorFlow is asked for; 1 for a mask.
    """
    try:
        if data.startswith(_PNG):
            data = _sound_png(data)
        with Image.open(BytesIO(data)) as image:
            kind = 'JPEG' if image.format == 'MPO' else image.format or ''  # MPO: JPEGs of phones, one behind another
            size = image.size
            if refused := _refusal(data, kind, image, channels):
                return Picture(size, [refused])
            orientation = image.getexif().get(0x0112, 1)
            found = list(_colors(data, kind, image) if kind != 'JPEG' else _damage(data, image))
    except Image.DecompressionBombError:
        return Picture(None, [fatal(BROKEN, f'more than {MOST_PIXELS_OPENED // 10 ** 6} megapixels')])
    except UnidentifiedImageError:
        return Picture(None, [fatal(BROKEN, _no_picture(data))])
    except _DECODER_ERRORS as error:
        return Picture(None, [fatal(BROKEN, str(error))])
    if orientation != 1:
        found.append(Fault('warning', 'the EXIF orientation asks to turn the picture, which training ignores'))
    said = _NAMES.get(declared.lower().rpartition('/')[2].lstrip('.'))
    if said and said != kind:
        found.append(Fault('warning', f'image/format says {declared}, but the picture is {kind}, and read as that'))
    return Picture(size, found)


def _refusal(data: bytes, kind: str, image: Image.Image, channels: int) -> Fault | None:
    """Return the fault of an opened picture that Pillow can read and TensorFlow cannot."""
    if kind not in _DECODABLE:
        return fatal(f'the picture is {kind}; TensorFlow decodes {", ".join(_DECODABLE)}')
    width, height = image.size
    if kind == 'JPEG' and width * height * channels >= MOST_JPEG_BYTES:
        return fatal(BROKEN, f'{width}x{height}: TensorFlow decodes JPEGs of less than '
                     f'{MOST_JPEG_BYTES // channels / 1e6:.1f} megapixels')
    if width * height > MOST_PIXELS and kind != 'JPEG':
        return fatal(BROKEN, f'{width}x{height}: at most {MOST_PIXELS / 1e6:.1f} megapixels')
    if channels == 1 and (kind not in ('PNG', 'JPEG') or image.mode == 'CMYK'):
        return fatal(f'a mask is {image.mode if kind == "JPEG" else kind}; masks are PNGs')
    if kind == 'BMP':
        start, bits = struct.unpack_from('<I', data, 10)[0], struct.unpack_from('<H', data, 28)[0]
        if bits not in (8, 24, 32):
            return fatal(f'the picture is a BMP of {bits} bits a pixel; TensorFlow decodes 8, 24, and 32')
        size = start + (bits // 8 * width + 3) // 4 * 4 * height
        if len(data) != size:
            return fatal(BROKEN, f'a BMP of this size has {size} bytes, it has {len(data)}')
    if kind == 'WEBP' and data[12:16] == b'VP8X' and data[20] & 2:
        return fatal('the picture is an animated WebP, which TensorFlow does not decode')
    return None


def _damage(data: bytes, image: Image.Image) -> Iterator[Fault]:
    """Walk through the data of a JPEG; an eighth of the size is enough for that."""
    try:
        simplejpeg.decode_jpeg(data, 'GRAY', min_height=1, min_width=1, min_factor=1)
    except ValueError as error:  # also for some sound JPEGs, such as CMYK: Pillow decides
        image.draft('RGB', (1, 1))
        image.load()
        if 'Corrupt' in str(error):
            yield Fault('warning', 'the data of the JPEG is damaged; part of the picture may be garbage', str(error))


def _colors(data: bytes, kind: str, image: Image.Image) -> Iterator[Fault]:
    """Load a picture and yield what it loses when TensorFlow decodes it."""
    image.load()
    if kind == 'BMP' and image.mode == 'P':
        yield Fault('error', 'the picture is a BMP with a palette, whose colors TensorFlow ignores; save it as PNG')
    if kind == 'GIF' and getattr(image, 'is_animated', False):
        yield Fault('warning', 'the picture is an animation, of which only the first frame is used')
    if kind == 'PNG' and data[24] == 16:
        extremes = image.getextrema() if image.mode == 'I;16' else [most << 8 for _, most in image.getextrema()]
        brightest = int(max(extremes))
        if brightest < _DARK:
            yield Fault('error', 'the picture has 16 bits a channel, of which only the lower ones are used: training '
                        'sees it black; scale it to 8 bits', f'the brightest value is {brightest} of 65535')
        else:
            yield Fault('warning', 'the picture has 16 bits a channel, of which training reads the upper 8')


def _sound_png(data: bytes) -> bytes:
    """Return a PNG without optional chunks that are damaged, which TensorFlow passes over.

    Raises:
        ValueError: anything else is wrong with its chunks, much of which Pillow passes over.
    """
    kept, name, rows = [_PNG], b'', b''
    at = len(_PNG)
    while name != b'IEND':
        length, name = struct.unpack_from('>I4s', data, at) if at + 8 <= len(data) else (0, b'')
        chunk = data[at:at + length + 12]
        if len(chunk) != length + 12 or not name:
            raise ValueError('the PNG is truncated')
        intact = zlib.crc32(chunk[4:-4]) == struct.unpack('>I', chunk[-4:])[0]
        if name not in _CRITICAL and not name[0] & 32:
            raise ValueError(f'the PNG has an unknown part {name!r}')
        if name in _CRITICAL and not intact:
            raise ValueError(f'the checksum of its part {name.decode()} is wrong')
        kept += [chunk] * intact
        rows += chunk[8:-4] if name == b'IDAT' else b''
        at += len(chunk)
    width, height, depth, color, _, _, interlaced = struct.unpack_from('>IIBBBBB', kept[1], 8)
    bits = depth * _CHANNELS.get(color, 1)
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _PASSES] if interlaced else \
        [(width, height)]
    expected = sum((1 + (columns * bits + 7) // 8) * lines for columns, lines in sizes if columns > 0 and lines > 0)
    if _unpacked_size(rows) < expected:
        raise ValueError('rows of the PNG are missing')
    return b''.join(kept)


def _unpacked_size(data: bytes) -> int:
    unpacker, size = zlib.decompressobj(), 0
    while data and not unpacker.eof:
        size += len(unpacker.decompress(data, 1 << 20))
        data = unpacker.unconsumed_tail
    return size


def _no_picture(data: bytes) -> str:
    """Say what the bytes are that Pillow does not recognize."""
    kind = next((text for start, text in _BYTES.items() if data.lstrip().startswith(start)), '')
    if data.startswith(b'\xff\xd8'):
        return f'a JPEG of {len(data)} bytes with a broken header'
    if not kind and 0 < len(data) < 1000 and data.isascii() and data.decode().isprintable():
        kind = f'the text {data[:60].decode()!r}'
    return f'{len(data)} bytes that are no picture' + (f' but {kind}' if kind else '')
