"""Records in files of a size, the same whoever writes them."""
import argparse
import hashlib

import pytest

from object_detection import records
from object_detection.commands import prepare_data
from object_detection.preparation import examples
from object_detection.utils import args
from tests.support.hostile import encoded, scene


@pytest.fixture
def dataset(tmp_path):
    for label in 'ab':
        (tmp_path / 'pets' / label).mkdir(parents=True)
        for i in range(15):
            (tmp_path / 'pets' / label / f'{i}.jpg').write_bytes(encoded(scene(i + ord(label) * 50), 'JPEG'))
    return tmp_path / 'pets'


def digests(output):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in output.glob('*.tfrecords*')}


def test_files_have_the_size_whoever_writes_them(dataset, run, monkeypatch):
    monkeypatch.setattr(examples, 'PICTURES', 2)  # several parts for each file
    size = 60_000
    outputs = [run(dataset, f'out{workers}', workers=workers, shard_size=size, near_duplicates=None)
               for workers in (1, 2)]
    assert digests(outputs[0]) == digests(outputs[1])
    train = sorted(outputs[0].glob('train.tfrecords-*'))
    total = sum(file.stat().st_size for file in train)
    assert len(train) == -(-total // size) > 1
    assert all(file.stat().st_size < 1.5 * size for file in train)
    whole = run(dataset, 'whole', near_duplicates=None)
    data = records.Records(whole / 'train.tfrecords')
    dealt = [records.Records(file) for file in train]
    for i in range(len(data)):
        assert dealt[i % len(train)][i // len(train)] == data[i]
    assert not list(outputs[0].glob('*.partial'))
    assert digests(whole).keys() == {'train.tfrecords', 'test.tfrecords'}


def test_a_file_that_cannot_be_written_leaves_nothing_behind(dataset, run, tmp_path, monkeypatch):
    output = run(dataset)
    before = digests(output)
    monkeypatch.setattr(examples, 'write_part', len)  # fails in the worker: a Part has no length
    with pytest.raises(TypeError):
        run(dataset, seed=1)
    assert digests(output) == before


@pytest.mark.parametrize(('text', 'size'), [('200MB', 200_000_000), ('1.5 GiB', 1_610_612_736), ('7kb', 7000),
                                            ('9B', 9)])
def test_sizes(text, size):
    assert args.size(text) == size


@pytest.mark.parametrize('text', ['', '200', '0MB', 'MB', '-1GB', '5 pounds'])
def test_what_is_no_size(text):
    with pytest.raises(argparse.ArgumentTypeError, match='such as 200MB'):
        args.size(text)


def test_one_of_both(tmp_path, capsys):
    with pytest.raises(SystemExit):
        prepare_data.parse(['--dataset', str(tmp_path), '--output', str(tmp_path / 'out'), '--shards', '3',
                            '--shard_size', '1MB'])
    assert 'not allowed with argument --shards' in capsys.readouterr().err
