"""What a two-stage detector says of each region: box, class (Ren et al. 2015) and mask (He et al. 2017)."""
import math

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.heads.common import BOXES, CLASSES, Head

MASKS = 'mask_predictions'


class MaskRCNNBoxPredictor(core.Layer):
    """One fully connected layer for boxes, one for classes, on the mean of a region's features; and a mask head.

    Args:
        in_channels: of the regions' features.
        num_classes: without the background.
        hyperparams: Hyperparams whose batch_norm, if any, follows both layers; as in the reference, their kernels have
            the default initializer and no regularizer.
        share_box_across_classes: one box for all classes.
        dropout_rate: before both layers.
        mask_head: MaskHead, or None.
    """

    def __init__(self, in_channels, num_classes, hyperparams, share_box_across_classes=False, dropout_rate=0.,
                 mask_head=None):
        super().__init__()
        self._boxes, self._classes = 1 if share_box_across_classes else num_classes, num_classes

        def head(kind, units):
            dropout = [core.Dropout(dropout_rate)] if dropout_rate else []
            return Head(kind, [None, *dropout, core.Dense(in_channels, units), hyperparams.norm(units)])
        self._box_prediction_head = head(BOXES, 4 * self._boxes)
        self._class_prediction_head = head(CLASSES, num_classes + 1)
        self._third_stage_heads = {MASKS: mask_head} if mask_head else {}

    def __call__(self, features, training=False):
        """Region features [R, h, w, C] -> box encodings [R, boxes, 4], boxes being 1 or num_classes, and logits
        [R, 1 + num_classes] with the background in front."""
        mean = tf.reduce_mean(features, [1, 2])
        boxes = self._box_prediction_head(mean, training)
        return tf.reshape(boxes, [-1, self._boxes, 4]), self._class_prediction_head(mean, training)

    def masks(self, features, training=False):
        """Region features [R, h, w, C] -> mask logits [R, num_classes or 1, mask height, mask width]."""
        return self._third_stage_heads[MASKS](features, training)


class MaskHead(core.Layer):
    """3 x 3 convolutions, the last of which has a channel for each class's mask.

    Args:
        in_channels, in_size: channels and (height, width) of the regions' features.
        hyperparams: Hyperparams of all convolutions.
        size: (height, width) of the masks.
        num_convolutions: with the last.
        depth: channels of the others; 0 weighs the logarithms of in_channels and num_classes, 2 to 3.
        class_agnostic: one mask for all classes.
        convolve_then_upsample: features get the masks' size (a multiple of theirs) before the last two convolutions,
            one of them additional; otherwise in the beginning, bilinearly.
    """

    def __init__(self, in_channels, in_size, num_classes, hyperparams, size=(15, 15), num_convolutions=2, depth=256,
                 class_agnostic=False, convolve_then_upsample=False):
        super().__init__()
        depth = depth or 2 ** round((2 * math.log2(in_channels) + 3 * math.log2(num_classes)) / 5)
        self._size = None if convolve_then_upsample else list(size)
        channels, steps = in_channels, []

        def convolve():
            nonlocal channels
            steps.extend([hyperparams.conv(channels, depth, 3), hyperparams.norm(depth), hyperparams.activation])
            channels = depth
        for _ in range(num_convolutions - 1):
            convolve()
        if convolve_then_upsample:
            scale = [wanted // given for wanted, given in zip(size, in_size)]
            steps.append(lambda x: tf.repeat(tf.repeat(x, scale[0], 1), scale[1], 2))
            convolve()
        steps.append(hyperparams.conv(channels, 1 if class_agnostic else num_classes, 3, use_bias=True))
        self._mask_predictor_layers = core.Sequence(steps)

    def __call__(self, features, training=False):
        """[R, h, w, in_channels] -> logits [R, num_classes or 1, mask height, mask width]."""
        if self._size:
            features = tf.raw_ops.ResizeBilinear(images=features, size=self._size, align_corners=True)
        return tf.transpose(self._mask_predictor_layers(features, training), [0, 3, 1, 2])
