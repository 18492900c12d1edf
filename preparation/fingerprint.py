"""What a picture looks like: 64 bits (a perceptual hash) to find what may be a copy, 16x16 colours to make sure."""
import numpy as np
from PIL import Image

SIDE, LOW, CELLS = 32, 8, 16
THUMBNAIL_BYTES = CELLS * CELLS * 3
FLATTEST = 4.0  # grey levels of deviation; below, all bits are noise (a wall, a blank page)
# [LOW, SIDE]: the lowest frequencies of the discrete cosine transform.
_DCT = np.cos(np.pi / SIDE * (np.arange(SIDE) + 0.5) * np.arange(LOW)[:, None])


def fingerprint(image):
    """(hash, thumbnail) of an RGB picture: 64 bits as a signed integer, None if it is too flat; the colours as bytes.

    The hash is pHash (Zauner 2010): which of the 8x8 lowest DCT coefficients of the grey 32x32 picture are above their
    median. Resizing and recompressing change few of them.
    """
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    thumbnail = small.reduce(SIDE // CELLS).tobytes()
    grey = np.asarray(small.convert('L'), np.float64)
    if grey.std() < FLATTEST:
        return None, thumbnail
    low = (_DCT @ grey @ _DCT.T).ravel()
    bits = np.packbits(low > np.median(low[1:]))  # without the mean brightness, which is far from the others
    return int.from_bytes(bits.tobytes(), 'big', signed=True), thumbnail
