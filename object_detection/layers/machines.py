"""Several machines that compute one phase together: TensorFlow's MultiWorkerMirroredStrategy, and what they tell each
other besides gradients.

Every function here that several machines call is collective: all must call it, in the same order.
"""
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from object_detection.utils.phases import Lost

# What an operation raises on the machines that are left when another one has gone.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)


@dataclasses.dataclass(frozen=True)
class Machines:
    """The machines of a phase; `Machines()` is a single one.

    Attributes:
        index: of this machine. Machine 0, the chief, is the only one that writes.
        addresses: host:port of the TensorFlow server of each machine.
    """
    index: int = 0
    addresses: Sequence[str] = ('',)

    @property
    def count(self) -> int:
        return len(self.addresses)

    @property
    def chief(self) -> bool:
        return self.index == 0

    def strategy(self) -> tf.distribute.Strategy:
        """Return the strategy that computes on all GPUs of all machines, or on their CPUs. To be called before anything
        has run in this process; it waits for the other machines."""
        cluster = tf.train.ClusterSpec({'worker': list(self.addresses)})
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            cluster, task_type='worker', task_id=self.index, rpc_layer='grpc')
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)

    @property
    def share(self) -> tuple[int, int]:
        """Of each batch: see inputs.train_dataset."""
        return self.index, self.count

    def distribute(self, strategy: tf.distribute.Strategy, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Divide the batches of this machine, an endless data set, among its devices, without a word to the others."""
        devices = strategy.num_replicas_in_sync // self.count
        if devices > 1:
            size = next(iter(tf.nest.flatten(dataset.element_spec))).shape[0]
            dataset = dataset.rebatch(size // devices, drop_remainder=True)
        # Of a data set that may end, TensorFlow asks all machines before each batch.
        endless = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.experimental.INFINITE_CARDINALITY))
        return strategy.distribute_datasets_from_function(lambda _: endless)

    def any(self, strategy: tf.distribute.Strategy, flag: Callable[[], bool]) -> Callable[[], bool]:
        """Return fn() -> whether flag() is true on any machine, the same on all of them."""
        if self.count == 1:
            return flag

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.float32)])
        def total(value):
            def on_device(value):
                return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))
            return strategy.experimental_local_results(strategy.run(on_device, [value]))[0]

        return lambda: float(total(tf.constant(float(flag())))) > 0

    def gather(self, strategy: tf.distribute.Strategy, data: bytes) -> list[bytes]:
        """Return the data of each machine, in the order of the machines."""
        if self.count == 1:
            return [data]

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.int32)])
        def gathered(values):
            def on_device(values):
                return tf.distribute.get_replica_context().all_gather(values[tf.newaxis], axis=0)
            return strategy.experimental_local_results(strategy.run(on_device, [values]))[0]

        step = strategy.num_replicas_in_sync // self.count  # all devices of a machine send the same
        sizes = gathered(tf.constant([len(data)], tf.int32)).numpy()[::step, 0]
        padded = np.zeros(-(-int(sizes.max()) // 4) * 4, np.uint8)
        padded[:len(data)] = np.frombuffer(data, np.uint8)
        rows = gathered(tf.constant(padded.view('<i4'))).numpy()[::step]
        return [row.astype('<i4').tobytes()[:size] for row, size in zip(rows, sizes)]

    @contextlib.contextmanager
    def noticing_losses(self) -> Iterator[None]:
        """Inside the block, turn TensorFlow's errors about a machine that has gone into Lost."""
        try:
            yield
        except _LOST as error:
            if self.count == 1:
                raise
            raise Lost(f'another machine no longer answers ({str(error).splitlines()[0][:160]})') from error
