"""Anchors: the grid of boxes that predictions are relative to. NumPy only, since the sizes are known when tracing.

A generator has `per_location`, the number of anchors at each cell of each feature map (a list), and
`generate(feature_map_sizes, image_size)`: float32 [A, 4] of ymin, xmin, ymax, xmax, ordered by feature map, row, column
and then anchor of the cell. Sizes are (height, width) in pixels. The arithmetic is float32 in the order of the
reference, so that anchors are equal to the last bit.
"""
import itertools
import math

import numpy as np


def tile(grid_size, scales, aspect_ratios, base_size, stride, offset):
    """The same anchors at every cell of a grid.

    Args:
        grid_size: (rows, columns).
        scales, aspect_ratios: K numbers each; anchor k has height scale / sqrt(ratio), width scale * sqrt(ratio),
            times base_size. A ratio is width over height.
        base_size, stride, offset: (y, x) each; the first cell's centre is at offset.
    Returns:
        float32 [rows * columns * K, 4], in the unit of base_size, stride and offset.
    """
    scales, roots = np.asarray(scales, np.float32), np.sqrt(np.asarray(aspect_ratios, np.float32))
    base_size, stride, offset = (np.asarray(v, np.float32) for v in (base_size, stride, offset))
    sizes = np.stack([scales / roots * base_size[0], scales * roots * base_size[1]], -1)
    y, x = (np.arange(n, dtype=np.float32) * stride[i] + offset[i] for i, n in enumerate(grid_size))
    centers = np.stack(np.meshgrid(y, x, indexing='ij'), -1)[:, :, np.newaxis]
    half = np.float32(.5) * sizes
    return np.concatenate([centers - half, centers + half], -1).reshape(-1, 4)


class MultiscaleGrid:
    """Anchors of RetinaNet and EfficientDet: level l has stride 2**l and anchors anchor_scale * 2**l large, in
    scales_per_octave sizes 2**(i / scales_per_octave) (Lin et al. 2017).

    Cells are centred half a stride in, but along a side of the image that the stride does not divide they begin at 0,
    as the reference has it. Without image_size (and then not normalized) all are centred.

    Args:
        normalize: coordinates are fractions of the image instead of pixels.
    """

    def __init__(self, min_level=3, max_level=7, anchor_scale=4., aspect_ratios=(1., 2., .5), scales_per_octave=2,
                 normalize=True):
        octave = [2 ** (i / scales_per_octave) for i in range(scales_per_octave)]
        self._levels = range(min_level, max_level + 1)
        self._anchor_scale, self._normalize = anchor_scale, normalize
        self._scales = [scale for _ in aspect_ratios for scale in octave]
        self._aspect_ratios = [ratio for ratio in aspect_ratios for _ in octave]
        self.per_location = [len(self._scales)] * len(self._levels)

    def generate(self, feature_map_sizes, image_size):
        _check_maps(feature_map_sizes, self.per_location)
        grids = []
        for level, grid_size in zip(self._levels, feature_map_sizes):
            stride = 2 ** level
            offset = [stride / 2 if side % stride == 0 else 0. for side in image_size or (0, 0)]
            base = stride * self._anchor_scale
            grids.append(tile(grid_size, self._scales, self._aspect_ratios, (base, base), (stride, stride), offset))
        anchors = np.concatenate(grids)
        return _normalized(anchors, image_size) if self._normalize else anchors


class SsdGrid:
    """Anchors of SSD (Liu et al. 2016): one scale per feature map, evenly spaced from min_scale to max_scale, in all
    aspect ratios, and one between this scale and the next. Coordinates are fractions of the image.

    Args:
        scales: given instead of min_scale and max_scale, one per feature map.
        interpolated_aspect_ratio: of the anchor between two scales; 0 for none.
        reduce_lowest: the first feature map has three anchors only: scale .1, and ratios 2 and 1/2.
        base_size: (height, width) that scales multiply; corrected so that a square anchor is square in the image.
        strides, offsets: (y, x) pixels per feature map; by default cells share the image evenly, centred.
    """

    def __init__(self, num_layers=6, min_scale=.2, max_scale=.95, scales=(), aspect_ratios=(1., 2., .5, 3., 1 / 3),
                 interpolated_aspect_ratio=1., reduce_lowest=True, base_size=(1., 1.), strides=None, offsets=None):
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

    def generate(self, feature_map_sizes, image_size):
        _check_maps(feature_map_sizes, self.per_location)
        image_size = np.asarray(image_size, np.float32)
        base_size = image_size.min() / image_size * np.asarray(self._base_size, np.float32)
        grids = []
        for i, ((scales, ratios), grid_size) in enumerate(zip(self._anchors, feature_map_sizes)):
            stride = (np.float32(self._strides[i]) / image_size if self._strides
                      else np.float32(1) / np.asarray(grid_size, np.float32))
            offset = np.float32(self._offsets[i]) / image_size if self._offsets else np.float32(.5) * stride
            grids.append(tile(grid_size, scales, ratios, base_size, stride, offset))
        return np.concatenate(grids)


class Grid:
    """Anchors of Faster R-CNN on one feature map, in pixels: every scale in every aspect ratio (Ren et al. 2015)."""

    def __init__(self, scales=(.5, 1., 2.), aspect_ratios=(.5, 1., 2.), base_size=(256, 256), stride=(16, 16),
                 offset=(0, 0)):
        self._scales = [scale for _ in aspect_ratios for scale in scales]
        self._aspect_ratios = [ratio for ratio in aspect_ratios for _ in scales]
        self._base_size, self._stride, self._offset = base_size, stride, offset
        self.per_location = [len(self._scales)]

    def generate(self, feature_map_sizes, image_size=None):
        _check_maps(feature_map_sizes, self.per_location)
        return tile(feature_map_sizes[0], self._scales, self._aspect_ratios, self._base_size, self._stride,
                    self._offset)


class FlexibleGrid:
    """Anchors given one by one. Per feature map: base sizes in pixels with their aspect ratios, stride and offset."""

    def __init__(self, base_sizes, aspect_ratios, strides, offsets, normalize=True):
        self._grids, self._normalize = list(zip(base_sizes, aspect_ratios, strides, offsets)), normalize
        self.per_location = [len(sizes) for sizes in base_sizes]

    def generate(self, feature_map_sizes, image_size):
        _check_maps(feature_map_sizes, self.per_location)
        anchors = np.concatenate([tile(grid_size, sizes, ratios, (1, 1), stride, offset) for
                                  grid_size, (sizes, ratios, stride, offset) in zip(feature_map_sizes, self._grids)])
        return _normalized(anchors, image_size) if self._normalize else anchors


def _normalized(anchors, image_size):
    scale = np.float32(1) / np.asarray(image_size, np.float32)
    return anchors * np.concatenate([scale, scale])


def _check_maps(feature_map_sizes, per_location):
    if len(feature_map_sizes) != len(per_location):
        raise ValueError(f'{len(feature_map_sizes)} feature maps came, the anchors are for {len(per_location)}')
