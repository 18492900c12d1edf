"""The folder of an export appears whole or not at all, wherever it may lie. Imports no TensorFlow."""
import contextlib
import os
import re
import shutil
from pathlib import Path

from object_detection.utils import files

PARTIAL = '.export.partial'  # in the folder: what is not finished
PARTS = ('checkpoint', 'pipeline.config', 'saved_model')  # moved up in this order: without the last it is no export
_MOVING = 'moving'  # in PARTIAL, as soon as all parts are finished


def check(folder):
    """UserError unless `folder` is new or empty and can be written to; it is left as it was.

    What an export that was killed has left in it does not count, and is removed.
    """
    with contextlib.suppress(_Checked), atomic(folder):
        raise _Checked


@contextlib.contextmanager
def atomic(folder):
    """A folder for PARTS, which become those of `folder` when the block ends well, and vanish when it does not.

    It lies inside `folder`: that one may be the current folder, a mount point or a link, which cannot be replaced.
    Nothing is renamed to a name that is taken, as Windows cannot do that.
    """
    folder = Path(os.path.realpath(folder))
    with files.writable(folder):
        left = _left_over(folder)
    files.vacant_dir(folder, left)
    new = not folder.exists()
    partial = files.make_dir(folder) / PARTIAL
    moved = []
    try:
        with files.writable(folder):
            for name in left:
                _remove(folder / name)
            partial.mkdir()
        yield partial
        (partial / _MOVING).touch()
        for name in PARTS:
            (partial / name).rename(folder / name)
            moved.append(folder / name)
    except BaseException:
        while moved:
            _remove(moved.pop())
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if new and not moved:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _left_over(folder):
    """Names in `folder` that an export which was killed has left: PARTIAL, and before it what was moved up already."""
    partial = folder / PARTIAL
    if not partial.is_dir() or partial.is_symlink():
        return []
    inside = {path.name for path in partial.iterdir()}
    if any(name not in (*PARTS, _MOVING) and not re.fullmatch(r'\.pipeline\.config\.\d+\.tmp', name)
           for name in inside):
        return []  # not ours
    if _MOVING in inside and PARTS[-1] in inside:
        return [*(name for name in PARTS if name not in inside and (folder / name).exists()), PARTIAL]
    return [PARTIAL]


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


class _Checked(Exception):
    """Ends a block without anything to move."""
