"""Take the optimizer's slots out of a checkpoint on disk: two thirds of it with Adam, half with momentum."""
import errno
import os
import re
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from object_detection.checkpoints import object_graph
from object_detection.checkpoints.saved import Saved
from object_detection.utils import files
from object_detection.utils.errors import UserError

KEPT = 'average'  # the slot of moving averages: evaluation and export take them
_SLOT = '/.OPTIMIZER_SLOT/'
_TEMPORARY = re.compile(r'(ckpt-\d+)\.of-(\d{5})_temp')


def has_slots(prefix: str | Path) -> bool:
    """Return whether a checkpoint holds slots that `remove_slots` would remove; only its index is read."""
    try:
        names = tf.train.load_checkpoint(str(prefix)).get_variable_to_dtype_map()
    except (tf.errors.OpError, RuntimeError, ValueError):
        return False
    return any(_SLOT in name and not re.search(rf'{_SLOT}.*/{KEPT}/\.ATTRIBUTES/', name) for name in names)


def remove_slots(prefix: str | Path) -> bool:
    """Rewrite a checkpoint without the slots of its optimizer, except for KEPT, and return whether that was done.

    The values go into files of another number of shards (data-00000-of-00002 for data-00000-of-00001), so that the old
    ones stay until one rename of the index has replaced them all: at any moment the checkpoint is whole, with slots or
    without. `settle` ends what a kill has interrupted. The index keeps its time of modification.

    Returns:
        False: it has no slots, is damaged, or another program has its files open (Windows).
    Raises:
        OSError: the disk is full (ENOSPC); the checkpoint is as it was.
    """
    prefix = Path(prefix)
    if not has_slots(prefix):
        return False
    try:
        values = _without_slots(Saved(prefix))
    except UserError:  # damaged
        return False
    count = 3 if shards(prefix, 2) else 2
    temporary = prefix.with_name(f'{prefix.name}.of-{count:05d}_temp')
    index = Path(f'{prefix}.index')
    try:
        _write(values, temporary, count)
        stat = index.stat()
        os.utime(temporary / 'merged.index', ns=(stat.st_atime_ns, stat.st_mtime_ns))
        for path in shards(temporary / 'merged', count):
            path.replace(prefix.with_name(path.name.replace('merged', prefix.name)))
        files.replace(temporary / 'merged.index', index)
    except (OSError, tf.errors.OpError) as error:
        if 'No space left' in str(error):
            raise OSError(errno.ENOSPC, 'No space left on device', str(prefix)) from error
        if not isinstance(error, PermissionError):
            raise
        return False
    finally:
        settle(prefix.parent)
    return True


def settle(folder: str | Path) -> None:
    """End each `remove_slots` in a folder that was interrupted: forwards if its index is in place, else backwards."""
    for temporary in Path(folder).glob('ckpt-*_temp'):
        if match := _TEMPORARY.fullmatch(temporary.name):
            prefix, count = temporary.with_name(match[1]), int(match[2])
            done = (temporary / 'written').exists() and not (temporary / 'merged.index').exists()
            new = set(shards(prefix, count))
            for path in (set(shards(prefix)) - new) if done else new:
                path.unlink()
            settled = temporary.with_name(f'{temporary.name}.settled_temp')  # Manager removes what is called so
            shutil.rmtree(settled, ignore_errors=True)
            temporary.rename(settled)  # half removed, it would say something else
            shutil.rmtree(settled, ignore_errors=True)


def shards(prefix: str | Path, count: int | None = None) -> list[Path]:
    """List the data files of a checkpoint; only those of a set of `count`, if it is given."""
    prefix = Path(prefix)
    pattern = re.compile(rf'{re.escape(prefix.name)}\.data-\d+-of-' + (f'{count:05d}' if count else r'\d+'))
    return sorted(path for path in prefix.parent.glob(f'{prefix.name}.data-*') if pattern.fullmatch(path.name))


def _write(values: dict[str, Any], folder: Path, count: int) -> None:
    """Write a checkpoint of `count` shards as `merged` in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    keys, parts = sorted(values), []
    for number in range(count):
        own, part = keys[number::count], str(folder / f'part{number}')
        tf.raw_ops.SaveV2(prefix=part, tensor_names=own, tensors=[values[key] for key in own],
                          shape_and_slices=[''] * len(own))
        parts.append(part)
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(folder / 'merged'),
                                  delete_old_dirs=False)
    (folder / 'written').touch()


def _without_slots(saved: Saved) -> dict[str, Any]:
    """Return {checkpoint key: tensor} with the graph, as in the checkpoint but for its slots."""
    dropped = {slot.slot_variable_node_id for node in saved.nodes for slot in node.slot_variables
               if slot.slot_name != KEPT}
    keys = {attribute.checkpoint_key for index in dropped for attribute in saved.nodes[index].attributes}
    number = {old: new for new, old in enumerate(i for i in range(len(saved.nodes)) if i not in dropped)}
    graph = TrackableObjectGraph()
    for index, node in enumerate(saved.nodes):
        if index in dropped:
            continue
        made = graph.nodes.add()
        made.CopyFrom(node)
        del made.children[:], made.slot_variables[:]
        for child in node.children:
            if child.node_id in number:
                made.children.add(node_id=number[child.node_id], local_name=child.local_name)
        for slot in node.slot_variables:
            if slot.slot_variable_node_id in number:
                made.slot_variables.add(original_variable_node_id=number[slot.original_variable_node_id],
                                        slot_name=slot.slot_name,
                                        slot_variable_node_id=number[slot.slot_variable_node_id])
    object_graph.mark_nodes_with_values(graph)
    values = {key: value for key, value in saved.values.items() if key not in keys}
    return {**values, object_graph.GRAPH_KEY: tf.constant(graph.SerializeToString())}
