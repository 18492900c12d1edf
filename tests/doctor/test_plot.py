"""Pictures of inputs: drawn inputs, and single pixels of what is drawn on them."""
import numpy as np

from object_detection.config.label_map import Item, LabelMap
from object_detection.doctor import plot

LABELS = LabelMap((Item(1, 'cat'), Item(2, 'dog')))
FIRST, SECOND = (230, 25, 75), (60, 180, 75)  # the first two colors of drawing.COLORS


def sample(masks=False):
    """A gray input of 100 x 200 with a cat and a dog, padded to three boxes."""
    found = {'num_groundtruth_boxes': np.int32(2),
             'groundtruth_boxes': np.array([[.25, .25, .75, .5], [.5, .625, .875, .875], [0, 0, 0, 0]], np.float32),
             'groundtruth_classes': np.array([[1, 0], [0, 1], [0, 0]], np.float32)}
    if masks:
        found['groundtruth_instance_masks'] = np.zeros((3, 100, 200), np.float32)
        found['groundtruth_instance_masks'][1, 60:80, 140:160] = 1
    return np.full((100, 200, 3), 128., np.float32), found


def test_boxes_are_drawn_in_the_color_of_their_class_on_an_enlarged_input():
    drawn = plot.draw_sample(*sample(), LABELS)
    assert drawn.shape == (320, 640, 3)  # 200 are enlarged to 640
    assert tuple(drawn[160, 160]) == FIRST  # the left edge of the first box: .5 * 320, .25 * 640
    assert tuple(drawn[220, 400]) == SECOND  # .625 * 640
    assert tuple(drawn[160, 240]) == (128, 128, 128)  # inside


def test_masks_tint_their_object():
    drawn = plot.draw_sample(*sample(masks=True), LABELS)
    assert tuple(drawn[224, 480]) != (128, 128, 128)  # row 70, column 150
    assert tuple(drawn[224, 416]) == (128, 128, 128)  # column 130: inside the box, outside the mask


def test_matched_anchors_are_drawn_in_the_color_of_their_box_and_counted():
    anchors = np.array([[.2, .3, .7, .6], [0, 0, .1, .1], [.3, .2, .7, .45]], np.float32)
    drawn = plot.draw_sample(*sample(), LABELS, (anchors, np.array([0, -1, 0])))
    assert drawn.shape == (320, 640 + 8 + 640, 3)
    right = drawn[:, 648:]
    assert tuple(right[100, 384]) == FIRST  # right edge of the first anchor: .6 * 640
    assert tuple(right[20, 64]) == (128, 128, 128)  # the second is matched with nothing
    assert (drawn[:, 640:648] == 255).all()


def test_captions_count_the_anchors(monkeypatch):
    told = []
    draw = plot.drawing.draw_objects

    def keep(image, boxes, captions, *rest):
        told.append(captions)
        return draw(image, boxes, captions, *rest)
    monkeypatch.setattr(plot.drawing, 'draw_objects', keep)
    plot.draw_sample(*sample(), LABELS, (np.zeros((4, 4), np.float32), np.array([0, 0, -1, -2])))
    assert told == [['cat', 'dog'], ['2 anchors', 'no anchor']]
