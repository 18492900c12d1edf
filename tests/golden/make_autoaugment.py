"""Writes autoaugment.npz: what the reference's AutoAugment operations make of a drawn picture.

    python tests/golden/make_autoaugment.py          # in the reference environment (benchmarks/README.md)

The operations call tf.contrib.image, which TensorFlow 2 does not have, and draw random numbers; both are replaced here:
by the kernel that tf.contrib.image called, and by numbers from the list `draws` that is kept with each case.
For tests/inputs/augmentation/test_autoaugment.py.
"""
import json
from pathlib import Path

import numpy as np

LEVELS = {'TranslateX_BBox': (2, 8), 'TranslateY_BBox': (2, 8), 'ShearX_BBox': (0, 6), 'ShearY_BBox': (2, 10),
          'Rotate_BBox': (6, 10), 'Equalize': (10,), 'AutoContrast': (2,), 'Posterize': (2, 10), 'Solarize': (6, 8),
          'SolarizeAdd': (4, 10), 'Color': (4, 10), 'Contrast': (10,), 'Brightness': (2, 10), 'Sharpness': (4, 8),
          'Cutout': (0, 2), 'BBox_Cutout': (4, 10), 'TranslateY_Only_BBoxes': (2, 10), 'ShearX_Only_BBoxes': (4,),
          'ShearY_Only_BBoxes': (2,), 'Equalize_Only_BBoxes': (8,), 'Cutout_Only_BBoxes': (1, 6)}
BOXES = np.array([[.1, .2, .6, .5], [.3, .4, .95, .8], [0., .7, .25, 1.], [.55, .05, .9, .3]], np.float32)


def picture(height=64, width=96):
    """Smooth colours with some noise, so that all 256 values and flat stretches occur: uint8 [height, width, 3]."""
    random = np.random.default_rng(5)
    rows, columns = np.mgrid[:height, :width]
    waves = [128 + 110 * np.sin(rows / 9 + columns / 17), 3.5 * rows + random.normal(0, 6, (height, width)),
             40 + 1.5 * columns + 0 * rows]
    return np.clip(np.stack(waves, 2), 0, 255).astype(np.uint8)


def numbers(seed):
    """Random numbers for one case: `chance` [8] of what may happen, `sign`, and `place` [16] of where, all in 0..1."""
    random = np.random.default_rng(seed)
    return {'chance': [0., .999, 0., 0., .999, 0., 0., 0.], 'sign': float(seed % 2) * .999,
            'place': [float(value) for value in random.uniform(0, 1, 16)]}


def main():
    import tensorflow.compat.v1 as tf

    from object_detection.utils import autoaugment_utils as reference

    class Drawing:
        """tensorflow, but its random numbers are those of `given`."""

        def __init__(self, given):
            self.chances, self.places = iter(given['chance']), iter(given['place'])

        def __getattr__(self, name):
            return getattr(tf, name)

        def random_uniform(self, shape, minval=0, maxval=None, dtype=tf.float32):
            if dtype == tf.float32:
                return tf.constant(1 - next(self.chances) - 1e-6)  # the reference asks for the upper end
            return tf.cast(minval, tf.int32) + tf.cast(
                next(self.places) * tf.cast(maxval - minval, tf.float32), tf.int32)

        @property
        def random(self):
            return self

        def shuffle(self, values):
            return values

    class Image:
        """What the operations use of tf.contrib.image."""

        @staticmethod
        def transform(image, matrix):
            matrix = tf.stack([tf.cast(value, tf.float32) for value in matrix])
            return tf.raw_ops.ImageProjectiveTransformV2(
                images=image[tf.newaxis], transforms=matrix[tf.newaxis], output_shape=tf.shape(image)[:2],
                interpolation='NEAREST')[0]

        def translate(self, image, by):
            return self.transform(image, [1., 0., -by[0], 0., 1., -by[1], 0., 0.])

        def rotate(self, image, radians):
            height, width = (tf.cast(side, tf.float32) for side in image.shape[:2])
            cos, sin = tf.cos(radians), tf.sin(radians)
            x = ((width - 1) - (cos * (width - 1) - sin * (height - 1))) / 2
            y = ((height - 1) - (sin * (width - 1) + cos * (height - 1))) / 2
            return self.transform(image, [cos, -sin, x, sin, cos, y, 0., 0.])

    class Constants:
        cutout_max_pad_fraction, cutout_bbox_replace_with_mean, cutout_const = .75, False, 100
        translate_const, cutout_bbox_const, translate_bbox_const = 250, 50, 120

    reference.contrib_image = Image()
    arrays, cases = {}, []
    for name, levels in LEVELS.items():
        for seed, level in enumerate(levels):
            given = numbers(seed)
            sign = 1. if given['sign'] < .5 else -1.
            reference._randomly_negate_tensor = lambda value, sign=sign: value * sign
            reference.tf = Drawing(given)
            function, _, arguments = reference._parse_policy_info(name, 1., level, [128] * 3, Constants)
            image, boxes = function(tf.constant(picture()), tf.constant(BOXES), *arguments)
            arrays[f'{len(cases)} image'], arrays[f'{len(cases)} boxes'] = image.numpy(), boxes.numpy()
            cases.append({'name': name, 'level': level, 'seed': seed})
    np.savez_compressed(Path(__file__).with_name('autoaugment.npz'), cases=json.dumps(cases), **arrays)


if __name__ == '__main__':
    main()
