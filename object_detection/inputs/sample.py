"""A sample: one image and its objects, as `decode` reads them and `augmentation` changes them.

A sample is a dict of tensors. H, W: size of the image in pixels; N: number of objects; K: keypoints of an object.

    image                   uint8 or float32 [H, W, 3]   RGB, 0..255; uint8 as decoded, float32 after most augmentations
    boxes                   float32 [N, 4]               ymin, xmin, ymax, xmax, normalized to the image (0..1)
    classes                 int64 [N]                    ids of the label map, from 1
    weights                 float32 [N]                  weight in the loss
    area                    float32 [N]                  pixels, as the record has it; 0 where it has none
    is_crowd                bool [N]                     the box is around a group of objects
    difficult, group_of     bool [N]                     as in PASCAL VOC, Open Images

    with input_reader.num_keypoints:
    keypoints               float32 [N, K, 2]            y, x, normalized to the image; NaN where not labeled
    keypoint_visibilities   bool [N, K]                  whether the keypoint is labeled

    with input_reader.load_instance_masks:
    masks                   float32 [N, H, W]            0 or 1
    mask_weights            float32 [N]                  1; 0 where the record has no masks

Every entry but the image has one row per object.
"""
import tensorflow as tf

Sample = dict[str, tf.Tensor]


def keep(sample: Sample, mask: tf.Tensor) -> Sample:
    """Return the sample with only the objects where `mask` (bool [N]) is true."""
    indices = tf.where(mask)[:, 0]
    return {name: value if name == 'image' else tf.gather(value, indices) for name, value in sample.items()}
