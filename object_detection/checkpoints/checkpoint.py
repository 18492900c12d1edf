"""Checkpoints in the reference's format: found, checked, restored, written.

A checkpoint is an object graph (nodes, named edges, variables) and the values. It is matched with ours edge by edge
from the root, as TensorFlow does, but everything is read in one operation: TensorFlow's own restore takes seconds for
a detector, and does not say what it left out.
"""
import errno
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from object_detection.checkpoints import object_graph
from object_detection.checkpoints.object_graph import GRAPH_KEY, VALUE
from object_detection.config import paths as config_paths
from object_detection.utils import files
from object_detection.utils.errors import UserError

# May differ in shape: they depend on the classes. Of ssd, faster_rcnn's second stage, center_net.
HEADS = ('_box_predictor', '_mask_rcnn_box_predictor', '_prediction_head_dict')


@dataclass
class Restored:
    """What a restore did, by variable key: lists of keys, and {key: (ours, checkpoint's)} shapes."""

    restored: list = field(default_factory=list)
    new: list = field(default_factory=list)
    shape_differs: dict = field(default_factory=dict)

    def table(self):
        """[(part of the model, restored, new, shape differs)] with counts of variables."""
        parts = {}
        for column, keys in enumerate((self.restored, self.new, self.shape_differs)):
            for key in keys:
                parts.setdefault(_part(key), [0, 0, 0])[column] += 1
        return [(part, *counts) for part, counts in parts.items()]


def find(path):
    """The prefix of the checkpoint that `path` means.

    Args:
        path: a prefix (.../ckpt-0), one of its files (.../ckpt-0.index), a folder with a `checkpoint` state file or
            just ckpt-*.index files, or an unpacked zoo tarball.
    """
    path = Path(path)
    for suffix in (r'\.index$', r'\.data-\d+-of-\d+$'):
        if re.search(suffix, path.name):
            path = path.with_name(re.sub(suffix, '', path.name))
    if _index(path).is_file():
        return str(path)
    if not path.is_dir():
        names = sorted(p.name.removesuffix('.index') for p in path.parent.glob('*.index'))
        if names and not path.exists():
            raise UserError(f'no checkpoint {path}: there is no file {path.name}.index in {path.parent}; it has '
                            f'{", ".join(names[-5:])}')
        wrong = f'{path}: is a file' if path.exists() else files.missing(path)
        raise UserError(f'no checkpoint; a folder of checkpoints is wanted, or the prefix of one (.../ckpt-7): {wrong}')
    for folder in (path, path / 'checkpoint'):
        found = newest(folder)
        if found:
            return found
    raise UserError(f'no checkpoint in {path}: it has neither a `checkpoint` state file nor ckpt-*.index files')


def newest(folder):
    """The prefix that the state file of `folder` names, else the highest ckpt-N there; None without one."""
    named = tf.train.latest_checkpoint(folder)
    return named or next(iter(by_age(folder)), None)


def by_age(folder):
    """Prefixes of all ckpt-N in `folder`, the highest number first."""
    return [str(prefix) for prefix in config_paths.numbered(folder)]


def newest_whole(folder, warn):
    """Saved of the highest ckpt-N in `folder` that can be read; None without any ckpt-N.

    Those that a kill or a full disk left damaged are passed over with warn(text). UserError if none is whole.
    """
    candidates = by_age(folder)
    for prefix in candidates:
        try:
            return Saved(prefix)
        except UserError as error:
            warn(f'passed over: {error}')
    if candidates:
        raise UserError(f'no checkpoint in {folder} is whole; delete its ckpt-* files to start anew')
    return None


class Saved:
    """One checkpoint's graph and values, read whole.

    Raises:
        UserError: it is damaged, or of TensorFlow 1 and has no object graph.
    """

    def __init__(self, prefix):
        self.prefix = prefix = str(prefix)
        try:
            reader = tf.train.load_checkpoint(prefix)
            names = reader.get_variable_to_dtype_map()
            if GRAPH_KEY not in names:
                raise UserError(f'{prefix} is a TensorFlow 1 checkpoint (it has names, not an object graph); take the '
                                'TensorFlow 2 one of the same model')
            tensors = tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=list(names), dtypes=list(names.values()),
                                           shape_and_slices=[''] * len(names))
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            raise UserError(f'{prefix} is damaged or incomplete ({str(error).splitlines()[0][:200]}); '
                            'take another checkpoint, or copy it again') from error
        self.values = dict(zip(names, tensors))
        self.nodes = TrackableObjectGraph.FromString(self.values.pop(GRAPH_KEY).numpy()).nodes

    def pairs(self, root):
        """[(key, our object, index of the checkpoint's node or None)] of everything under `root`."""
        return object_graph.walk(root, self.nodes)

    def children(self, index=0):
        """{name: index} of a node's children, of the root's by default; nothing for None."""
        return object_graph.children(index, self.nodes)

    def value(self, index):
        """The tensor of a variable's node; None without one."""
        attributes = () if index is None else self.nodes[index].attributes
        return next((self.values[a.checkpoint_key] for a in attributes if a.name == VALUE), None)

    @property
    def step(self):
        """The global step; None if it holds none (a zoo model)."""
        value = self.value(self.children().get('step'))
        return None if value is None else int(value)

    def slots(self, index):
        """{(index of a variable's node, slot name): index of the slot's} of an optimizer's node; nothing for None."""
        slots = () if index is None else self.nodes[index].slot_variables
        return {(s.original_variable_node_id, s.slot_name): s.slot_variable_node_id for s in slots}


def restore(saved, root):
    """Give the variables under `root` (a Trackable) the checkpoint's values, slots of optimizers included.

    Returns:
        Restored. A variable that the checkpoint lacks or has in another shape keeps its value.
    """
    report, pairs = Restored(), saved.pairs(root)
    for key, variable, index in object_graph.variables(pairs):
        _assign(variable, saved.value(index), key, report)
    for _, ours, optimizer_index in pairs:
        if hasattr(ours, 'get_slot'):
            theirs = saved.slots(optimizer_index)
            for name, slot, (key, _, index) in object_graph.slots(ours, pairs):
                _assign(slot, saved.value(theirs.get((index, name))), f'optimizer/{name}/{key}', report)
    return report


def restore_model(model, saved, moving_averages=False):
    """Give `model` a checkpoint's weights, or with `moving_averages` the averages of them that training kept.

    Args:
        saved: a prefix, or Saved.
    Returns:
        The global step, None if the checkpoint holds none (a zoo model).
    Raises:
        UserError: the checkpoint is damaged, does not fit (with a table), or keeps no averages.
    """
    saved = saved if isinstance(saved, Saved) else Saved(saved)
    root = tf.train.Checkpoint(model=model)
    report = restore(saved, root)
    if report.new or report.shape_differs:
        raise does_not_fit(saved.prefix, report,
                           'The checkpoint must be of the model that the pipeline.config describes')
    if moving_averages:
        slots = saved.slots(saved.children().get('optimizer'))
        if not any(name == 'average' for _, name in slots):
            raise UserError(f'eval_config.use_moving_averages is true, but {saved.prefix} keeps no moving averages; '
                            'set it to false, or train with optimizer { use_moving_average: true }')
        for _, variable, index in object_graph.variables(saved.pairs(root)):
            if (index, 'average') in slots:
                variable.assign(saved.value(slots[index, 'average']))
    return saved.step


def fine_tune(model, path, kind):
    """Start `model` from another checkpoint, as train_config.fine_tune_checkpoint(_type) say.

    Args:
        kind: key of model.restore_map: classification (the backbone), detection (the feature extractor), full, ...
    Returns:
        Restored. Prediction heads whose shape depends on the classes may be new.
    Raises:
        UserError: anything else in the part that `kind` names is missing or has another shape, with a table.
    """
    saved = Saved(find(path))
    report = restore(saved, tf.train.Checkpoint(**model.restore_map(kind)))
    excused = all(any(f'/{head}/' in f'/{key}' for head in HEADS) for key in report.shape_differs)
    if report.new or not excused or not report.restored:
        advice = ('Its weights must come from the same kind of model, with the same backbone and widths, as the '
                  'pipeline.config describes')
        if kind == 'classification' and 'model' in saved.children():
            advice = ('It is the checkpoint of a whole detector: set fine_tune_checkpoint_type: "detection" (all but '
                      'the heads) or "full"')
        raise does_not_fit(saved.prefix, report, advice)
    return report


def does_not_fit(prefix, report, advice):
    """A UserError with the table of what matched and examples of what did not."""
    lines = [f'{prefix} does not fit the model.',
             f'  {"part of the model":60} {"restored":>8} {"missing":>8} {"other shape":>11}']
    lines += [f'  {part:60} {restored:8} {new:8} {differs:11}' for part, restored, new, differs in report.table()]
    lines += [f'  missing: {key}' for key in report.new[:3]]
    lines += [f'  other shape: {key}: {ours} here, {theirs} in the checkpoint'
              for key, (ours, theirs) in list(report.shape_differs.items())[:3]]
    return UserError('\n'.join([*lines, advice + '.']))


def keys(root):
    """{checkpoint key, without its /.ATTRIBUTES suffix: variable} of everything under a Trackable."""
    return {key: ours for key, ours, _ in object_graph.variables(object_graph.walk(root))}


class Keeper:
    """Writes ckpt-1, ckpt-2, ... of training into a folder, and resumes from the newest whole one.

    Args:
        step, model, optimizer: what a checkpoint of the reference holds.
        max_to_keep: older ones are deleted.
    """

    def __init__(self, folder, step, model, optimizer, max_to_keep):
        self.folder, self._max_to_keep = Path(folder), max_to_keep
        self.root = tf.train.Checkpoint(step=step, model=model, optimizer=optimizer)
        self.root.save_counter  # noqa: B018  (made when first asked for; it must exist to be restored)

    def resume(self, warn):
        """Restore the newest whole checkpoint and return its prefix; None if the folder holds none.

        warn(text) is called for what is odd. UserError if no checkpoint is whole, or it does not fit the model.
        """
        self._clear()
        saved = newest_whole(self.folder, warn)
        if saved is None:
            return None
        report = restore(saved, self.root)
        if any(key.startswith('model/') for key in (*report.new, *report.shape_differs)):
            raise does_not_fit(saved.prefix, report, 'Train the changed model in a new --model_dir; to start from '
                               'these weights, name the checkpoint as fine_tune_checkpoint')
        if report.new:
            warn(f'{saved.prefix} lacks {len(report.new)} variables of the optimizer ({report.new[0]}, ...); they '
                 'start new, so this is not the same run carried on')
        return saved.prefix

    def save(self):
        """Write the next checkpoint and return its prefix.

        It appears whole: TensorFlow writes the values under another name, and the index last. OSError (ENOSPC) if the
        disk is full; earlier checkpoints stay as they are.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.root.save_counter.assign_add(1)
        number = int(self.root.save_counter.numpy())
        prefix, tensors = str(self.folder / f'ckpt-{number}'), object_graph.tensors(self.root)
        try:
            tf.raw_ops.SaveV2(prefix=prefix, tensor_names=list(tensors), tensors=list(tensors.values()),
                              shape_and_slices=[''] * len(tensors))
        except tf.errors.OpError as error:
            self._clear()
            if 'No space left' not in str(error):
                raise
            raise OSError(errno.ENOSPC, 'No space left on device', prefix) from error
        kept = [Path(path).name for path in by_age(self.folder)[:self._max_to_keep]]
        files.write_text(self.folder / 'checkpoint', ''.join(
            [f'model_checkpoint_path: "ckpt-{number}"\n',
             *(f'all_model_checkpoint_paths: "{name}"\n' for name in kept[::-1])]))
        for old in by_age(self.folder)[self._max_to_keep:]:
            for path in (_index(old), *self.folder.glob(f'{Path(old).name}.data-*')):
                path.unlink()
        return prefix

    def _clear(self):
        """Remove what a save that was killed left behind."""
        for path in (*self.folder.glob('ckpt-*.tempstate*'), *self.folder.glob('ckpt-*_temp')):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _assign(variable, value, key, report):
    if value is None:
        report.new.append(key)
    elif variable.shape != value.shape:
        report.shape_differs[key] = tuple(variable.shape), tuple(value.shape)
    else:
        variable.assign(tf.cast(value, variable.dtype))
        report.restored.append(key)


def _index(prefix):
    return Path(f'{prefix}.index')


def _part(key):
    """The first two names of a variable's path; numbered layers, of which some models have hundreds, are one part."""
    return '/'.join(re.sub(r'-\d+$', '-N', name) for name in key.removeprefix('model/').split('/')[:2])
