"""records.examine, without TensorFlow, finds fatal what the input pipeline fails at, and nothing else."""
import io

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image

from object_detection import protos, records
from object_detection.config.label_map import Item, LabelMap
from object_detection.inputs.decode import decoder

LABELS = LabelMap((Item(1, 'cat'), Item(2, 'dog')))
WIDTH, HEIGHT = 48, 32
PIXELS = np.asarray(Image.effect_mandelbrot((WIDTH, HEIGHT), (-2, -1, 1, 1), 100).convert('RGB'))
PICTURE = Image.fromarray(PIXELS)
KEYPOINTS, PNG, NUMBERS = 'num_keypoints: 2', 'load_instance_masks: true mask_type: PNG_MASKS', \
    'load_instance_masks: true'


def encode(kind, image=PICTURE, **options):
    encoded = io.BytesIO()
    image.save(encoded, kind, **options)
    return encoded.getvalue()


def mask(width=WIDTH, kind='PNG', mode='L'):
    return encode(kind, Image.new(mode, (width, HEIGHT)))


def record(**features):
    """A serialized Example of two boxes; features: 'name in KEYS or key': values, or (kind, values), None to delete."""
    plain = records.Example(encode('JPEG'), HEIGHT, WIDTH, filename='a.jpg', labels=[1, 2], texts=['cat', 'dog'],
                            boxes=[(.1, .2, .5, .75), (0., 0., 1., 1.)])
    message = protos.Example.FromString(plain.to_bytes())
    for name, values in features.items():
        key, kind = records.example.KEYS.get(name, (f'image/object/bbox/{name}', 'float_list'))
        kind, values = values if isinstance(values, tuple) else (kind, values)
        if name in ('x', 'y'):
            key = f'image/object/keypoint/{name}'
        message.features.feature[key].Clear()
        if values is not None:
            getattr(message.features.feature[key], kind).SetInParent()
            getattr(message.features.feature[key], kind).value.extend(values)
    return message.SerializeToString()


def input_reader(fields):
    return text_format.Parse(fields + ' tf_record_input_reader { input_path: "x" }',
                             protos.TrainEvalPipelineConfig().train_input_reader)


def fails(data, reader, label_map):
    """Whether the input pipeline cannot read the record, and why."""
    try:
        sample, _ = decoder(reader, label_map)(tf.constant(data))
        boxes = sample['boxes'].numpy()  # dataset.py asserts it of these
        return 'inverted' if (boxes[:, :2] > boxes[:, 2:]).any() else ''
    except tf.errors.InvalidArgumentError as error:
        return str(error)


def check(data, fields='', label_map=LABELS):
    """The kinds of all faults, once pipeline and check agree."""
    reader = input_reader(fields)
    look = records.examine(data, label_map, reader, num_classes=2)
    found = [fault.kind for fault in look.faults if fault.fatal]
    assert bool(found) == bool(failure := fails(data, reader, label_map)), (failure, look)
    return [fault.kind for fault in look.faults]


def test_a_sound_record_has_no_faults():
    assert check(record()) == check(record(), KEYPOINTS) == check(record(), PNG) == []
    assert check(record(), label_map=None) == []


@pytest.mark.parametrize(('name', 'key', 'has', 'must'), [
    ('labels', 'image/object/class/label', 'float_list', 'int64_list'),
    ('texts', 'image/object/class/text', 'int64_list', 'bytes_list'),
    ('filename', 'image/filename', 'int64_list', 'bytes_list'),
    ('encoded', 'image/encoded', 'float_list', 'bytes_list'),
    ('area', 'image/object/area', 'int64_list', 'float_list'),
    ('weights', 'image/object/weight', 'bytes_list', 'float_list'),
    ('is_crowd', 'image/object/is_crowd', 'float_list', 'int64_list'),
    ('difficult', 'image/object/difficult', 'float_list', 'int64_list'),
    ('group_of', 'image/object/group_of', 'bytes_list', 'int64_list'),
    ('ymin', 'image/object/bbox/ymin', 'int64_list', 'float_list'),
])
def test_features_of_another_type_are_named(name, key, has, must):
    value = {'float_list': 1., 'int64_list': 1, 'bytes_list': b'1'}[has]
    says = f'feature {key} is of type {has} and must be of type {must}; write the records again'
    assert says in check(record(**{name: (has, [value, value])}))
    assert says in check(record(**{name: (has, [])}))


@pytest.mark.parametrize(('features', 'says'), [
    # numbers of values
    ({'filename': [b'a', b'b']}, 'feature image/filename must have one value'),
    ({'filename': []}, 'feature image/filename must have one value'),
    ({'xmin': [0., 0., 0.]}, 'its boxes have unequal numbers of coordinates'),
    ({'texts': [b'cat']}, 'there are not as many labels as boxes'),
    ({'texts': [b'cat'] * 3}, 'there are not as many labels as boxes'),
    ({'texts': None, 'labels': None}, 'there are not as many labels as boxes'),
    ({'texts': None, 'labels': [1]}, 'there are not as many labels as boxes'),
    ({'area': [1.]}, 'feature image/object/area must have one value for each box'),
    ({'weights': [1.] * 3}, 'feature image/object/weight must have one value for each box'),
    ({'is_crowd': [1]}, 'feature image/object/is_crowd must have one value for each box'),
    ({'difficult': [1] * 5}, 'feature image/object/difficult must have one value for each box'),
    # pictures and values
    ({'encoded': None}, 'it has no picture (image/encoded)'),
    ({'encoded': [b'']}, 'the picture cannot be decoded'),
    ({'encoded': [encode('TIFF')]}, 'the picture is TIFF; TensorFlow decodes JPEG, PNG, GIF, BMP, WEBP'),
    ({'encoded': [PIXELS.tobytes()]}, 'the picture cannot be decoded'),
    ({'ymax': [.05, 1.]}, 'a box has its maximum before its minimum'),
])
def test_what_fails_is_found(features, says):
    kinds = check(record(**features))
    assert any(kind.startswith(says) for kind in kinds), kinds


def test_the_one_box_without_a_label_is_not_dropped_in_silence():
    one = {'ymin': [.1], 'xmin': [.1], 'ymax': [.6], 'xmax': [.6]}
    assert check(record(**one, texts=None, labels=None)) == ['there are not as many labels as boxes']


@pytest.mark.parametrize(('features', 'says'), [
    ({'texts': None}, []),
    ({'labels': None}, []),
    ({'labels': [1, 2, 2]}, ['its boxes have names and numbers of classes, not as many of the one as of the other; the '
                             'names count']),
    ({'texts': [b'dog', b'cat']}, ['the name of a class and its number contradict each other; the name counts']),
    ({'texts': [b'Dog', b'cow']}, ["label 'Dog' is not in the label map, which has 'dog'",
                                   "label 'cow' is not in the label map"]),
    ({'texts': None, 'labels': [1, 9]}, ['label 9 is not in the label map']),
    ({'texts': [b'\xff\xfe', b'dog']}, ["label '��' is not in the label map"]),
    ({'height': ('float_list', [1])}, ['width and height are not those of the picture']),
    ({'ymin': [float('nan'), 0.]}, ['a box has coordinates that are not numbers; it is left out']),
    ({'ymax': [float('nan'), 1.], 'xmax': [.1, 1.]}, ['a box has coordinates that are not numbers; it is left out',
                                                      'a box has its maximum before its minimum']),
    ({'ymax': [.1, 1.]}, ['a box has no area']),
    ({'xmax': [.75, 1.2]}, ['a box extends beyond the picture']),
    ({'xmax': [30., 1.]}, ['a box is in pixels; coordinates are fractions of height and width, 0 to 1']),
    ({'is_crowd': [0, 7]}, ['feature image/object/is_crowd has values other than 0 and 1; they count as 1']),
    ({'weights': [-1., 1.]}, ['feature image/object/weight has negative values']),
    ({'area': [-4., float('nan')]}, ['feature image/object/area has values that are no area in square pixels']),
    ({'encoded': [encode('PNG')]}, ['image/format says jpeg, but the picture is PNG, and read as that']),
])
def test_what_does_not_fail_is_said(features, says):
    assert check(record(**features)) == says


@pytest.mark.parametrize('features', [{'weights': [float('nan'), 1.]}, {'weights': [float('inf'), 1.]},
                                      {'ymax': [float('inf'), 1.]}])
def test_what_makes_the_loss_infinite_is_fatal(features):
    look = records.examine(record(**features), LABELS, input_reader(''))
    assert [fault.fatal for fault in look.faults] == [True], look


def test_without_a_label_map_the_numbers_count():
    assert check(record(texts=None), label_map=None) == []
    assert check(record(labels=[0, 2]), label_map=None) == ['label 0 is no class; they are numbered from 1 to 2 '
                                                            '(num_classes)']
    assert check(record(labels=None), label_map=None)[0].startswith('its labels are names')
    assert check(record(labels=[1]), label_map=None) == ['there are not as many labels as boxes']


@pytest.mark.parametrize(('features', 'says'), [
    ({'y': [.5] * 4, 'x': [.5] * 4}, []),
    ({'y': [.5] * 4, 'x': [.5] * 4, 'keypoint_visibility': [2, 0, 1, 2]}, []),
    ({'y': [.5, float('nan')] * 2, 'x': [.5] * 4, 'keypoint_visibility': [2] * 4}, []),
    ({'y': [.5] * 4}, ['its keypoints have unequal numbers of coordinates']),
    ({'y': [.5] * 2, 'x': [.5] * 2}, ['there are not 2 keypoints (num_keypoints of the input_reader) for each box']),
    ({'y': [.5] * 6, 'x': [.5] * 6}, ['there are not 2 keypoints (num_keypoints of the input_reader) for each box']),
    ({'y': ('int64_list', [1] * 4), 'x': [.5] * 4},
     ['feature image/object/keypoint/y is of type int64_list and must be of type float_list; write the records again']),
    ({'y': [16.] * 4, 'x': [.5] * 4},
     ['a keypoint is in pixels; coordinates are fractions of height and width, 0 to 1']),
    ({'y': [.5] * 4, 'x': [.5] * 4, 'keypoint_visibility': [2, 2]},
     ['there are not as many keypoint visibilities as keypoints; they do not count']),
    ({'y': [.5] * 4, 'x': [.5] * 4, 'keypoint_visibility': [2, 2, 3, 2]},
     ['keypoint visibilities are 0 (not labeled), 1 (hidden), or 2 (visible); others count as 0']),
    ({'keypoint_visibility': ('float_list', [2.] * 4)},
     ['feature image/object/keypoint/visibility is of type float_list and must be of type int64_list; write the '
      'records again']),
])
def test_keypoints(features, says):
    assert check(record(**features), KEYPOINTS) == says
    assert check(record(**features)) == []  # not read without num_keypoints


@pytest.mark.parametrize(('masks', 'says'), [
    ([mask(), mask()], []),
    ([mask(kind='JPEG'), mask()], []),
    ([mask()], ['there are not as many masks as boxes']),
    ([mask()] * 3, ['there are not as many masks as boxes']),
    ([mask(WIDTH - 1)] * 2, ['a mask has another size than its picture']),
    ([mask(), mask()[:-9]], ['a mask cannot be decoded']),
    ([mask(), mask(kind='BMP')], ['a mask cannot be decoded']),
    (('float_list', [1.] * 2 * WIDTH * HEIGHT), ['its masks are numbers; set mask_type: NUMERICAL_MASKS in the '
                                                 'input_reader']),
    (('int64_list', [1]), ['feature image/object/mask is of type int64_list and must be of type bytes_list; write the '
                           'records again']),
])
def test_masks(masks, says):
    assert check(record(masks=masks), PNG) == says


def test_masks_of_numbers():
    assert check(record(masks=('float_list', [1.] * 2 * WIDTH * HEIGHT)), NUMBERS) == []
    assert check(record(masks=('float_list', [1.] * 3 * WIDTH * HEIGHT)), NUMBERS) == [
        'there are not as many masks as boxes']
    assert check(record(masks=[mask(), mask()]), NUMBERS) == [
        'its masks are PNGs; set mask_type: PNG_MASKS in the input_reader']


def test_bare_pixels_are_named():
    fault = records.examine(record(encoded=[PIXELS.tobytes()]), LABELS).faults[0]
    assert fault.detail == '4608 bytes, the bare pixels of 48x32; encode them as JPEG or PNG'


def test_usable_boxes_are_counted():
    def usable(**features):
        return records.examine(record(**features), LABELS, num_classes=2).usable

    assert usable() == 2
    assert usable(texts=[b'cow', b'dog']) == usable(weights=[0., 1.]) == usable(xmin=[.9, 0.]) == 1
    assert usable(ymax=[float('nan'), 1.]) == usable(xmax=[40., 1.]) == usable(texts=None, labels=[7, 2]) == 1
    assert records.examine(record(), LABELS, num_classes=1).usable == 1
