"""The order of records: permutations per epoch, positions asked for in any order, weighted data sets."""
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from object_detection import records
from object_detection.inputs.order import Stream
from object_detection.utils.errors import UserError


@pytest.fixture
def reader(tmp_path):
    """Two entries: 10 records '0'..'9' and 3 records 'a'..'c'."""
    for name, contents in (('digits', '0123456789'), ('letters', 'abc')):
        with records.Writer(tmp_path / name) as writer:
            for letter in contents:
                writer.write(letter.encode() * 4)
    paths = SimpleNamespace(input_path=[str(tmp_path / 'digits'), str(tmp_path / 'letters')])
    return SimpleNamespace(tf_record_input_reader=paths, shuffle=True, num_epochs=0, sample_1_of_n_examples=1,
                           sample_from_datasets_weights=[])


def test_each_epoch_is_a_permutation_of_its_own(reader):
    epochs = Stream(reader, seed=1).records_at(0, 5 * 13).reshape(5, 13)
    assert (np.sort(epochs, axis=1) == np.arange(13)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_order_is_that_of_the_files_without_shuffle(reader):
    reader.shuffle = False
    stream = Stream(reader)
    assert stream.records_at(11, 4).tolist() == [11, 12, 0, 1]
    assert stream.read(np.array([9, 10])).tolist() == [b'9999', b'aaaa']


@pytest.mark.parametrize('weights', [[], [3, 1]])
def test_any_part_equals_the_same_part_of_the_whole(reader, weights):
    reader.sample_from_datasets_weights = weights
    whole = Stream(reader, seed=5).records_at(0, 70000)  # more than a block of draws
    for first, count in ((0, 1), (12, 5), (26, 13), (65530, 20), (69999, 1)):
        assert (Stream(reader, seed=5).records_at(first, count) == whole[first:first + count]).all()


def test_other_seed_other_order(reader):
    assert (Stream(reader, seed=1).records_at(0, 13) != Stream(reader, seed=2).records_at(0, 13)).any()


def test_every_position_is_equally_likely(reader):
    epochs = 4000
    positions = np.argsort(Stream(reader, seed=3).records_at(0, 13 * epochs).reshape(epochs, 13), axis=1)
    counts = np.array([np.bincount(column, minlength=13) for column in positions.T])
    chi_square = ((counts - epochs / 13) ** 2 / (epochs / 13)).sum()
    assert chi_square < 216  # 144 degrees of freedom: one in ten thousand is larger


def test_neighbors_in_one_epoch_are_not_neighbors_in_the_next(reader):
    epochs = Stream(reader, seed=3).records_at(0, 13 * 2000).reshape(2000, 13)
    pairs = [set(itertools.pairwise(epoch)) for epoch in epochs.tolist()]
    again = np.mean([len(one & other) for one, other in itertools.pairwise(pairs)])
    assert again == pytest.approx(12 * 12 / (13 * 12), abs=0.1)  # 12 pairs, each of 156 equally likely to be there


def test_one_of_n(reader):
    reader.sample_1_of_n_examples = 5
    stream = Stream(reader)
    assert sorted(stream.records_at(0, stream.size)) == [0, 5, 10]


def test_epochs_end_the_stream(reader):
    reader.num_epochs = 3
    assert Stream(reader).end == 39
    assert Stream(reader, epochs=1).end == 13
    reader.num_epochs = 0
    assert Stream(reader).end > 1 << 60


def test_weights_decide_the_share_of_each_data_set(reader):
    reader.sample_from_datasets_weights = [1, 3]
    drawn = Stream(reader, seed=7).records_at(0, 20000)
    assert np.mean(drawn >= 10) == pytest.approx(0.75, abs=0.02)
    letters = drawn[drawn >= 10]
    assert (np.sort(letters[:3000].reshape(-1, 3), axis=1) == [10, 11, 12]).all()  # each pass is complete


@pytest.mark.parametrize('weights', [[], [3, 1]])
def test_the_next_record_of_the_data_set_stands_in_for_a_skipped_one(reader, weights):
    reader.sample_from_datasets_weights = weights
    whole = Stream(reader, seed=5).records_at(0, 4000)
    skipping = Stream(reader, seed=5, skipped=[3, 4, 9, 12]).records_at(0, 4000)
    after = {3: 5, 4: 5, 9: 0, 12: 10} if weights else {3: 5, 4: 5, 9: 10, 12: 0}  # each entry is a set of its own
    assert skipping.tolist() == [after.get(i, i) for i in whole.tolist()]
    with pytest.raises(UserError, match=r'all \d+ records of a data set would be skipped'):
        Stream(reader, skipped=range(13))


def test_what_is_left_out_is_not_in_the_sequence(reader):
    reader.shuffle, reader.sample_1_of_n_examples = False, 2
    stream = Stream(reader, epochs=1, left_out=[3, 4, 8])
    assert stream.records_at(0, 5).tolist() == [0, 2, 6, 10, 12] and stream.end == 5
