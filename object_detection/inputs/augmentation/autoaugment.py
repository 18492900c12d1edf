"""AutoAugment for detection (Zoph et al. 2020, arXiv 1906.11172): one of several learned sequences of operations."""
import tensorflow as tf

from object_detection.inputs.augmentation import autoaugment_ops as ops
from object_detection.utils.errors import UserError

# Of each policy the sequences, of each sequence (operation, probability, level 0 to 10). The reference's tables have
# operations with probability 0 as well; they do nothing and are left out.
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


def autoaugment_image(sample, random, policy_name='v0'):
    """One sequence of a policy, each operation with its probability; the image leaves as uint8.

    policy_name: v0 (the paper's) to v3. Boxes follow the picture as in the reference, which keeps those that have left
    it, as small boxes at its border.
    """
    if policy_name not in POLICIES:
        raise UserError(f'autoaugment_image: policy_name is {policy_name!r}; allowed: {", ".join(POLICIES)}')
    if {'masks', 'keypoints'} & sample.keys():
        raise UserError('autoaugment_image moves pictures and boxes only; masks and keypoints would no longer fit: '
                        'take it out, or take load_instance_masks and num_keypoints out of the input_reader')
    names, table = _table(POLICIES[policy_name])
    sequence = tf.constant(table)[random.integer(0, len(table))]

    def turn(number, image, boxes):
        drawn, (which, probability, amount) = random.at(number + 1), tf.unstack(sequence[number])
        branches = [lambda name=name: OPERATIONS[name][0](image, boxes, amount, probability, drawn) for name in names]
        return number + 1, *tf.switch_case(tf.cast(which, tf.int32), branches)

    image = tf.ensure_shape(tf.cast(sample['image'], tf.uint8), [None, None, 3])
    _, image, boxes = tf.while_loop(lambda number, *_: number < len(table[0]), turn, (0, image, sample['boxes']),
                                    (tf.TensorShape([]), tf.TensorShape([None, None, 3]), tf.TensorShape([None, 4])))
    return dict(sample, image=image, boxes=boxes)


def _table(policy):
    """Names of the operations, and for each sequence the turns (number of the name, probability, amount) of equal
    length; the graph then holds each operation once, which is what building it costs."""
    names = sorted({name for sequence in policy for name, _, _ in sequence})
    turns = max(map(len, policy))
    return names, [[(float(names.index(name)), probability, float(OPERATIONS[name][1](level)))
                    for name, probability, level in sequence] + [(0., 0., 0.)] * (turns - len(sequence))
                   for sequence in policy]


def _perhaps(function):
    """The operation that applies function(image, boxes, amount, random) with its probability."""
    def operation(image, boxes, amount, probability, random):
        return tf.cond(random.chance(probability), lambda: function(image, boxes, amount, random),
                       lambda: (image, boxes))
    return operation


def _pixels(function):
    """An operation that leaves boxes where they are."""
    return _perhaps(lambda image, boxes, amount, random: (function(image, amount), boxes))


def _moving(function, axis=()):
    """An operation that moves the picture, either way."""
    return _perhaps(lambda image, boxes, amount, random: function(image, boxes, _either_way(amount, random), *axis))


def _either_way(amount, random):
    return tf.where(random.chance(.5), amount, -amount)


def _cutout(image, boxes, amount, random):
    center = [random.integer(0, tf.shape(image)[axis]) for axis in range(2)]
    return ops.cutout(image, center, tf.fill([2], tf.cast(amount, tf.int32))), boxes


def _cutout_in_box(image, boxes, amount, random):
    """Gray around a random place of a random box, its sides a share (amount) of the box's."""
    def cut():
        which = random.integer(0, tf.shape(boxes)[0])
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        corners = tf.cast(boxes[which] * tf.tile(size, [2]), tf.int32)
        sides = tf.cast(corners[2:] - corners[:2] + 1, tf.float32)
        center = [random.integer(corners[axis], corners[axis + 2] + 1) for axis in range(2)]
        return ops.cutout(image, center, tf.cast(amount * (sides / 2), tf.int32))

    return tf.cond(tf.size(boxes) > 0, cut, lambda: image), boxes


def _inside_boxes(content):
    """The operation on the contents of some boxes, in random order, each with a third of the probability.

    content: function of amount, number of boxes and random -> function of a box's pixels and its number.
    """
    def operation(image, boxes, amount, probability, random):
        count = tf.shape(boxes)[0]
        chosen = random.uniform(shape=[count]) < probability / 3
        order = tf.argsort(random.uniform(shape=[count]))
        visits = tf.boolean_mask(order, tf.gather(chosen, order))
        return ops.in_boxes(image, boxes, visits, content(amount, count, random)), boxes
    return operation


def _content_cutout(amount, count, random):
    places = random.uniform(shape=[count, 2])

    def change(pixels, number):
        center = tf.cast(places[number] * tf.cast(tf.shape(pixels)[:2], tf.float32), tf.int32)
        return ops.cutout(pixels, center, tf.fill([2], tf.cast(amount, tf.int32)))
    return change


def _content_moving(function, axis):
    """As _moving, all boxes the same way."""
    def make(amount, count, random):
        amount = _either_way(amount, random)
        return lambda pixels, number: function(pixels, tf.zeros([0, 4]), amount, axis)[0]
    return make


def _up_to(most):
    return lambda level: level * most / 10


def _whole(most):
    return lambda level: level * most // 10


def _factor(level):
    return level * 1.8 / 10 + .1


# Functions of image, boxes, amount, probability and random -> image, boxes; and the amount that belongs to a level
OPERATIONS = {
    'AutoContrast': (_pixels(lambda image, _: ops.autocontrast(image)), _whole(0)),
    'Equalize': (_pixels(lambda image, _: ops.equalize(image)), _whole(0)),
    'Posterize': (_pixels(ops.posterize), _whole(4)), 'Solarize': (_pixels(ops.solarize), _whole(256)),
    'SolarizeAdd': (_pixels(ops.solarize_add), _whole(110)), 'Color': (_pixels(ops.color), _factor),
    'Contrast': (_pixels(ops.contrast), _factor), 'Brightness': (_pixels(ops.brightness), _factor),
    'Sharpness': (_pixels(ops.sharpness), _factor),
    'Cutout': (_perhaps(_cutout), _whole(100)), 'BBox_Cutout': (_perhaps(_cutout_in_box), _up_to(.75)),
    'Rotate_BBox': (_moving(ops.rotate), _up_to(30)),
    'TranslateX_BBox': (_moving(ops.translate, (1,)), _up_to(250)),
    'TranslateY_BBox': (_moving(ops.translate, (0,)), _up_to(250)),
    'ShearX_BBox': (_moving(ops.shear, (1,)), _up_to(.3)), 'ShearY_BBox': (_moving(ops.shear, (0,)), _up_to(.3)),
    'TranslateY_Only_BBoxes': (_inside_boxes(_content_moving(ops.translate, 0)), _up_to(120)),
    'ShearX_Only_BBoxes': (_inside_boxes(_content_moving(ops.shear, 1)), _up_to(.3)),
    'ShearY_Only_BBoxes': (_inside_boxes(_content_moving(ops.shear, 0)), _up_to(.3)),
    'Equalize_Only_BBoxes': (_inside_boxes(lambda *_: lambda pixels, number: ops.equalize(pixels)), _whole(0)),
    'Cutout_Only_BBoxes': (_inside_boxes(_content_cutout), _whole(50)),
}
