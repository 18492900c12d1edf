"""The records of a data set: one tf.train.Example per picture, in TFRecord files. Imports no TensorFlow.

    with records.Writer('train.tfrecords', shards=10) as writer:
        writer.write(records.Example(encoded, height, width, boxes=..., labels=...).to_bytes())
    data = records.Records('train.tfrecords-?????-of-00010')
    records.Example.from_bytes(data[0])
    records.check('train.tfrecords-?????-of-00010', label_map)      # everything that would spoil a training
"""
from object_detection.records.checks import Report, check, check_data
from object_detection.records.example import BOX_KEYS, KEYPOINT_KEYS, PNG_MASKS, Example, features_read
from object_detection.records.faults import Look, examine
from object_detection.records.pictures import Fault
from object_detection.records.tfrecord import Records, Writer, framed
from object_detection.utils.shards import expand, shard_names, shard_pattern

__all__ = ['BOX_KEYS', 'KEYPOINT_KEYS', 'PNG_MASKS', 'Example', 'Fault', 'Look', 'Records', 'Report', 'Writer', 'check',
           'check_data', 'examine', 'expand', 'features_read', 'framed', 'shard_names', 'shard_pattern']
