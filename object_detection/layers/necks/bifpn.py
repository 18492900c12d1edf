"""Bidirectional feature pyramid (EfficientDet, Tan et al. 2020, https://arxiv.org/abs/1911.09070)."""
import tensorflow as tf

from object_detection.layers import core
from object_detection.utils.errors import UserError

# Functions of the raw weights [nodes, inputs, 1]. The softmax of the reference runs over the last axis, which makes
# every weight 1; checkpoints trained with it expect that.
WEIGHTINGS = {
    'fast_attention': lambda raw: tf.nn.relu(raw) / (tf.reduce_sum(tf.nn.relu(raw), 1, keepdims=True) + 1e-4),
    'attention': tf.nn.softmax,
    'weighted_sum': tf.identity,
    'sum': None,
}


class BiFPN(core.Layer):
    """Levels min_level to max_level, mixed top-down and bottom-up, several times.

    Every map that enters from the backbone has a 1 x 1 convolution and BatchNorm of its own for each use; levels that
    the backbone lacks come from the level below by max-pooling 3 x 3, stride 2. A node combines its inputs, then
    applies activation, separable 3 x 3 convolution and BatchNorm, in this order.

    Args:
        in_channels: channels of the backbone's maps at min_level, min_level + 1, ...
        hyperparams: Hyperparams of all convolutions.
        combine_method: a key of WEIGHTINGS.
    """

    def __init__(self, in_channels, filters, iterations, min_level, max_level, hyperparams,
                 combine_method='fast_attention'):
        super().__init__()
        if combine_method not in WEIGHTINGS:
            raise UserError(f'bifpn combine_method is "{combine_method}"; allowed: {", ".join(WEIGHTINGS)}')
        self._weighting = WEIGHTINGS[combine_method]
        nodes, self._outputs = _plan(min_level, min_level + len(in_channels) - 1, max_level, iterations)
        levels = [*range(min_level, min_level + len(in_channels)), *(level for level, _ in nodes)]
        self.node_input_blocks, self.node_combine_op, self.node_post_combine_block = [], [], []
        for level, inputs in nodes:
            blocks = []
            for index in inputs:
                steps = []
                if index < len(in_channels):
                    steps = [hyperparams.conv(in_channels[index], filters, 1), hyperparams.norm(filters)]
                if levels[index] != level:
                    steps.append(_max_pool if levels[index] < level else core.upsample)
                blocks.append((index, core.Sequence(steps)))
            combines = len(inputs) > 1
            self.node_input_blocks.append(blocks)
            self.node_combine_op.append(_CombineWeights(len(inputs)) if combines and self._weighting else None)
            self.node_post_combine_block.append(core.Sequence(
                [hyperparams.activation, hyperparams.separable(filters, filters, 3), hyperparams.norm(filters)]
                if combines else []))

    def __call__(self, maps, training=False):
        """Maps of the backbone, finest first -> list of [B, h, w, filters], levels min_level to max_level."""
        maps = list(maps)
        scales = self._scales(maps[0].dtype) if self._weighting else [None] * len(self.node_combine_op)
        for blocks, scale, post in zip(self.node_input_blocks, scales, self.node_post_combine_block):
            inputs = [block(maps[index], training) for index, block in blocks]
            maps.append(post(_combine(inputs, scale), training))
        return [maps[index] for index in self._outputs]

    def _scales(self, dtype):
        """Per node None or a list of scalars, one for each input. Nodes of a kind are weighted in one go: few ops."""
        scales = [None] * len(self.node_combine_op)
        for count in (2, 3):
            nodes = [i for i, op in enumerate(self.node_combine_op) if op is not None and op.count == count]
            raw = tf.stack([self.node_combine_op[i].bifpn_combine_weights for i in nodes])
            scalars = tf.unstack(tf.reshape(tf.cast(self._weighting(raw), dtype), [-1]))
            for place, i in enumerate(nodes):
                scales[i] = scalars[place * count:(place + 1) * count]
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


def _max_pool(x):
    return tf.nn.max_pool2d(x, 3, 2, 'SAME')


def _plan(min_level, backbone_max_level, max_level, iterations):
    """The nodes, [(level, indices of the input maps)], and the indices of the outputs, min_level first.

    Maps are counted through: those of the backbone, then one for each node.
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
