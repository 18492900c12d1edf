"""ResNet V2: residual blocks with pre-activation (He et al. 2016, https://arxiv.org/abs/1603.05027)."""
import functools

import tensorflow as tf

from object_detection.layers import core

# {depth: blocks of each of the four stages}. Blocks of 18 and 34 are two 3 x 3 convolutions, the others bottlenecks.
REPEATS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
EPSILON = 1.001e-5


class ResNetV2(core.Network):
    """Feature maps of the four stages, before normalization.

    A stage halves the size in its last block: the first three stages do with bottlenecks (strides 8, 16, 32, 32), the
    last three without (strides 4, 8, 16, 32). The normalization after the last stage belongs to the classifier: it is
    tracked, because classification checkpoints contain it, but not used.

    Args:
        depth: 18, 34, 50 or 101.
    Attributes:
        channels: list with the channels of each stage.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        make = _bottleneck if depth >= 50 else _basic
        stem = core.Sequence([functools.partial(core.pad_for_kernel, kernel_size=7),
                              self.add(core.Conv2D(3, 64, 7, strides=2, padding='VALID')), _pad,
                              lambda x: tf.nn.max_pool2d(x, 3, 2, 'VALID')])
        in_channels, stages, self.channels = 64, [], []
        for stage, repeats in enumerate(REPEATS[depth]):
            blocks = []
            for index in range(repeats):
                halves = index == repeats - 1 and stage in (range(3) if depth >= 50 else range(1, 4))
                block, in_channels = make(self.add, in_channels, 64 * 2 ** stage, 2 if halves else 1, index == 0)
                blocks.append(block)
            stages.append(blocks)
            self.channels.append(in_channels)
        self.add(core.BatchNorm(in_channels, epsilon=EPSILON))
        self._parts = core.Untracked(stem=stem, stages=stages)

    def __call__(self, images: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Normalized images [B, H, W, 3] -> list of the four stages' maps [B, H / stride, W / stride, channels[i]]."""
        x = self._parts.stem(images, training)
        maps = []
        for blocks in self._parts.stages:
            for block in blocks:
                x = block(x, training)
            maps.append(x)
        return maps


_pad = functools.partial(core.pad_for_kernel, kernel_size=3)


def _conv(add, in_channels, filters, strides=1):
    return [_pad, add(core.Conv2D(in_channels, filters, 3, strides, 'VALID', use_bias=False))]


def _norm(add, channels):
    return [add(core.BatchNorm(channels, epsilon=EPSILON)), tf.nn.relu]


def _bottleneck(add, in_channels, filters, strides, project):
    """Return (bottleneck block, its output channels). Layers are added in the order of the reference's checkpoints."""
    before = core.Sequence(_norm(add, in_channels))
    steps = [add(core.Conv2D(in_channels, filters, 1, use_bias=False)), *_norm(add, filters),
             *_conv(add, filters, filters, strides), *_norm(add, filters)]
    shortcut = add(core.Conv2D(in_channels, 4 * filters, 1)) if project else None
    residual = core.Sequence([*steps, add(core.Conv2D(filters, 4 * filters, 1))])
    return functools.partial(_block, before, residual, shortcut, strides), 4 * filters


def _basic(add, in_channels, filters, strides, project):
    """Return (block of two 3 x 3 convolutions, its output channels)."""
    before = core.Sequence(_norm(add, in_channels))
    residual = core.Sequence([*_conv(add, in_channels, filters), *_norm(add, filters),
                              *_conv(add, filters, filters, strides), *_norm(add, filters)])
    shortcut = add(core.Conv2D(in_channels, filters, 1)) if project else None
    return functools.partial(_block, before, residual, shortcut, strides), filters


def _block(before, residual, shortcut, strides, x, training):
    normalized = before(x, training)
    skipped = shortcut(normalized) if shortcut else x[:, ::strides, ::strides]
    return skipped + residual(normalized, training)
