"""Bidirectional feature pyramid (EfficientDet, Tan et al. 2020, https://arxiv.org/abs/1911.09070)."""
from collections.abc import Callable

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.hyperparams import Hyperparams

# {combine_method: function of the raw weights [nodes, inputs, 1]}. As in the reference, the softmax of 'attention' runs
# over the last axis, which makes every weight 1; checkpoints trained with it depend on that.
WEIGHTINGS = {
    'fast_attention': lambda raw: tf.nn.relu(raw) / (tf.reduce_sum(tf.nn.relu(raw), 1, keepdims=True) + 1e-4),
    'attention': tf.nn.softmax,
    'weighted_sum': tf.identity,
    'sum': None,
}


class BiFPN(core.Layer):
    """Levels min_level to max_level, fused top-down and then bottom-up, several times.

    Each use of a backbone map has its own 1 x 1 convolution and BatchNorm. Levels that the backbone lacks are the level
    below after 3 x 3 max pooling with stride 2. A node combines its inputs and then applies activation, separable 3 x 3
    convolution and BatchNorm, in this order.

    Args:
        in_channels: channels of the backbone's maps at min_level, min_level + 1, ...
        filters: channels of all outputs.
        iterations: how often to go top-down and bottom-up.
        hyperparams: settings of all convolutions.
        combine_method: a key of WEIGHTINGS.
    """

    def __init__(self, in_channels: list[int], filters: int, iterations: int, min_level: int, max_level: int,
                 hyperparams: Hyperparams, combine_method: str = 'fast_attention') -> None:
        super().__init__()
        self._weighting = WEIGHTINGS[combine_method]
        nodes, self._outputs = _plan(min_level, min_level + len(in_channels) - 1, max_level, iterations)
        levels = [*range(min_level, min_level + len(in_channels)), *(level for level, _ in nodes)]
        self.node_input_blocks, self.node_combine_op, self.node_post_combine_block = [], [], []
        for level, inputs in nodes:
            blocks = []
            for index in inputs:
                steps: list[Callable | None] = []
                if index < len(in_channels):
                    steps = [hyperparams.conv(in_channels[index], filters, 1), hyperparams.norm(filters)]
                if levels[index] != level:
                    steps.append(core.max_pool if levels[index] < level else core.upsample)
                blocks.append((index, core.Sequence(steps)))
            combines = len(inputs) > 1
            self.node_input_blocks.append(blocks)
            self.node_combine_op.append(_CombineWeights(len(inputs)) if combines and self._weighting else None)
            self.node_post_combine_block.append(core.Sequence(
                [hyperparams.activation, hyperparams.separable(filters, filters, 3), hyperparams.norm(filters)]
                if combines else []))

    def __call__(self, maps: list[tf.Tensor], training: bool = False) -> list[tf.Tensor]:
        """Backbone maps [B, h_i, w_i, in_channels[i]], finest first -> levels min_level to max_level, each
        [B, h, w, filters]."""
        maps = list(maps)
        scales = self._scales(maps[0].dtype) if self._weighting else [None] * len(self.node_combine_op)
        for blocks, scale, post in zip(self.node_input_blocks, scales, self.node_post_combine_block):
            inputs = [block(maps[index], training) for index, block in blocks]
            maps.append(post(_combine(inputs, scale), training))
        return [maps[index] for index in self._outputs]

    def _scales(self, dtype):
        """Return for each node the scalar weights of its inputs, or None. Nodes with equally many inputs are computed
        together, which saves ops."""
        scales = [None] * len(self.node_combine_op)
        for count in (2, 3):
            nodes = [i for i, op in enumerate(self.node_combine_op) if op is not None and op.count == count]
            raw = tf.stack([self.node_combine_op[i].bifpn_combine_weights for i in nodes])
            scalars = tf.unstack(tf.reshape(tf.cast(self._weighting(raw), dtype), [-1]))
            for position, i in enumerate(nodes):
                scales[i] = scalars[position * count:(position + 1) * count]
        return scales


class _CombineWeights(core.Layer):
    """Variable: bifpn_combine_weights [inputs, 1]."""

    def __init__(self, count):
        super().__init__()
        self.count = count
        self.bifpn_combine_weights = tf.Variable(tf.ones((count, 1)))


def _combine(inputs, scale):
    if len(inputs) == 1:
        return inputs[0]
    core.check_equal_sizes(inputs)
    return tf.add_n(inputs if scale is None else [s * x for s, x in zip(scale, inputs)])


def _plan(min_level, backbone_max_level, max_level, iterations):
    """Return the nodes, [(level, indices of the input maps)], and the indices of the outputs, min_level first.

    The index of a map counts the backbone's maps first, then the outputs of the nodes.
    """
    nodes = []
    first = backbone_max_level - min_level + 1

    def add(level, *inputs):
        nodes.append((level, inputs))
        return first + len(nodes) - 1

    up = {level: level - min_level for level in range(min_level, backbone_max_level + 1)}
    for level in range(backbone_max_level + 1, max_level + 1):
        up[level] = add(level, up[level - 1])
    for _ in range(iterations):
        down = {max_level: up[max_level]}
        for level in reversed(range(min_level, max_level)):
            down[level] = add(level, up[level], down[level + 1])
        newest = {min_level: down[min_level]}
        for level in range(min_level + 1, max_level):
            newest[level] = add(level, up[level], down[level], newest[level - 1])
        newest[max_level] = add(max_level, up[max_level], newest[max_level - 1])
        up = newest
    return nodes, [up[level] for level in range(min_level, max_level + 1)]
