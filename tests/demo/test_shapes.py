"""Masks and corners of the drawn shapes fit their boxes."""
import io

import numpy as np
import pytest
from PIL import Image

from demo import shapes
from object_detection import records

PIXELS = 20, 60, 60, 100  # ymin, xmin, ymax, xmax of the shape in a picture of 80 x 120
AREAS = {'square': 40 * 40, 'triangle': 40 * 40 / 2, 'circle': np.pi * 20 * 20}


def _completed(folder, label):
    example = records.Example(b'', 80, 120, boxes=[tuple(np.array(PIXELS) / [80, 120, 80, 120])],
                              labels=[shapes.LABELS.index(label) + 1], texts=[label])
    with records.Writer(folder / 'boxes') as writer:
        writer.write(example.to_bytes())
    shapes.complete(folder / 'boxes', folder / 'complete')
    return records.Example.from_bytes(records.Records(folder / 'complete')[0])


@pytest.mark.parametrize('label', shapes.LABELS)
def test_masks_fill_their_boxes(tmp_path, label):
    mask = np.asarray(Image.open(io.BytesIO(_completed(tmp_path, label).masks[0]))) > 0
    assert mask.shape == (80, 120)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    np.testing.assert_allclose([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], PIXELS, atol=1)
    assert mask.sum() == pytest.approx(AREAS[label], rel=.06)


def test_keypoints_are_the_corners_of_the_label(tmp_path):
    triangle = _completed(tmp_path, 'triangle')
    assert triangle.keypoint_visibility == [0, 0, 0, 0, 2, 2, 2]
    np.testing.assert_allclose(np.array(triangle.keypoints[0][4:]) * [80, 120], [(20, 80), (60, 100), (60, 60)],
                               rtol=1e-6)
    assert _completed(tmp_path, 'circle').keypoint_visibility == [0] * 7


def test_drawn_shapes_are_plain_and_the_same_every_time(tmp_path):
    shapes.draw(tmp_path / 'drawn', 20, seed=3)
    index = records.Records(tmp_path / 'drawn')
    examples = [records.Example.from_bytes(index[number]) for number in range(20)]
    assert {label for example in examples for label in example.labels} == {1, 2, 3}
    for example in examples:
        image = np.asarray(Image.open(io.BytesIO(example.encoded)))
        assert image.shape == (example.height, example.width, 3)
        for top, left, bottom, right in np.array(example.boxes) * np.tile(image.shape[:2], 2):
            middle = image[int((top + bottom) / 2 + 3), int((left + right) / 2 - 3):int((left + right) / 2 + 3)]
            assert np.ptp(middle.astype(int), axis=0).max() < 64  # plain up to JPEG artifacts; the noise has 255
    shapes.draw(tmp_path / 'again', 20, seed=3)
    assert (tmp_path / 'drawn').read_bytes() == (tmp_path / 'again').read_bytes()
