"""Pictures of more than 8 bits a channel, brought to 8: which value becomes white is decided by each picture itself.

Cameras and scanners store 10, 12 or 14 bits in files of 16, and nothing in the file says so. White is therefore the
smallest of 1023, 4095, 16383 and 65535 that no pixel exceeds (255, too: 8 bits in a file of 16), or what the file names
(MaxSampleValue of a TIFF) or the user (--bits). From one to the next is a factor of four, so pictures of one camera
keep their relative brightness, except for very dark ones. A decision depends on no other picture: neither the order,
nor the workers, nor an earlier run matter. Each is noted, and report.html shows where they differ.
"""
import contextlib

import numpy as np
import pyvips
from PIL import Image

WHITES = (255, 1023, 4095, 16383, 65535)  # 8, 10, 12, 14 and 16 bits
MAX_SAMPLE_VALUE = 281  # tag of TIFF
NOTE = 'dynamic range: '  # how notes about it start
UPPER_BITS = f'{NOTE}colors of more than 8 bits, of which the upper 8 are used'
MODES = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}  # by the number of channels


def eight_bits(image: Image.Image, data: bytes, bits: int | None) -> tuple[Image.Image, str | None]:
    """Return an opened picture with at most 8 bits a channel, and a note on what was done, None for 8-bit pictures.

    data: the bytes of its file: Pillow reads colors of 16 bits as their upper 8. bits: used of 16; None: see above.
    """
    if image.mode in ('I', 'F'):
        return _from_numbers(np.asarray(image), image.mode)
    if image.mode.startswith('I;16'):
        return _from_integers(np.asarray(image)[..., None], image, bits)
    if image.format == 'JPEG2000' and _precision(data) > 8:
        return image, UPPER_BITS
    if image.format in ('PNG', 'TIFF') and any(';16' in str(tile[3]) for tile in image.tile):
        with contextlib.suppress(pyvips.Error):
            values = pyvips.Image.new_from_buffer(data, '').numpy()
            if values.dtype == np.uint16 and values.shape[:2] == image.size[::-1]:
                return _from_integers(values.reshape(*image.size[::-1], -1), image, bits)
        return image, UPPER_BITS
    return image, None


def _from_integers(values, image, bits):
    """Convert uint16 [H, W, C]; the last of 2 or of 4 channels is opacity, unless the picture is CMYK."""
    mode = 'CMYK' if image.mode == 'CMYK' else MODES[values.shape[2]]
    colors = values[..., :-1] if mode in ('LA', 'RGBA') else values
    named = image.tag_v2.get(MAX_SAMPLE_VALUE) if image.format == 'TIFF' else None
    white = 2 ** bits - 1 if bits else _white(int(colors.max()), named)
    pixels = _table(white)[colors]
    if colors is not values:
        opacity = values[..., -1:]
        pixels = np.concatenate([pixels, _table(_white(int(opacity.max()), None))[opacity]], -1)
    clipped = f'; brighter pixels, up to {colors.max()}, are white' if colors.max() > white else ''
    return (Image.frombytes(mode, image.size, pixels.tobytes()),
            f'{NOTE}{white.bit_length()} of 16 bits, 0 to {white} became 0 to 255{clipped}')


def _from_numbers(values, mode):
    """Convert integers of 32 bits or floats [H, W]; white is 1 or one of WHITES, else the largest value.

    Black is 0, or the smallest value if that is less; what is not finite is black.
    """
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, most = min(float(values.min()), 0.0), float(values.max())
    white = next((limit for limit in (1, *WHITES) if most <= limit), most)
    pixels = ((values - low) * (255.999 / max(white - low, 1e-9))).clip(0, 255).astype(np.uint8)
    kind = 'integers' if mode == 'I' else 'floats'
    return Image.fromarray(pixels), f'{NOTE}{kind}, {low:g} to {white:g} became 0 to 255'


def _precision(data):
    """Return the bits a channel of a JPEG 2000 file, from its SIZ marker; 0 if there is none."""
    place = data.find(b'\xff\x4f\xff\x51')
    return (data[place + 42] & 0x7f) + 1 if 0 <= place < len(data) - 42 else 0


def _white(most: int, named: int | tuple[int, ...] | None) -> int:
    """Return the value of white of a picture whose largest value is `most`. named: MaxSampleValue, if any."""
    named = max(named) if isinstance(named, tuple) else named
    if named and WHITES[0] <= named <= WHITES[-1] and most <= named:
        return int(named)
    return next(white for white in WHITES if most <= white)


def _table(white):
    """Return uint8 [65536]: what each value of 16 bits becomes."""
    return (np.arange(1 << 16) * (255.999 / white)).clip(0, 255).astype(np.uint8)
