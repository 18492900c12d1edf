"""Instance masks: outlines or runs of pixels, turned upright, in any size, as PNG."""
import dataclasses
import hashlib
import io

import numpy as np
from PIL import Image

from object_detection.utils.limits import MOST_PIXELS_OPENED

# EXIF orientation -> what turns the stored picture upright.
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_90}


@dataclasses.dataclass(frozen=True, slots=True)
class Runs:
    """A run-length encoded mask: numbers of pixels outside and inside the object, in turn.

    counts: int64 [n]. window: (left, top, width, height) of the pixels that they go through, by columns or by rows.
    """
    counts: np.ndarray
    window: tuple[int, int, int, int]
    by_columns: bool

    def __post_init__(self) -> None:
        """Raise a ValueError unless the counts fill the window."""
        _, _, width, height = self.window
        if not 0 < width * height <= MOST_PIXELS_OPENED or not len(self.counts) or self.counts.min() < 0 \
                or self.counts.max() > MOST_PIXELS_OPENED or self.counts.sum() != width * height:
            raise ValueError(f'runs that do not fill {width}x{height}')

    def pixels(self) -> np.ndarray:
        """Return the window, bool [height, width], true where the object is."""
        _, _, width, height = self.window
        inside = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        return inside.reshape(width, height).T if self.by_columns else inside.reshape(height, width)

    def bounds(self) -> tuple[float, float, float, float]:
        """Return (xmin, ymin, xmax, ymax) of the object in pixels; without area if it is empty."""
        pixels = self.pixels()
        xs, ys = (np.flatnonzero(pixels.any(axis=axis)) for axis in (0, 1))
        if not len(xs):
            return 0.0, 0.0, 0.0, 0.0
        left, top = self.window[:2]
        return float(left + xs[0]), float(top + ys[0]), float(left + xs[-1] + 1), float(top + ys[-1] + 1)


def encoded(pixels: np.ndarray) -> Runs:
    """Return the Runs of a mask, bool [height, width]."""
    flat = np.concatenate([[False], pixels.T.ravel()])  # the first run is one of pixels outside
    ends = np.flatnonzero(np.diff(flat))
    counts = np.diff([0, *ends, flat.size - 1])
    return Runs(counts.astype(np.int64), (0, 0, pixels.shape[1], pixels.shape[0]), by_columns=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Crop:
    """A window (left, top, width, height) of a picture of `size` (width, height), in pixels."""
    window: tuple[int, int, int, int]
    size: tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Mask:
    """The mask of one object.

    polygons: outlines [x, y, x, y, ...] in the upright picture, normalized to 0..1; the object is their union. Or runs:
    in a picture of `size` (width, height), which the EXIF orientation `turned` turns upright.
    """
    polygons: tuple[np.ndarray, ...] = ()
    runs: Runs | None = None
    size: tuple[int, int] = (1, 1)
    turned: int = 1
    crop: Crop | None = None

    def pixels(self, width: int, height: int) -> np.ndarray:
        """Return the mask in the upright picture resized to width x height, bool [height, width].

        With a crop it is the mask in that window, resized.
        """
        if self.crop:
            left, top, *size = self.crop.window
            whole = dataclasses.replace(self, crop=None).pixels(*self.crop.size)
            part = np.ascontiguousarray(whole[top:top + size[1], left:left + size[0]], np.uint8) * 255
            return _resize(Image.fromarray(part), (width, height))
        if self.runs:
            return self._resized(width, height)
        from faster_coco_eval.core import mask as coco_mask  # COCO's own way to fill an outline
        outlines = [(polygon.reshape(-1, 2) * (width, height)).ravel().tolist() for polygon in self.polygons]
        return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outlines, height, width))).astype(bool)

    def _resized(self, width, height):
        assert self.runs
        left, top, *_ = self.runs.window
        canvas = Image.new('L', self.size)
        canvas.paste(Image.fromarray(self.runs.pixels().astype(np.uint8) * 255), (left, top))
        if self.turned in TURNS:
            canvas = canvas.transpose(TURNS[self.turned])
        return _resize(canvas, (width, height))

    def digest(self) -> str:
        """Return a hash of what the mask depends on."""
        total = hashlib.sha256(repr((self.size, self.turned, self.runs and self.runs.window,
                                     *([self.crop] if self.crop else ()))).encode())
        for values in (*self.polygons, *([self.runs.counts] if self.runs else [])):
            total.update(values.tobytes() + b'|')
        return total.hexdigest()


def _resize(mask, size):
    """Resize a gray picture to (width, height) and return where it is more than half white."""
    return np.asarray(mask if mask.size == size else mask.resize(size, Image.Resampling.BILINEAR)) > 127


def png(pixels: np.ndarray) -> bytes:
    """Return a mask, bool [height, width], as a PNG with 1 where the object is."""
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, 'PNG')
    return stream.getvalue()
