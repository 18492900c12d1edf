"""Box predictor whose convolutions are shared by all levels (RetinaNet, Lin et al. 2017; EfficientDet)."""
import tensorflow as tf

from object_detection.layers import core, initializers
from object_detection.layers.heads.common import BOXES, CLASSES, Head, flatten_and_concat


class WeightSharedBoxPredictor(core.Layer):
    """A tower of convolutions for boxes and one for classes (or one for both), each with a last convolution.

    Convolutions are shared by the levels, BatchNorms are not. Feature maps that differ in channels first get a 1 x 1
    convolution each, to the most common number.

    Args:
        in_channels: channels of each feature map.
        num_class_slots: scores per anchor: classes, and 1 for the background where there is one.
        anchors_per_location: anchors of a pixel, the same for all maps.
        depth, num_layers_before_predictor, kernel_size: of the towers; the last convolutions have the same kernel size.
        hyperparams: Hyperparams of all convolutions.
        class_prediction_bias_init: start value of the class biases (a logit).
        share_prediction_tower: one tower for boxes and classes.
        use_depthwise: separable convolutions. Their kernels have default initializers and no regularizer, except the
            towers' depthwise ones, unless apply_conv_hyperparams_pointwise (towers) or
            apply_conv_hyperparams_to_heads (last convolutions).
        dropout_rate: before the last class convolution.
        box_encodings_clip_range: (min, max) of box encodings, or None.
        sigmoid_scores: outside training, class predictions are sigmoids and not logits.
    """

    def __init__(self, in_channels, num_class_slots, anchors_per_location, depth, num_layers_before_predictor,
                 hyperparams, kernel_size=3, class_prediction_bias_init=0., share_prediction_tower=False,
                 use_depthwise=False, apply_conv_hyperparams_pointwise=False, apply_conv_hyperparams_to_heads=False,
                 dropout_rate=0., box_encodings_clip_range=None, sigmoid_scores=False):
        super().__init__()
        self._slots, self._clip, self._sigmoid = num_class_slots, box_encodings_clip_range, sigmoid_scores
        use_bias = hyperparams.force_use_bias or hyperparams.batch_norm is None
        self._additional_projection_layers, channels = _projections(in_channels, hyperparams, use_bias)

        def tower_conv(index):
            sizes = (channels if index == 0 else depth), depth, kernel_size
            if use_depthwise:
                return hyperparams.separable(*sizes, plain_pointwise=not apply_conv_hyperparams_pointwise,
                                             use_bias=use_bias)
            return hyperparams.conv(*sizes, use_bias=use_bias)

        def last_conv(filters, bias):
            sizes = (depth if num_layers_before_predictor else channels), filters, kernel_size
            keywords = {'use_bias': True, 'bias_initializer': initializers.constant(bias)}
            if use_depthwise:
                plain = not apply_conv_hyperparams_to_heads
                return hyperparams.separable(*sizes, plain_depthwise=plain, plain_pointwise=plain, **keywords)
            return hyperparams.conv(*sizes, **keywords)

        names = {'PredictionTower': BOXES} if share_prediction_tower else {
            'BoxPredictionTower': BOXES, 'ClassPredictionTower': CLASSES}
        self._head_scope_conv_layers, self._base_tower_layers_for_heads = {}, {}
        for tower, head in names.items():
            convs = [tower_conv(index) for index in range(num_layers_before_predictor)]
            self._head_scope_conv_layers[tower] = convs
            self._base_tower_layers_for_heads[head] = [_tower(convs, depth, hyperparams) for _ in in_channels]
        self._box_prediction_head = Head(BOXES, [last_conv(anchors_per_location * 4, 0.)])
        dropout = [core.Dropout(dropout_rate)] if dropout_rate else []
        self._prediction_heads = {CLASSES: Head(CLASSES, [
            *dropout, last_conv(anchors_per_location * num_class_slots, class_prediction_bias_init)])}

    @tf.autograph.experimental.do_not_convert
    def __call__(self, maps, training=False):
        """List of feature maps -> {'box_encodings': [B, anchors, 4], 'class_predictions_with_background': [B, anchors,
        num_class_slots]}; anchors run over maps, rows, columns, anchors of a pixel."""
        boxes, classes = [], []
        for level, x in enumerate(maps):
            x = self._additional_projection_layers[level](x, training)
            features = {head: towers[level](x, training) for head, towers in self._base_tower_layers_for_heads.items()}
            boxes.append(self._box_prediction_head(features[BOXES], training))
            classes.append(self._prediction_heads[CLASSES](features.get(CLASSES, features[BOXES]), training))
        boxes, classes = flatten_and_concat(boxes, 4, self._clip), flatten_and_concat(classes, self._slots)
        return {BOXES: boxes, CLASSES: tf.sigmoid(classes) if self._sigmoid and not training else classes}


def _tower(convs, depth, hyperparams):
    steps = []
    for conv in convs:
        steps.append(conv)
        if hyperparams.batch_norm is not None:
            steps.append(hyperparams.norm(depth))
        steps.append(hyperparams.activation)
    return core.Sequence(steps)


def _projections(in_channels, hyperparams, use_bias):
    """A Sequence for each map, empty where all channels are equal, and the channels after it."""
    if len(set(in_channels)) == 1:
        return [core.Sequence([]) for _ in in_channels], in_channels[0]
    common = max(set(in_channels), key=in_channels.count)
    return [core.Sequence([hyperparams.conv(channels, common, 1, use_bias=use_bias), hyperparams.norm(common)])
            for channels in in_channels], common
