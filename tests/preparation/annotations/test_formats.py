"""CVAT for images, CSV, and the outlines, masks and keypoints of COCO and YOLO: what each file says, and its mistakes.

Boxes of Pascal VOC, YOLO and COCO are in test_annotations.py.
"""
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from object_detection.preparation.annotations import coco, cvat, table, xml_file
from object_detection.preparation.annotations.entry import Unknown, Unreadable
from tests.support import drawn


def boxes(entry):
    return [(shape.name, tuple(round(value, 3) for value in shape.box)) for shape in entry.shapes]


def read_cvat(*shapes):
    root = ElementTree.fromstring(drawn.cvat({'1.jpg': []}, more=''.join(shapes)))
    [entry], _ = cvat.read(root, 'annotations.xml')
    return entry


def test_cvat_boxes():
    root = ElementTree.fromstring(drawn.cvat({('Train', '1.jpg'): drawn.OBJECTS['3'], '2.jpg': []}))
    (first, second), _ = cvat.read(root, 'annotations.xml')
    assert (first.names, first.part, first.size) == (['Train/1.jpg', '1.jpg'], 'Train', (200, 100))
    assert boxes(first) == drawn.OBJECTS['3'] and second.shapes == []


def test_cvat_shapes_with_an_area():
    polygon = '<polygon label="a" points="10.0,10.0;30.0,10.0;20.0,40.0"/>'
    ellipse = '<ellipse label="b" cx="50" cy="40" rx="20" ry="10" rotation="90"/>'
    turned = '<box label="c" xtl="0" ytl="0" xbr="40" ybr="20" rotation="90.0"/>'
    mask = '<mask label="d" left="5" top="6" width="3" height="2" rle="1, 2, 2, 1"/>'
    entry = read_cvat(polygon, ellipse, turned, mask)
    found = dict(boxes(entry))
    assert found['a'] == (10, 10, 30, 40) and found['c'] == (10, -10, 30, 30)  # around the middle
    assert found['b'] == pytest.approx((40, 20, 60, 60), abs=0.1)
    assert found['d'] == (6, 6, 8, 8)
    np.testing.assert_array_equal(entry.shapes[3].runs.pixels(), [[0, 1, 1], [0, 0, 1]])


def test_cvat_shapes_without_an_area():
    entry = read_cvat('<polyline label="a" points="1,1;2,2"/>', '<points label="b" points="1,1"/>', '<tag label="c"/>')
    assert [shape.problem for shape in entry.shapes] == ['without an area (a polyline)', 'without an area (a points)']


@pytest.mark.parametrize('shape', [
    '<box label="a" xtl="one" ytl="0" xbr="1" ybr="1"/>', '<box label="a" ytl="0" xbr="1" ybr="1"/>',
    '<polygon label="a" points="1,1;2"/>', '<polygon label="a"/>', '<ellipse label="a" cx="nan" cy="1" rx="1" ry="1"/>',
    '<mask label="a" left="0" top="0" width="3" height="3" rle="1, 2"/>', '<mask label="a"/>',
    '<mask label="a" left="0" top="0" width="99999999999" height="99999999999" rle="9999999999999999999999"/>'])
def test_broken_cvat_spoils_its_picture_alone(shape):
    root = ElementTree.fromstring(drawn.cvat({'1.jpg': []}, more=shape).replace('</annotations>', '<image id="7" name='
                                  '"2.jpg" width="200" height="100"></image></annotations>'))
    (first, second), _ = cvat.read(root, 'annotations.xml')
    assert first.shapes is None and first.problem and first.place == 'annotations.xml, image 0'
    assert second.shapes == []


def test_cvat_skeletons():
    """Points in any order, one missing in the second, one outside the picture, one hidden."""
    points = '<points label="{}" outside="{}" occluded="{}" points="{}"/>'
    first = (points.format('10', 0, 0, '40,50') + points.format('2', 0, 1, '20,30') + points.format('1', 1, 0, '0,0'))
    second = points.format('2', 0, 0, '5,6') + points.format('1', 0, 0, '9,16')
    root = ElementTree.fromstring(drawn.cvat({'1.jpg': []}, more=''.join(
        f'<skeleton label="dog">{part}</skeleton>' for part in (first, second, points.format('1', 1, 0, '0,0')))))
    [entry], names = cvat.read(root, 'annotations.xml')
    assert names == {'dog': ['1', '2', '10']}
    assert boxes(entry)[:2] == [('dog', (20, 30, 40, 50)), ('dog', (5, 6, 9, 16))]
    assert [shape.keypoints for shape in entry.shapes] == [((0, 0, 0), (20, 30, 1), (40, 50, 2)),
                                                           ((9, 16, 2), (5, 6, 2), (0, 0, 0)), ()]
    assert entry.shapes[2].problem == 'without an area (a skeleton without points)'
    assert read_cvat('<skeleton label="a"><points label="1" points="one"/></skeleton>').shapes is None


def test_cvat_for_video():
    with pytest.raises(Unknown, match='export "CVAT for images"'):
        cvat.read(ElementTree.fromstring('<annotations><track id="0" label="a"/></annotations>'), 'annotations.xml')


@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
def test_csv(delimiter):
    entries = table.read(drawn.table({'1.jpg': drawn.OBJECTS['3'], 'a, b.jpg' if delimiter != ',' else '2.jpg':
                                      drawn.OBJECTS['1']}, delimiter), 'labels.csv')
    assert [boxes(entry) for entry in entries] == [drawn.OBJECTS['3'], drawn.OBJECTS['1']]
    assert entries[0].size == (200, 100) and entries[0].names == ['1.jpg']


def test_csv_in_another_order_without_sizes():
    [entry] = table.read('Class,XMin,YMin,XMax,YMax,filename,score\r\n"cat, black",1,2,3,4,1.jpg,0.5\r\n', 'a.csv')
    assert boxes(entry) == [('cat, black', (1, 2, 3, 4))] and entry.size is None


def test_csv_of_vott_and_of_spreadsheets_with_decimal_commas():
    [vott] = table.read('"image","xmin","ymin","xmax","ymax","label"\n"1.jpg",1.5,2,3,4,"cat"\n', 'a.csv')
    [sheet] = table.read('class;filename;xmin;xmax;ymin;ymax\r\ncat;1.jpg;1,5;3;2;4\r\n', 'a.csv')
    assert boxes(vott) == boxes(sheet) == [('cat', (1.5, 2, 3, 4))] and vott.names == sheet.names == ['1.jpg']


def test_csv_lists_a_picture_without_objects():
    [entry] = table.read('filename,width,height,class,xmin,ymin,xmax,ymax\n1.jpg,200,100,,,,,\n\n', 'a.csv')
    assert entry.shapes == []


@pytest.mark.parametrize('line', ['1.jpg,200,100,cat,1,2,three,4', '1.jpg,200,100,cat,1,2',
                                  '1.jpg,wide,100,cat,1,2,3,4', '1.jpg,100,200,cat,1,2,3,4'])
def test_a_broken_line_of_csv_spoils_its_picture_alone(line):
    text = drawn.table({'1.jpg': drawn.OBJECTS['1'], '2.jpg': drawn.OBJECTS['2']})
    first, second = table.read(text + line + '\n', 'labels.csv')
    assert first.shapes is None and ('4' in first.problem or 'size' in first.problem)
    assert boxes(second) == drawn.OBJECTS['2']


@pytest.mark.parametrize('text', ['', 'a,b,c\n1,2,3\n', 'filename,class,xmin,ymin\n', 'path,x1,y1,x2,y2,label\n'])
def test_other_tables(text):
    with pytest.raises(Unknown):
        table.read(text, 'other.csv')


def test_compressed_runs_of_coco():
    """Against the encoder of faster-coco-eval, an implementation of its own."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        height, width = rng.integers(1, 60, 2)
        mask = np.asfortranarray(rng.random((height, width)) < rng.random(), np.uint8)
        text = coco_mask.encode(mask)['counts'].decode()
        runs = coco.decoded(text)
        assert sum(runs) == height * width
        inside = np.repeat(np.arange(len(runs)) % 2, runs).reshape(width, height).T
        np.testing.assert_array_equal(inside, mask)


def read_coco(**fields):
    """Return the one Shape of a COCO JSON whose annotation has these fields."""
    fields = {'bbox': [20, 10, 40, 40]} | fields
    text = drawn.coco({'1.jpg': [('dog', (20, 10, 60, 50), fields)]})
    text = text.replace('"bbox": null, ', '')
    [entry], _ = coco.read(json.loads(text), 'a.json')
    return entry.shapes[0]


def test_coco_without_a_bbox_takes_it_from_the_outline():
    assert read_coco(bbox=None, segmentation=[[1, 2, 30, 4, 5, 60], [7, 8, 9, 10, 90, 12]]).box == (1, 2, 90, 60)
    assert read_coco(bbox=None, segmentation={'size': [2, 3], 'counts': [2, 1, 1, 2]}).box == (1, 0, 3, 2)
    assert 'without a bbox' in read_coco(bbox=None).problem


@pytest.mark.parametrize('bbox', [[1, 2, 3], [1, 2, 3, 4, 5], 'box', {'x': 1}, 7])
def test_coco_with_another_bbox(bbox):
    assert read_coco(bbox=bbox).problem == 'with a bbox that is not four numbers'


@pytest.mark.parametrize('bbox', [[10 ** 400, 1, 2, 3], [None, 1, 2, 3], ['a', 1, 2, 3], [[], 1, 2, 3]])
def test_coco_with_other_numbers(bbox):
    assert not np.isfinite(read_coco(bbox=bbox).box).all()


@pytest.mark.parametrize('segmentation', [
    {'size': [100, 200], 'counts': [1, 2, 3]}, {'size': [100, 200], 'counts': [-1, 20001]}, {'size': [100, 200]},
    {'size': [100, 200], 'counts': 'not runs'}, {'size': [10 ** 9, 10 ** 9], 'counts': [10 ** 18]},
    {'size': 'large', 'counts': []}, {'size': [100, 200], 'counts': [10 ** 30]}, [[1, 2, 3]], [7], 'polygon'])
def test_coco_with_a_broken_outline_keeps_its_box(segmentation):
    shape = read_coco(segmentation=segmentation)
    assert shape.box == (20, 10, 60, 50) and not shape.problem and shape.no_mask
    assert shape.runs is None and shape.polygons == ()


def test_keypoints_of_coco():
    points = [1, 2, 2, 3, 4, 1, 0, 0, 0]
    categories = [{'id': 1, 'name': 'dog', 'keypoints': ['nose', 'left_ear', 'right_ear']}, {'id': 2, 'name': 'cat'}]
    box = (0, 0, 9, 9)
    text = drawn.coco({'1.jpg': [('dog', box, {'keypoints': points}), ('cat', box, {'keypoints': points}),
                                 ('dog', box)]}, categories)
    [entry], names = coco.read(json.loads(text), 'a.json')
    assert names == {'dog': ['nose', 'left_ear', 'right_ear']}
    assert entry.shapes[0].keypoints == ((1, 2, 2), (3, 4, 1), (0, 0, 0)) and entry.shapes[2].keypoints == ()
    assert 'with 3 keypoints, of which its category names 0' in entry.shapes[1].no_keypoints


@pytest.mark.parametrize('image_id', [3, '3', 3.0])
@pytest.mark.parametrize('category_id', [1, '1', 1.0])
def test_ids_of_coco_as_numbers_and_texts(image_id, category_id):
    data = {'images': [{'id': 3, 'file_name': '1.jpg'}], 'categories': [{'id': 1, 'name': 'cat'}],
            'annotations': [{'id': 1, 'image_id': image_id, 'category_id': category_id, 'bbox': [1, 2, 2, 2]}]}
    assert boxes(coco.read(data, 'a.json')[0][0]) == [('cat', (1, 2, 3, 4))]


@pytest.mark.parametrize(('change', 'message'), [
    ({'annotations': [{'image_id': 9, 'category_id': 1, 'bbox': [1, 1, 2, 2], 'id': 4}]}, 'belong to no image'),
    ({'annotations': [{'image_id': 0, 'category_id': 7, 'bbox': [1, 1, 2, 2]}]}, 'no name for category_id 7'),
    ({'categories': [{'id': 1, 'name': 'dog'}, {'id': 1, 'name': 'cat'}]}, 'two categories have the same id'),
    ({'images': [{'id': 1, 'file_name': 'a'}, {'id': '1', 'file_name': 'b'}]}, 'two images have the same id'),
    ({'images': [{'id': 1}]}, 'cannot be read as COCO'), ({'images': 7}, 'cannot be read as COCO'),
    ({'annotations': {}}, None), ({'categories': None}, 'cannot be read as COCO'),
    ({'annotations': [7]}, 'cannot be read as COCO')])
def test_coco_whose_parts_do_not_fit(change, message):
    data = json.loads(drawn.coco({'1.jpg': []})) | change
    if message is None:
        assert coco.read(data, 'a.json')[0][0].shapes == []
        return
    with pytest.raises(Unreadable, match=message):
        coco.read(data, 'a.json')


@pytest.mark.parametrize(('encoding', 'declared'), [
    ('utf-8', 'utf-8'), ('utf-8-sig', 'utf-8'), ('utf-16', 'utf-16'), ('gb18030', 'GB2312'), ('latin-1', 'ISO-8859-1'),
    ('cp1252', 'windows-1252'), ('utf-8', None)])
def test_encodings_of_xml(encoding, declared, tmp_path):
    name = 'Hündin' if encoding != 'gb18030' else '狗'
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ''
    file = tmp_path / '1.xml'
    file.write_bytes(f'{head}\n<annotation><object><name>{name}</name></object></annotation>'.encode(encoding))
    assert xml_file.read(str(file)).findtext('object/name') == name


@pytest.mark.parametrize('content', [b'', b'<a>\xff</a>', b'<a><b></a>',
                                     b'<?xml version="1.0" encoding="klingon"?><a/>',
                                     '<!DOCTYPE a [<!ENTITY b "c">]><a/>'.encode('utf-16')])
def test_broken_xml(content, tmp_path):
    (tmp_path / '1.xml').write_bytes(content)
    with pytest.raises(Unreadable):
        xml_file.read(str(tmp_path / '1.xml'))
