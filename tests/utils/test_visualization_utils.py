import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageFont

from object_detection.utils import visualization_shapes
from object_detection.utils import visualization_utils as vis

NAMES = {1: {'id': 1, 'name': 'dog'}, 2: {'id': 2, 'name': 'cat'}}
CHARTREUSE, AQUA, DARK_ORANGE = (127, 255, 0), (0, 255, 255), (255, 140, 0)


def canvas(height=100, width=200):
    return np.full([height, width, 3], 30, np.uint8)


def draw(boxes, classes=None, scores=None, image=None, **options):
    image = canvas() if image is None else image
    boxes = np.array(boxes, np.float32)
    classes = np.ones(len(boxes), int) if classes is None else np.array(classes)
    scores = np.ones(len(boxes)) if scores is None else np.array(scores)
    result = vis.visualize_boxes_and_labels_on_image_array(
        image, boxes, classes, scores, NAMES, use_normalized_coordinates=True, **options)
    assert result is image
    return image


def colors(image):
    return {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}


def test_colors_of_the_reference():
    assert len(vis.STANDARD_COLORS) == 126
    assert vis.STANDARD_COLORS[:3] == ['AliceBlue', 'Chartreuse', 'Aqua']
    assert vis.STANDARD_COLORS[-2:] == ['Yellow', 'YellowGreen']


def test_box_without_text():
    """A line of 4 pixels around the box."""
    image = canvas()
    vis.draw_bounding_box_on_image_array(image, .2, .1, .6, .5, 'chartreuse')  # y 20..60, x 20..100
    assert colors(image) == {(30, 30, 30), CHARTREUSE}
    drawn = (image == CHARTREUSE).all(-1)
    assert drawn[19:22, 20:100].all() and drawn[59:62, 20:100].all()
    assert drawn[20:60, 19:22].all() and drawn[20:60, 99:102].all()
    assert not drawn[23:58, 23:98].any()
    assert not drawn[:17].any() and not drawn[63:].any() and not drawn[:, :18].any() and not drawn[:, 103:].any()


def test_color_follows_the_class():
    assert CHARTREUSE in colors(draw([[.2, .1, .6, .5]], [1]))
    assert AQUA in colors(draw([[.2, .1, .6, .5]], [2]))
    assert AQUA in colors(draw([[.2, .1, .6, .5]], [2 + 126]))  # the colors start over
    assert AQUA in colors(draw([[.2, .1, .6, .5]], [2.]))  # as SavedModels give them


def test_low_scores_and_further_boxes_are_not_drawn():
    boxes = [[.2, .1, .6, .5], [.2, .6, .6, .9]]
    assert AQUA not in colors(draw(boxes, [1, 2], [.9, .5]))  # the threshold itself is too low
    assert AQUA in colors(draw(boxes, [1, 2], [.9, .51]))
    assert AQUA not in colors(draw(boxes, [1, 2], [.9, .8], max_boxes_to_draw=1))
    for everything in (None, 0):
        assert AQUA in colors(draw(boxes, [1, 2], [.9, .8], max_boxes_to_draw=everything))


def test_text_stands_above_the_box_or_below_it():
    """One line of the bitmap font is 11 pixels high, with margins of 1 and 2 pixels."""
    black = (0, 0, 0)
    above = (draw([[.5, .1, .9, .5]], skip_boxes=True) == black).all(-1)
    assert above[36:50].any() and not above[:36].any() and not above[50:].any()
    below = (draw([[.05, .1, .5, .5]], skip_boxes=True) == black).all(-1)
    assert below[50:64].any() and not below[:50].any()


def lines_of(monkeypatch, *args, **options):
    """What visualize_boxes_and_labels_on_image_array writes at each box."""
    lines = []
    monkeypatch.setattr(vis, 'draw_bounding_box_on_image_array',
                        lambda *args, display_str_list, **kwargs: lines.append(display_str_list))
    draw(*args, **options)
    return lines


def test_text(monkeypatch):
    box = [[.2, .1, .6, .5]]
    assert lines_of(monkeypatch, box, [1], [.876]) == [['dog: 88%']]
    assert lines_of(monkeypatch, box, [7], [.876]) == [['N/A: 88%']]
    assert lines_of(monkeypatch, box, skip_scores=True) == [['dog']]
    assert lines_of(monkeypatch, box, skip_labels=True) == [['100%']]
    assert lines_of(monkeypatch, box, agnostic_mode=True) == [['100%']]
    assert lines_of(monkeypatch, box, track_ids=np.array([3])) == [['dog: 100%: ID 3']]
    assert lines_of(monkeypatch, box, track_ids=np.array([3]), skip_track_ids=True) == [['dog: 100%']]
    assert lines_of(monkeypatch, box * 2, [1, 2], [.9, .8]) == [['dog: 90%', 'cat: 80%']]


def test_groundtruth_has_its_color_and_no_text():
    image = canvas()
    vis.visualize_boxes_and_labels_on_image_array(
        image, np.array([[20, 20, 60, 100]]), np.array([1]), None, NAMES, groundtruth_box_visualization_color='lime')
    assert colors(image) == {(30, 30, 30), (0, 255, 0)}


def test_agnostic_and_tracked_colors():
    assert DARK_ORANGE in colors(draw([[.2, .1, .6, .5]], agnostic_mode=True))
    # 13 is the prime nearest to a tenth of the 126 colors; 7 divides 126. Track 10: 130 % 126 = 4, Azure.
    assert vis._get_multiplier_for_color_randomness() == 13
    assert (240, 255, 255) in colors(draw([[.2, .1, .6, .5]], track_ids=np.array([10])))


def test_masks_are_tinted():
    mask = np.zeros([1, 100, 200], np.uint8)
    mask[0, 40:50, 120:130] = 1
    image = draw([[.2, .1, .6, .3]], instance_masks=mask)
    # opacity 102 of 255: 30 + (127 - 30) * .4 = 68.8, 30 + 225 * .4 = 120, 30 - 30 * .4 = 18
    tinted = (image == (69, 120, 18)).all(-1)
    assert tinted[40:50, 120:130].all() and tinted.sum() == 100
    boundaries = draw([[.2, .1, .6, .3]], instance_boundaries=mask)
    assert (boundaries[40:50, 120:130] == (255, 0, 0)).all()


def test_keypoints_of_a_box():
    points = np.array([[[.5, .5], [.5, .75], [.9, .9]]])
    image = draw([[.1, .1, .2, .2]], keypoints=points, keypoint_scores=np.array([[.9, .8, .3]]),
                 keypoint_edges=[(0, 1), (1, 2), (2, 7)], skip_boxes=True, skip_labels=True, skip_scores=True)
    drawn = (image == CHARTREUSE).all(-1)
    assert drawn[48:53, 98:103].sum() > 12  # a dot of radius 2
    assert drawn[50, 100:151].all()  # an edge of 2 pixels
    assert not drawn[85:].any()  # the last keypoint is not sure enough, so neither are its edges


def test_keypoints_with_nan_are_left_out():
    image = Image.fromarray(canvas())
    vis.draw_keypoints_on_image(image, [[.5, .25], [np.nan, .5], [.5, .75]], keypoint_edges=[(0, 1), (0, 2)],
                                radius=1, keypoint_edge_width=1)
    assert colors(np.array(image)) == {(30, 30, 30), (255, 0, 0), (0, 128, 0)}
    array = canvas()
    vis.draw_keypoints_on_image_array(array, [[50, 50], [np.nan, 0], [50, 150]], keypoint_edges=[(0, 1), (0, 2)],
                                      radius=1, keypoint_edge_width=1, use_normalized_coordinates=False)
    np.testing.assert_array_equal(array, np.array(image))


def test_boxes_of_other_functions():
    array, picture = canvas(), Image.fromarray(canvas())
    vis.draw_bounding_box_on_image_array(array, .2, .1, .6, .5, color='red', display_str_list=['a', 'b'])
    vis.draw_bounding_boxes_on_image(picture, np.array([[.2, .1, .6, .5]]), 'red', 4, [['a', 'b']])
    np.testing.assert_array_equal(array, np.array(picture))
    again = canvas()
    vis.draw_bounding_boxes_on_image_array(again, np.array([[.2, .1, .6, .5]]), display_str_list_list=[['a', 'b']])
    np.testing.assert_array_equal(again, array)
    pixels = canvas()
    vis.draw_bounding_box_on_image_array(pixels, 20, 20, 60, 100, 'red', 4, ['a', 'b'], False)
    np.testing.assert_array_equal(pixels, array)
    vis.draw_bounding_boxes_on_image(picture, np.zeros(()))  # a scalar is no box
    with pytest.raises(ValueError, match=r'\[N, 4\], not \(2, 3\)'):
        vis.draw_bounding_boxes_on_image(picture, np.zeros([2, 3]))


def test_letters_beyond_latin_1():
    """The bitmap font lacks them; the reference ends in a UnicodeEncodeError."""
    image = canvas()
    vis.draw_bounding_box_on_image_array(image, .5, .1, .9, .5, display_str_list=['犬: 90%', 'собака', 'café'])
    assert (0, 0, 0) in colors(image)


def test_arial_where_it_is_installed(monkeypatch):
    asked, font = [], ImageFont.load_default(24)
    monkeypatch.setattr(ImageFont, 'truetype', lambda *args: asked.append(args) or font)
    visualization_shapes._font.cache_clear()
    image = draw([[.6, .1, .9, .5]], skip_boxes=True)
    visualization_shapes._font.cache_clear()
    assert asked == [('arial.ttf', 24)]
    # 115 x 29 pixels with margins of 2: from y = 60 - 29 - 4, x = 20 to 135
    filled = (image != (30, 30, 30)).any(-1)
    assert filled[28:60, 21:134].all() and not filled[:26].any()


@pytest.mark.parametrize('image, mask, problem', [
    (np.zeros([2, 2, 3], int), np.zeros([2, 2], np.uint8), '`image` not of type'),
    (np.zeros([2, 2, 3], np.uint8), np.zeros([2, 2], bool), '`mask` not of type'),
    (np.zeros([2, 2, 3], np.uint8), np.zeros([2, 3], np.uint8), r'\(2, 2\) but the mask has dimensions \(2, 3\)')])
def test_masks_that_do_not_fit(image, mask, problem):
    with pytest.raises(ValueError, match=problem):
        vis.draw_mask_on_image_array(image, mask)
    with pytest.raises(ValueError, match=problem):
        vis.draw_part_mask_on_image_array(image, mask)


def test_parts():
    image = np.zeros([1, 3, 3], np.uint8)
    vis.draw_part_mask_on_image_array(image, np.array([[0, 2, 30]], np.uint8), alpha=1., num_parts=24)
    assert image.tolist() == [[[0, 0, 0], list(CHARTREUSE), [0, 0, 0]]]


def test_float_channel():
    pytest.importorskip('matplotlib')
    image = np.zeros([1, 3, 3], np.uint8)
    vis.draw_float_channel_on_image_array(image, np.array([[0., 0., 1.]], np.float32),
                                          np.array([[0, 1, 1]], np.uint8), alpha=1., cmap='bwr')
    assert image.tolist() == [[[0, 0, 0], [0, 0, 255], [255, 0, 0]]]  # blue, white, red
    with pytest.raises(ValueError, match='channel'):
        vis.draw_float_channel_on_image_array(image, np.zeros([1, 3]), np.zeros([1, 3], np.uint8))


def test_plots():
    pytest.importorskip('matplotlib')

    @tf.function
    def summaries():
        vis.add_cdf_image_summary(tf.constant([.1, .2, .7]), 'cdf')
        vis.add_hist_image_summary(tf.constant([.1, .2, .7]), tf.constant([0., .5, 1.]), 'hist')
        return tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.SUMMARIES)

    for text in summaries():
        [value] = tf.compat.v1.Summary.FromString(text.numpy()).value
        assert (value.image.height, value.image.width) == (480, 640)


def test_plots_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(ModuleNotFoundError, match='pip install matplotlib'):
        vis.draw_float_channel_on_image_array(canvas(), np.zeros([100, 200], np.float32),
                                              np.zeros([100, 200], np.uint8))


def test_heatmaps():
    heatmaps = np.zeros([1, 3, 2])
    heatmaps[0, 1, 0] = heatmaps[0, 2, 1] = 1
    expected = [[[9, 9, 9], [240, 248, 255], list(CHARTREUSE)]]
    image = np.full([1, 3, 3], 9, np.uint8)
    assert vis.draw_heatmaps_on_image_array(image, heatmaps).tolist() == expected
    assert image.tolist() == [[[9] * 3] * 3]  # unlike the others, it draws on a copy
    drawn = vis.draw_heatmaps_on_image_tensors(tf.constant(image[np.newaxis]),
                                               tf.constant(heatmaps[np.newaxis], tf.float32))
    assert drawn.numpy().tolist() == [expected]


def test_png(tmp_path):
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    vis.save_image_array_as_png(image, tmp_path / 'a.png')
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'a.png')), image)
    assert vis.encode_image_array_as_png_str(image)[:8] == b'\x89PNG\r\n\x1a\n'


def batch():
    boxes = np.array([[[.2, .1, .6, .5], [.3, .4, .9, .9]]] * 2, np.float32)
    return (np.stack([canvas()] * 2), boxes, np.array([[1, 2], [2, 1]]), np.array([[.9, .8], [.7, .1]], np.float32))


def test_tensors_are_drawn_like_arrays():
    images, boxes, classes, scores = batch()
    keypoints = np.random.default_rng(0).uniform(0, 1, [2, 2, 3, 2]).astype(np.float32)
    masks = np.zeros([2, 2, 100, 200], np.uint8)
    masks[..., 50:, 50:] = 1
    options = {'keypoints': keypoints, 'keypoint_scores': np.ones([2, 2, 3], np.float32), 'instance_masks': masks,
               'track_ids': np.array([[1, 2], [3, 4]], np.int32)}
    expected = [draw(boxes[i], classes[i], scores[i], image=canvas(), min_score_thresh=.2, keypoint_edges=[(0, 1)],
                     **{name: values[i] for name, values in options.items()}) for i in range(2)]

    def run(images):
        return vis.draw_bounding_boxes_on_image_tensors(images, boxes, classes, scores, NAMES, keypoint_edges=[(0, 1)],
                                                        **options)
    for drawn in (run(tf.constant(images)), tf.function(run)(tf.constant(images))):
        np.testing.assert_array_equal(drawn, expected)
    assert (images == 30).all()


def test_tensors_of_other_channels_and_sizes():
    _, boxes, classes, scores = batch()
    gray = vis.draw_bounding_boxes_on_image_tensors(tf.fill([2, 100, 200, 1], tf.constant(30, tf.uint8)), boxes,
                                                    classes, scores, NAMES)
    five = vis.draw_bounding_boxes_on_image_tensors(tf.fill([2, 100, 200, 5], tf.constant(30, tf.uint8)), boxes,
                                                    classes, scores, NAMES)
    np.testing.assert_array_equal(gray, five)
    padded = np.zeros([2, 120, 240, 3], np.uint8)
    padded[:, :50, :100] = 30
    resized = vis.draw_bounding_boxes_on_image_tensors(
        padded, boxes, classes, scores, NAMES, original_image_spatial_shape=tf.constant([[100, 200]] * 2),
        true_image_shape=tf.constant([[50, 100, 3]] * 2))
    np.testing.assert_array_equal(resized, gray)


@pytest.mark.parametrize('batched', [True, False])
def test_side_by_side(batched):
    images, boxes, classes, scores = (array[:1] for array in batch())
    evaluation = {
        'original_image_spatial_shape': tf.constant([[100, 200]]), 'true_image_shape': tf.constant([[100, 200, 3]]),
        'detection_boxes': tf.constant(boxes), 'detection_classes': tf.constant(classes),
        'detection_scores': tf.constant(scores), 'groundtruth_boxes': tf.constant(boxes),
        'groundtruth_classes': tf.constant(classes), 'num_groundtruth_boxes': tf.constant([1]),
        'groundtruth_keypoints': tf.constant([[[[.75, .75], [np.nan, .9]]] * 2], tf.float32)}
    if not batched:
        evaluation = {name: values[0] for name, values in evaluation.items()}
    evaluation['original_image'] = tf.constant(images)
    [picture] = vis.draw_side_by_side_evaluation_image(evaluation, NAMES)
    left, right = np.split(picture.numpy()[0], 2, axis=1)
    np.testing.assert_array_equal(left, draw(boxes[0], classes[0], scores[0]))
    np.testing.assert_array_equal(right, draw(  # only one of the two groundtruth boxes is real
        boxes[0, :1], classes[0, :1], [1.], keypoints=np.array([[[.75, .75]]])))
    assert 'original_image' in evaluation and evaluation['detection_scores'].shape.rank == 1 + batched


def test_visualization_fn():
    _, boxes, classes, scores = batch()
    fn = vis.create_visualization_fn(NAMES, include_keypoints=True, include_track_ids=True,
                                     use_normalized_coordinates=True, min_score_thresh=.2)
    points, ids = np.full([2, 1, 2], .5), np.array([5, 6])
    np.testing.assert_array_equal(
        fn(canvas(), boxes[0], classes[0], scores[0], points, ids),
        draw(boxes[0], classes[0], scores[0], keypoints=points, track_ids=ids, min_score_thresh=.2))


def test_what_is_not_here_says_why():
    with pytest.raises(AttributeError, match=r'tf\.estimator.*draw_side_by_side_evaluation_image.*docs/api\.md'):
        vis.VisualizeSingleFrameDetections  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'draw_cats'$"):
        vis.draw_cats  # noqa: B018


def test_imports_neither_tensorflow_nor_matplotlib():
    code = ('import sys; from object_detection.utils import visualization_utils; '
            'print({"tensorflow", "matplotlib"} & set(sys.modules))')
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True
                          ).stdout.strip() == 'set()'
