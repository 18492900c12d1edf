"""The object graph of a checkpoint: nodes, named edges, variables.

TensorFlow's own code for this takes a second and more for a detector, most of it in Python, at every save and restore.
"""
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

GRAPH_KEY = '_CHECKPOINTABLE_OBJECT_GRAPH'
VALUE = 'VARIABLE_VALUE'

Entry = tuple[str, Any, int | None]  # key, our object, the checkpoint's node for it (an index) or None


def walk(root: Any, nodes: Sequence[Any] = ()) -> list[Entry]:
    """List our objects under the Trackable `root`, breadth first, each with the checkpoint's node for it.

    The two graphs are matched edge by edge from the root. An object that can be reached in several ways has the first,
    shortest key, which is TensorFlow's rule too.

    Args:
        nodes: of the checkpoint's graph, if any.
    """
    queue: list[Entry] = [('', root, 0 if nodes else None)]
    seen = {id(root)}
    for path, ours, node in queue:  # grows as we go
        edges = children(node, nodes)
        for name, child in tf.train.TrackableView.children(ours).items():
            if id(child) not in seen:
                seen.add(id(child))
                escaped = name.replace('.', '..').replace('/', '.S')
                queue.append((f'{path}/{escaped}' if path else escaped, child, edges.get(name)))
    return queue


def keys(root: Any) -> dict[str, tf.Variable]:
    """{checkpoint key, without its suffix /.ATTRIBUTES/VARIABLE_VALUE: variable} of the variables under a Trackable."""
    return {key: variable for key, variable, _ in variables(walk(root))}


def children(node: int | None, nodes: Sequence[Any]) -> dict[str, int]:
    """{name: node} of the children of a checkpoint's node; empty for None."""
    return {} if node is None else {c.local_name: c.node_id for c in nodes[node].children}


def variables(walked: list[Entry]) -> list[Entry]:
    """Select the entries that are variables."""
    return [entry for entry in walked if isinstance(entry[1], tf.Variable)]


def slots(optimizer: Any, walked: list[Entry]) -> list[tuple[str, tf.Variable, Entry]]:
    """List the slots of an optimizer: (slot name, slot variable, entry of the variable it belongs to)."""
    found = []
    for entry in variables(walked):
        for name in optimizer.get_slot_names():
            try:
                found.append((name, optimizer.get_slot(entry[1], name), entry))
            except KeyError:  # not a variable that is trained
                continue
    return found


def tensors(root: Any) -> dict[str, tf.Tensor]:
    """Return what a checkpoint of the Trackable `root` holds: {checkpoint key: tensor}.

    These are its variables, the slots of its optimizers, and the graph itself.
    """
    walked = walk(root)
    indices = {id(ours): index for index, (_, ours, _) in enumerate(walked)}
    graph = TrackableObjectGraph()
    values: dict[str, tf.Tensor] = {}

    def add_value(node: Any, key: str, variable: tf.Variable) -> None:
        key = f'{key}/.ATTRIBUTES/{VALUE}'
        node.attributes.add(name=VALUE, full_name=variable.name.split(':')[0], checkpoint_key=key)
        values[key] = tf.convert_to_tensor(variable)

    for key, ours, _ in walked:
        node = graph.nodes.add()
        for name, child in tf.train.TrackableView.children(ours).items():
            node.children.add(node_id=indices[id(child)], local_name=name)
        if isinstance(ours, tf.Variable):
            add_value(node, key, ours)
    for index, (key, ours, _) in enumerate(walked):
        if hasattr(ours, 'get_slot'):
            for name, slot, (variable_key, variable, _) in slots(ours, walked):
                graph.nodes[index].slot_variables.add(
                    original_variable_node_id=indices[id(variable)], slot_name=name,
                    slot_variable_node_id=len(graph.nodes))
                add_value(graph.nodes.add(), f'{variable_key}/.OPTIMIZER_SLOT/{key}/{name}', slot)
    mark_nodes_with_values(graph)
    return {**values, GRAPH_KEY: tf.constant(graph.SerializeToString())}


def mark_nodes_with_values(graph: Any) -> None:
    """Set has_checkpoint_values of each node: whether it or a node below it has values. Edges may form circles."""
    parents: dict[int, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        for child in node.children:
            parents.setdefault(child.node_id, []).append(index)
        node.has_checkpoint_values.value = False
    pending = [index for index, node in enumerate(graph.nodes) if node.attributes or node.slot_variables]
    while pending:
        index = pending.pop()
        if not graph.nodes[index].has_checkpoint_values.value:
            graph.nodes[index].has_checkpoint_values.value = True
            pending += parents.get(index, ())
