"""Features of a tf.train.Example and small readers for record creation scripts, under the reference's names.

Imports TensorFlow only where a tf.train.Feature is made. Our own way to write records is records.Example.
"""
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from object_detection.utils import gfile

if TYPE_CHECKING:
    import tensorflow as tf


def int64_feature(value: int) -> 'tf.train.Feature':
    """Return a feature of one integer."""
    return int64_list_feature([value])


def int64_list_feature(value: Iterable[int]) -> 'tf.train.Feature':
    """Return a feature of integers."""
    import tensorflow as tf
    return tf.train.Feature(int64_list=tf.train.Int64List(value=value))


def bytes_feature(value: bytes) -> 'tf.train.Feature':
    """Return a feature of one byte string; text has to be encoded before: name.encode('utf8')."""
    return bytes_list_feature([value])


def bytes_list_feature(value: Iterable[bytes]) -> 'tf.train.Feature':
    """Return a feature of byte strings."""
    import tensorflow as tf
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=value))


def float_feature(value: float) -> 'tf.train.Feature':
    """Return a feature of one number, kept as float32."""
    return float_list_feature([value])


def float_list_feature(value: Iterable[float]) -> 'tf.train.Feature':
    """Return a feature of numbers, kept as float32."""
    import tensorflow as tf
    return tf.train.Feature(float_list=tf.train.FloatList(value=value))


def read_examples_list(path: str | os.PathLike) -> list[str]:
    """Return the first word of each line of a file: 'xyz' of 'xyz 3', as in the lists of Pascal VOC."""
    return [line.strip().split(' ')[0] for line in gfile.read_text(path).splitlines()]


def recursive_parse_xml_to_dict(xml: Any) -> dict[str, Any]:
    """Return the content of an XML element (lxml's or xml.etree's) as {tag: text or dict}.

    Only `object` may occur several times in an element; it becomes a list. Of other tags the last one counts.
    """
    if not len(xml):
        return {xml.tag: xml.text}
    result: dict[str, Any] = {}
    for child in xml:
        content = recursive_parse_xml_to_dict(child)[child.tag]
        if child.tag == 'object':
            result.setdefault('object', []).append(content)
        else:
            result[child.tag] = content
    return {xml.tag: result}
