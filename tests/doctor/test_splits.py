"""Classes and pictures of drawn data sets, held against each other."""
import io

import numpy as np
import pytest
from PIL import Image

from object_detection import records
from object_detection.config import label_map, pipeline
from object_detection.doctor import data, splits


def picture(seed, quality=95, size=(96, 64), fmt='JPEG'):
    """A picture of smooth random color, encoded."""
    small = np.random.default_rng(seed).integers(30, 220, (5, 5, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(stream, fmt, quality=quality)
    return stream.getvalue()


@pytest.fixture
def look(tmp_path):
    """A function of ({split: [(encoded, names of the boxes)]}, label map) -> Splits."""
    def write(pictures, names=('cat', 'dog')):
        label_map.write(tmp_path / 'labels.pbtxt', list(names))
        for split, content in pictures.items():
            with records.Writer(tmp_path / split) as writer:
                for i, (encoded, labels) in enumerate(content):
                    writer.write(records.Example(
                        encoded, 64, 96, filename=f'{split}{i}.jpg', boxes=[(.1, .2, .3, .4)] * len(labels),
                        labels=[names.index(name) + 1 for name in labels], texts=labels).to_bytes())
        reader = f'label_map_path: "{(tmp_path / "labels.pbtxt").as_posix()}" tf_record_input_reader {{ input_path: '
        config = pipeline.parse(f'train_input_reader {{ {reader} "{(tmp_path / "train").as_posix()}" }} }} '
                                f'eval_input_reader {{ {reader} "{(tmp_path / "test").as_posix()}" }} }}')
        return data.read(config, {'train_input_reader', 'eval_input_reader[0]'}, None)
    return write


def test_what_is_read(look):
    train, test = look({'train': [(picture(0), ['cat', 'dog', 'dog'])], 'test': [(b'broken', ['cat'])]})
    assert (train.name, train.total, train.share) == ('train_input_reader', 1, 1.)
    assert train.boxes_of() == {1: 1, 2: 2} and train.looks[0].size == (96, 64)
    np.testing.assert_allclose(train.looks[0].boxes, [[.1, .2, .3, .4]] * 3, rtol=1e-6)
    assert test.total == 1 and test.looks == []  # records.check reports it


def test_copies_in_both_splits_are_found_also_smaller_and_recompressed(look):
    train = [(picture(seed), ['cat'] * 20) for seed in range(6)]
    test = [(picture(7), ['cat'] * 5), (picture(3), ['cat']), (picture(4, quality=50, size=(72, 48)), ['cat'])]
    (finding,) = splits.check(look({'train': train, 'test': test}))
    assert finding.severity == 'warning' and finding.field == 'eval_input_reader[0].tf_record_input_reader.input_path'
    assert finding.message.startswith('2 of the 3 pictures looked at are also in train_input_reader, or nearly: '
                                      'test1.jpg (train3.jpg in training), test2.jpg (train4.jpg in training)')


def test_classes_with_few_boxes(look):
    train = [(picture(0), ['cat'] * 20 + ['dog'] * 19)]
    test = [(picture(1), ['cat'] * 4 + ['dog'] * 5)]
    learned, measured = splits.check(look({'train': train, 'test': test}))
    assert learned.severity == 'warning' and 'few boxes for training in the 1 records looked at: dog 19;' \
        in learned.message
    assert measured.severity == 'hint' and 'few boxes for evaluation in the 1 records looked at: cat 4;' \
        in measured.message


def test_of_a_sample_as_many_boxes_are_expected_in_the_rest(look):
    train = [(picture(i), ['cat'] * 2) for i in range(10)]
    full, _ = look({'train': train, 'test': train})
    full.total = 20  # 20 of 40 boxes were seen
    assert splits.check([full]) == []


def test_without_a_label_map_classes_of_one_split_alone_are_told(look):
    train, test = look({'train': [(picture(0), ['cat'] * 30)], 'test': [(picture(1), ['dog'] * 30)]})
    train.labels = test.labels = None
    first, second = splits.check([train, test])
    assert 'has no box of class 2, but eval_input_reader[0] has: it cannot be learned' in first.message
    assert 'has no box of class 1, but train_input_reader has: its AP will be -1' in second.message
