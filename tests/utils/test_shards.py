from pathlib import Path

import pytest

from object_detection.utils import shards


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_names_and_patterns():
    assert shards.shard_names('a/b', 1) == ['a/b']
    assert shards.shard_names(Path('b'), 2) == ['b-00000-of-00002', 'b-00001-of-00002']
    assert shards.shard_pattern('b', 1) == 'b'
    assert shards.shard_pattern('b', 12) == 'b-?????-of-00012'


@pytest.mark.parametrize('folder', ['plain', 'dogs [2024]', 'a[b]/c[!d]*' if Path().absolute().drive == '' else 'a[b]'])
def test_expand_and_missing_shards(folder, tmp_path):
    """Also in folders whose names look like patterns."""
    folder = tmp_path / folder
    touch(folder, 'a-00000-of-00004', 'a-00002-of-00004', 'plain[1]', '.a-00003-of-00004')
    (folder / 'a-00001-of-00004').mkdir()
    found = shards.expand(shards.shard_pattern(folder / 'a', 4))
    assert found == [folder / 'a-00000-of-00004', folder / 'a-00002-of-00004']
    assert shards.missing_shards(found) == [str(folder / 'a-00001-of-00004'), str(folder / 'a-00003-of-00004')]
    assert shards.expand(str(folder / 'plain[1]')) == [folder / 'plain[1]']
    assert shards.expand(folder / '*old*') == [] == shards.missing_shards([folder / 'plain[1]'])
    assert shards.expand(folder / '*') == shards.expand(folder / '[!.]*') == [*found, folder / 'plain[1]']
    assert shards.sets_beside(folder / 'a') == [f'{folder / "a"}-?????-of-00004']


def test_patterns_in_folders_and_relative_paths(tmp_path, monkeypatch):
    for year in ('2023', '2024'):
        touch(tmp_path / year, 'a', 'b')
    monkeypatch.chdir(tmp_path / '2023')
    assert shards.expand('../202?/a') == [Path('../2023/a'), Path('../2024/a')]
    assert shards.expand('./[ab]') == [Path('a'), Path('b')]
    assert shards.expand('../2023') == shards.expand('') == shards.expand('a/b*') == []
