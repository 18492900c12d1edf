"""The object graph of a checkpoint: nodes, named edges, variables; ours written down, and walked beside a saved one.

TensorFlow's own code for this takes a second and more for a detector, most of it in Python, at every save and restore.
"""
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

GRAPH_KEY = '_CHECKPOINTABLE_OBJECT_GRAPH'
VALUE = 'VARIABLE_VALUE'


def walk(root, nodes=()):
    """Our graph and the checkpoint's, edge by edge from the root, breadth first: [(key, our object, index or None)].

    An object that can be reached in several ways has the first, shortest key, which is TensorFlow's rule too.
    """
    queue, seen = [('', root, 0 if nodes else None)], {id(root)}
    for path, ours, index in queue:  # grows as we go
        edges = children(index, nodes)
        for name, child in tf.train.TrackableView.children(ours).items():
            if id(child) not in seen:
                seen.add(id(child))
                escaped = name.replace('.', '..').replace('/', '.S')
                queue.append((f'{path}/{escaped}' if path else escaped, child, edges.get(name)))
    return queue


def children(index, nodes):
    """{name: index} of a saved node's children; nothing for None."""
    return {} if index is None else {c.local_name: c.node_id for c in nodes[index].children}


def variables(walked):
    return [entry for entry in walked if isinstance(entry[1], tf.Variable)]


def slots(optimizer, walked):
    """[(slot name, slot variable, entry of the variable it belongs to)] of an optimizer."""
    found = []
    for entry in variables(walked):
        for name in optimizer.get_slot_names():
            try:
                found.append((name, optimizer.get_slot(entry[1], name), entry))
            except KeyError:  # not a variable that is trained
                continue
    return found


def tensors(root):
    """{checkpoint key: tensor} of everything under `root`, slots of optimizers and the graph itself included."""
    walked = walk(root)
    indices = {id(ours): index for index, (_, ours, _) in enumerate(walked)}
    graph, values = TrackableObjectGraph(), {}

    def add_value(node, key, variable):
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
    _mark_nodes_with_values(graph)
    return {**values, GRAPH_KEY: tf.constant(graph.SerializeToString())}


def _mark_nodes_with_values(graph):
    """A node says whether there are values at it or below it. Edges may form circles."""
    parents = {}
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
