"""What pictures look like: 64 bits (a perceptual hash) to find what may be a copy, 16x16 colours to make sure."""
import numpy as np

from object_detection.preparation.reading import CELLS

LOW = 8
THUMBNAIL_BYTES = CELLS * CELLS * 3
FLATTEST = 4.0  # grey levels of deviation; below, all bits are noise (a wall, a blank page)
GREY = np.array([0.299, 0.587, 0.114])
# [LOW, CELLS]: the lowest frequencies of the discrete cosine transform.
_DCT = np.cos(np.pi / CELLS * (np.arange(CELLS) + 0.5) * np.arange(LOW)[:, None])


def hashes(thumbnails):
    """Hashes of thumbnails (bytes, 16x16 RGB): ints of 64 bits, signed; None for a picture too flat to tell.

    The hash is pHash (Zauner 2010): which of the 8x8 lowest DCT coefficients of the grey picture are above their
    median. Resizing and recompressing change few of them.
    """
    grey = np.frombuffer(b''.join(thumbnails), np.uint8).reshape(-1, CELLS, CELLS, 3) @ GREY
    low = (_DCT @ grey @ _DCT.T).reshape(len(grey), LOW * LOW)
    median = np.median(low[:, 1:], axis=1, keepdims=True)  # without the mean brightness, far from the others
    bits = np.packbits(low > median, axis=1).view('>i8')[:, 0]
    return [value if deviation >= FLATTEST else None
            for value, deviation in zip(bits.tolist(), grey.std(axis=(1, 2)).tolist())]
