import xml.etree.ElementTree as ElementTree

import pytest
import tensorflow as tf

from object_detection import records
from object_detection.utils import dataset_util


def test_features_make_an_example():
    example = tf.train.Example(features=tf.train.Features(feature={
        'image/height': dataset_util.int64_feature(4), 'image/width': dataset_util.int64_feature(3),
        'image/encoded': dataset_util.bytes_feature(b'x'), 'image/format': dataset_util.bytes_feature(b'png'),
        'image/object/bbox/ymin': dataset_util.float_list_feature([.25]),
        'image/object/bbox/xmin': dataset_util.float_feature(.5),
        'image/object/bbox/ymax': dataset_util.float_list_feature([.75]),
        'image/object/bbox/xmax': dataset_util.float_list_feature([1.]),
        'image/object/class/text': dataset_util.bytes_list_feature([b'dog']),
        'image/object/class/label': dataset_util.int64_list_feature([1])}))
    read = records.Example.from_bytes(example.SerializeToString())
    assert (read.height, read.width, read.encoded, read.format) == (4, 3, b'x', 'png')
    assert (read.boxes, read.labels, read.texts) == ([(.25, .5, .75, 1.)], [1], ['dog'])


def test_text_has_to_be_encoded():
    with pytest.raises(TypeError):
        dataset_util.bytes_feature('dog')


def test_examples_list(tmp_path):
    path = tmp_path / 'trainval.txt'
    path.write_bytes(b'2008_000008  1\r\nxyz 3\nabc')
    assert dataset_util.read_examples_list(path) == ['2008_000008', 'xyz', 'abc']
    with pytest.raises(FileNotFoundError):
        dataset_util.read_examples_list(tmp_path / 'test.txt')


def test_annotation_of_labelimg():
    root = ElementTree.fromstring(
        '<annotation><filename>a.jpg</filename><size><width>3</width></size>'
        '<object><name>dog</name><bndbox><xmin>1</xmin></bndbox></object><object><name>cat</name></object></annotation>')
    assert dataset_util.recursive_parse_xml_to_dict(root) == {'annotation': {
        'filename': 'a.jpg', 'size': {'width': '3'},
        'object': [{'name': 'dog', 'bndbox': {'xmin': '1'}}, {'name': 'cat'}]}}


def test_empty_element():
    assert dataset_util.recursive_parse_xml_to_dict(ElementTree.fromstring('<a><b/></a>')) == {'a': {'b': None}}
