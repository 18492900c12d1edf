"""Sums over all devices of a distribution strategy."""
import tensorflow as tf


def per_device(total):
    """The sum of `total` over the devices, at least 1, divided by their number.

    Losses divided by it have the loss of the whole batch as their mean over the devices.
    """
    replicas = tf.distribute.get_replica_context()
    if replicas is None or replicas.num_replicas_in_sync == 1:
        return tf.maximum(total, 1.)
    total = replicas.all_reduce(tf.distribute.ReduceOp.SUM, total)
    return tf.maximum(total, 1.) / replicas.num_replicas_in_sync
