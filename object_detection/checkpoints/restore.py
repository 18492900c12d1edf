"""Give our variables the values of a checkpoint.

As in TensorFlow, the two object graphs are matched edge by edge from the root; unlike TensorFlow's restore, this one
reports what it left out.
"""
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

from object_detection.checkpoints import find, object_graph
from object_detection.checkpoints.saved import Saved
from object_detection.utils.errors import UserError

# Heads that depend on the number of classes: of SSD, of the second stage of Faster R-CNN, of CenterNet.
HEADS = ('_box_predictor', '_mask_rcnn_box_predictor', '_prediction_head_dict')


@dataclass
class Restored:
    """What a restore did.

    Attributes:
        restored: keys of the variables that got the checkpoint's values.
        new: keys of those that the checkpoint lacks; they keep their values, as do those in
        shape_differs: {key: (our shape, the checkpoint's shape)}.
    """

    restored: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    shape_differs: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)

    def table(self) -> list[tuple[str, int, int, int]]:
        """Count variables: [(part of the model, restored, new, of another shape)]."""
        parts: dict[str, list[int]] = {}
        for column, keys in enumerate((self.restored, self.new, self.shape_differs)):
            for key in keys:
                parts.setdefault(_part(key), [0, 0, 0])[column] += 1
        return [(part, restored, new, differs) for part, (restored, new, differs) in parts.items()]


def restore(saved: Saved, root: Any) -> Restored:
    """Give the variables under the Trackable `root`, and the slots of its optimizers, the checkpoint's values.

    A variable that the checkpoint lacks or has in another shape keeps its value.
    """
    report, walked = Restored(), saved.walk(root)
    for key, variable, node in object_graph.variables(walked):
        _assign(variable, saved.value(node), key, report)
    for _, ours, optimizer in walked:
        if hasattr(ours, 'get_slot'):
            theirs = saved.slots(optimizer)
            for name, slot, (key, _, node) in object_graph.slots(ours, walked):
                _assign(slot, saved.value(theirs.get((node, name))), f'optimizer/{name}/{key}', report)
    return report


def restore_model(model: tf.Module, checkpoint: str | Path | Saved, moving_averages: bool = False) -> int | None:
    """Give `model` the weights of a checkpoint.

    Args:
        checkpoint: a prefix, or a checkpoint that was read already.
        moving_averages: take the averages of the weights that training kept (use_moving_average).
    Returns:
        The global step; None if the checkpoint holds none (a zoo model).
    Raises:
        UserError: the checkpoint is damaged, does not fit the model (with a table), or holds no averages.
    """
    saved = checkpoint if isinstance(checkpoint, Saved) else Saved(checkpoint)
    root = tf.train.Checkpoint(model=model)
    report = restore(saved, root)
    if report.new or report.shape_differs:
        raise does_not_fit(saved.prefix, report,
                           'The checkpoint must be of the model that the pipeline.config describes')
    if moving_averages:
        slots = saved.slots(saved.children().get('optimizer'))
        if not any(name == 'average' for _, name in slots):
            raise UserError(f'eval_config.use_moving_averages is true, but {saved.prefix} holds no moving averages; '
                            'set it to false, or train with optimizer { use_moving_average: true }')
        for _, variable, node in object_graph.variables(saved.walk(root)):
            if (node, 'average') in slots:
                variable.assign(saved.value(slots[node, 'average']))
    return saved.step


def fine_tune(model: Any, path: str | Path, kind: str) -> Restored:
    """Start `model` from another checkpoint, as train_config.fine_tune_checkpoint and its type say.

    Args:
        model: has restore_map(kind) (models/detector.py).
        path: see find.load.
        kind: the type: classification (the backbone), detection (the feature extractor), full, fine_tune.
    Returns:
        What was restored. Prediction heads whose shape depends on the number of classes may have kept their values.
    Raises:
        UserError: any other variable of the part that `kind` names is missing or has another shape, with a table.
    """
    saved = find.load(path)
    report = restore(saved, tf.train.Checkpoint(**model.restore_map(kind)))
    only_heads = all(any(f'/{head}/' in f'/{key}' for head in HEADS) for key in report.shape_differs)
    if report.new or not only_heads or not report.restored:
        advice = ('Its weights must come from the same kind of model, with the same backbone and widths, as the '
                  'pipeline.config describes')
        if kind == 'classification' and 'model' in saved.children():
            advice = ('It is the checkpoint of a whole detector: set fine_tune_checkpoint_type: "detection" (all but '
                      'the heads) or "full"')
        raise does_not_fit(saved.prefix, report, advice)
    return report


def does_not_fit(prefix: str, report: Restored, advice: str) -> UserError:
    """Return a UserError with a table of what matched, and examples of what did not."""
    lines = [f'{prefix} does not fit the model.',
             f'  {"part of the model":60} {"restored":>8} {"missing":>8} {"other shape":>11}']
    lines += [f'  {part:60} {restored:8} {new:8} {differs:11}' for part, restored, new, differs in report.table()]
    lines += [f'  missing: {key}' for key in report.new[:3]]
    lines += [f'  other shape: {key}: {ours} here, {theirs} in the checkpoint'
              for key, (ours, theirs) in list(report.shape_differs.items())[:3]]
    return UserError('\n'.join([*lines, advice + '.']))


def _assign(variable: tf.Variable, value: tf.Tensor | None, key: str, report: Restored) -> None:
    if value is None:
        report.new.append(key)
    elif variable.shape != value.shape:
        report.shape_differs[key] = tuple(variable.shape), tuple(value.shape)
    else:
        variable.assign(tf.cast(value, variable.dtype))
        report.restored.append(key)


def _part(key: str) -> str:
    """Return the first two names of a key. Numbered layers, of which some models have hundreds, are one part."""
    return '/'.join(re.sub(r'-\d+$', '-N', name) for name in key.removeprefix('model/').split('/')[:2])
