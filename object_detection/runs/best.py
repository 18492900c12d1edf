"""best/ in a model_dir: the checkpoint with the best value of a metric. Imports no TensorFlow.

    ckpt-7.index, ckpt-7.data-*   the files of the checkpoint: hard links to those in the model_dir, which take no space
                                  of their own and stay when those are deleted; copies where there are no links
    best.json                     {"checkpoint": "ckpt-7", "files": "ckpt-7", "step": 700, "metric", "value",
                                  "higher_is_better", "metrics": {name: value} of its evaluation}
    checkpoint                    TensorFlow's state file, for tf.train.latest_checkpoint and the reference

best.json is what counts: it is replaced by one rename, after the files that it names are there and before others are
removed. So at any moment it names a whole checkpoint.
"""
import contextlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from object_detection.config import paths
from object_detection.runs import metrics
from object_detection.runs.record import Record
from object_detection.utils import files, oslock
from object_detection.utils.errors import UserError

FOLDER, FILE = 'best', 'best.json'
_OURS = re.compile(r'ckpt-\d+(\.new)?\.(index|data-\d+-of-\d+)')
COPY_SECONDS = 600.  # how long another process may copy a checkpoint into best/
_SAME_SECONDS = 2.  # how exactly file systems keep the time of a copy


@dataclass(frozen=True)
class Best:
    """The checkpoint in best/.

    Attributes:
        folder: best/.
        checkpoint: its name in the model_dir (ckpt-7), where it may be deleted.
        files: its name in best/, which is the same but where another ckpt-7 came before it.
        metric, value: what it is the best in.
        metrics: {name: value} of its evaluation; None for no value.
    """

    folder: Path
    checkpoint: str
    files: str
    step: int
    metric: str
    value: float
    metrics: dict[str, float | None]

    @property
    def prefix(self) -> Path:
        """The path of the checkpoint in best/, without .index."""
        return self.folder / self.files

    def __str__(self) -> str:
        return f'{metrics.short_name(self.metric)} {self.value:.4f} of {self.checkpoint}, step {self.step}'


def read(folder: str | Path) -> Best | None:
    """Return what best.json in a folder says; None if there is none, or the checkpoint that it names is gone.

    Args:
        folder: best/ itself.
    Raises:
        UserError: the file is damaged.
    """
    path = Path(folder, FILE)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        best = Best(path.parent, str(content['checkpoint']), Path(content['files']).name, int(content['step']),
                    str(content['metric']), float(content['value']),
                    {name: value if value is None else float(value) for name, value in content['metrics'].items()})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f'{path}: is not what was written there ({type(error).__name__}: {error}); move the folder '
                        'away, and the best of the checkpoints that are left is chosen anew') from error
    return best if Path(f'{best.prefix}.index').is_file() else None


def demand(model_dir: str | Path) -> Path:
    """Return best/ of a model_dir; UserError if there is none."""
    if read(folder := Path(model_dir, FOLDER)) is None:
        raise UserError(f'{folder}: there is no best checkpoint yet; it is kept after the first evaluation of a '
                        f'checkpoint of {model_dir}')
    return folder


def resolve(name: str, names: Iterable[str], option: str = '--best_metric') -> str:
    """Return the metric that the user means.

    Args:
        name: as in `names`, or its end (mAP, mAP@.50IOU, total_loss) where only one of them ends so.
        names: of all metrics.
    Raises:
        UserError: there is none, or there are several.
    """
    names = list(dict.fromkeys(names))
    if name in names:
        return name
    found = [known for known in names if known.lower() == name.lower()] or [
        known for known in names if known.lower().endswith(f'/{name.lower()}')]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f'{option} {name}: may be {" or ".join(found)}; write it out')
    raise UserError(f'{option} {name}: is no metric of this evaluation; allowed: {", ".join(names)}')


def default(names: Iterable[str]) -> str:
    """Return the metric that counts where none is named: the first mAP, else the total loss."""
    return next(iter(metrics.leading_metrics(names)), 'Loss/total_loss')


def follow(record: Record, metric: str = '', strict: bool = False) -> Best | None:
    """Bring best/ up to date with the evaluations in run.json, and end what a kill left half done there.

    It never changes to a checkpoint that is not better. Those that were deleted from the model_dir do not count, except
    for the one in best/.

    Args:
        metric: a name in the evaluations, or its end; '' for that of best/, else the first mAP.
        strict: an evaluation has just been made, so it must have the metric; without, best/ waits for one that has it.
    Returns:
        What is in best/ now; None if there is nothing.
    Raises:
        UserError: see read and resolve.
    """
    folder = record.folder / FOLDER
    with oslock.turn(record.folder / '.best.lock', COPY_SECONDS):
        files.remove_leftovers(folder)
        entries = Record(record.folder).entries  # another process may have evaluated, too
        kept = read(folder)
        evaluated = {name: entries[name]['eval'] for name in _evaluated(entries)}
        if not evaluated:
            return kept
        names = list(evaluated.values())[-1]  # the metrics_set may have changed
        try:
            metric = _metric(metric, names, kept)
        except UserError:
            if strict:
                raise
            return kept
        candidates: dict[str, Best] = {}
        if kept:
            here = record.folder / kept.checkpoint
            again = evaluated.get(kept.checkpoint) if _same(here, kept.prefix) else None
            candidates[''] = Best(folder, kept.checkpoint, kept.files, kept.step, metric, math.nan,
                                  again or kept.metrics)
        for name in evaluated:
            if (record.folder / f'{name}.index').exists() and not (kept and name == kept.checkpoint and again):
                candidates[name] = Best(folder, name, _free(kept, name), entries[name]['step'], metric, math.nan,
                                        evaluated[name])
        chosen = metrics.best_of(metric, {key: _finite(best.metrics.get(metric)) for key, best in candidates.items()})
        if chosen is None:
            return kept
        best = candidates[chosen]
        best = replace(best, value=float(best.metrics[metric] or 0))
        source = record.folder / best.checkpoint
        if (chosen or _same(source, best.prefix)) and not _link(source, best.prefix):
            return kept  # it is being deleted
        _write(best)
        return best


def _metric(name: str, names: Iterable[str], kept: Best | None) -> str:
    if name:
        return resolve(name, names)
    return kept.metric if kept and kept.metric in names else default(names)


def since(record: Record, best: Best | None) -> int:
    """Count the evaluations after that of the best checkpoint, up to the newest checkpoint that is there."""
    newest = next(iter(paths.training_checkpoints(record.folder)), None)
    last = _number(newest.name) if newest else 0
    first = _number(best.checkpoint) if best else 0
    return sum(first < _number(name) <= last for name in _evaluated(record.entries))


def set_aside(model_dir: Path) -> Path | None:
    """Rename the best/ of an earlier training of which no other checkpoint is left; return its new path."""
    folder = model_dir / FOLDER
    if paths.training_checkpoints(model_dir) or not folder.is_dir() or not any(folder.iterdir()):
        return None
    number = 1
    while (new := model_dir / f'{FOLDER}-{number}').exists():
        number += 1
    return folder.rename(new)


def _write(best: Best) -> None:
    """Write best.json and the state file, and remove the files of other checkpoints."""
    content: dict[str, Any] = {
        'checkpoint': best.checkpoint, 'files': best.files, 'step': best.step, 'metric': best.metric,
        'value': best.value, 'higher_is_better': not metrics.is_loss(best.metric), 'metrics': best.metrics}
    state = f'model_checkpoint_path: "{best.files}"\nall_model_checkpoint_paths: "{best.files}"\n'
    for path, text in ((best.folder / FILE, json.dumps(content, indent=1, ensure_ascii=False) + '\n'),
                       (best.folder / 'checkpoint', state)):
        if not path.exists() or path.read_text(encoding='utf-8') != text:
            files.write_text(path, text)
    for path in best.folder.iterdir():
        if _OURS.fullmatch(path.name) and not path.name.startswith((f'{best.files}.index', f'{best.files}.data-')):
            with contextlib.suppress(PermissionError):  # Windows: somebody reads it
                path.unlink()


def _link(source: Path, target: Path) -> bool:
    """Make the files of `target` those of the checkpoint `source`, the index last; False if it is being deleted."""
    temporary = target.with_name(f'.{target.name}.index.{os.getpid()}.tmp')
    try:
        for _ in range(100):
            with contextlib.suppress(FileNotFoundError):  # it may just be rewritten (checkpoints/slim.py)
                before, data = _stamp(source), list(_data(source))
                for path in data:
                    _take(path, target.with_name(path.name.replace(source.name, target.name, 1)))
                _copy(Path(f'{source}.index'), temporary)
                if _stamp(source) == before:
                    break
            if not Path(f'{source}.index').exists():
                return False
        else:
            return False
        if not _is(temporary, index := Path(f'{target}.index')):
            files.replace(temporary, index)
    finally:
        temporary.unlink(missing_ok=True)
    kept = {path.name.replace(source.name, target.name, 1) for path in data}
    for path in list(_data(target)):
        if path.name not in kept:
            with contextlib.suppress(PermissionError):  # Windows: somebody reads it
                path.unlink()
    return True


def _take(source: Path, target: Path) -> None:
    """Make `target` the file `source`, whole or not at all."""
    if _is(source, target):
        return
    temporary = target.with_name(f'.{target.name}.take.{os.getpid()}.tmp')
    try:
        _copy(source, temporary)
        files.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Make a hard link, or a copy on a file system without them."""
    files.make_dir(target.parent)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)


def _free(kept: Best | None, name: str) -> str:
    """Return a name in best/ for the files of a new best checkpoint that the present one does not have."""
    return f'{name}.new' if kept and kept.files == name else name


def _same(one: Path, other: Path) -> bool:
    """Return whether two prefixes name the same checkpoint. remove_slots and copies keep the time of the index."""
    indices = Path(f'{one}.index'), Path(f'{other}.index')
    if not all(path.exists() for path in indices):
        return False
    return abs(indices[0].stat().st_mtime - indices[1].stat().st_mtime) < _SAME_SECONDS


def _data(prefix: Path) -> Iterator[Path]:
    pattern = re.compile(rf'{re.escape(prefix.name)}\.data-\d+-of-\d+')
    return (path for path in prefix.parent.iterdir() if pattern.fullmatch(path.name))


def _stamp(prefix: Path) -> tuple[int, ...]:
    stat = Path(f'{prefix}.index').stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _is(source: Path, target: Path) -> bool:
    """Return whether `target` is `source`, or a copy of it. Data files are never rewritten under the same name."""
    if not target.exists() or target.samefile(source):
        return target.exists()
    stats = source.stat(), target.stat()
    return (stats[0].st_mtime, stats[0].st_size) == (stats[1].st_mtime, stats[1].st_size) and (
        target.suffix != '.index' or source.read_bytes() == target.read_bytes())


def _evaluated(entries: dict[str, dict[str, Any]]) -> list[str]:
    """List the checkpoints that have an evaluation, oldest first."""
    return sorted((name for name, entry in entries.items() if entry.get('eval') and re.fullmatch(r'ckpt-\d+', name)),
                  key=_number)


def _number(name: str) -> int:
    return int(name.removeprefix('ckpt-'))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
