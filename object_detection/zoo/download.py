"""A model of the zoo -> a folder of that name with checkpoint, SavedModel and pipeline.config.

What is verified: the length that the server announces, its MD5 if it sends one (the zoo's real address does, for files
that were uploaded in one piece), the checksums inside gzip, that a checkpoint and a pipeline.config are there, and the
SHA-256 if the caller knows it. The zoo publishes none, so that a mirror, or a man in the middle of a plain http
address, is trusted. The SHA-256 of what came is written to download.json in the folder.
"""
import errno
import hashlib
import json
import shutil
import time
import urllib.parse
from pathlib import Path

from object_detection.config import paths as config_paths
from object_detection.utils import console, files
from object_detection.utils.errors import UserError
from object_detection.zoo import transfer, unpack

ORIGINAL_URL = 'http://download.tensorflow.org/models/object_detection/tf2'  # as the reference's page has it
# The same store by an address with a certificate, so that nobody on the way can change what comes.
BASE_URL = 'https://storage.googleapis.com/download.tensorflow.org/models/object_detection/tf2'
_FULL = (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC))


def download(model, output, base_url=BASE_URL, sha256=None):
    """Download and unpack a table.Model to output/NAME, and return that path; a model that is there is left alone.

    The folder appears whole or not at all. What has been downloaded waits in output/.NAME.download until then, so that
    the next call can go on. UserError for everything that can go wrong on the way.
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
        if error.errno not in _FULL:
            raise
        raise UserError(f'no space left on the device while writing {error.filename or work}; free some and run the '
                        f'same command again: it goes on with what is in {work}') from error
    console.log(f'{target}: ready')
    return target


def checkpoint(folder):
    """The prefix of the newest checkpoint of an unpacked model, FOLDER/checkpoint/ckpt-0; None if there is none."""
    found = [prefix for prefix in config_paths.prefixes(Path(folder, 'checkpoint'))
             if not any(True for _ in config_paths.checkpoint(prefix.as_posix()))]
    return found[-1] if found else None


def _fetch(url, work, target, sha256):
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
        raise UserError(f'{url}: what came ({size} bytes, SHA-256 {digests["sha256"]}) is not a model: {error}. It has '
                        'been deleted; run the same command again to download it anew') from error
    console.log(f'{size / 1e6:.1f} MB, verified by {", ".join(verified)}')
    files.write_text(folder / 'download.json', json.dumps({
        'url': url, 'bytes': size, 'sha256': digests['sha256'], 'verified': verified,
        'etag': source.etag, 'last_modified': source.last_modified,
        'downloaded': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}, indent=1) + '\n')
    folder.rename(target)


def _verify(size, source, digests, sha256):
    """Names of the checks that a tarball passes, with the one that unpacking is; unpack.Damaged if one fails."""
    passed = ['gzip checksum']
    for name, wanted, got in (('length', source.size, size), ('MD5 of the server', source.md5, digests['md5']),
                              ('--sha256', sha256, digests['sha256'])):
        if wanted and wanted != got:
            raise unpack.Damaged(f'{name}: {wanted} was expected, {got} came')
        if wanted:
            passed.append(name)
    return passed


def _digests(path):
    hashes = {'sha256': hashlib.sha256(), 'md5': hashlib.md5(usedforsecurity=False)}
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            for each in hashes.values():
                each.update(block)
    return {name: each.hexdigest() for name, each in hashes.items()}


def _model_folder(unpacked):
    """Where in an unpacked tarball pipeline.config and checkpoint are: its one folder, or the top."""
    for folder in (unpacked, *sorted(path for path in unpacked.iterdir() if path.is_dir())):
        if _complete(folder):
            return folder
    raise unpack.Damaged(f'it has no pipeline.config with a checkpoint/ckpt-0 beside it{files.contents(unpacked)}')


def _complete(folder):
    return (folder / 'pipeline.config').is_file() and checkpoint(folder) is not None


def _present(target):
    """Whether the model is there already; UserError if something else is."""
    if not target.exists():
        return False
    if not target.is_dir() or not _complete(target):
        raise UserError(f'{target}: is there, but is not a whole model (pipeline.config and checkpoint/ckpt-0), and '
                        'nothing is overwritten; move it away, or give another --output')
    console.log(f'{target}: is there already; nothing to do')
    return True


def _http(base_url):
    if urllib.parse.urlsplit(base_url).scheme not in ('http', 'https'):
        raise UserError(f'--base_url is {base_url!r}; it must begin with http:// or https://')
    return base_url.rstrip('/')
