"""Records and checkpoints that a config names; more cases are in test_checks.py."""
import pytest

from object_detection.config import paths


@pytest.mark.parametrize('folder', ['plain', 'dogs [2024]', '[ab]'])
def test_shards_in_any_folder(folder, tmp_path):
    """Brackets in the name of a folder are no pattern."""
    (tmp_path / folder).mkdir()
    data = (tmp_path / folder / 'train.tfrecords').as_posix()
    for number in range(2):
        (tmp_path / folder / f'train.tfrecords-0000{number}-of-00002').write_bytes(b'x')
    assert list(paths.records(f'{data}-?????-of-00002')) == []
    assert [message.partition(': ')[2] for _, message in paths.records(data)] == [
        f"is in shards; write '{data}-?????-of-00002'"]
    assert 'no file matches; ' in next(paths.records(f'{data}-?????-of-00003'))[1]


def test_checkpoints_in_a_folder(tmp_path):
    for name in ('ckpt-9', 'ckpt-10', 'model.ckpt', 'ckpt-best', 'ckpt-11_best'):
        (tmp_path / f'{name}.index').touch()
    assert [path.name for path in paths.training_checkpoints(tmp_path)] == ['ckpt-10', 'ckpt-9']
    assert [path.name for path in paths.prefixes(tmp_path)][-3:] == ['ckpt-9', 'ckpt-10', 'ckpt-11_best']
