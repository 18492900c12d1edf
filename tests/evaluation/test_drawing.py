"""Where boxes, masks and keypoints are drawn."""
import numpy as np

from object_detection.evaluation import drawing


def test_a_box_has_its_lines_where_it_says():
    picture = np.full((100, 200, 3), 255, np.uint8)
    drawn = drawing.draw_objects(picture, [[40, 50, 80, 150]], ['cat'], [1])
    assert (picture == 255).all()
    assert drawn[60, 50].tolist() == drawn[60, 150].tolist() == drawn[80, 100].tolist() == [0xe6, 0x19, 0x4b]
    assert drawn[60, 100].tolist() == [255] * 3
    assert drawn[30, 52].tolist() != [255] * 3  # the caption stands above


def test_boxes_beyond_the_picture_and_inside_out():
    picture = np.full((50, 60, 3), 255, np.uint8)
    drawn = drawing.draw_objects(picture, [[-20, -30, 500, 900], [30, 40, 10, 20]], ['everything', 'x'], [3, 12])
    assert drawn.shape == picture.shape


def test_masks_tint_and_keypoints_are_joined():
    picture = np.full((100, 200, 3), 255, np.uint8)
    mask = np.zeros((50, 100), bool)  # half the size of the picture
    mask[20:30, 30:60] = True
    drawn = drawing.draw_objects(picture, [[20, 20, 90, 180]], [''], [2], [mask],
                                   [[[50, 100], [50, 160], [80, 100], [np.nan, np.nan]]], [(0, 1), (2, 3), (0, 9)])
    color = np.array([0x3c, 0xb4, 0x4b])
    np.testing.assert_allclose(drawn[45, 70], 255 + (color - 255) * 110 / 255, atol=1.5)
    assert drawn[35, 70].tolist() == [255] * 3  # outside the mask
    assert drawn[50, 100].tolist() == drawn[50, 140].tolist() == drawn[80, 100].tolist() == color.tolist()
    assert drawn[65, 100].tolist() == [255] * 3  # no line without its second end


def test_side_by_side_draws_what_is_sure_enough():
    picture = np.full((90, 120, 3), 255, np.uint8)
    box = [[20, 20, 60, 80]]
    nothing = {'boxes': np.zeros((0, 4)), 'classes': [], 'scores': []}

    def draw(found, truth):
        return drawing.side_by_side(picture, found, truth, lambda number: f'class {number}', .5, 20)

    plain = draw(nothing, nothing)
    assert plain.shape[0] == 90 and plain.shape[1] > 240 and (plain == 255).all()
    one = {'boxes': box, 'classes': [1], 'scores': [.6]}
    assert (draw(one | {'scores': [.4]}, nothing) == 255).all()
    both = draw(one, one)
    assert (both[:, :120] != 255).any() and (both[:, -120:] != 255).any()
    points = {'keypoints': [[[40, 30], [40, 60]]], 'keypoint_scores': np.array([[.9, .1]])}
    pointed = draw(one | points, one)
    assert (pointed[40, 30] != 255).any() and (pointed[40, 60] == 255).all()
