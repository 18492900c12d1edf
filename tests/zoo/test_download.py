"""python -m object_detection.zoo download: complete or not at all, resumed, verified, nothing overwritten."""
import errno
import functools
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from object_detection.utils import files
from object_detection.utils.errors import UserError
from object_detection.zoo import __main__ as zoo
from object_detection.zoo import table, transfer, unpack
from tests.support.zoo_server import FILES, serve, tarball

NAME = 'efficientdet_d0_coco17_tpu-32'
BODY = tarball()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(transfer, 'fetch', functools.partial(transfer.fetch, sleep=lambda seconds: None))
    with serve(BODY) as running:
        yield running


@pytest.fixture
def download(server, tmp_path):
    """Return a function that runs the command with more arguments and returns the model's folder."""
    def run(*arguments):
        zoo.main(['download', NAME, '--output', str(run.output), '--base_url', server.url, *arguments])
        return run.output / NAME
    run.output = tmp_path / 'models'
    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_folder_has_the_model_and_its_origin(download, server):
    server.with_md5()
    folder = download()
    assert server.requests[0][0] == f'/tf2/20200711/{NAME}.tar.gz'
    assert names(download.output) == [NAME]  # nothing else is left behind
    assert (folder / 'checkpoint' / 'ckpt-0.data-00000-of-00001').read_bytes() == \
        FILES['checkpoint/ckpt-0.data-00000-of-00001']
    record = json.loads((folder / 'download.json').read_text())
    assert record['sha256'] == hashlib.sha256(BODY).hexdigest()
    assert record['verified'] == ['gzip checksum', 'length', 'MD5 of the server']
    assert (record['url'], record['bytes']) == (f'{server.url}/20200711/{NAME}.tar.gz', len(BODY))


def test_an_existing_model_is_left_alone(download, server, capsys):
    before = (download() / 'download.json').stat().st_mtime_ns
    folder = download()
    assert (folder / 'download.json').stat().st_mtime_ns == before
    assert len(server.requests) == 1
    assert 'already there; nothing to do' in capsys.readouterr().out


@pytest.mark.parametrize('make', [lambda path: path.mkdir(parents=True), lambda path: files.write_text(path, 'mine')])
def test_something_else_of_its_name_is_not_overwritten(download, server, make):
    make(download.output / NAME)
    with pytest.raises(UserError, match='is not a complete model'):
        download()
    assert server.requests == []


def test_interrupted_and_run_again(download, server):
    server.faults = [{'drop': 1000}] + [{'drop': 0}] * transfer.ATTEMPTS
    with pytest.raises(UserError, match='are kept, and the same command resumes'):
        download()
    assert names(download.output) == [f'.{NAME}.download']
    del server.requests[:]
    download()
    assert [asked for _, asked, _ in server.requests] == ['bytes=1000-']
    assert names(download.output) == [NAME]


def test_a_top_folder_of_another_name_or_none(download, server):
    server.body = tarball(folder='')
    assert names(download()) == ['checkpoint', 'download.json', 'pipeline.config', 'saved_model']


def test_a_checkpoint_of_another_number(download, server):
    server.body = tarball({name.replace('ckpt-0', 'ckpt-301'): data for name, data in FILES.items()})
    assert (download() / 'checkpoint' / 'ckpt-301.index').exists()


@pytest.mark.parametrize(('body', 'message'), [
    (BODY[:-20], 'is no complete .tar.gz'),
    (b'<html>login</html>', 'begins with b'),
    (tarball({'readme': b'hello'}), 'no pipeline.config with a checkpoint'),
    (tarball({'../../../escaped': b'hello'}), 'leads out of the folder')])
def test_what_is_not_a_model_is_deleted(download, server, body, message):
    server.body = body
    with pytest.raises(UserError, match=f'(?s)the download .*{message}.*has been deleted'):
        download()
    assert names(download.output / f'.{NAME}.download') == ['.lock']
    assert names(download.output.parent) == ['models']
    server.body = BODY
    assert download().exists()


def test_checksums_that_differ(download, server):
    server.with_md5(b'another file')
    with pytest.raises(UserError, match=r'MD5 of the server: expected [0-9a-f]{32}'):
        download()
    server.headers.clear()
    with pytest.raises(UserError, match=f'--sha256: expected {"0" * 64}'):
        download('--sha256', '0' * 64)
    folder = download('--sha256', hashlib.sha256(BODY).hexdigest().upper())
    assert '--sha256' in json.loads((folder / 'download.json').read_text())['verified']


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(download, monkeypatch, number):
    def copy(source, target):
        raise OSError(number, 'no space')
    with monkeypatch.context() as full:
        full.setattr(unpack.shutil, 'copyfileobj', copy)
        with pytest.raises(UserError, match=r'no space left on the device while writing .*run the same command again'):
            download()
    assert names(download.output / f'.{NAME}.download') == ['.lock', f'{NAME}.tar.gz', f'{NAME}.tar.gz.json']
    assert download().exists()


def test_two_at_once(download, server):
    with files.lock(download.output / f'.{NAME}.download'), \
            pytest.raises(UserError, match=rf'the download of {NAME} is in use by'):
        download()
    assert server.requests == []


def test_through_a_proxy(server, tmp_path):
    proxy = {'http_proxy': server.url.removesuffix('/tf2'), 'no_proxy': ''}
    subprocess.run([sys.executable, '-m', 'object_detection.zoo', 'download', NAME, '--output', str(tmp_path),
                    '--base_url', 'http://zoo.invalid/tf2'], env=os.environ | proxy, check=True)
    assert server.requests[0][0] == f'http://zoo.invalid/tf2/20200711/{NAME}.tar.gz'


def test_mistakes_end_without_traceback(tmp_path):
    for arguments, message in ((['download', 'efficientdet_d0'], "has no model 'efficientdet_d0'; did you mean"),
                               (['download', NAME, '--base_url', 'ftp://x'], 'must begin with http:// or https://'),
                               (['list', 'yolo'], "no model of the zoo has 'yolo'")):
        done = subprocess.run([sys.executable, '-m', 'object_detection.zoo', *arguments], capture_output=True,
                              text=True)
        assert done.returncode == 1
        assert message in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.parametrize('arguments', [['list'], ['download', NAME], ['configure', NAME]])
def test_without_packages_the_command_says_how_to_install_them(arguments):
    done = subprocess.run([sys.executable, '-S', '-m', 'object_detection.zoo', *arguments], capture_output=True,
                          text=True, cwd=Path(__file__).parents[2], env=os.environ | {'PYTHONPATH': ''})
    assert done.returncode == 1
    assert done.stderr.count('\n') == 1 and 'lacks the packages of requirements.txt' in done.stderr


def test_an_output_that_cannot_be_created(download, tmp_path):
    files.write_text(tmp_path / 'file', '')
    download.output = tmp_path / 'file' / 'models'
    with pytest.raises(UserError, match=r'models.*: this folder cannot be made or written to \(.*; name another one'):
        download()


def test_the_table_lists_41_models(capsys):
    known = table.models()
    assert len({model.name for model in known}) == 41
    assert {model.outputs for model in known} == {'boxes', 'boxes+masks', 'boxes+keypoints'}
    d0 = table.find(NAME)
    assert (d0.path, d0.speed_ms, d0.coco_map) == (f'20200711/{NAME}.tar.gz', 39, '33.6')
    zoo.main(['list', '640x640'])
    assert 'efficientdet_d1_coco17_tpu-32' in capsys.readouterr().out
    zoo.main(['list', 'keypoints', '1024'])
    assert 'centernet_hg104_1024x1024_kpts_coco17_tpu-32  1024x1024  211  42.8/64.5' in capsys.readouterr().out
