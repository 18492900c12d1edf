"""Box predictor whose convolutions all levels share (RetinaNet, Lin et al. 2017; EfficientDet, Tan et al. 2020)."""
from collections.abc import Callable

import tensorflow as tf

from object_detection.layers import core, initializers
from object_detection.layers.heads.convolutional import BOXES, CLASSES, Head, flatten_and_concat
from object_detection.layers.hyperparams import Hyperparams


class WeightSharedBoxPredictor(core.Layer):
    """A tower of convolutions for boxes and one for classes (or one for both), and a last convolution on each.

    Levels share the convolutions but not the BatchNorms. If the feature maps differ in channels, a 1 x 1 convolution
    first takes each to the most common number.

    Args:
        in_channels: channels of each feature map.
        num_class_slots: scores per anchor: the classes, plus 1 if the background has a score.
        anchors_per_location: anchors per location, the same for all maps.
        depth, num_layers_before_predictor, kernel_size: of the towers. The last convolutions have the same kernel size.
        hyperparams: settings of all convolutions.
        class_prediction_bias_init: initial class bias (a logit).
        share_prediction_tower: use one tower for boxes and classes.
        use_depthwise: use separable convolutions. Of their kernels, the towers' depthwise ones take the initializer and
            regularizer of `hyperparams`. The others have the default initializer and no regularizer.
        apply_conv_hyperparams_pointwise: the towers' pointwise kernels take them too.
        apply_conv_hyperparams_to_heads: both kernels of the last convolutions take them too.
        dropout_rate: before the last class convolution.
        box_encodings_clip_range: (min, max) to clip box encodings to, or None.
        sigmoid_scores: outside training, return sigmoids instead of class logits.
    """

    def __init__(self, in_channels: list[int], num_class_slots: int, anchors_per_location: int, depth: int,
                 num_layers_before_predictor: int, hyperparams: Hyperparams, kernel_size: int = 3,
                 class_prediction_bias_init: float = 0., share_prediction_tower: bool = False,
                 use_depthwise: bool = False, apply_conv_hyperparams_pointwise: bool = False,
                 apply_conv_hyperparams_to_heads: bool = False, dropout_rate: float = 0.,
                 box_encodings_clip_range: tuple[float, float] | None = None, sigmoid_scores: bool = False) -> None:
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
    def __call__(self, maps: list[tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Predict boxes and classes of A anchors, which are ordered by map, row, column, and anchor of the location.

        Args:
            maps: [B, h_i, w_i, in_channels[i]].
        Returns:
            box_encodings: [B, A, 4].
            class_predictions_with_background: logits [B, A, num_class_slots], or sigmoids (see sigmoid_scores).
        """
        boxes, classes = [], []
        for level, x in enumerate(maps):
            x = self._additional_projection_layers[level](x, training)
            features = {head: towers[level](x, training) for head, towers in self._base_tower_layers_for_heads.items()}
            boxes.append(self._box_prediction_head(features[BOXES], training))
            classes.append(self._prediction_heads[CLASSES](features.get(CLASSES, features[BOXES]), training))
        boxes, classes = flatten_and_concat(boxes, 4, self._clip), flatten_and_concat(classes, self._slots)
        return {BOXES: boxes, CLASSES: tf.sigmoid(classes) if self._sigmoid and not training else classes}


def _tower(convs: list[Callable], depth: int, hyperparams: Hyperparams) -> core.Sequence:
    steps: list[Callable | None] = []
    for conv in convs:
        steps.append(conv)
        if hyperparams.batch_norm is not None:
            steps.append(hyperparams.norm(depth))
        steps.append(hyperparams.activation)
    return core.Sequence(steps)


def _projections(in_channels, hyperparams, use_bias):
    """Return a core.Sequence for each map, empty if all channels are equal, and the channels after it."""
    if len(set(in_channels)) == 1:
        return [core.Sequence([]) for _ in in_channels], in_channels[0]
    common = max(set(in_channels), key=in_channels.count)
    return [core.Sequence([hyperparams.conv(channels, common, 1, use_bias=use_bias), hyperparams.norm(common)])
            for channels in in_channels], common
