"""Box predictor with convolutions of its own for each feature map (SSD, Liu et al. 2016)."""
import tensorflow as tf

from object_detection.layers import core, initializers
from object_detection.layers.heads.common import BOXES, CLASSES, Head, flatten_and_concat


class ConvolutionalBoxPredictor(core.Layer):
    """For each feature map: optional 1 x 1 convolutions, then one convolution for boxes and one for classes.

    Args:
        in_channels: channels of each feature map.
        num_class_slots: scores per anchor: classes, and 1 for the background where there is one.
        anchors_per_location: anchors of a pixel, for each map.
        hyperparams: Hyperparams of all convolutions.
        kernel_size: of the last convolutions.
        num_layers_before_predictor, min_depth, max_depth: number of 1 x 1 convolutions and the limits of their
            channels, which are otherwise the map's; none where max_depth is 0.
        use_depthwise: the last convolutions are a depthwise one, BatchNorm, activation and a 1 x 1 one.
        class_prediction_bias_init: start value of the class biases (a logit); not used with use_depthwise.
        dropout_rate: before the class convolution.
        box_encodings_clip_range: (min, max) of box encodings, or None.
    """

    def __init__(self, in_channels, num_class_slots, anchors_per_location, hyperparams, kernel_size=1,
                 num_layers_before_predictor=0, min_depth=0, max_depth=0, use_depthwise=False,
                 class_prediction_bias_init=0., dropout_rate=0., box_encodings_clip_range=None):
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

        self._shared_nets, self._prediction_heads = [], {BOXES: [], CLASSES: []}
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
    def __call__(self, maps, training=False):
        """List of feature maps -> {'box_encodings': [B, anchors, 4], 'class_predictions_with_background': [B, anchors,
        num_class_slots]}; anchors run over maps, rows, columns, anchors of a pixel."""
        maps = [net(x, training) for net, x in zip(self._shared_nets, maps)]
        boxes, classes = ([head(x, training) for head, x in zip(self._prediction_heads[kind], maps)]
                          for kind in (BOXES, CLASSES))
        return {BOXES: flatten_and_concat(boxes, 4, self._clip), CLASSES: flatten_and_concat(classes, self._slots)}
