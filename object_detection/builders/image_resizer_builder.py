"""Build a function that resizes images from the image_resizer of a pipeline.config."""
from collections.abc import Callable

import tensorflow as tf

from object_detection import protos
from object_detection.builders import checked
from object_detection.config import checks
from object_detection.inputs.dataset import resize_masks
from object_detection.models import resizers


def build(image_resizer_config: protos.ImageResizer) -> Callable[..., list[tf.Tensor]]:
    """Return fn(image, masks=None), which resizes and pads one image.

    Args:
        image_resizer_config: an ImageResizer message: fixed_shape_resizer, keep_aspect_ratio_resizer, or
            identity_resizer.
    Returns:
        A function of
            image: [H, W, 3], or [B, H, W, 3].
            masks: float32 [N, H, W], 0 or 1, or None.
        It returns a list:
            float32 [h, w, 3], or [B, h, w, 3].
            float32 [N, h, w], if there are masks.
            int32 [3], (height, width, 3) of the image without padding.
    Raises:
        ValueError: image_resizer_config is no ImageResizer message.
        ConfigError: it holds something that is wrong or not supported.
    """
    if not isinstance(image_resizer_config, protos.ImageResizer):
        raise ValueError('image_resizer_config not of type image_resizer_pb2.ImageResizer.')
    checked.demand(checks.check_part(image_resizer_config, 'image_resizer'))
    resizer = resizers.build(image_resizer_config)

    def resize(image: tf.Tensor, masks: tf.Tensor | None = None) -> list[tf.Tensor]:
        image = tf.convert_to_tensor(image)
        images, shapes = resizer.batch(image if image.shape.rank == 4 else image[tf.newaxis])
        resized, true_shape = images if image.shape.rank == 4 else images[0], shapes[0]
        if masks is None:
            return [resized, true_shape]
        return [resized, resize_masks(masks, true_shape, resized), true_shape]

    return resize
