"""Boxes, masks and keypoints on the upright picture: sizes, orientations, labels, crowds."""
import io

import numpy as np
import pytest
from PIL import Image

from object_detection.preparation.annotations.labels import Labels
from object_detection.utils.errors import UserError
from tests.support.drawn import CAT, DOG, coco, voc

TRIANGLE = [20, 10, 60, 10, 20, 50]
POINTS = ['nose', 'left_ear', 'right_ear']
CATEGORIES = [{'id': 1, 'name': 'cat', 'keypoints': POINTS}, {'id': 2, 'name': 'dog'}]


def one(annotated, pets, **options):
    """Return a function (files) -> the Annotation of cat/1.jpg."""
    return lambda files: annotated(pets({'cat/1.jpg': None} | files), boxes='whole', **options)['cat/1.jpg']


@pytest.mark.parametrize(('labels', 'name', 'expected'), [
    (['B', 'b'], 'B', 'B'), (['B', 'b'], 'b', 'b'), (['Sit'], 'sIT', 'Sit'), (['Sit', 'sit'], 'SIT', None),
    (['Sit'], ' Sit ', 'Sit'), (['caf\xe9'], 'cafe\u0301', 'caf\xe9'), (['Sit'], 'Sitting', None), (['Sit'], '', None)])
def test_names_are_compared_exactly_first(labels, name, expected):
    assert Labels(labels).find(name) == expected


def test_a_name_that_could_be_two_labels(pets, annotated):
    files = {'cat/1.jpg': None, 'Cat/2.jpg': None, 'cat/1.xml': voc([CAT, ('CAT', CAT[1])])}
    found = annotated(pets(files), boxes='whole')['cat/1.jpg']
    assert [box.label for box in found.boxes] == ['cat']
    assert found.findings == ["cat/1.xml: box named 'CAT', which could be Cat or cat: left out"]


@pytest.mark.parametrize(('size', 'scale'), [
    ((200, 100), 1), ((400, 200), 2), ((100, 50), .5), ((133, 66), .665), ((2000, 1003), 10), ((0, 0), 1)])
def test_sizes_of_copies_are_scales(pets, annotated, size, scale):
    scaled = [('cat', tuple(value * scale for value in CAT[1]))]
    [box] = one(annotated, pets)({'cat/1.xml': voc(scaled, size=size)}).boxes
    assert box.corners == pytest.approx((.1, .1, .5, .3), abs=.005)


@pytest.mark.parametrize('size', [(100, 200), (200, 120), (200, 200), (640, 640), (1000, 550)])
def test_a_size_of_other_proportions_is_no_scale(pets, annotated, size):
    found = one(annotated, pets)({'cat/1.xml': voc([CAT], size=size)})
    assert found.boxes is None and found.unclear
    assert found.findings == [f'cat/1.xml: is for a picture of {size[0]}x{size[1]}, and this one has 200x100: not used']


@pytest.mark.parametrize(('size', 'expected'), [((200, 100), (.1, .1, .5, .3)), ((100, 200), (.4, .9, .8, 1)),
                                                ((50, 100), (.8, .8, 1, 1))])
def test_orientation_8_drawn_upright_or_on_its_side(pets, annotated, size, expected):
    """Stored 100x200, the point (x, y) at (y, 1 - x) of the upright picture."""
    drawn = {(200, 100): CAT, (100, 200): ('cat', (20, 180, 60, 200)), (50, 100): ('cat', (0, 80, 10, 100))}[size]
    found = one(annotated, pets, turned=8)({'cat/1.xml': voc([drawn], size=size)})
    assert found.boxes[0].corners == pytest.approx(expected)


def test_crowds_are_left_out_and_counted(pets, annotated):
    files = {'dog/2.jpg': None, 'a.json': coco({'1.jpg': [CAT, (*DOG, {'iscrowd': 1})]})}
    found = one(annotated, pets)(files)
    assert [box.label for box in found.boxes] == ['cat']
    assert found.left_out == {'crowd regions': 1} and not found.findings
    assert [box.label for box in one(annotated, pets, keep_crowds=True)(files).boxes] == ['cat', 'dog']


@pytest.mark.parametrize('objects', [[('bird', CAT[1])], [('cat', (20, 10, 20.5, 50))], [('', CAT[1])],
                                     [(*CAT, {'iscrowd': 1})], [('cat', (500, 500, 600, 600))]])
def test_a_picture_whose_objects_are_all_left_out_is_unclear(pets, annotated, objects):
    categories = [{'id': i, 'name': name} for i, name in enumerate(('cat', 'bird', ''))]
    found = one(annotated, pets)({'a.json': coco({'1.jpg': objects}, categories)})
    assert found.boxes == [] and found.unclear and found.left_out.total() == 1


def test_outlines(pets, annotated):
    files = {'a.json': coco({'1.jpg': [(*CAT, {'segmentation': [TRIANGLE]})]}, CATEGORIES)}
    assert one(annotated, pets)(files).boxes[0].mask is None  # nobody has asked for masks
    [box] = one(annotated, pets, masks=True)(files).boxes
    pixels = box.mask.pixels(200, 100)
    assert pixels.shape == (100, 200) and pixels.sum() == pytest.approx(800, abs=45)
    assert pixels[12, 22] and pixels[12, 50] and pixels[45, 22] and not pixels[45, 50] and not pixels[:, 61:].any()
    assert box.mask.pixels(50, 25).sum() == pytest.approx(50, abs=8)


def runs(mask):
    """Return runs, by columns, of a mask, bool [height, width]."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff([0, *ends, mask.size]).tolist()


def test_masks_in_every_orientation(pets, annotated):
    """A mask that is drawn on the stored picture lies on the upright one where its box does."""
    upright = np.zeros((100, 200), bool)
    upright[20:40, 30:80] = True
    for turned, undo in ((5, lambda m: m.T), (6, lambda m: np.rot90(m)), (7, lambda m: m[::-1, ::-1].T),
                         (8, lambda m: np.rot90(m, -1))):
        stored = undo(upright)
        ys, xs = np.nonzero(stored)
        box = ('cat', tuple(int(value) for value in (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)))
        more = {'segmentation': {'size': [200, 100], 'counts': runs(stored)}}
        text = coco({'1.jpg': [(*box, more)]}).replace('"width": 200, "height": 100', '"width": 100, "height": 200')
        [found] = one(annotated, pets, masks=True, turned=turned)({'a.json': text}).boxes
        assert found.corners == pytest.approx((.2, .15, .4, .4))
        np.testing.assert_array_equal(found.mask.pixels(200, 100), upright)
        np.testing.assert_array_equal(found.mask.pixels(100, 50), upright[::2, ::2])
        outline = [value for x, y in ((box[1][0], box[1][1]), (box[1][2], box[1][1]), (box[1][2], box[1][3]),
                                      (box[1][0], box[1][3])) for value in (x, y)]
        text = coco({'1.jpg': [(*box, {'segmentation': [outline]})]}).replace('"width": 200, "height": 100',
                                                                              '"width": 100, "height": 200')
        [found] = one(annotated, pets, masks=True, turned=turned)({'a.json': text}).boxes
        np.testing.assert_array_equal(found.mask.pixels(200, 100), upright)


@pytest.mark.parametrize(('segmentation', 'message'), [
    ([[100, 60, 180, 60, 180, 90]], 'with an outline elsewhere: no mask'), ([[1, 2, 3]], 'neither polygons nor runs'),
    ({'size': [50, 100], 'counts': [1000, 4000]}, 'with a mask of 100x50 in a picture of 200x100: no mask'),
    ([[20, 10, 60, float('nan'), 20, 50]], 'with an outline elsewhere'), ([], '1 of 1 objects have no outline')])
def test_outlines_that_cannot_be_used_leave_the_box(pets, annotated, segmentation, message):
    pictures = {'1.jpg': [(*CAT, {'segmentation': segmentation})], '2.jpg': [(*CAT, {'segmentation': [TRIANGLE]})]}
    found = one(annotated, pets, masks=True)({'cat/2.jpg': None, 'a.json': coco(pictures, CATEGORIES)})
    assert found.boxes[0].mask is None and found.boxes[0].corners == pytest.approx((.1, .1, .5, .3))
    assert message in ' '.join(found.findings) and '1 of 1 objects have no outline' in found.findings[-1]


def test_no_outline_at_all_is_an_error(pets, annotated):
    with pytest.raises(UserError, match='--masks: no annotation has an outline'):
        one(annotated, pets, masks=True)({'cat/1.xml': voc([CAT])})
    with pytest.raises(UserError, match='--keypoints: no annotation has keypoints with names'):
        one(annotated, pets, keypoints=True)({'cat/1.xml': voc([CAT])})


def test_keypoints(pets, annotated):
    points = [20, 10, 2, 60, 50, 1, 0, 0, 0]
    files = {'dog/2.jpg': None,
             'a.json': coco({'1.jpg': [(*CAT, {'keypoints': points}), (*DOG, {'keypoints': points}), CAT]}, CATEGORIES)}
    cat, dog, other = one(annotated, pets, keypoints=True)(files).boxes
    assert cat.keypoints == ((.1, .1, 2), (.5, .3, 1), (0, 0, 0)) and dog.keypoints == other.keypoints == ()


def test_keypoints_of_a_picture_drawn_on_its_side(pets, annotated):
    """Orientation 6, stored 100x200: the stored (x, y) is at (1 - y, x) of the upright picture."""
    text = coco({'1.jpg': [(*CAT, {'keypoints': [20, 10, 2, 60, 150, 1, 300, 50, 2]})]}, CATEGORIES)
    text = text.replace('"width": 200, "height": 100', '"width": 100, "height": 200')
    [box] = one(annotated, pets, keypoints=True, turned=6)({'a.json': text}).boxes
    assert box.keypoints[0] == pytest.approx((.2, .95, 2)) and box.keypoints[1] == pytest.approx((.6, .25, 1))
    assert box.keypoints[2] == (0, 0, 0)  # outside the picture


@pytest.mark.parametrize(('box', 'expected', 'said'), [
    ((60, 50, 20, 10), (.1, .1, .5, .3), 'has its corners swapped'),
    ((-3, 10, 60, 102), (.1, 0, 1, .3), None), ((20, 10, 260, 50), (.1, .1, .5, 1), 'reaches 60 pixels out')])
def test_doubtful_boxes_are_kept_and_reported(pets, annotated, box, expected, said):
    found = one(annotated, pets)({'cat/1.xml': voc([('cat', box)])})
    assert found.boxes[0].corners == pytest.approx(expected)
    assert len(found.findings) == bool(said) and all(said in finding for finding in found.findings)


def test_masks_of_pascal_voc(annotated, pets):
    """The second object has no pixels, the third lies elsewhere; 255 is the edge between objects."""
    pixels = np.zeros((100, 200), np.uint8)
    pixels[10:50, 20:60] = 1
    pixels[10:12, 20:60] = 255
    pixels[60:90, 10:40] = 3
    stream = io.BytesIO()
    mask = Image.fromarray(pixels, 'P')
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0, 128])
    mask.save(stream, 'PNG')
    files = {'JPEGImages/1.jpg': None, 'Annotations/1.xml': voc([CAT, DOG, CAT]),
             'SegmentationObject/1.png': stream.getvalue()}
    first, second, third = annotated(pets(files), masks=True)['JPEGImages/1.jpg'].boxes
    np.testing.assert_array_equal(first.mask.pixels(200, 100), pixels == 1)
    assert second.mask is third.mask is None
    found = annotated(pets(files), masks=True)['JPEGImages/1.jpg'].findings
    assert 'without a mask in' in found[0] and 'with an outline elsewhere' in found[1]


def test_a_mask_of_pascal_voc_that_cannot_be_used(annotated, pets):
    stream = io.BytesIO()
    Image.new('RGB', (200, 100)).save(stream, 'PNG')
    files = {'JPEGImages/1.jpg': None, 'Annotations/1.xml': voc([CAT]), 'SegmentationObject/1.png': stream.getvalue(),
             'a.json': coco({'JPEGImages/2.jpg': [(*DOG, {'segmentation': [TRIANGLE]})]}), 'JPEGImages/2.jpg': None}
    found = annotated(pets(files), masks=True)['JPEGImages/1.jpg']
    assert found.boxes[0].mask is None and 'cannot be read (its pixels are no numbers of objects)' in found.findings[0]
