"""Where boxes, masks and keypoints are drawn."""
import numpy as np

from object_detection import protos
from object_detection.config import label_map
from object_detection.evaluation import drawing
from object_detection.evaluation.samples import Sample

LABELS = label_map.LabelMap((label_map.Item(1, 'cat'),))


def test_box_lines_are_at_its_coordinates():
    picture = np.full((100, 200, 3), 255, np.uint8)
    drawn = drawing.draw_objects(picture, [[40, 50, 80, 150]], ['cat'], [1])
    assert (picture == 255).all()
    assert drawn[60, 50].tolist() == drawn[60, 150].tolist() == drawn[80, 100].tolist() == [0xe6, 0x19, 0x4b]
    assert drawn[60, 100].tolist() == [255] * 3
    assert drawn[30, 52].tolist() != [255] * 3  # the caption stands above


def test_boxes_beyond_the_image_and_with_swapped_sides():
    picture = np.full((50, 60, 3), 255, np.uint8)
    drawn = drawing.draw_objects(picture, [[-20, -30, 500, 900], [30, 40, 10, 20]], ['everything', 'x'], [3, 12])
    assert drawn.shape == picture.shape


def test_masks_tint_and_edges_join_keypoints():
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


def test_side_by_side_draws_confident_detections_only():
    image = np.full((360, 480, 3), 255, np.uint8)
    options = protos.TrainEvalPipelineConfig().eval_config
    box = np.array([[80, 80, 240, 320]])
    nothing = {'boxes': np.zeros((0, 4)), 'classes': [], 'scores': []}

    def draw(detections, groundtruth):
        return drawing.side_by_side(Sample(image, np.array(image.shape[:2]), groundtruth, detections), LABELS, options)

    plain = draw(nothing, nothing)
    assert plain.shape[0] == 360 and plain.shape[1] > 960 and (plain == 255).all()
    one = {'boxes': box, 'classes': [1], 'scores': [.6]}  # min_score_threshold is .5
    assert (draw(one | {'scores': [.4]}, nothing) == 255).all()
    both = draw(one, one)
    assert (both[:, :480] != 255).any() and (both[:, -480:] != 255).any()
    points = {'keypoints': np.array([[[160., 120.], [160., 240.]]]), 'keypoint_scores': np.array([[.9, .1]])}
    pointed = draw(one | points, one)
    assert (pointed[160, 120] != 255).any() and (pointed[160, 240] == 255).all()
    options.max_num_boxes_to_visualize = 0
    assert (draw(one, nothing) == 255).all()


def test_side_by_side_scales_to_a_readable_size():
    box = np.array([[10, 10, 30, 40]])
    sample = Sample(np.full((30, 40, 3), 255, np.uint8), np.array([60, 80]), {'boxes': box, 'classes': [1]},
                    {'boxes': np.zeros((0, 4)), 'classes': [], 'scores': []})
    drawn = drawing.side_by_side(sample, LABELS, protos.TrainEvalPipelineConfig().eval_config)
    assert drawn.shape[0] == 360 and drawn.shape[1] > 960  # 60 x 80, enlarged six times
    right = drawn[:, -480:]
    assert right[120, 60].tolist() == right[120, 240].tolist() == [0xe6, 0x19, 0x4b]  # both sides of the box
