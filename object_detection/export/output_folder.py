"""The output folder of an export appears complete or not at all. Imports no TensorFlow."""
import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from object_detection.utils import files

PARTIAL = '.export.partial'  # subfolder for what is not finished
# The names that exports have. They are moved up in this order: the last one of an export makes it complete.
PARTS = ('checkpoint', 'pipeline.config', 'label_map.pbtxt', 'README.md', 'summary.html', 'score_thresholds.json',
         'saved_model', 'model.tflite', 'model.onnx')
_MOVING = 'moving'  # a file in PARTIAL from when all parts are finished; it lists them


def check(folder: str | Path) -> None:
    """Raise a UserError unless `folder` is new or empty and can be written to.

    Only what a killed export left behind in it is removed.
    """
    with contextlib.suppress(_Checked), atomic(folder):
        raise _Checked


@contextlib.contextmanager
def atomic(folder: str | Path) -> Iterator[Path]:
    """Yield a folder for some of PARTS, which move to `folder` if the block succeeds and are deleted if it does not.

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
        parts = [name for name in PARTS if (partial / name).exists()]
        files.write_text(partial / _MOVING, '\n'.join(parts))
        for name in parts:
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
    if any(name not in (*PARTS, _MOVING) and not re.fullmatch(r'\..+\.\d+\.tmp', name) for name in inside):
        return []  # not ours
    parts = (partial / _MOVING).read_text('utf-8').splitlines() if _MOVING in inside else []
    if parts and parts[-1] in inside:
        return [*(name for name in parts if name in PARTS and name not in inside and (folder / name).exists()), PARTIAL]
    return [PARTIAL]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


class _Checked(Exception):
    """Ends the block of `atomic` in `check`, where there is nothing to move."""
