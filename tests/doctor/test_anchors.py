"""Boxes and anchors: against every anchor one by one, and hand-computed shares."""
import numpy as np
import pytest

from object_detection.boxes import anchors as generators
from object_detection.config import pipeline
from object_detection.doctor import anchors
from object_detection.models import build_parts

LEVELS = [(40, 40), (20, 20), (10, 10), (5, 5), (3, 3)]


def model(matcher='force_match_for_each_row: true', generator='multiscale_anchor_generator { scales_per_octave: 2 '
          'aspect_ratios: [1.0, 2.0, 0.5] }'):
    return pipeline.parse(f'model {{ ssd {{ matcher {{ argmax_matcher {{ {matcher} }} }} similarity_calculator {{ '
                          f'iou_similarity {{}} }} anchor_generator {{ {generator} }} }} }}').model


def brute_force(boxes, every):
    """The highest IoU of each box with all anchors, one pair at a time."""
    low = np.maximum(boxes[:, None, :2], every[None, :, :2])
    shared = np.maximum(np.minimum(boxes[:, None, 2:], every[None, :, 2:]) - low, 0).prod(-1)
    areas = [(b[:, 2:] - b[:, :2]).prod(-1) for b in (boxes, every)]
    return (shared / (areas[0][:, None] + areas[1][None] - shared)).max(1)


def boxes_of(sizes, seed=0):
    """Boxes of these (height, width) at random places of an image of 1 x 1."""
    sizes = np.asarray(sizes, float)
    corner = np.random.default_rng(seed).uniform(0, 1, sizes.shape) * (1 - sizes)
    return np.concatenate([corner, corner + sizes], 1)


@pytest.mark.parametrize(('generator', 'sizes', 'scale'), [
    (generators.MultiscaleGrid(), LEVELS, 1.),
    (generators.SsdGrid(5), LEVELS, 1.),
    (generators.Grid(), [(20, 20)], 320.)])
def test_the_nearest_anchor_of_each_size_is_the_best_of_all(generator, sizes, scale):
    boxes = boxes_of(np.random.default_rng(1).uniform(.02, .9, (60, 2))) * scale
    every = generator.generate(sizes, (320, 320)).astype(float)
    np.testing.assert_allclose(anchors.best_iou(boxes, anchors.grids(generator, sizes, (320, 320))),
                               brute_force(boxes, every), atol=1e-6)
    within = every[(every[:, :2] >= 0).all(1) & (every[:, 2:] <= scale).all(1)]
    np.testing.assert_allclose(
        anchors.best_iou(boxes, anchors.grids(generator, sizes, (320, 320)), (scale, scale)),
        brute_force(boxes, within), atol=1e-6)


def test_boxes_of_a_padded_picture():
    kept = pipeline.parse('model { ssd { image_resizer { keep_aspect_ratio_resizer { min_dimension: 300 max_dimension: '
                          '400 pad_to_max_dimension: true } } } }').model.ssd.image_resizer
    boxes, size = anchors.resized(np.array([[0., 0., 1., 1.], [.5, .5, 1., 1.]]), (800, 200), kept)
    assert size == (400, 400)  # 800 x 200 becomes 400 x 100
    np.testing.assert_allclose(boxes, [[0, 0, .25, 1], [.125, .5, .25, 1]])


def test_usual_boxes_are_no_finding():
    boxes = boxes_of(np.repeat([[.2, .2], [.3, .5], [.6, .4]], 40, 0))
    assert anchors.check(boxes, (320, 320), LEVELS, model(), build_parts.anchor_generator) == []


def test_small_boxes_come_with_smaller_anchors():
    # Anchors begin at 4 * 8 = 32 pixels; boxes of 14 have an IoU of at most (14 / 32) ** 2 = 0.19.
    boxes = boxes_of(np.concatenate([np.full((60, 2), 14 / 320), np.full((40, 2), 100 / 320)]))
    (finding,) = anchors.check(boxes, (320, 320), LEVELS, model(), build_parts.anchor_generator)
    assert finding.severity == 'warning'
    assert finding.field == 'model.ssd.anchor_generator.multiscale_anchor_generator'
    assert '60 of 100 boxes (60%) have no anchor with an IoU of 0.5 at the training size of 320x320' in finding.message
    assert 'half of them are smaller than 14 pixels' in finding.message
    assert 'so each has its one best anchor only' in finding.message
    (fix,) = finding.fixes
    assert fix.field.endswith('.anchor_scale') and fix.value in (1., 1.4, 2.)  # the number of anchors stays
    changed = model()
    changed.ssd.anchor_generator.multiscale_anchor_generator.anchor_scale = fix.value
    every = build_parts.anchor_generator(changed.ssd.anchor_generator).generate(LEVELS, (320, 320)).astype(float)
    left = (brute_force(boxes, every) < .5).mean()
    assert left <= .3 and f'with anchor_scale: {fix.value:g} it would be {left:.0%}' in finding.message


def test_elongated_boxes_come_with_their_aspect_ratio():
    boxes = boxes_of(np.tile([.1, .8], (100, 1)))  # width / height 8: at most .25 with an anchor of ratio 2
    (finding,) = anchors.check(boxes, (320, 320), LEVELS, model('force_match_for_each_row: false'),
                               build_parts.anchor_generator)
    assert 'so they are never learned' in finding.message and 'width / height is 8 to 8' in finding.message
    (fix,) = finding.fixes
    assert fix.field.endswith('.aspect_ratios') and 8. in fix.value


def test_boxes_below_the_grid_need_larger_images():
    boxes = boxes_of(np.full((100, 2), 2 / 320))
    (finding,) = anchors.check(boxes, (320, 320), LEVELS, model(), build_parts.anchor_generator)
    assert 'a larger image_resizer' in finding.message and finding.fixes == ()


def test_models_without_matching_by_iou_have_no_rules():
    assert anchors.rules(model('ignore_thresholds: true')) is None
    assert anchors.rules(pipeline.parse('model { center_net {} }').model) is None
