"""The events that TensorBoard reads."""
import io

import numpy as np
from PIL import Image

from object_detection.evaluation import summaries
from tests.support.phase_runs import events


def test_numbers_and_pictures(tmp_path):
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[1, 2] = 200
    with summaries.Writer(tmp_path) as writer:
        writer.scalars(7, [('Loss/total_loss', .5), ('learning_rate', .01)])
        writer.images(7, 'train_input_images', [picture, picture])
    found = events(tmp_path)
    assert found['Loss/total_loss', 7] == ('scalars', np.float32(.5))
    plugin, (width, height, first, _) = found['train_input_images', 7]
    assert (plugin, width, height) == ('images', b'6', b'4')
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(first))), picture)
