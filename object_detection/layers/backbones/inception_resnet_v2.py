"""Inception ResNet V2 (Szegedy et al. 2016, https://arxiv.org/abs/1602.07261), cut in two for a two-stage detector.

The first half, up to the last block of stride 16, runs on the image, the second half on each region.
"""

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.hyperparams import Hyperparams

MIDDLE_CHANNELS, TOP_CHANNELS = 1088, 1536


def default_hyperparams(freeze_batchnorm: bool = False) -> Hyperparams:
    """Return the settings that the reference's Faster R-CNN builds the network with."""
    return Hyperparams(activation=tf.nn.relu, batch_norm={
        'momentum': .9997, 'epsilon': 1e-3, 'scale': False, 'frozen': freeze_batchnorm})


class InceptionResNetV2(core.Network):
    """The layers up to block17_20: stride 16, MIDDLE_CHANNELS channels. Every layer pads with 'SAME', as the reference
    does for detection (align_feature_maps)."""

    def __init__(self, hyperparams: Hyperparams) -> None:
        super().__init__()
        stem = _branches(self, hyperparams, 3, [
            [(32, 3, 2), (32, 3), (64, 3), core.max_pool, (80, 1), (192, 3), core.max_pool]])
        mixed_5b = _branches(self, hyperparams, 192, [
            [(96, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)], [_average_pool, (64, 1)]])
        block35 = [_Residual(self, hyperparams, 320, .17, [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]])
                   for _ in range(10)]
        mixed_6a = _branches(self, hyperparams, 320, [
            [(384, 3, 2)], [(256, 1), (256, 3), (384, 3, 2)], [core.max_pool]])
        block17 = [_Residual(self, hyperparams, MIDDLE_CHANNELS, .1, [
            [(192, 1)], [(128, 1), (160, (1, 7)), (192, (7, 1))]]) for _ in range(20)]
        self._parts = core.Untracked(blocks=[stem, mixed_5b, *block35, mixed_6a, *block17])

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Normalized images [B, H, W, 3] -> [B, H / 16, W / 16, 1088]."""
        return _run(self._parts.blocks, images, training)


class InceptionResNetV2Top(core.Network):
    """The layers after block17_20 up to conv_7b: stride 2, TOP_CHANNELS channels."""

    def __init__(self, hyperparams: Hyperparams) -> None:
        super().__init__()
        mixed_7a = _branches(self, hyperparams, MIDDLE_CHANNELS, [
            [(256, 1), (384, 3, 2)], [(256, 1), (288, 3, 2)], [(256, 1), (288, 3), (320, 3, 2)], [core.max_pool]])
        block8 = [_Residual(self, hyperparams, 2080, scale, [
            [(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]], activation)
            for scale, activation in [(.2, hyperparams.activation)] * 9 + [(1., None)]]
        conv_7b = _branches(self, hyperparams, 2080, [[(TOP_CHANNELS, 1)]])
        self._parts = core.Untracked(blocks=[mixed_7a, *block8, conv_7b])

    def __call__(self, regions: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, h, w, 1088] -> [B, h / 2, w / 2, 1536]."""
        return _run(self._parts.blocks, regions, training)


def _run(blocks, x, training):
    for block in blocks:
        x = block(x, training)
    return x


def _average_pool(x):
    return tf.nn.avg_pool2d(x, 3, 1, 'SAME')


def _branches(network, hyperparams, channels, branches):
    """Build parallel branches and add their layers to the network.

    Layers are numbered as Keras numbers those of a functional model: by distance from the end, furthest first, and at
    equal distance the convolutions of all branches before their normalizations.

    Args:
        channels: of the input.
        branches: lists of (filters, kernel size[, stride]) for convolutions, and of functions.
    """
    longest = max(map(len, branches))
    aligned = [[None] * (longest - len(branch)) + list(branch) for branch in branches]
    steps, widths = [[] for _ in branches], [channels] * len(branches)
    for column in zip(*aligned):
        convolutions = {}
        for i, item in enumerate(column):
            if isinstance(item, tuple):
                filters, size, *stride = item
                convolutions[i] = network.add(hyperparams.conv(widths[i], filters, size, strides=(*stride, 1)[0]))
                widths[i] = filters
            elif item is not None:
                steps[i].append(item)
        for i, convolution in convolutions.items():
            steps[i] += [convolution, network.add(hyperparams.norm(widths[i])), hyperparams.activation]
    return _Branches([core.Sequence(branch) for branch in steps])


class _Branches:
    """Sequences in parallel, their outputs concatenated. The network tracks their layers."""

    def __init__(self, sequences):
        self._sequences = sequences

    def __call__(self, x, training):
        maps = [sequence(x, training) for sequence in self._sequences]
        return maps[0] if len(maps) == 1 else tf.concat(maps, -1)


class _Residual:
    """activation(x + scale * projection of the branches' outputs). The network tracks the layers."""

    def __init__(self, network, hyperparams, channels, scale, branches, activation=tf.nn.relu):
        self._branches = _branches(network, hyperparams, channels, branches)
        joined = sum(branch[-1][0] for branch in branches)
        self._up = network.add(hyperparams.conv(joined, channels, 1, use_bias=True))
        self._scale, self._activation = scale, activation

    def __call__(self, x, training):
        x = x + self._up(self._branches(x, training)) * self._scale
        return self._activation(x) if self._activation else x
