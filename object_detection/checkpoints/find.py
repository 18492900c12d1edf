"""Which checkpoint a path means, and which one of a folder is the newest."""
import re
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from object_detection.checkpoints.saved import Saved
from object_detection.config import paths
from object_detection.runs import best
from object_detection.utils import cache, console, files, store
from object_detection.utils.errors import UserError


def newest(folder: str | Path, warn: Callable[[str], None] = console.warn) -> Saved | None:
    """Read the newest checkpoint of a folder: the complete ckpt-N of the highest N.

    Training, evaluation, and export all use this rule. The `checkpoint` state file does not count: a kill right
    after a save leaves it behind.

    Args:
        warn: called with a line of text for each damaged checkpoint (by a kill, a full disk) that is skipped.
    Returns:
        None if there is no ckpt-N.
    Raises:
        UserError: there are some, and none is complete.
    """
    prefixes = paths.training_checkpoints(folder)
    for prefix in prefixes:
        try:
            return Saved(prefix)
        except UserError as error:
            warn(f'skipped: {error}')
    if prefixes:
        raise UserError(f'no checkpoint in {folder} is complete; delete its ckpt-* files to start over')
    return None


def load(path: str | Path, warn: Callable[[str], None] = console.warn) -> Saved:
    """Read the checkpoint that `path` means.

    Args:
        path: a prefix (.../ckpt-0), one of its files (.../ckpt-0.index), a folder of checkpoints (the newest counts),
            the folder best/ of a training (what its best.json names), or an unpacked zoo tarball (the newest in its
            folder `checkpoint`). Without any ckpt-N, the state file may name a checkpoint called otherwise. On an
            object store: what cache.checkpoint takes.
        warn: as in newest.
    Raises:
        UserError: there is none, or it is damaged.
    """
    path = Path(re.sub(r'\.(index|data-\d+-of-\d+)$', '', str(path)))
    if url := store.url_of(path):
        path = cache.checkpoint(url)
    if Path(f'{path}.index').is_file():
        return Saved(path)
    if path.is_dir():
        while chosen := best.read(path):
            try:
                return Saved(chosen.prefix)
            except UserError:
                if best.read(path) == chosen:  # otherwise a training has just put another one there
                    raise
        for folder in (path, path / 'checkpoint'):
            if saved := newest(folder, warn):
                return saved
            if prefix := tf.train.latest_checkpoint(folder):
                return Saved(prefix)
        raise UserError(f'no checkpoint in {path}: it has neither ckpt-*.index files nor a `checkpoint` state file')
    names = [prefix.name for prefix in paths.prefixes(path.parent)]
    if names and not path.exists():
        raise UserError(f'no checkpoint {path}: there is no file {path.name}.index in {path.parent}; it has '
                        f'{", ".join(names[-5:])}')
    wrong = f'{path}: is a file' if path.exists() else files.missing(path)
    raise UserError(f'{wrong}; give a folder of checkpoints, or the prefix of one (.../ckpt-7)')
