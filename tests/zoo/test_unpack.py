"""Tarballs that are broken or try to write outside of the folder."""
import contextlib
import gzip
import io
import tarfile

import numpy as np
import pytest

from object_detection.zoo import unpack
from tests.support.zoo_server import FILES, tarball


@pytest.fixture
def open_up(tmp_path):
    def run(data):
        (tmp_path / 'a.tar.gz').write_bytes(data)
        unpack.unpack(tmp_path / 'a.tar.gz', tmp_path / 'inner' / 'out')
        return tmp_path / 'inner' / 'out'
    run.folder = tmp_path
    return run


def special(name, kind, target=''):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_files_are_unpacked_unchanged(open_up):
    out = open_up(tarball())
    assert {path.relative_to(out / 'some_model').as_posix(): path.read_bytes()
            for path in out.rglob('*') if path.is_file()} == FILES


def test_owner_and_mode_are_ignored(open_up):
    info = tarfile.TarInfo('some_model/tool')
    info.mode = 0o6777
    out = open_up(tarball(entries=[info]))
    assert (out / 'some_model' / 'tool').stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize('name', ['../outside', 'some_model/../../outside', '/outside', '//host/outside', 'C:/outside',
                                  'some_model\\..\\outside', 'file:stream', 'a\nb', '..', '.'])
def test_names_that_lead_outside(open_up, name):
    with pytest.raises(unpack.Damaged, match='which leads out of the folder or is not allowed'):
        open_up(tarball({name: b'gotcha'}, folder=''))
    assert sorted(path.name for path in open_up.folder.rglob('*')) == ['a.tar.gz', 'inner']


@pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize('target', ['/etc/passwd', 'some_model/pipeline.config'])
def test_links_and_devices(open_up, kind, target):
    with pytest.raises(unpack.Damaged, match='neither a file nor a folder but a link or a device'):
        open_up(tarball(entries=[special('some_model/x', kind, target)]))
    assert not (open_up.folder / 'inner' / 'out').exists()


def test_the_same_name_twice(open_up):
    with pytest.raises(unpack.Damaged, match='twice'):
        open_up(tarball(entries=[tarfile.TarInfo('some_model/pipeline.config')]))


def test_a_size_bomb(open_up, monkeypatch):
    monkeypatch.setattr(unpack, 'MAX_GROWTH', (20, 10_000))
    with pytest.raises(unpack.Damaged, match=r'more than 10000 files or .* MB'):
        open_up(tarball({'zeros': bytes(10 ** 6)}))


def test_a_bomb_of_many_files(open_up, monkeypatch):
    monkeypatch.setattr(unpack, 'MAX_FILES', 3)
    with pytest.raises(unpack.Damaged, match='more than 3 files'):
        open_up(tarball())


@pytest.mark.parametrize('cut', [10, 5000, -1, -9])
def test_cut_short(open_up, cut):
    with pytest.raises(unpack.Damaged, match=r'no complete \.tar\.gz'):
        open_up(tarball()[:cut])
    assert not (open_up.folder / 'inner' / 'out').exists()


@pytest.mark.parametrize('position', [-1000, -6])  # in the weights; in the checksum at the end
def test_a_byte_changed(open_up, position):
    data = bytearray(tarball())
    data[position] ^= 1
    with pytest.raises(unpack.Damaged, match=r'no complete \.tar\.gz'):
        open_up(bytes(data))


def test_a_page_instead_of_a_file(open_up):
    with pytest.raises(unpack.Damaged, match="begins with b'<html>Please log in"):
        open_up(b'<html>Please log in</html>')


def test_a_tar_that_is_not_compressed(open_up):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w'):
        pass
    with pytest.raises(unpack.Damaged):
        open_up(buffer.getvalue())


@pytest.mark.parametrize('names', [['m/' + 'a' * 300], ['m/q', 'm/q/x'], ['m/' + 'd/' * 3000 + 'x']])
def test_names_that_the_system_refuses(names, open_up):
    with pytest.raises(unpack.Damaged, match='it holds'):
        open_up(tarball(dict.fromkeys(names, b'x'), folder=''))
    assert sorted(path.name for path in open_up.folder.rglob('*')) == ['a.tar.gz', 'inner']


def test_a_header_that_fills_the_memory(open_up):
    """A PAX header of 1 GB of zeros, which tarfile would read into memory as a whole, is a tarball of 1 MB."""
    header = tarfile.TarInfo('././@PaxHeader')
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    data = io.BytesIO()
    with gzip.GzipFile(fileobj=data, mode='wb', compresslevel=1) as stream:
        stream.write(header.tobuf())
        for _ in range(256):
            stream.write(bytes(1 << 20))
    with pytest.raises(unpack.Damaged, match='unpacks to more than'):
        open_up(data.getvalue())


@pytest.mark.parametrize('seed', range(40))
def test_flipped_and_cut_tarballs(seed, open_up):
    """Anything but Damaged is a bug; gzip's checksum finds every flip."""
    random = np.random.default_rng(seed)
    data = bytearray(tarball())
    if seed % 2:
        del data[int(random.integers(0, len(data))):]
    else:
        data[int(random.integers(10, len(data)))] ^= 1 << int(random.integers(8))
    with pytest.raises(unpack.Damaged):
        open_up(bytes(data))


@pytest.mark.parametrize('seed', range(40))
def test_damaged_headers(seed, open_up):
    """Tar headers with garbage in them, in intact gzip: unpacked, or Damaged."""
    random = np.random.default_rng(seed)
    data = bytearray(gzip.decompress(tarball()))
    for _ in range(4):
        data[512 * int(random.integers(4)) + int(random.integers(512))] = int(random.integers(256))
    with contextlib.suppress(unpack.Damaged):
        open_up(gzip.compress(bytes(data)))
