"""Which output folders an export accepts, and what a killed export leaves behind."""
import errno
import os
from pathlib import Path

import pytest

from object_detection.export import output_folder
from object_detection.utils.errors import UserError

PARTS = ['checkpoint', 'pipeline.config', 'saved_model']  # of the export that `write` makes, as they are moved


def write(partial):
    (partial / 'pipeline.config').write_text('ours')
    for name in ('checkpoint', 'saved_model'):
        (partial / name).mkdir()
        (partial / name / 'file').touch()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize('place', ['new', 'new/below', 'empty', '.', 'link'])
def test_folders_that_are_accepted(place, tmp_path, monkeypatch):
    (tmp_path / 'empty').mkdir()
    if place == 'link':
        try:
            (tmp_path / 'link').symlink_to('empty')
        except OSError:
            pytest.skip('links may not be made here')
    monkeypatch.chdir(tmp_path / 'empty' if place == '.' else tmp_path)
    before = names(Path())
    output_folder.check(place)
    assert names(Path()) == before or (place == 'new/below' and names(Path('new')) == [])
    with output_folder.atomic(place) as partial:
        write(partial)
        assert names(Path(place)) == [output_folder.PARTIAL]
    assert names(Path(place)) == PARTS
    assert (tmp_path / 'link').is_symlink() == (place == 'link')


def test_a_folder_of_the_user_is_left_alone(tmp_path):
    (tmp_path / 'out.partial').mkdir()
    with output_folder.atomic(tmp_path / 'out') as partial:
        write(partial)
    assert names(tmp_path) == ['out', 'out.partial']
    (tmp_path / 'other' / output_folder.PARTIAL).mkdir(parents=True)
    (tmp_path / 'other' / output_folder.PARTIAL / 'thesis.txt').touch()
    with pytest.raises(UserError, match=r'is not empty, .*; it has \.export\.partial'):
        output_folder.check(tmp_path / 'other')
    assert (tmp_path / 'other' / output_folder.PARTIAL / 'thesis.txt').exists()


@pytest.mark.parametrize('moved', [None, 0, 1, 2])
def test_the_next_export_works_after_a_kill(moved, tmp_path):
    """At any moment: before all parts are finished (None), or with this many of them moved up."""
    partial = tmp_path / output_folder.PARTIAL
    partial.mkdir()
    write(partial)
    if moved is None:
        (partial / 'checkpoint').rename(tmp_path / 'gone')
        output_folder._remove(tmp_path / 'gone')
    else:
        (partial / 'moving').write_text('\n'.join(PARTS))
        for name in PARTS[:moved]:
            (partial / name).rename(tmp_path / name)
    assert not (tmp_path / 'saved_model').exists()
    with output_folder.atomic(tmp_path) as partial:
        write(partial)
    assert names(tmp_path) == PARTS


def test_a_finished_export_is_kept_if_only_the_cleanup_was_killed(tmp_path):
    write(tmp_path)
    (tmp_path / output_folder.PARTIAL).mkdir()
    (tmp_path / output_folder.PARTIAL / 'moving').write_text('\n'.join(PARTS))
    with pytest.raises(UserError, match='is not empty'):
        output_folder.check(tmp_path)
    assert names(tmp_path) == [output_folder.PARTIAL, *PARTS]


def test_a_failure_while_parts_are_moved_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    rename = Path.rename

    def fail(path, to):
        if path.name == 'saved_model':
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(path, to)
    monkeypatch.setattr(Path, 'rename', fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), output_folder.atomic(tmp_path) as partial:
        write(partial)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='this folder cannot be made or written to'):
        output_folder.check(tmp_path / 'file' / 'out')
    with pytest.raises(UserError, match='is a file'):
        output_folder.check(tmp_path / 'file')
