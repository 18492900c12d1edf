"""The output folder of an export appears complete or not at all. Imports no TensorFlow."""
import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from object_detection.utils import files

PARTIAL = '.export.partial'  # subfolder for what is not finished
PARTS = ('checkpoint', 'pipeline.config', 'saved_model')  # moved up in this order: without the last it is no export
_MOVING = 'moving'  # a file in PARTIAL from when all parts are finished


def check(folder: str | Path) -> None:
    """Raise a UserError unless `folder` is new or empty and can be written to.

    Only what a killed export left behind in it is removed.
    """
    with contextlib.suppress(_Checked), atomic(folder):
        raise _Checked


@contextlib.contextmanager
def atomic(folder: str | Path) -> Iterator[Path]:
    """Yield a folder for PARTS, which move to `folder` if the block succeeds and are deleted if it does not.

    The yielded folder lies inside `folder`, which may be the current folder, a mount point or a link and therefore
    cannot be replaced. No file is renamed to an existing name, which Windows does not allow.
    """
    folder = Path(os.path.realpath(folder))
    with files.writing_to(folder):
        leftovers = _leftovers(folder)
    files.vacant_dir(folder, leftovers)
    new = not folder.exists()
    partial = files.make_dir(folder) / PARTIAL
    moved: list[Path] = []
    try:
        with files.writing_to(folder):
            for name in leftovers:
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


def _leftovers(folder: Path) -> list[str]:
    """Return the names in `folder` that a killed export left: the parts it had moved already, and last PARTIAL."""
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


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


class _Checked(Exception):
    """Ends the block of `atomic` in `check`, where there is nothing to move."""
