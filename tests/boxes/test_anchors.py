import numpy as np
import pytest

from object_detection.boxes import anchors
from tests.support import boxes_golden


def test_tile_by_hand():
    np.testing.assert_array_equal(anchors.tile((1, 2), [1., 2.], [1., 4.], (10, 10), (8, 16), (4, 0)), [
        [-1, -5, 9, 5], [-1, -20, 9, 20], [-1, 11, 9, 21], [-1, -4, 9, 36]])  # ratio 4: 2 / 2 high, 2 * 2 wide


def test_cells_of_a_side_that_the_stride_does_not_divide_begin_at_zero():
    grid = anchors.MultiscaleGrid(3, 3, 1., [1.], 1, normalize=False)
    np.testing.assert_array_equal(grid.generate([(1, 2)], (8, 12)), [[0, -4, 8, 4], [0, 4, 8, 12]])


@pytest.mark.parametrize('name', [name for name in boxes_golden.names('anchors') if name != 'ssd'])
def test_multiscale_equals_the_reference(name):
    inputs, outputs = boxes_golden.case(f'anchors {name}')
    grid = anchors.MultiscaleGrid(3, 7, 4., [1., 2., .5], 3)
    assert grid.per_location == [9] * 5
    np.testing.assert_array_equal(grid.generate(inputs['maps'].tolist(), inputs['size'].tolist()), outputs['anchors'])


def test_ssd_equals_the_reference():
    inputs, outputs = boxes_golden.case('anchors ssd')
    grid = anchors.SsdGrid(6, float(np.float32(.2)), float(np.float32(.95)),
                           aspect_ratios=[1., 2., .5, 3., float(np.float32(.3333))])
    assert grid.per_location == [3, 6, 6, 6, 6, 6]
    np.testing.assert_array_equal(grid.generate(inputs['maps'].tolist(), inputs['size'].tolist()), outputs['anchors'])


def test_ssd_with_own_scales_strides_and_offsets():
    grid = anchors.SsdGrid(1, scales=[.5], aspect_ratios=[1.], interpolated_aspect_ratio=0., reduce_lowest=False,
                           strides=[(10, 20)], offsets=[(5, 0)])
    np.testing.assert_allclose(grid.generate([(1, 2)], (100, 200)), [  # square in pixels: half as wide as high
        [-.2, -.125, .3, .125], [-.2, -.025, .3, .225]], atol=1e-6)


def test_grid_and_flexible_grid():
    grid = anchors.Grid([.5, 1.], [1., 4.], (8, 8), (16, 16))
    np.testing.assert_array_equal(grid.generate([(1, 1)], None), [
        [-2, -2, 2, 2], [-4, -4, 4, 4], [-1, -4, 1, 4], [-2, -8, 2, 8]])  # scales run faster than ratios
    flexible = anchors.FlexibleGrid([(4., 8.), (6.,)], [(1., 1.), (1.,)], [(8, 8), (16, 16)], [(0, 0), (8, 8)])
    np.testing.assert_allclose(flexible.generate([(1, 1), (1, 1)], (16, 32)) * [16, 32, 16, 32], [
        [-2, -2, 2, 2], [-4, -4, 4, 4], [5, 5, 11, 11]])


def test_wrong_number_of_feature_maps():
    with pytest.raises(ValueError, match='4 feature maps came, the anchors are for 5'):
        anchors.MultiscaleGrid().generate([(1, 1)] * 4, (8, 8))
