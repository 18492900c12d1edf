"""The checkpoints of a training run."""
import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from object_detection.checkpoints import find, object_graph, slim
from object_detection.checkpoints.restore import does_not_fit, restore
from object_detection.config import paths
from object_detection.utils import files


class Manager:
    """Write ckpt-1, ckpt-2, ... of training into a folder, and resume from the newest complete one.

    A faster tf.train.CheckpointManager, which takes over a second to save a detector.

    Args:
        folder: need not exist.
        step, model, optimizer: what the reference's checkpoints hold; the optimizer may have get_slot_names, get_slot.
        max_to_keep: older checkpoints are deleted.
        keep_optimizer: checkpoints older than the newest this many lose the slots of the optimizer; None: none does.
    """

    def __init__(self, folder: str | Path, step: tf.Variable, model: tf.Module, optimizer: Any,
                 max_to_keep: int, keep_optimizer: int | None = None) -> None:
        self.folder, self._max_to_keep, self._keep_optimizer = Path(folder), max_to_keep, keep_optimizer
        self.root = tf.train.Checkpoint(step=step, model=model, optimizer=optimizer)
        self._save_counter = self.root.save_counter  # is made when first asked for, and must exist to be restored

    def resume(self, warn: Callable[[str], None], clean: bool = True) -> str | None:
        """Restore the newest complete checkpoint and return its prefix; None if the folder holds none.

        Args:
            warn: called with a line of text about anything odd.
            clean: remove what a save that was killed left behind; False where another process writes the checkpoints.
        Raises:
            UserError: no checkpoint is complete, or the newest does not fit the model.
        """
        if clean:
            self._remove_partial()
        saved = find.newest(self.folder, warn)
        if saved is None:
            return None
        report = restore(saved, self.root)
        if any(key.startswith('model/') for key in (*report.new, *report.shape_differs)):
            raise does_not_fit(saved.prefix, report, 'Train the changed model in a new --model_dir; to start from '
                               'these weights, name the checkpoint as fine_tune_checkpoint')
        kinds = {name for _, name in saved.slots(saved.children().get('optimizer'))}
        if report.new and kinds <= {slim.KEPT} and len(report.new) == sum('optimizer/' in key for key in report.new):
            warn(f'{saved.prefix} holds weights without the state of the optimizer, which only the newest checkpoints '
                 f'keep (--keep_optimizer): {len(report.new)} variables of it start anew, so this does not continue '
                 'the same run exactly')
        elif report.new:
            warn(f'{saved.prefix} lacks {len(report.new)} variables of the optimizer ({report.new[0]}, ...); they '
                 'keep their initial values, so this does not continue the same run exactly')
        return saved.prefix

    def save(self) -> str:
        """Write the next checkpoint and return its prefix. Its number is above all that are in the folder.

        It appears complete or not at all: TensorFlow writes the values under another name, and the index last.

        Raises:
            OSError: the disk is full (ENOSPC); earlier checkpoints are as they were.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # The folder counts, not the restored save_counter: a ckpt-2 that was renamed to ckpt-50 is followed by ckpt-51.
        number = 1 + max((int(path.name.removeprefix('ckpt-'))
                          for path in paths.training_checkpoints(self.folder)), default=0)
        self._save_counter.assign(number)
        prefix, tensors = str(self.folder / f'ckpt-{number}'), object_graph.tensors(self.root)
        try:
            tf.raw_ops.SaveV2(prefix=prefix, tensor_names=list(tensors), tensors=list(tensors.values()),
                              shape_and_slices=[''] * len(tensors))
        except tf.errors.OpError as error:
            self._remove_partial()
            if 'No space left' not in str(error):
                raise
            raise OSError(errno.ENOSPC, 'No space left on device', prefix) from error
        newest_first = paths.training_checkpoints(self.folder)
        kept, old = newest_first[:self._max_to_keep], newest_first[self._max_to_keep:]
        files.write_text(self.folder / 'checkpoint', ''.join(
            [f'model_checkpoint_path: "ckpt-{number}"\n',
             *(f'all_model_checkpoint_paths: "{path.name}"\n' for path in reversed(kept))]))
        for path in old:
            for file in (path.with_name(f'{path.name}.index'), *self.folder.glob(f'{path.name}.data-*')):
                file.unlink()
        return prefix

    def slim(self) -> list[Path]:
        """Take the slots out of all checkpoints but the newest keep_optimizer; return the prefixes of these.

        Raises:
            OSError: the disk is full (ENOSPC); the checkpoint is as it was.
        """
        if self._keep_optimizer is None:
            return []
        return [path for path in paths.training_checkpoints(self.folder)[self._keep_optimizer:]
                if slim.remove_slots(path)]

    def _remove_partial(self) -> None:
        """Remove what a save that was killed left behind."""
        slim.settle(self.folder)
        for path in (*self.folder.glob('ckpt-*.tempstate*'), *self.folder.glob('ckpt-*_temp')):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
