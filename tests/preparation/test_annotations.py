"""Boxes drawn by hand: what LabelImg, YOLO and COCO tools write, and the mistakes people make in it."""
import json

import pytest

from object_detection.preparation import layout
from object_detection.preparation.annotations import fit, load
from object_detection.preparation.manifest import Picture
from object_detection.preparation.options import Options
from object_detection.preparation.scan import scan
from object_detection.utils.errors import UserError

VOC = '''<annotation><folder>Sit</folder><filename>1.jpg</filename>
<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>
<object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>1</difficult>
<bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object></annotation>'''

NAMES = {'classes.txt': 'Down\nSit\n'}


@pytest.fixture
def read(tmp_path):
    """read({name: text}, turned=1, ...) -> Annotation or None of the picture Sit/1.jpg, 200x100 upright."""
    def read(files, turned=1, **options):
        for name, text in ({'Sit/1.jpg': 'x', 'Down/2.jpg': 'x'} | files).items():
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).write_text(text, encoding='utf-8')
        picture = Picture('Sit/1.jpg', 'Sit', 1, 1, '', width=200, height=100, turned=turned)
        listing, chosen = scan(tmp_path), Options(tmp_path, None, **options)
        drawn = load.load(listing, chosen)
        return fit.fit_all([picture], drawn, layout.resolve(listing, drawn, chosen), chosen).get('Sit/1.jpg')
    return read


def corners(annotation):
    return [(box.label, *(round(value, 4) for value in box.corners)) for box in annotation.boxes]


def test_voc(read):
    found = read({'Sit/1.xml': VOC.format(name='Sit', size=(200, 100))})
    assert corners(found) == [('Sit', 0.1, 0.1, 0.5, 0.3)]
    assert found.boxes[0].difficult and found.origin == 'voc' and not found.findings


def test_voc_of_a_smaller_copy_and_another_case(read):
    assert corners(read({'Sit/1.xml': VOC.format(name='sIT', size=(100, 50))})) == [('Sit', 0.2, 0.2, 1.0, 0.6)]


def test_voc_without_a_size(read):
    assert corners(read({'Sit/1.xml': VOC.format(name='Down', size=(0, 0))})) == [('Down', 0.1, 0.1, 0.5, 0.3)]


def test_voc_drawn_on_a_picture_stored_on_its_side(read):
    """Orientation 6, stored 100x200: the stored (x, y) is at (1 - y, x) of the upright picture."""
    found = read({'Sit/1.xml': VOC.format(name='Sit', size=(100, 200))}, turned=6)
    assert corners(found) == [('Sit', 0.2, 0.75, 0.6, 0.95)]


def test_boxes_whose_names_are_not_labels_are_left_out_and_reported(read):
    found = read({'Sit/1.xml': VOC.format(name='dog', size=(200, 100))})
    assert found.boxes == [] and 'dog' in found.findings[0]


@pytest.mark.parametrize('text', ['', '<annotation><object>', '<!DOCTYPE a [<!ENTITY b "b">]><annotation/>',
                                  VOC.format(name='Sit', size=('wide', 1))])
def test_broken_voc_is_reported_and_left_to_the_detector(read, text):
    found = read({'Sit/1.xml': text}, boxes='whole')
    assert found.boxes is None and found.findings
    assert read({'Sit/1.xml': text}).boxes == []  # left out where there is no detector


def test_yolo(read):
    files = {'Sit/1.txt': '1 0.5 0.5 0.2 0.4\n0 0.25 0.25 0.1 0.1\n', 'Sit/classes.txt': 'Down\nSit\n'}
    assert corners(read(files)) == [('Sit', 0.3, 0.4, 0.7, 0.6), ('Down', 0.2, 0.2, 0.3, 0.3)]


def test_yolo_without_class_names_is_an_error(read):
    with pytest.raises(UserError, match=r'1.txt: holds class numbers, and no file says .* Put a classes.txt'):
        read({'Sit/1.txt': '0 0.5 0.5 1 1 0.87'})


def test_yolo_with_a_score(read):
    assert corners(read(NAMES | {'Sit/1.txt': '0 0.5 0.5 1 1 0.87'})) == [('Down', 0.0, 0.0, 1.0, 1.0)]


def test_yolo_polygon(read):
    assert corners(read(NAMES | {'Sit/1.txt': '1 0.1 0.2 0.5 0.2 0.3 0.8'})) == [('Sit', 0.2, 0.1, 0.8, 0.5)]


@pytest.mark.parametrize('text', ['7 0.5 0.5 1 1', '1 0.5 0.5 x 1', '1 0.5 0.5',
                                  '1 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.6 2'])  # keypoints without kpt_shape
def test_broken_yolo(read, text):
    found = read(NAMES | {'Sit/1.txt': text}, boxes='whole')
    assert found.boxes is None and 'line 1' in found.findings[0]


def test_captions_are_not_boxes(read):
    assert read({'Sit/1.txt': 'a dog sits on the lawn'}) is None


def test_an_empty_file_means_no_object(read):
    assert read({'Sit/1.txt': ''}).boxes == []


def test_boxes_outside_are_clipped_or_left_out(read):
    found = read(NAMES | {'Sit/1.txt': '1 0.0 0.5 0.4 0.4\n1 1.5 0.5 0.2 0.2\n1 nan 0.5 0.1 0.1'})
    assert corners(found) == [('Sit', 0.3, 0.0, 0.7, 0.2)]
    assert len(found.findings) == 3 and 'reaches 40 pixels out of the picture: cut off' in found.findings[0]


def coco(**changes):
    return json.dumps({'images': [{'id': 7, 'file_name': 'Sit/1.jpg', 'width': 200, 'height': 100},
                                  {'id': 8, 'file_name': '2.jpg', 'width': 200, 'height': 100}],
                       'annotations': [{'id': 1, 'image_id': 7, 'category_id': 3, 'bbox': [20, 10, 40, 40]},
                                       {'id': 2, 'image_id': 7, 'category_id': 3, 'bbox': [0, 0, 9, 9], 'iscrowd': 1}],
                       'categories': [{'id': 3, 'name': 'Sit'}]} | changes)


def test_coco_json(read):
    assert corners(read({'instances.json': coco()})) == [('Sit', 0.1, 0.1, 0.5, 0.3)]


def test_coco_without_boxes_is_not_annotated(read):
    assert read({'instances.json': coco(annotations=[])}) is None


def test_coco_matches_by_file_name_alone(read, tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    file = tmp_path / 'elsewhere' / 'boxes.json'
    file.write_text(coco(images=[{'id': 7, 'file_name': 'C:\\pictures\\1.jpg'}]))
    assert corners(read({}, annotations=(file,))) == [('Sit', 0.1, 0.1, 0.5, 0.3)]


def test_voc_comes_before_yolo_and_coco(read):
    files = {'Sit/1.xml': VOC.format(name='Sit', size=(200, 100)), 'Sit/1.txt': '0 0.5 0.5 1 1', 'a.json': coco()}
    assert read(files).origin == 'voc'


def test_a_separate_folder_of_annotations(read, tmp_path):
    other = tmp_path.parent / f'{tmp_path.name} drawn'
    (other / 'Sit').mkdir(parents=True)
    (other / 'Sit' / '1.xml').write_text(VOC.format(name='Sit', size=(200, 100)))
    assert corners(read({}, annotations=(other,))) == [('Sit', 0.1, 0.1, 0.5, 0.3)]


def test_two_coco_files_and_broken_ones(read):
    with pytest.raises(UserError, match='several COCO files'):
        read({'a.json': coco(), 'b.json': coco()})
    with pytest.raises(UserError, match='cannot be read as COCO'):
        read({'b.json': '{"images": 3, "annotations": [1]}', 'a.json': '[]'})
