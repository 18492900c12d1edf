"""Heads of a two-stage detector for each region: box and class (Ren et al. 2015), mask (He et al. 2017)."""
import math
from collections.abc import Callable

import tensorflow as tf

from object_detection.layers import core
from object_detection.layers.heads.convolutional import BOXES, CLASSES, Head
from object_detection.layers.hyperparams import Hyperparams

MASKS = 'mask_predictions'


class MaskRCNNBoxPredictor(core.Layer):
    """One fully connected layer for boxes and one for classes, on the mean of a region's features; and a mask head.

    Args:
        in_channels: channels of the regions' features.
        num_classes: without the background.
        hyperparams: settings whose batch_norm, if any, follows both layers. As in the reference, the kernels have the
            default initializer and no regularizer.
        share_box_across_classes: predict one box for all classes.
        dropout_rate: before both layers.
        mask_head: predicts masks, or None.
    """

    def __init__(self, in_channels: int, num_classes: int, hyperparams: Hyperparams,
                 share_box_across_classes: bool = False, dropout_rate: float = 0.,
                 mask_head: 'MaskHead | None' = None) -> None:
        super().__init__()
        self._boxes, self._classes = 1 if share_box_across_classes else num_classes, num_classes

        def head(kind, units):
            dropout = [core.Dropout(dropout_rate)] if dropout_rate else []
            return Head(kind, [None, *dropout, core.Dense(in_channels, units), hyperparams.norm(units)])
        self._box_prediction_head = head(BOXES, 4 * self._boxes)
        self._class_prediction_head = head(CLASSES, num_classes + 1)
        self._third_stage_heads = {MASKS: mask_head} if mask_head else {}

    def __call__(self, features: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Predict boxes and classes of R regions.

        Args:
            features: [R, h, w, in_channels].
        Returns:
            Box encodings [R, num_classes, 4] (or [R, 1, 4] if classes share a box), and class logits
            [R, 1 + num_classes], background first.
        """
        mean = tf.reduce_mean(features, [1, 2])
        boxes = self._box_prediction_head(mean, training)
        return tf.reshape(boxes, [-1, self._boxes, 4]), self._class_prediction_head(mean, training)

    def masks(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Region features [R, h, w, in_channels] -> mask logits [R, num_classes or 1, mask height, mask width]."""
        return self._third_stage_heads[MASKS](features, training)


class MaskHead(core.Layer):
    """3 x 3 convolutions, the last of which has one channel per class mask.

    Args:
        in_channels, in_size: channels and (height, width) of the regions' features.
        num_classes: without the background.
        hyperparams: settings of all convolutions.
        size: (height, width) of the masks.
        num_convolutions: number of convolutions, including the last.
        depth: channels of all but the last. 0: the geometric mean of in_channels and num_classes with weights 2 and 3,
            rounded to a power of 2.
        class_agnostic: predict one mask for all classes.
        convolve_then_upsample: before the last convolution, upsample by an integer factor to the masks' size and
            convolve once more. Otherwise resize bilinearly before the first convolution.
    """

    def __init__(self, in_channels: int, in_size: tuple[int, int], num_classes: int, hyperparams: Hyperparams,
                 size: tuple[int, int] = (15, 15), num_convolutions: int = 2, depth: int = 256,
                 class_agnostic: bool = False, convolve_then_upsample: bool = False) -> None:
        super().__init__()
        depth = depth or 2 ** round((2 * math.log2(in_channels) + 3 * math.log2(num_classes)) / 5)
        self._size = None if convolve_then_upsample else list(size)
        channels, steps = in_channels, list[Callable | None]()

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

    def __call__(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Region features [R, h, w, in_channels] -> mask logits [R, num_classes or 1, mask height, mask width]."""
        if self._size:
            resized = tf.raw_ops.ResizeBilinear(images=features, size=self._size, align_corners=True)  # float32
            features = core.cast(resized, features.dtype)
        return tf.transpose(self._mask_predictor_layers(features, training), [0, 3, 1, 2])
