import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from object_detection.utils import files
from object_detection.utils.errors import UserError

ROOT = Path(__file__).parents[2]


def test_writing_makes_folders_and_replaces(tmp_path):
    path = tmp_path / 'a/b.txt'
    files.write_text(path, 'one\nß')
    files.write_text(path, 'two\nß')
    assert path.read_bytes() == 'two\nß'.encode()
    files.write_text(path, '\r\n\0')
    assert path.read_bytes() == b'\r\n\0'
    assert list(path.parent.iterdir()) == [path]


def test_failure_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.txt'
    files.write_text(path, 'old')

    def fail(_):
        raise RuntimeError

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(RuntimeError):
        files.write_text(path, 'new')
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / 'a.txt'
    files.write_text(path, 'old')

    def full(_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left') as error:
        files.write_text(path, 'new')
    assert error.value.errno == errno.ENOSPC and error.value.filename == str(path)
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_links_are_followed(tmp_path):
    (tmp_path / 'real.txt').write_text('old')
    try:
        (tmp_path / 'link.txt').symlink_to('real.txt')
    except OSError:
        pytest.skip('links may not be made here')
    files.write_text(tmp_path / 'link.txt', 'new')
    assert (tmp_path / 'link.txt').is_symlink() and (tmp_path / 'real.txt').read_text() == 'new'


def test_folder_in_the_way(tmp_path):
    with pytest.raises(UserError, match='is a folder'):
        files.write_text(tmp_path, 'x')


@pytest.mark.parametrize(('path', 'words'), [
    ('pipelin.config', 'did you mean pipeline.config?'),
    ('PIPELINE.CONFIG.txt', 'did you mean pipeline.config?'),
    ('zzz', 'the current folder has models/, pipeline.config'),
    ('model/d0/x.config', "(no folder 'model' in the current folder); did you mean models?"),
    ('models/d1/x.config', "(no folder 'd1' in models); models has d0/"),
    ('models/d0/x.config', 'models/d0 is empty'),
    ('~/x.config', '~ is not expanded'),
    ('models', 'is a folder; give a file; models has d0/'),
])
def test_advice_for_missing_paths(path, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('models/d0').mkdir(parents=True)
    Path('pipeline.config').touch()
    with pytest.raises(UserError) as error:
        files.existing_file(path)
    message = str(error.value).replace('\\', '/')
    if path == 'PIPELINE.CONFIG.txt' or path == 'pipelin.config':
        assert str(Path.cwd()).replace('\\', '/') in message
    assert words in message


def test_relative_path_from_the_wrong_folder(tmp_path, monkeypatch):
    (tmp_path / 'models/d0').mkdir(parents=True)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/train.tfrecords').touch()
    monkeypatch.chdir(tmp_path / 'models/d0')
    assert f'but in {tmp_path}: run the command from there' in files.missing('data/train.tfrecords')


def test_existing_dir(tmp_path):
    assert files.existing_dir(tmp_path) == tmp_path
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='is a file; give a folder'):
        files.existing_dir(tmp_path / 'file')


@pytest.mark.parametrize('use', [files.make_dir, lambda folder: files.lock(folder).__enter__()])
def test_a_folder_that_cannot_be_made(use, tmp_path):
    (tmp_path / 'file').touch()
    for folder in (tmp_path / 'file', tmp_path / 'file/below/it'):
        with pytest.raises(UserError) as error:
            use(folder)
        assert str(error.value).startswith(f'{folder}: this folder cannot be made or written to (')
        assert str(error.value).endswith('); name another one')
    assert files.make_dir(tmp_path / 'new/one').is_dir()


@pytest.mark.parametrize(('number', 'kind'), [(errno.EACCES, UserError), (errno.EROFS, UserError),
                                              (errno.ENOSPC, OSError)])
def test_a_folder_without_write_permission(number, kind, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, 'open', refuse)
    with pytest.raises(kind, match=os.strerror(number)), files.lock(tmp_path):
        raise AssertionError('it is held')


def test_vacant_dir(tmp_path):
    assert files.vacant_dir(tmp_path) == tmp_path
    assert files.vacant_dir(tmp_path / 'new') == tmp_path / 'new'
    (tmp_path / '.hidden').touch()
    assert files.vacant_dir(tmp_path, ['.hidden']) == tmp_path
    with pytest.raises(UserError, match=r'is not empty, and nothing is overwritten; it has \.hidden; name'):
        files.vacant_dir(tmp_path)
    with pytest.raises(UserError, match='is a file'):
        files.vacant_dir(tmp_path / '.hidden')


HOLDER = '''
import sys
import time
from object_detection.utils import files
with files.lock(sys.argv[1]):
    print('held', flush=True)
    sys.stdin.read()
'''


def test_lock_excludes_another_process_and_ends_with_it(tmp_path):
    folder = tmp_path / 'new model'
    with subprocess.Popen([sys.executable, '-c', HOLDER, str(folder)], cwd=ROOT, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == 'held\n'
        with pytest.raises(UserError, match=f'in use by process {other.pid} on .* since'), \
                files.lock(folder, 'this model_dir'):
            raise AssertionError('both hold it')
        other.kill()
    with files.lock(folder) as path:
        assert str(os.getpid()) in path.read_text()
    with files.lock(folder):
        assert path.exists()


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no named pipes on this system')
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'label_map.pbtxt')
    with pytest.raises(UserError, match='is not a regular file'):
        files.existing_file(tmp_path / 'label_map.pbtxt')


def test_what_a_killed_process_left_goes_away_at_the_next_start(tmp_path):
    with subprocess.Popen([sys.executable, '-c', '']) as ended:
        pass
    gone, running, old = (tmp_path / f'.run.json.{pid}.tmp' for pid in (ended.pid, os.getpid(), os.getppid()))
    for path in (gone, running, old, tmp_path / '.mine.tmp', tmp_path / 'run.json.7.tmp'):
        path.touch()
    os.utime(old, (time.time() - 700, time.time() - 700))
    with files.lock(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {running.name, '.mine.tmp', 'run.json.7.tmp', '.lock'}


@pytest.mark.parametrize('path', ['a\0b', 'x' * 5000, 'x' * 300, 'd/' * 3000])
def test_paths_that_the_system_refuses(path):
    for function in (files.existing_file, files.existing_dir, files.vacant_dir, files.make_dir, files.read_bytes):
        with pytest.raises(UserError, match='does not exist') as raised:
            function(path)
        assert len(str(raised.value)) < 300


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no pipes in the file system')
def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'zero').symlink_to('/dev/zero')
    for name in ('pipe', 'zero'):
        with pytest.raises(UserError, match='is not a regular file'):
            files.read_bytes(tmp_path / name)
    with pytest.raises(UserError, match='is a folder'):
        files.read_bytes(tmp_path)
