import contextlib

from object_detection import records
from object_detection.dataset_tools import tf_record_creation_util


def test_shards_are_read_by_our_records(tmp_path):
    with contextlib.ExitStack() as stack:
        shards = tf_record_creation_util.open_sharded_output_tfrecords(stack, tmp_path / 'train.record', 2)
        for number in range(3):
            shards[number % len(shards)].write(f'example {number}'.encode())
    assert sorted(path.name for path in tmp_path.iterdir()) == ['train.record-00000-of-00002',
                                                               'train.record-00001-of-00002']
    data = records.Records(tmp_path / 'train.record-?????-of-00002')
    assert [data[i] for i in range(len(data))] == [b'example 0', b'example 2', b'example 1']


def test_one_shard_has_a_number_too(tmp_path):
    with contextlib.ExitStack() as stack:
        [shard] = tf_record_creation_util.open_sharded_output_tfrecords(stack, str(tmp_path / 'a.record'), 1)
        shard.write(b'x')
    assert records.Records(tmp_path / 'a.record-00000-of-00001')[0] == b'x'
