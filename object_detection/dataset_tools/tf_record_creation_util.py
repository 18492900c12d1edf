"""Sharded TFRecord files under the reference's name. Our own writer, records.Writer, leaves no half-written files."""
import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def open_sharded_output_tfrecords(exit_stack: contextlib.ExitStack, base_path: str | os.PathLike, num_shards: int
                                  ) -> list['tf.io.TFRecordWriter']:
    """Open the files base_path-00000-of-00010, ... for writing; exit_stack closes them.

    Args:
        exit_stack: a contextlib.ExitStack (contextlib2's works too).
    Returns:
        A tf.io.TFRecordWriter for each shard.
    """
    import tensorflow as tf
    return [exit_stack.enter_context(tf.io.TFRecordWriter(f'{os.fspath(base_path)}-{i:05d}-of-{num_shards:05d}'))
            for i in range(num_shards)]
