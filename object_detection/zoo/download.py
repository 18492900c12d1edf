"""A model of the zoo -> a folder of its name with checkpoint, SavedModel and pipeline.config.

Verified are the length that the server announces, its MD5 if it sends one (the zoo's real address does, for files that
were uploaded in one piece), the checksums inside gzip, the presence of a checkpoint and a pipeline.config, and the
SHA-256 if the caller knows it. The zoo publishes none, so a mirror, or anybody between here and a plain http address,
is trusted. The SHA-256 of the download is written to download.json in the folder.
"""
import errno
import hashlib
import json
import shutil
import time
import urllib.parse
from pathlib import Path

from object_detection.config import paths
from object_detection.utils import console, files
from object_detection.utils.errors import UserError
from object_detection.zoo import transfer, unpack
from object_detection.zoo.table import Model

ORIGINAL_URL = 'http://download.tensorflow.org/models/object_detection/tf2'  # as the reference's page has it
# The same store at an address with a certificate, so that nobody on the way can change what is downloaded.
BASE_URL = 'https://storage.googleapis.com/download.tensorflow.org/models/object_detection/tf2'
_DISK_FULL = (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC))


def download(model: Model, output: str | Path, base_url: str = BASE_URL, sha256: str | None = None) -> Path:
    """Download and unpack a model to output/NAME and return that path; a model that is already there is left alone.

    The folder appears complete or not at all. Until then the download waits in output/.NAME.download, where the next
    call resumes it. UserError for everything that can go wrong on the way.
    """
    target = Path(output, model.name)
    if _present(target):
        return target
    url = f'{_http(base_url)}/{model.path}'
    work = Path(output, f'.{model.name}.download')
    try:
        with files.lock(work, f'the download of {model.name}'):
            if not _present(target):  # another process may just have finished
                _fetch(url, work, target, sha256)
        shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise UserError(f'no space left on the device while writing {error.filename or work}; free some and run the '
                        f'same command again: it resumes with what is in {work}') from error
    console.log(f'{target}: ready')
    return target


def checkpoint(folder: str | Path) -> Path | None:
    """Return the prefix of the newest checkpoint of an unpacked model (FOLDER/checkpoint/ckpt-0), None without one."""
    found = [prefix for prefix in paths.prefixes(Path(folder, 'checkpoint'))
             if not list(paths.checkpoint(prefix.as_posix()))]
    return found[-1] if found else None


def _fetch(url: str, work: Path, target: Path, sha256: str | None) -> None:
    """Download url into `work`, verify and unpack it there, and move the model to `target`."""
    tarball = work / Path(url).name
    console.log(url)
    source = transfer.fetch(url, tarball)
    digests = _digests(tarball)
    size, unpacked = tarball.stat().st_size, work / 'unpacked'
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        verified = _verify(size, source, digests, sha256)
        unpack.unpack(tarball, unpacked)
        folder = _model_folder(unpacked)
    except unpack.Damaged as error:
        transfer.forget(tarball)
        shutil.rmtree(unpacked, ignore_errors=True)
        raise UserError(f'{url}: the download ({size} bytes, SHA-256 {digests["sha256"]}) is not a model: {error}. It '
                        'has been deleted; run the same command again to download it anew') from error
    console.log(f'{size / 1e6:.1f} MB, verified by {", ".join(verified)}')
    files.write_text(folder / 'download.json', json.dumps({
        'url': url, 'bytes': size, 'sha256': digests['sha256'], 'verified': verified,
        'etag': source.etag, 'last_modified': source.last_modified,
        'downloaded': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}, indent=1) + '\n')
    folder.rename(target)


def _verify(size: int, source: transfer.Source, digests: dict[str, str], sha256: str | None) -> list[str]:
    """Return the names of the checks that a tarball passes; unpack.Damaged if it fails one.

    The first is the gzip checksum, which unpacking checks.
    """
    passed = ['gzip checksum']
    for name, expected, actual in (('length', source.size, size), ('MD5 of the server', source.md5, digests['md5']),
                                   ('--sha256', sha256, digests['sha256'])):
        if expected and expected != actual:
            raise unpack.Damaged(f'{name}: expected {expected}, got {actual}')
        if expected:
            passed.append(name)
    return passed


def _digests(path: Path) -> dict[str, str]:
    hashes = {'sha256': hashlib.sha256(), 'md5': hashlib.md5(usedforsecurity=False)}
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            for each in hashes.values():
                each.update(block)
    return {name: each.hexdigest() for name, each in hashes.items()}


def _model_folder(unpacked: Path) -> Path:
    """Return the folder with pipeline.config and checkpoint in an unpacked tarball: the top, or a folder in it."""
    for folder in (unpacked, *sorted(path for path in unpacked.iterdir() if path.is_dir())):
        if _complete(folder):
            return folder
    raise unpack.Damaged(f'it has no pipeline.config with a checkpoint/ckpt-0 beside it{files.contents(unpacked)}')


def _complete(folder: Path) -> bool:
    return (folder / 'pipeline.config').is_file() and checkpoint(folder) is not None


def _present(target: Path) -> bool:
    """Return whether the model is already there; UserError if something else is."""
    if not target.exists():
        return False
    if not target.is_dir() or not _complete(target):
        raise UserError(f'{target}: exists, but is not a complete model (pipeline.config and checkpoint/ckpt-0), and '
                        'nothing is overwritten; move it away, or give another --output')
    console.log(f'{target}: already there; nothing to do')
    return True


def _http(base_url: str) -> str:
    if urllib.parse.urlsplit(base_url).scheme not in ('http', 'https'):
        raise UserError(f'--base_url is {base_url!r}; it must begin with http:// or https://')
    return base_url.rstrip('/')
