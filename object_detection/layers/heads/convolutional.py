"""Convolutional heads: what they share, SSD's box predictor, and the heads of RPN and CenterNet."""
from collections.abc import Callable, Collection

import tensorflow as tf

from object_detection.layers import core, initializers
from object_detection.layers.hyperparams import Hyperparams

BOXES, CLASSES = 'box_encodings', 'class_predictions_with_background'
_LAYERS = {BOXES: '_box_encoder_layers', CLASSES: '_class_predictor_layers'}


class Head(core.Layer):
    """The last layers of a prediction, tracked under the reference's name.

    Args:
        kind: BOXES or CLASSES.
        steps: as for core.Sequence.
    """

    def __init__(self, kind: str, steps: Collection[Callable | None]) -> None:
        super().__init__()
        self._layers = _LAYERS[kind]
        setattr(self, self._layers, core.Sequence(steps))

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Feature map [B, h, w, C] or vectors [R, C] -> the same with the channels of the last layer."""
        return getattr(self, self._layers)(x, training)


def flatten_and_concat(maps: list[tf.Tensor], size: int, clip: tuple[float, float] | None = None) -> tf.Tensor:
    """Maps [B, h_i, w_i, anchors_i * size] -> [B, A, size], with A anchors in all.

    Args:
        clip: (min, max) to clip the values to.
    """
    flat = [tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3] // size, size] if None not in x.shape[1:] else
                       [tf.shape(x)[0], -1, size]) for x in maps]
    flat = tf.concat(flat, 1)
    return flat if clip is None else tf.clip_by_value(flat, *clip)


class ConvolutionalBoxPredictor(core.Layer):
    """Box predictor with separate convolutions for each feature map (SSD, Liu et al. 2016).

    For each map: optional 1 x 1 convolutions, then one convolution for boxes and one for classes.

    Args:
        in_channels: channels of each feature map.
        num_class_slots: scores per anchor: the classes, plus 1 if the background has a score.
        anchors_per_location: anchors per location of each map.
        hyperparams: settings of all convolutions.
        kernel_size: of the last convolutions.
        num_layers_before_predictor, min_depth, max_depth: number of 1 x 1 convolutions, and limits of their channels,
            which are those of the map otherwise. There are none if max_depth is 0.
        use_depthwise: replace the last convolutions by a depthwise one, BatchNorm, activation and a 1 x 1 one.
        class_prediction_bias_init: initial class bias (a logit); not used with use_depthwise.
        dropout_rate: before the class convolution.
        box_encodings_clip_range: (min, max) to clip box encodings to, or None.
    """

    def __init__(self, in_channels: list[int], num_class_slots: int, anchors_per_location: list[int],
                 hyperparams: Hyperparams, kernel_size: int = 1, num_layers_before_predictor: int = 0,
                 min_depth: int = 0, max_depth: int = 0, use_depthwise: bool = False,
                 class_prediction_bias_init: float = 0., dropout_rate: float = 0.,
                 box_encodings_clip_range: tuple[float, float] | None = None) -> None:
        super().__init__()
        self._slots, self._clip = num_class_slots, box_encodings_clip_range

        def head(kind, channels, filters, bias):
            steps = [core.Dropout(dropout_rate)] if dropout_rate and kind == CLASSES else []
            if use_depthwise:
                steps += [hyperparams.depthwise(channels, kernel_size, plain=True), hyperparams.norm(channels),
                          hyperparams.activation, hyperparams.conv(channels, filters, 1, use_bias=True)]
            else:
                steps += [hyperparams.conv(channels, filters, kernel_size, use_bias=True,
                                           bias_initializer=initializers.constant(bias))]
            return Head(kind, steps)

        self._shared_nets: list[core.Sequence] = []
        self._prediction_heads: dict[str, list[Head]] = {BOXES: [], CLASSES: []}
        for channels, anchors in zip(in_channels, anchors_per_location):
            steps, depth = [], max(min(channels, max_depth), min_depth)
            for _ in range(num_layers_before_predictor if depth else 0):
                steps += [hyperparams.conv(channels, depth, 1), hyperparams.norm(depth), hyperparams.activation]
                channels = depth
            self._shared_nets.append(core.Sequence(steps))
            self._prediction_heads[BOXES].append(head(BOXES, channels, anchors * 4, 0.))
            self._prediction_heads[CLASSES].append(
                head(CLASSES, channels, anchors * num_class_slots, class_prediction_bias_init))

    @tf.autograph.experimental.do_not_convert
    def __call__(self, maps: list[tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Predict boxes and classes of A anchors, which are ordered by map, row, column, and anchor of the location.

        Args:
            maps: [B, h_i, w_i, in_channels[i]].
        Returns:
            box_encodings: [B, A, 4].
            class_predictions_with_background: logits [B, A, num_class_slots].
        """
        maps = [net(x, training) for net, x in zip(self._shared_nets, maps)]
        boxes, classes = ([head(x, training) for head, x in zip(self._prediction_heads[kind], maps)]
                          for kind in (BOXES, CLASSES))
        return {BOXES: flatten_and_concat(boxes, 4, self._clip), CLASSES: flatten_and_concat(classes, self._slots)}


class RPNFeatures(core.Network):
    """The region proposal network's own layers (Ren et al. 2015), the same for all feature maps: a convolution, its
    normalization if `hyperparams` have one, and ReLU6. A ConvolutionalBoxPredictor follows.

    Args:
        in_channels: channels of the feature maps.
        hyperparams: settings of the convolution.
        depth, kernel_size, dilation: of the convolution.
    """

    def __init__(self, in_channels: int, hyperparams: Hyperparams, depth: int = 512, kernel_size: int = 3,
                 dilation: int = 1) -> None:
        super().__init__()
        convolution = self.add(hyperparams.conv(in_channels, depth, kernel_size, dilation=dilation))
        norm = hyperparams.norm(depth)
        self._parts = core.Untracked(layers=core.Sequence([convolution, norm and self.add(norm), tf.nn.relu6]))

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, h, w, in_channels] -> [B, h, w, depth]."""
        return self._parts.layers(x, training)


class CenterNetHead(core.Network):
    """CenterNet's head (https://arxiv.org/abs/1904.07850): convolutions with activation, then a 1 x 1 convolution.

    Args:
        filters, kernel_sizes: one entry for each convolution before the last.
        bias: initial bias of the last convolution (a logit, for heatmaps).
        use_depthwise: make the convolutions before the last separable.
    """

    def __init__(self, in_channels: int, out_channels: int, filters: tuple[int, ...] = (256,),
                 kernel_sizes: tuple[int, ...] = (3,), bias: float = 0., use_depthwise: bool = False) -> None:
        super().__init__()
        make: Callable = core.SeparableConv2D if use_depthwise else core.Conv2D
        steps: list[Callable] = []
        for count, kernel_size in zip(filters, kernel_sizes):
            steps += [self.add(make(in_channels, count, kernel_size)), tf.nn.relu]
            in_channels = count
        last = core.Conv2D(in_channels, out_channels, 1, bias_initializer=initializers.constant(bias))
        self._parts = core.Untracked(layers=core.Sequence([*steps, self.add(last)]))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, h, w, in_channels] -> float32 [B, h, w, out_channels]."""
        return core.cast(self._parts.layers(x), tf.float32)
