"""Ranges computed by hand from the numbers of released configs."""
import pytest

from object_detection.preparation.anchors import USUAL, anchor_range
from object_detection.utils.errors import UserError

ANCHORS = {
    'ssd { image_resizer { fixed_shape_resizer { height: 320 width: 640 } } anchor_generator { '
    'multiscale_anchor_generator { min_level: 4 max_level: 6 anchor_scale: 3 scales_per_octave: 2 } } }':
        (3 * 16 / 640, 3 * 64 * 2 ** .5 / 640),
    'ssd { image_resizer { fixed_shape_resizer { height: 300 width: 300 } } anchor_generator { '
    'ssd_anchor_generator { min_scale: 0.2 max_scale: 0.95 reduce_boxes_in_lowest_layer: false } } }': (.2, .95),
    'ssd { image_resizer { fixed_shape_resizer { height: 300 width: 600 } } anchor_generator { '
    'ssd_anchor_generator { min_scale: 0.2 max_scale: 0.8 } } }': (.05, .4),
    'faster_rcnn { image_resizer { keep_aspect_ratio_resizer { min_dimension: 800 max_dimension: 1333 } } '
    'first_stage_anchor_generator { grid_anchor_generator { scales: 0.25 scales: 2 } } }': (64 / 1333, 512 / 1333),
    'ssd { image_resizer { fixed_shape_resizer { height: 100 width: 100 } } anchor_generator { '
    'flexible_grid_anchor_generator { anchor_grid { base_sizes: 10 base_sizes: 40 } } } }': (.1, .4),
}


@pytest.mark.parametrize(('model', 'expected'), ANCHORS.items())
def test_range(tmp_path, model, expected):
    path = tmp_path / 'pipeline.config'
    path.write_text(f'model {{ {model} }}')
    anchors = anchor_range(path)
    assert (anchors.smallest, anchors.largest) == pytest.approx(expected)


def test_without_anchors(tmp_path):
    path = tmp_path / 'pipeline.config'
    for model in ('center_net { num_classes: 1 }', 'ssd { image_resizer { identity_resizer { } } }', ''):
        path.write_text(f'model {{ {model} }}')
        assert anchor_range(path) is None
    assert anchor_range(None) is USUAL
    path.write_text('model { nothing { } }')
    with pytest.raises(UserError, match='nothing'):
        anchor_range(path)
