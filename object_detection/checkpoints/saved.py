"""A checkpoint as it is on disk."""
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from object_detection.checkpoints import object_graph
from object_detection.utils.errors import UserError


class Saved:
    """The object graph and all values of one checkpoint.

    Everything is read in one operation; TensorFlow's own restore takes seconds for a detector.

    Args:
        prefix: path without .index, such as models/d1/ckpt-7.
    Attributes:
        values: {checkpoint key: tensor}.
        nodes: of the graph; node 0 is the root.
    Raises:
        UserError: the checkpoint is damaged, or is one of TensorFlow 1 and has no object graph.
    """

    def __init__(self, prefix: str | Path) -> None:
        self.prefix = prefix = str(prefix)
        while True:
            stamp = _stamp(prefix)
            try:
                names, tensors = _read(prefix)
                break
            except UserError:
                if stamp == _stamp(prefix):  # otherwise a training has just rewritten it (slim.py)
                    raise
        self.values: dict[str, tf.Tensor] = dict(zip(names, tensors))
        graph = self.values.pop(object_graph.GRAPH_KEY)
        self.nodes = TrackableObjectGraph.FromString(graph.numpy()).nodes

    @property
    def step(self) -> int | None:
        """The global step; None if the checkpoint holds none (a zoo model)."""
        value = self.value(self.children().get('step'))
        return None if value is None else int(value)

    def walk(self, root: Any) -> list[object_graph.Entry]:
        """Walk our objects under the Trackable `root` beside the nodes of the checkpoint."""
        return object_graph.walk(root, self.nodes)

    def children(self, node: int | None = 0) -> dict[str, int]:
        """{name: node} of a node's children; of the root's by default; empty for None."""
        return object_graph.children(node, self.nodes)

    def value(self, node: int | None) -> tf.Tensor | None:
        """The value of a variable's node; None if it has none."""
        attributes = () if node is None else self.nodes[node].attributes
        return next((self.values[a.checkpoint_key] for a in attributes if a.name == object_graph.VALUE), None)

    def slots(self, optimizer: int | None) -> dict[tuple[int | None, str], int]:
        """{(node of a variable, slot name): node of the slot} of an optimizer's node; empty for None."""
        slots = () if optimizer is None else self.nodes[optimizer].slot_variables
        return {(s.original_variable_node_id, s.slot_name): s.slot_variable_node_id for s in slots}


def _read(prefix: str) -> tuple[dict[str, Any], list[tf.Tensor]]:
    """Return {name: type} and the values, in the same order, of a checkpoint; UserError as Saved raises it."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        names = reader.get_variable_to_dtype_map()
        if object_graph.GRAPH_KEY not in names:
            raise UserError(f'{prefix} is a TensorFlow 1 checkpoint (it has names, not an object graph); take the '
                            'TensorFlow 2 one of the same model')
        return names, tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=list(names), dtypes=list(names.values()),
                                           shape_and_slices=[''] * len(names))
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise UserError(f'{prefix} is damaged or incomplete ({str(error).splitlines()[0][:200]}); '
                        'take another checkpoint, or copy it again') from error


def _stamp(prefix: str) -> tuple[int, int] | None:
    """Tell one index file from another one that takes its place."""
    try:
        stat = Path(f'{prefix}.index').stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size
