"""Each augmentation on small images, most of whose pixels tell where they came from."""
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import protos
from object_detection.config import unread_fields
from object_detection.inputs import augmentation
from object_detection.inputs.augmentation import windows
from object_detection.inputs.augmentation.random import Random


def sample(boxes=((0.1, 0.2, 0.5, 0.6), (0.4, 0.1, 0.9, 0.35), (0.05, 0.7, 0.3, 0.95)), height=60, width=90, **more):
    """An image whose red is 4 * row and green is 2 * column, so that a pixel tells where it came from."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([4 * rows, 2 * columns, 0 * rows], axis=2)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return {'image': tf.constant(image, tf.uint8), 'boxes': tf.constant(boxes),
            'classes': tf.range(1, len(boxes) + 1, dtype=tf.int64), 'weights': tf.ones(len(boxes)), **more}


def build(option):
    return augmentation.build([text_format.Parse(option, protos.PreprocessingStep())])


def outcomes(option, given, count):
    """The samples of positions 0 to count - 1."""
    step = build(option)
    traced = tf.function(lambda position: step(given, Random(11, position)), autograph=False)
    return [{name: value.numpy() for name, value in traced(position).items()}
            for position in tf.range(count, dtype=tf.int64)]


def apply(option, given):
    return outcomes(option, given, 1)[0]


def keypoints():
    return {'keypoints': tf.constant([[[0.1, 0.2], [0.5, float('nan')]]]),
            'keypoint_visibilities': tf.constant([[True, False]]),
            'masks': tf.constant(np.eye(60, 90, dtype=np.float32)[np.newaxis]), 'mask_weights': tf.ones(1)}


ONE_BOX = ((0.1, 0.2, 0.5, 0.6),)


class TestFlips:
    def test_horizontal(self):
        option = 'random_horizontal_flip { probability: 1 keypoint_flip_permutation: [1, 0] }'
        found = apply(option, sample(ONE_BOX, **keypoints()))
        np.testing.assert_allclose(found['boxes'], [[0.1, 0.4, 0.5, 0.8]], rtol=1e-6)
        assert found['image'][7, 0].tolist() == [28, 178, 0]
        assert found['masks'][0, 7, 89 - 7] == 1
        np.testing.assert_allclose(found['keypoints'][0, 1], [0.1, 0.8], rtol=1e-6)
        assert found['keypoint_visibilities'].tolist() == [[False, True]]

    def test_vertical(self):
        found = apply('random_vertical_flip { probability: 1 }', sample(ONE_BOX, **keypoints()))
        np.testing.assert_allclose(found['boxes'], [[0.5, 0.2, 0.9, 0.6]], rtol=1e-6)
        assert found['image'][0, 5].tolist() == [236, 10, 0]
        np.testing.assert_allclose(found['keypoints'][0, 0], [0.9, 0.2], rtol=1e-6)

    def test_quarter_turn_counter_clockwise(self):
        found = apply('random_rotation90 { probability: 1 }', sample(ONE_BOX, **keypoints()))
        np.testing.assert_allclose(found['boxes'], [[0.4, 0.1, 0.8, 0.5]], rtol=1e-6)
        assert found['image'].shape == (90, 60, 3)
        assert found['image'][0, 3].tolist() == [12, 178, 0]  # from row 3 of the last column
        assert found['masks'][0, 89 - 7, 7] == 1
        np.testing.assert_allclose(found['keypoints'][0, 0], [0.8, 0.1], rtol=1e-6)

    def test_probability(self):
        flipped = [found['image'][0, 0, 1] > 0
                   for found in outcomes('random_horizontal_flip { probability: 0.3 }', sample(), 400)]
        assert np.mean(flipped) == pytest.approx(0.3, abs=0.07)  # three deviations

    def test_probability_zero(self):
        assert apply('random_horizontal_flip { probability: 0 }', sample())['image'][0, 0, 1] == 0


class TestWindows:
    def test_overlapping(self):
        boxes = tf.constant([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.9, 0.9], [0.2, 0.2, 0.2, 0.4]])
        window = tf.constant([0.0, 0.0, 0.5, 0.5])  # holds all of the first, a quarter of the second; touches the third
        assert windows.overlapping(boxes, window, 0.0).numpy().tolist() == [True, True, False, False]
        assert windows.overlapping(boxes, window, 0.25).numpy().tolist() == [True, True, False, False]
        assert windows.overlapping(boxes, window, 0.3).numpy().tolist() == [True, False, False, False]

    def test_crop_objects(self):
        points = tf.constant([[[0.3, 0.3], [0.9, 0.3]]])
        given = sample(((0.2, 0.2, 0.8, 0.4),), keypoints=points, keypoint_visibilities=tf.constant([[True, True]]))
        seen = windows.crop_objects(given, tf.constant([0.25, 0.0, 0.75, 0.5]))
        np.testing.assert_allclose(seen['boxes'], [[0.0, 0.4, 1.0, 0.8]], rtol=1e-6)
        np.testing.assert_allclose(seen['keypoints'], [[[0.1, 0.6], [np.nan, np.nan]]], rtol=1e-5)
        assert seen['keypoint_visibilities'].numpy().tolist() == [[True, False]]


class TestCrops:
    OPTION = ('random_crop_image { min_object_covered: 0.6 min_aspect_ratio: 0.8 max_aspect_ratio: 2.0 min_area: 0.2 '
              'max_area: 0.7 overlap_thresh: 0.4 }')

    def test_window_and_objects_keep_to_the_given_limits(self):
        given = sample()
        kept = 0
        for found in outcomes(self.OPTION, given, 60):
            height, width = found['image'].shape[:2]
            assert (height + 1) * (width + 1) / 5400 >= 0.2
            assert (height - 1) * (width - 1) / 5400 <= 0.7
            assert 0.75 < width / height < 2.1
            top, left = found['image'][0, 0, 0] // 4, found['image'][0, 0, 1] // 2
            window = np.array([top / 60, left / 90, (top + height) / 60, (left + width) / 90])
            low = np.maximum(given['boxes'][:, :2], window[:2])
            high = np.minimum(given['boxes'][:, 2:], window[2:])
            shares = np.prod(np.maximum(high - low, 0), 1) / np.prod(given['boxes'][:, 2:] - given['boxes'][:, :2], 1)
            assert shares.max() > 0.6 - 0.05  # the op rounds the window to pixels
            for number, share in enumerate(shares, start=1):
                if abs(share - 0.4) > 0.05:
                    assert (number in found['classes']) == (share > 0.4)
            box = found['boxes'][0] * [height, width, height, width] + [top, left, top, left]
            expected = np.concatenate([low, high], 1)[found['classes'][0] - 1] * [60, 90, 60, 90]
            np.testing.assert_allclose(box, expected, atol=0.05)
            kept += len(found['boxes'])
        assert 60 < kept < 180

    def test_without_boxes(self):
        sizes = {found['image'].shape for found in outcomes(self.OPTION, sample(()), 20)}
        assert len(sizes) > 5

    def test_ssd_random_crop_mixes_its_operations(self):
        whole = [found['image'].shape == (60, 90, 3) for found in outcomes('ssd_random_crop { }', sample(), 200)]
        assert 0.05 < np.mean(whole) < 0.5  # 0.15 by chance, more where no crop is found

    def test_fixed_aspect_ratio(self):
        for found in outcomes('ssd_random_crop_fixed_aspect_ratio { aspect_ratio: 1.5 }', sample(), 20):
            height, width = found['image'].shape[:2]
            assert width == pytest.approx(1.5 * height, abs=2)

    def test_square_crop_by_scale_has_the_side_of_a_scale(self):
        option = 'random_square_crop_by_scale { scale_min: 0.5 scale_max: 1.5 num_scales: 3 max_border: 16 }'
        sides = [found['image'].shape[:2] for found in outcomes(option, sample(), 60)]
        assert set(sides) == {(45, 45), (90, 90), (135, 135)}

    def test_scale_jitter_keeps_the_aspect_ratio(self):
        box = ((0.25, 0.25, 0.5, 0.5),)
        option = 'random_scale_crop_and_pad_to_square { output_size: 64 scale_min: 0.5 scale_max: 0.5 }'
        found = apply(option, sample(box))
        assert found['image'].shape == (64, 64, 3)
        np.testing.assert_allclose(found['boxes'], np.array([[5.25, 8, 10.5, 16]]) / 64, rtol=1e-5)  # of 21 by 32
        assert not found['image'][21:].any()
        assert not found['image'][:, 32:].any()
        assert found['image'][20, 31, 0] == pytest.approx(4 * 20 * 60 / 21, abs=0.01)


class TestPads:
    def test_absolute(self):
        option = 'random_absolute_pad_image { max_height_padding: 30 max_width_padding: 20 pad_color: [1, 2, 3] }'
        offsets = set()
        for found in outcomes(option, sample(ONE_BOX), 40):
            height, width = found['image'].shape[:2]
            assert 60 <= height < 90
            assert 90 <= width < 110
            box = found['boxes'][0] * [height, width, height, width]
            top, left = box[0] - 6, box[1] - 18
            np.testing.assert_allclose(box[2:] - box[:2], [24, 36], atol=1e-3)
            offsets.add((round(float(top)), round(float(left))))
            corner = found['image'][round(float(top)), round(float(left))]
            assert corner.tolist() == [0, 0, 0]
            if top > 0.5:
                assert found['image'][0, 0].tolist() == [1, 2, 3]
        assert len(offsets) > 20

    def test_mean_color(self):
        given = sample(ONE_BOX)
        found = outcomes('random_pad_image { }', given, 10)
        mean = tf.reduce_mean(tf.cast(given['image'], tf.float32), [0, 1])
        bordered = [one for one in found if one['image'][0, 0, 2] == 0 and one['image'][0, 0, 0] > 0]
        assert bordered
        for one in bordered:
            np.testing.assert_allclose(one['image'][0, 0], mean, rtol=1e-5)


class TestObjects:
    def test_drop_and_remap(self):
        assert apply('drop_label_probabilistically { label: 2 }', sample())['classes'].tolist() == [1, 3]
        assert apply('remap_labels { original_labels: [1, 2] new_label: 7 }', sample())['classes'].tolist() == [7, 7, 3]

    def test_self_concat(self):
        option = 'random_self_concat_image { concat_vertical_probability: 1 concat_horizontal_probability: 1 }'
        found = apply(option, sample(ONE_BOX, **keypoints()))
        assert found['image'].shape == (120, 180, 3)
        np.testing.assert_allclose(found['boxes'][[0, 1, 3]], [[0.05, 0.1, 0.25, 0.3], [0.55, 0.1, 0.75, 0.3],
                                                               [0.55, 0.6, 0.75, 0.8]], rtol=1e-6)
        assert found['masks'].shape == (4, 120, 180)
        assert found['masks'].sum((1, 2)).tolist() == [60] * 4
        assert found['masks'][3, 60 + 7, 90 + 7] == 1

    @pytest.mark.parametrize('mode', ['DEFAULT', 'EXPAND', 'SHRINK', 'SHRINK_SYMMETRIC', 'SHRINK_SYMMETRIC_XY'])
    def test_jitter_by_more_than_the_box_leaves_its_sides_in_order(self, mode):
        """A ratio of 5 is far enough to move every side across the opposite one; it stops at the center."""
        for one in outcomes(f'random_jitter_boxes {{ ratio: 5 jitter_mode: {mode} }}', sample(ONE_BOX), 40):
            low, high = one['boxes'][0, :2], one['boxes'][0, 2:]
            center = np.array([0.3, 0.4])
            assert (low <= high).all() and low.min() >= 0 and high.max() <= 1
            assert (low < center + 1e-6).all() and (high > center - 1e-6).all()

    def test_jitter_moves_each_side_within_the_ratio(self):
        found = np.stack([one['boxes'] for one in outcomes('random_jitter_boxes { ratio: 0.2 }', sample(ONE_BOX), 100)])
        moved = np.abs(found - ONE_BOX) / 0.2  # of half of the box's height and width, 0.4
        assert 0.15 < moved.max() <= 0.2001
        shrunk = outcomes('random_jitter_boxes { ratio: 0.2 jitter_mode: SHRINK_SYMMETRIC }', sample(ONE_BOX), 20)
        for one in shrunk:
            np.testing.assert_allclose(one['boxes'][0, :2] + one['boxes'][0, 2:], [0.6, 0.8], rtol=1e-5)


class TestColors:
    @pytest.mark.parametrize('option', ['random_adjust_brightness { }', 'random_adjust_contrast { }',
                                        'random_adjust_hue { max_delta: 0.2 }', 'random_distort_color { }',
                                        'random_adjust_saturation { }', 'random_pixel_value_scale { }',
                                        'random_jpeg_quality { max_jpeg_quality: 30 }', 'random_black_patches { }',
                                        'random_patch_gaussian { max_gaussian_stddev: 0.5 }', 'random_rgb_to_gray { }'])
    def test_range_and_randomness(self, option):
        given = sample()
        found = outcomes(option, given, 30)
        assert all(one['image'].dtype == np.float32 and one['image'].shape == (60, 90, 3) for one in found)
        assert all(one['image'].min() >= 0 and one['image'].max() <= 255 for one in found)
        assert len({one['image'].tobytes() for one in found}) > 1

    @pytest.mark.parametrize(('name', 'low', 'high', 'change'), [
        ('brightness', -.2, .2, tf.image.adjust_brightness), ('contrast', .8, 1.25, tf.image.adjust_contrast),
        ('hue', -.02, .02, tf.image.adjust_hue), ('saturation', .8, 1.25, tf.image.adjust_saturation)])
    def test_equal_the_reference_which_changes_values_from_0_to_1(self, name, low, high, change):
        pixels = tf.cast(tf.random.stateless_uniform([40, 50, 3], (1, 2), 0, 256, tf.int32), tf.uint8)
        for position, found in enumerate(outcomes(f'random_adjust_{name} {{ }}', dict(sample(), image=pixels), 4)):
            drawn = Random(11, tf.constant(position, tf.int64)).uniform(low, high)
            expected = tf.clip_by_value(change(tf.cast(pixels, tf.float32) / 255, drawn), 0, 1) * 255
            np.testing.assert_allclose(found['image'], expected, atol=1e-3)

    def test_changes_without_randomness(self):
        pixel = sample()['image'][20, 50].numpy()  # 80, 100, 0
        found = apply('normalize_image { original_maxval: 255 target_minval: -1 target_maxval: 1 }', sample())
        np.testing.assert_allclose(found['image'][20, 50], pixel * 2 / 255 - 1, atol=1e-6)
        found = apply('subtract_channel_mean { means: [1, 2, 3] }', sample())
        assert found['image'][20, 50].tolist() == [79, 98, -3]
        found = apply('rgb_to_gray { }', sample())
        np.testing.assert_allclose(found['image'][20, 50], [0.2989 * 80 + 0.587 * 100] * 3, rtol=1e-5)
        found = apply('adjust_gamma { gamma: 2 gain: 0.5 }', sample())
        np.testing.assert_allclose(found['image'][20, 50], (pixel / 255) ** 2 * 0.5 * 255, rtol=1e-4)


class TestResizes:
    def test_exact_size(self):
        found = apply('resize_image { new_height: 30 new_width: 45 }', sample(ONE_BOX, **keypoints()))
        assert found['image'][10, 20].tolist() == [80, 80, 0]  # from row 20 and column 40: no half-pixel centres
        assert found['masks'].shape == (1, 30, 45)

    def test_downscale_to_pixels(self):
        option = 'random_downscale_to_target_pixels { min_target_pixels: 600 max_target_pixels: 1200 }'
        for found in outcomes(option, sample(), 20):
            height, width = found['image'].shape[:2]
            assert 500 < height * width <= 1200


@pytest.mark.parametrize('option', [
    'random_scale_crop_and_pad_to_square { output_size: 64 scale_min: 0.1 scale_max: 0.1 }',
    'random_square_crop_by_scale { scale_min: 0.0001 scale_max: 0.001 }',
    'random_crop_to_aspect_ratio { aspect_ratio: 1000 }', 'random_crop_to_aspect_ratio { aspect_ratio: 0.001 }',
    'random_image_scale { min_scale_ratio: 0.01 max_scale_ratio: 0.02 }',
    'random_downscale_to_target_pixels { min_target_pixels: 1 max_target_pixels: 20 }'])
@pytest.mark.parametrize('size', [(10, 900), (900, 10)])
def test_no_side_of_a_thin_picture_becomes_shorter_than_a_pixel(option, size):
    """Scaled by 0.1 to 64 pixels, a picture of 10 by 900 would be 0.07 pixels high."""
    given = sample(ONE_BOX, *size, masks=tf.ones([1, *size]))
    for found in outcomes(option, given, 5):
        height, width, channels = found['image'].shape
        assert min(height, width) >= 1 and channels == 3
        assert found['masks'].shape[1:] == (height, width)
        assert np.isfinite(found['boxes']).all()


def test_random_numbers_never_change():
    """A resumed run repeats the numbers of the run before it, perhaps with another version of this code."""
    random = Random(7, tf.constant(3, tf.int64))
    assert random.seed().numpy().tolist() == [7 << 20 | 1, 3]
    assert random.at(tf.constant(2)).seed().numpy().tolist() == [(7 << 20 | 2) + (2 << 52), 3]
    np.testing.assert_allclose(random.uniform(1.0, 3.0, [2]), [2.6064014434814453, 1.8638315200805664], rtol=1e-6)
    assert [int(random.integer(10, 1000)) for _ in range(3)] == [154, 415, 648]


def test_the_outcome_depends_on_the_position_alone():
    option = 'random_crop_image { min_object_covered: 0.1 }'
    many, fewer = outcomes(option, sample(), 6), outcomes(option, sample(), 3)
    for one, other in zip(many, fewer):
        np.testing.assert_array_equal(one['image'], other['image'])
    assert len({one['image'].shape for one in many}) > 1


def test_steps_run_in_order_and_draw_apart():
    options = [text_format.Parse(text, protos.PreprocessingStep())
               for text in ('random_horizontal_flip { }', 'random_horizontal_flip { }', 'random_vertical_flip { }')]
    augment = augmentation.build(options)
    traced = tf.function(lambda position: augment(sample(), Random(0, position)), autograph=False)
    corners = {tuple(traced(position)['image'][0, 0].numpy()) for position in tf.range(20, dtype=tf.int64)}
    assert len(corners) == 4  # both mirrors, alone and together: two flips in a row do not always cancel out


def test_every_option_of_the_schema_is_supported_or_refused():
    missing = {field.name for field in protos.PreprocessingStep.DESCRIPTOR.fields} - set(augmentation.OPTIONS)
    refused = unread_fields.table(unread_fields.REFUSED)
    assert {f'PreprocessingStep.{name}' for name in missing} <= set(refused)
    assert missing == {'convert_class_logits_to_softmax'}  # as README.md says
