"""AutoAugment for object detection (Zoph et al., arXiv 1906.11172): one learned sequence of operations per image."""
from collections.abc import Callable
from functools import partial

import tensorflow as tf

from object_detection.inputs.augmentation import autoaugment_ops as ops
from object_detection.inputs.augmentation.random import Random
from object_detection.inputs.sample import Sample

# Name of the policy -> sequences of (operation, probability, level from 0 to 10). Operations that the reference lists
# with probability 0 are left out.
POLICIES = {
    'v0': (
        (('TranslateX_BBox', .6, 4), ('Equalize', .8, 10)),
        (('TranslateY_Only_BBoxes', .2, 2), ('Cutout', .8, 8)),
        (('ShearX_BBox', .4, 0),),
        (('ShearY_BBox', 1., 2), ('TranslateY_Only_BBoxes', .6, 6)),
        (('Rotate_BBox', .6, 10), ('Color', 1., 6)),
    ),
    'v1': (
        (('TranslateX_BBox', .6, 4), ('Equalize', .8, 10)),
        (('TranslateY_Only_BBoxes', .2, 2), ('Cutout', .8, 8)),
        (('ShearX_BBox', .4, 0),),
        (('ShearY_BBox', 1., 2), ('TranslateY_Only_BBoxes', .6, 6)),
        (('Rotate_BBox', .6, 10), ('Color', 1., 6)),
        (('ShearX_Only_BBoxes', .8, 4),),
        (('ShearY_Only_BBoxes', .8, 2),),
        (('Equalize', .6, 10), ('TranslateX_BBox', .2, 2)),
        (('Color', 1., 10), ('TranslateY_Only_BBoxes', .4, 6)),
        (('Rotate_BBox', .8, 10),),
        (('Cutout', .2, 2), ('Brightness', .8, 10)),
        (('Color', 1., 6), ('Equalize', 1., 2)),
        (('Cutout_Only_BBoxes', .4, 6), ('TranslateY_Only_BBoxes', .8, 2)),
        (('Color', .2, 8), ('Rotate_BBox', .8, 10)),
        (('Sharpness', .4, 4),),
        (('Sharpness', 1., 4), ('SolarizeAdd', .4, 4)),
        (('Rotate_BBox', 1., 8), ('Sharpness', .2, 8)),
        (('ShearY_BBox', .6, 10), ('Equalize_Only_BBoxes', .6, 8)),
        (('ShearX_BBox', .2, 6), ('TranslateY_Only_BBoxes', .2, 10)),
        (('SolarizeAdd', .6, 8), ('Brightness', .8, 10)),
    ),
    'v2': (
        (('Cutout', .6, 8), ('Sharpness', .4, 8)),
        (('Rotate_BBox', .4, 8), ('Sharpness', .4, 2), ('Rotate_BBox', .8, 10)),
        (('TranslateY_BBox', 1., 8), ('AutoContrast', .8, 2)),
        (('AutoContrast', .4, 6), ('ShearX_BBox', .8, 8)),
        (('SolarizeAdd', .2, 6), ('AutoContrast', .6, 0)),
        (('Cutout', .2, 0), ('Solarize', .8, 8), ('Color', 1., 4)),
        (('Equalize', .6, 8),),
        (('TranslateY_BBox', .2, 2), ('ShearY_BBox', .8, 8), ('Rotate_BBox', .8, 8)),
        (('Cutout', .8, 8), ('Brightness', .8, 8), ('Cutout', .2, 2)),
        (('Color', .8, 4), ('TranslateY_BBox', 1., 6), ('Rotate_BBox', .6, 6)),
        (('Rotate_BBox', .6, 10), ('BBox_Cutout', 1., 4), ('Cutout', .2, 8)),
        (('Equalize', .6, 6), ('ShearY_BBox', .6, 8)),
        (('Brightness', .8, 8), ('AutoContrast', .4, 2), ('Brightness', .2, 2)),
        (('TranslateY_BBox', .4, 8), ('Solarize', .4, 6), ('SolarizeAdd', .2, 10)),
        (('Contrast', 1., 10), ('SolarizeAdd', .2, 8), ('Equalize', .2, 4)),
    ),
    'v3': (
        (('Posterize', .8, 2), ('TranslateX_BBox', 1., 8)),
        (('BBox_Cutout', .2, 10), ('Sharpness', 1., 8)),
        (('Rotate_BBox', .6, 8), ('Rotate_BBox', .8, 10)),
        (('Equalize', .8, 10), ('AutoContrast', .2, 10)),
        (('SolarizeAdd', .2, 2), ('TranslateY_BBox', .2, 8)),
        (('Color', .4, 8),),
        (('Equalize', 1., 8), ('TranslateY_BBox', 1., 8)),
        (('Posterize', .6, 2),),
        (('AutoContrast', .6, 0), ('Rotate_BBox', 1., 6)),
        (('Cutout', .8, 10),),
        (('Brightness', 1., 2), ('TranslateY_BBox', 1., 6)),
        (('ShearY_BBox', .8, 0),),
        (('AutoContrast', .8, 10), ('Contrast', .2, 10)),
        (('Rotate_BBox', 1., 10), ('Cutout', 1., 10)),
        (('SolarizeAdd', .8, 6), ('Equalize', .8, 8)),
    ),
    'test': ((('TranslateX_BBox', 1., 4), ('Equalize', 1., 10)),),
}


def autoaugment_image(sample: Sample, random: Random, policy_name: str = 'v0') -> Sample:
    """Apply one sequence of the policy, drawn at random, each operation with its probability.

    The image becomes uint8. A box that is moved out of the image stays as a small box at its border, as in the
    reference. The sample has no masks and no keypoints (config/checks): the operations would not move these.

    policy_name: v0 (the paper's) to v3, or test.
    """
    names, table = _table(POLICIES[policy_name])
    sequence = tf.constant(table)[random.integer(0, len(table))]

    def step(number, image, boxes):
        drawn, (which, probability, amount) = random.at(number + 1), tf.unstack(sequence[number])
        branches = [partial(OPERATIONS[name][0], image, boxes, amount, probability, drawn) for name in names]
        return number + 1, *tf.switch_case(tf.cast(which, tf.int32), branches)

    image = tf.ensure_shape(tf.cast(sample['image'], tf.uint8), [None, None, 3])
    _, image, boxes = tf.while_loop(lambda number, *_: number < len(table[0]), step, (0, image, sample['boxes']),
                                    (tf.TensorShape([]), tf.TensorShape([None, None, 3]), tf.TensorShape([None, 4])))
    return dict(sample, image=image, boxes=boxes)


def _table(policy):
    """Lay a policy out as a table, so that the graph holds each operation once however often sequences name it.

    Returns:
        names: of the operations in use.
        table: [sequences][steps] of (index into names, probability, amount); short sequences end with steps of
            probability 0.
    """
    names = sorted({name for sequence in policy for name, _, _ in sequence})
    steps = max(map(len, policy))
    return names, [[(float(names.index(name)), probability, float(OPERATIONS[name][1](level)))
                    for name, probability, level in sequence] + [(0., 0., 0.)] * (steps - len(sequence))
                   for sequence in policy]


# An operation is a function (image uint8 [H, W, 3], boxes [N, 4], amount, probability, random) -> (image, boxes).
# The following make one out of a function of autoaugment_ops.

def _with_probability(function):
    """Apply function(image, boxes, amount, random) with the operation's probability."""
    def operation(image, boxes, amount, probability, random):
        return tf.cond(random.chance(probability), lambda: function(image, boxes, amount, random),
                       lambda: (image, boxes))
    return operation


def _on_pixels(function):
    """Apply function(image, amount); boxes stay."""
    return _with_probability(lambda image, boxes, amount, random: (function(image, amount), boxes))


def _on_image(function, *axis):
    """Apply function(image, boxes, amount or -amount, *axis), which moves the image's content and boxes."""
    return _with_probability(
        lambda image, boxes, amount, random: function(image, boxes, _random_sign(amount, random), *axis))


def _random_sign(amount, random):
    return tf.where(random.chance(.5), amount, -amount)


def _cutout(image, boxes, amount, random):
    """Gray out a square around a random pixel."""
    center = [random.integer(0, tf.shape(image)[axis]) for axis in range(2)]
    return ops.cutout(image, center, tf.fill([2], tf.cast(amount, tf.int32))), boxes


def _cutout_in_box(image, boxes, amount, random):
    """Gray out a rectangle around a random pixel of a random box; amount: its sides / the box's."""
    def cut():
        which = random.integer(0, tf.shape(boxes)[0])
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        corners = tf.cast(boxes[which] * tf.tile(size, [2]), tf.int32)
        sides = tf.cast(corners[2:] - corners[:2] + 1, tf.float32)
        center = [random.integer(corners[axis], corners[axis + 2] + 1) for axis in range(2)]
        return ops.cutout(image, center, tf.cast(amount * (sides / 2), tf.int32))

    return tf.cond(tf.size(boxes) > 0, cut, lambda: image), boxes


def _inside_boxes(make_change):
    """Change the pixels inside boxes, which are visited in random order, each with a third of the probability.

    make_change: function (amount, number of boxes, random) -> function (pixels of a box, index of the box) -> pixels.
    """
    def operation(image, boxes, amount, probability, random):
        count = tf.shape(boxes)[0]
        chosen = random.uniform(shape=[count]) < probability / 3
        order = tf.argsort(random.uniform(shape=[count]))
        visits = tf.boolean_mask(order, tf.gather(chosen, order))
        return ops.in_boxes(image, boxes, visits, make_change(amount, count, random)), boxes
    return operation


def _cutout_inside(amount, count, random):
    """Gray out a square around a random pixel of each box."""
    centers = random.uniform(shape=[count, 2])

    def change(pixels, index):
        center = tf.cast(centers[index] * tf.cast(tf.shape(pixels)[:2], tf.float32), tf.int32)
        return ops.cutout(pixels, center, tf.fill([2], tf.cast(amount, tf.int32)))
    return change


def _move_inside(function, axis):
    """Apply function(pixels, boxes, amount or -amount, axis) inside boxes, with the same sign in all of them."""
    def make_change(amount, count, random):
        amount = _random_sign(amount, random)
        return lambda pixels, index: function(pixels, tf.zeros([0, 4]), amount, axis)[0]
    return make_change


# The amount that belongs to a level.

def _up_to(most):
    return lambda level: level * most / 10


def _whole(most):
    return lambda level: level * most // 10


def _factor(level):
    return level * 1.8 / 10 + .1


# Name in the policies -> (operation, function from level to amount).
OPERATIONS: dict[str, tuple[Callable, Callable]] = {
    'AutoContrast': (_on_pixels(lambda image, _: ops.autocontrast(image)), _whole(0)),
    'Equalize': (_on_pixels(lambda image, _: ops.equalize(image)), _whole(0)),
    'Posterize': (_on_pixels(ops.posterize), _whole(4)), 'Solarize': (_on_pixels(ops.solarize), _whole(256)),
    'SolarizeAdd': (_on_pixels(ops.solarize_add), _whole(110)), 'Color': (_on_pixels(ops.color), _factor),
    'Contrast': (_on_pixels(ops.contrast), _factor), 'Brightness': (_on_pixels(ops.brightness), _factor),
    'Sharpness': (_on_pixels(ops.sharpness), _factor),
    'Cutout': (_with_probability(_cutout), _whole(100)),
    'BBox_Cutout': (_with_probability(_cutout_in_box), _up_to(.75)),
    'Rotate_BBox': (_on_image(ops.rotate), _up_to(30)),
    'TranslateX_BBox': (_on_image(ops.translate, 1), _up_to(250)),
    'TranslateY_BBox': (_on_image(ops.translate, 0), _up_to(250)),
    'ShearX_BBox': (_on_image(ops.shear, 1), _up_to(.3)), 'ShearY_BBox': (_on_image(ops.shear, 0), _up_to(.3)),
    'TranslateY_Only_BBoxes': (_inside_boxes(_move_inside(ops.translate, 0)), _up_to(120)),
    'ShearX_Only_BBoxes': (_inside_boxes(_move_inside(ops.shear, 1)), _up_to(.3)),
    'ShearY_Only_BBoxes': (_inside_boxes(_move_inside(ops.shear, 0)), _up_to(.3)),
    'Equalize_Only_BBoxes': (_inside_boxes(lambda *_: lambda pixels, index: ops.equalize(pixels)), _whole(0)),
    'Cutout_Only_BBoxes': (_inside_boxes(_cutout_inside), _whole(50)),
}
