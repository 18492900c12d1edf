"""Anchor generators: the boxes that predictions are relative to, on a grid over the image.

NumPy only, since the sizes of feature maps are known when a graph is traced. The arithmetic is float32 in the order of
the reference, so that anchors are equal to the last bit.
"""
import abc
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

Size = Sequence[float]  # height and width, or y and x


def tile(grid_size: tuple[int, int], scales: Sequence[float], aspect_ratios: Sequence[float], base_size: Size,
         stride: Size, offset: Size) -> np.ndarray:
    """Repeat K anchors at every location of a grid.

    Args:
        grid_size: (rows, columns).
        scales, aspect_ratios: K numbers each. Anchor k has height base_size[0] * scale / sqrt(ratio) and width
            base_size[1] * scale * sqrt(ratio); a ratio is width over height.
        base_size, stride, offset: (y, x) each, in one unit. The first location is centered at `offset`.
    Returns:
        float32 [rows * columns * K, 4], ordered by row, column and anchor, in the unit of the last three arguments.
    """
    factors, roots = np.asarray(scales, np.float32), np.sqrt(np.asarray(aspect_ratios, np.float32))
    base, step, first = (np.asarray(v, np.float32) for v in (base_size, stride, offset))
    sizes = np.stack([factors / roots * base[0], factors * roots * base[1]], -1)
    y, x = (np.arange(n, dtype=np.float32) * step[i] + first[i] for i, n in enumerate(grid_size))
    centers = np.stack(np.meshgrid(y, x, indexing='ij'), -1)[:, :, np.newaxis]
    half = np.float32(.5) * sizes
    return np.concatenate([centers - half, centers + half], -1).reshape(-1, 4)


class AnchorGenerator(abc.ABC):
    """The anchors of all feature maps of a detector.

    Attributes:
        per_location: for each feature map, the number of anchors at each location.
        grid_sizes: (height, width) of the feature maps of the last call of `generate`.
    """
    per_location: list[int]
    grid_sizes: tuple[tuple[int, int], ...] = ()
    _normalize = False

    def generate(self, feature_map_sizes: Sequence[tuple[int, int]], image_size: tuple[int, int] | None) -> np.ndarray:
        """Generate the anchors of an image.

        Args:
            feature_map_sizes: (height, width) of each feature map.
            image_size: (height, width) in pixels. None only for generators that work in pixels.
        Returns:
            float32 [A, 4], ordered by feature map, row, column, and anchor of the location, in pixels or as fractions
            of the image, as the class says.
        """
        if len(feature_map_sizes) != len(self.per_location):
            raise ValueError(f'{len(feature_map_sizes)} feature maps came, the anchors are for '
                             f'{len(self.per_location)}')
        self.grid_sizes = tuple(feature_map_sizes)
        anchors = np.concatenate(self._grids(feature_map_sizes, image_size))
        if not self._normalize:
            return anchors
        scale = np.float32(1) / np.asarray(image_size, np.float32)
        return anchors * np.concatenate([scale, scale])

    @abc.abstractmethod
    def _grids(self, feature_map_sizes, image_size) -> list[np.ndarray]:
        """Return the anchors of each feature map, float32 [A_i, 4]."""


class MultiscaleGrid(AnchorGenerator):
    """Anchors of RetinaNet and EfficientDet (Lin et al. 2017). Level l has stride 2 ** l and anchors of size
    anchor_scale * 2 ** l, times each of the scales 2 ** (i / scales_per_octave), in all aspect ratios.

    The first location is centered at half a stride. Along a side of the image that the stride does not divide it is
    centered at 0, as in the reference. Without image_size (only if not normalized) all are at half a stride.

    Args:
        min_level, max_level: levels of the feature maps.
        anchor_scale: size of an anchor in strides.
        aspect_ratios: width / height.
        normalize: return fractions of the image instead of pixels.
    """

    def __init__(self, min_level: int = 3, max_level: int = 7, anchor_scale: float = 4.,
                 aspect_ratios: Sequence[float] = (1., 2., .5), scales_per_octave: int = 2,
                 normalize: bool = True) -> None:
        octave = [2 ** (i / scales_per_octave) for i in range(scales_per_octave)]
        self._levels = range(min_level, max_level + 1)
        self._anchor_scale, self._normalize = anchor_scale, normalize
        self._scales = [scale for _ in aspect_ratios for scale in octave]
        self._aspect_ratios = [ratio for ratio in aspect_ratios for _ in octave]
        self.per_location = [len(self._scales)] * len(self._levels)

    def _grids(self, feature_map_sizes, image_size):
        grids = []
        for level, grid_size in zip(self._levels, feature_map_sizes):
            stride = 2 ** level
            offset = [stride / 2 if side % stride == 0 else 0. for side in image_size or (0, 0)]
            base = stride * self._anchor_scale
            grids.append(tile(grid_size, self._scales, self._aspect_ratios, (base, base), (stride, stride), offset))
        return grids


class SsdGrid(AnchorGenerator):
    """Anchors of SSD (Liu et al. 2016), as fractions of the image. Each feature map has one scale, evenly spaced from
    min_scale to max_scale, in all aspect ratios, and one anchor between this scale and the next.

    Args:
        scales: one per feature map, instead of min_scale and max_scale.
        interpolated_aspect_ratio: of the anchor between two scales; 0 for none.
        reduce_lowest: give the first feature map three anchors only: scale .1 with ratio 1, and its own scale with
            ratios 2 and 1/2.
        base_size: (height, width) that scales multiply, corrected so that a square anchor is square in the image.
        strides, offsets: (y, x) in pixels per feature map. By default cells divide the image evenly and anchors are
            centered in them.
    """

    def __init__(self, num_layers: int = 6, min_scale: float = .2, max_scale: float = .95,
                 scales: Sequence[float] = (), aspect_ratios: Sequence[float] = (1., 2., .5, 3., 1 / 3),
                 interpolated_aspect_ratio: float = 1., reduce_lowest: bool = True, base_size: Size = (1., 1.),
                 strides: Sequence[Size] | None = None, offsets: Sequence[Size] | None = None) -> None:
        scales = [*(scales or np.linspace(0, 1, num_layers) * (max_scale - min_scale) + min_scale), 1.]
        self._base_size, self._strides, self._offsets = base_size, strides, offsets
        self._anchors = []
        for layer, (scale, following) in enumerate(itertools.pairwise(scales)):
            if layer == 0 and reduce_lowest:
                self._anchors.append(([.1, scale, scale], [1., 2., .5]))
                continue
            sizes, ratios = [scale] * len(aspect_ratios), list(aspect_ratios)
            if interpolated_aspect_ratio > 0:
                sizes, ratios = [*sizes, math.sqrt(scale * following)], [*ratios, interpolated_aspect_ratio]
            self._anchors.append((sizes, ratios))
        self.per_location = [len(sizes) for sizes, _ in self._anchors]

    def _grids(self, feature_map_sizes, image_size):
        image_size = np.asarray(image_size, np.float32)
        base_size = image_size.min() / image_size * np.asarray(self._base_size, np.float32)
        grids = []
        for i, ((scales, ratios), grid_size) in enumerate(zip(self._anchors, feature_map_sizes)):
            stride = (np.asarray(self._strides[i], np.float32) / image_size if self._strides
                      else np.float32(1) / np.asarray(grid_size, np.float32))
            offset = (np.asarray(self._offsets[i], np.float32) / image_size if self._offsets
                      else np.float32(.5) * stride)
            grids.append(tile(grid_size, scales, ratios, base_size, stride, offset))
        return grids


class Grid(AnchorGenerator):
    """Anchors of Faster R-CNN (Ren et al. 2015) on one feature map, in pixels: every scale in every aspect ratio.

    Args:
        scales: factors of base_size.
        aspect_ratios: width / height.
        base_size, stride, offset: (y, x) in pixels.
    """

    def __init__(self, scales: Sequence[float] = (.5, 1., 2.), aspect_ratios: Sequence[float] = (.5, 1., 2.),
                 base_size: Size = (256, 256), stride: Size = (16, 16), offset: Size = (0, 0)) -> None:
        self._scales = [scale for _ in aspect_ratios for scale in scales]
        self._aspect_ratios = [ratio for ratio in aspect_ratios for _ in scales]
        self._base_size, self._stride, self._offset = base_size, stride, offset
        self.per_location = [len(self._scales)]

    def _grids(self, feature_map_sizes, image_size):
        return [tile(feature_map_sizes[0], self._scales, self._aspect_ratios, self._base_size, self._stride,
                     self._offset)]


class FlexibleGrid(AnchorGenerator):
    """Anchors given one by one.

    Args:
        base_sizes: for each feature map, the sizes of its anchors in pixels.
        aspect_ratios: for each feature map, the aspect ratios of these anchors.
        strides, offsets: for each feature map, (y, x) in pixels.
        normalize: return fractions of the image instead of pixels.
    """

    def __init__(self, base_sizes: Sequence[Sequence[float]], aspect_ratios: Sequence[Sequence[float]],
                 strides: Iterable[Size], offsets: Iterable[Size], normalize: bool = True) -> None:
        self._anchors, self._normalize = list(zip(base_sizes, aspect_ratios, strides, offsets)), normalize
        self.per_location = [len(sizes) for sizes in base_sizes]

    def _grids(self, feature_map_sizes, image_size):
        return [tile(grid_size, sizes, ratios, (1, 1), stride, offset)
                for grid_size, (sizes, ratios, stride, offset) in zip(feature_map_sizes, self._anchors)]
