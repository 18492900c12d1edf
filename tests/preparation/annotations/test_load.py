"""No annotation is lost without a word: what fits no picture, what cannot be read, and what is not used is said."""
import os

import pytest

from object_detection.utils.errors import UserError
from tests.support.drawn import CAT, DOG, coco, cvat, table, voc, yolo

PICTURES = {'cat/1.jpg': None, 'dog/2.jpg': None, 'cat/3.jpg': None}


def names(found):
    return {path: [box.label for box in annotation.boxes or ()] for path, annotation in found.items()}


def test_byte_order_marks_and_utf_16(pets, annotated):
    both = coco({'cat/1.jpg': [CAT], 'dog/2.jpg': [DOG]})
    for encoding in ('utf-8-sig', 'utf-16', 'utf-32', 'utf-16-le'):
        data = both.encode(encoding) if encoding != 'utf-16-le' else b'\xff\xfe' + both.encode(encoding)
        for name, content in (('boxes.json', data), ('boxes.csv', None)):
            content = content or table({'1.jpg': [CAT], '2.jpg': [DOG]}).encode(encoding)
            content = b'\xff\xfe' + content if encoding == 'utf-16-le' and name == 'boxes.csv' else content
            folder = pets(PICTURES | {name: content})
            assert names(annotated(folder, boxes='whole')) == {'cat/1.jpg': ['cat'], 'dog/2.jpg': ['dog']}
            (folder / name).unlink()
    folder = pets(PICTURES | {'cat/1.xml': voc([CAT]).encode('utf-8-sig'), 'dog/2.TXT': yolo([DOG]).encode('utf-16'),
                              'classes.txt': 'dog\ncat'})
    assert names(annotated(folder, boxes='whole')) == {'cat/1.jpg': ['cat'], 'dog/2.jpg': ['dog']}


def test_some_files_fit_no_picture(pets, annotated, capsys):
    folder = pets(PICTURES | {'cat/1.xml': voc([CAT]), 'cat/9.xml': voc([CAT]), 'dog/3.xml': voc([DOG])})
    assert names(annotated(folder, boxes='whole')) == {'cat/1.jpg': ['cat']}
    said = capsys.readouterr().out
    assert 'warning: 2 of 3 annotation files fit no picture: cat/9.xml (no picture of this name), dog/3.xml' in said


@pytest.mark.parametrize(('files', 'message'), [
    ({'drawn/8.xml': voc([CAT]), 'drawn/9.xml': voc([CAT])},
     r'none of the 2 annotation files fits a picture in .*pets \(drawn/8.xml \(no picture of this name\), drawn/9'),
    ({'a.json': coco({'8.jpg': [CAT]})}, r'a.json: none of the 1 pictures that it lists is in .*pets \(8.jpg \(no'),
    ({'a.csv': table({'8.jpg': [CAT]})}, 'a.csv: none of the 1 pictures that it lists'),
    ({'a.xml': cvat({'8.jpg': [CAT]})}, 'a.xml: none of the 1 pictures that it lists'),
    ({'a.json': coco({'1.jpg': [CAT]}), 'dog/1.jpg': None}, r'1.jpg \(fits 2 pictures: cat/1.jpg, dog/1.jpg\)')])
@pytest.mark.parametrize('options', [{'boxes': 'whole'}, {}])
def test_no_file_fits(pets, annotated, files, message, options):
    with pytest.raises(UserError, match=message):
        annotated(pets(PICTURES | files), **options)


def test_a_named_list_that_does_not_fit(pets, annotated):
    folder = pets(PICTURES | {'cat/1.xml': voc([CAT])})
    other = pets({'a.json': coco({'8.jpg': [CAT]})}, 'other')
    with pytest.raises(UserError, match='none of the 1 pictures that it lists'):
        annotated(folder, annotations=(other / 'a.json',))


def test_part_of_a_list_fits(pets, annotated, capsys):
    folder = pets(PICTURES | {'a.json': coco({'1.jpg': [CAT], '8.jpg': [CAT], 'dog/3.jpg': [DOG]})})
    assert names(annotated(folder, boxes='whole')) == {'cat/1.jpg': ['cat']}
    assert '2 of 3 pictures that a.json lists are not in the data set: 8.jpg (' in capsys.readouterr().out


def test_two_names_for_one_picture_fit_none(pets, annotated, capsys):
    """x/1.jpg and y/1.jpg may both be cat/1.jpg, so that neither is."""
    folder = pets(PICTURES | {'a.json': coco({'x/1.jpg': [CAT], 'y/1.jpg': [DOG], '2.jpg': [DOG]})})
    assert names(annotated(folder, boxes='whole')) == {'dog/2.jpg': ['dog']}
    assert 'x/1.jpg (2 fit cat/1.jpg), y/1.jpg (2 fit cat/1.jpg)' in capsys.readouterr().out


def test_an_exact_name_beats_a_similar_one(pets, annotated, capsys):
    folder = pets(PICTURES | {'a.json': coco({'x/1.jpg': [DOG], 'cat/1.jpg': [CAT]})})
    assert names(annotated(folder, boxes='whole')) == {'cat/1.jpg': ['cat']}
    assert 'x/1.jpg (cat/1.jpg belongs to a.json, image 1)' in capsys.readouterr().out


def test_two_lists_of_the_same_pictures(pets, annotated):
    folder = pets(PICTURES | {'a.csv': table({'1.jpg': [CAT]}), 'b.csv': table({'1.jpg': [CAT]})})
    with pytest.raises(UserError, match=r'several CSV files \(a.csv, b.csv\) describe the same pictures, cat/1.jpg'):
        annotated(folder)
    assert names(annotated(folder, annotations=(folder / 'b.csv',))) == {'cat/1.jpg': ['cat']}


def test_a_list_may_name_pictures_of_another_without_objects(pets, annotated):
    files = {'a.json': coco({'1.jpg': [CAT], '2.jpg': []}), 'b.json': coco({'1.jpg': [], '2.jpg': [DOG]})}
    folder = pets(PICTURES | files)
    assert names(annotated(folder, boxes='whole')) == {'cat/1.jpg': ['cat'], 'dog/2.jpg': ['dog']}


def test_one_format_comes_before_another_and_that_is_said(pets, annotated, capsys):
    folder = pets(PICTURES | {'cat/1.xml': voc([CAT]), 'cat/1.txt': '0 .5 .5 .2 .2 (never opened: no class names)',
                              'labels.csv': table({'1.jpg': [DOG], '2.jpg': [DOG]})})
    found = annotated(folder, boxes='whole')
    assert names(found) == {'cat/1.jpg': ['cat'], 'dog/2.jpg': ['dog']}
    assert {path: annotation.origin for path, annotation in found.items()} == {'cat/1.jpg': 'voc', 'dog/2.jpg': 'csv'}
    said = capsys.readouterr().out
    assert 'labels.csv: 1 are not used' in said and 'annotation files: 1 are not used' in said


def test_broken_files_beside_good_ones(pets, annotated, capsys):
    folder = pets(PICTURES | {'cat/1.xml': '<annotation>', 'cat/1.txt': '1 .2 .3 .2 .4', 'classes.txt': 'dog\ncat',
                              'dog/2.xml': '<annotation>', 'cat/3.xml': voc([CAT])})
    found = annotated(folder, boxes='whole')
    assert names(found) == {'cat/1.jpg': ['cat'], 'dog/2.jpg': [], 'cat/3.jpg': ['cat']}
    assert found['dog/2.jpg'].boxes is None
    assert all('cannot be read as XML' in found[path].findings[0] for path in ('cat/1.jpg', 'dog/2.jpg'))
    assert '2 annotation files cannot be read: cat/1.xml: cannot be read as XML' in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no named pipes on this system')
def test_pipes_are_not_opened(pets, annotated, capsys):
    folder = pets(PICTURES)
    for name in ('cat/1.xml', 'dog/2.txt', 'a.json', 'a.csv'):
        os.mkfifo(folder / name)
    (folder / 'cat' / '3.xml').symlink_to('/dev/zero')
    found = annotated(folder, boxes='whole')
    assert {path: annotation.boxes for path, annotation in found.items()} == dict.fromkeys(PICTURES)
    assert 'warning: 5 annotation files cannot be read: ' in capsys.readouterr().out
    with pytest.raises(UserError, match=r'a.json: not a regular file'):
        annotated(folder, annotations=(folder / 'a.json',))
    os.mkfifo(folder / 'classes.txt')
    (folder / 'dog' / '2.txt').unlink()
    (folder / 'dog' / '2.txt').write_text(yolo([DOG]))
    with pytest.raises(UserError, match=r'classes.txt: not a regular file'):
        annotated(folder)


@pytest.mark.parametrize(('name', 'content'), [
    ('a.json', '{"images": [], "annotations": [], "categories": ['),
    ('a.csv', b'filename,class,xmin,ymin,xmax,ymax\n\xff'),
    ('a.json', '{"images": [{"id": 1}], "annotations": []}'), ('a.json', '{"images": ' + '[' * 100_000)])
def test_a_list_that_cannot_be_read_is_an_error(pets, annotated, name, content):
    with pytest.raises(UserError, match=name):
        annotated(pets(PICTURES | {name: content}), boxes='whole')


@pytest.mark.parametrize(('content', 'what'), [
    ('{"shapes": [], "imagePath": "1.jpg", "version": "5"}', 'JSON of Labelme'),
    ('[{"image": "1.jpg", "annotations": []}]', 'JSON of CreateML'),
    ('[{"id": 1, "annotations": [], "data": {}}]', 'JSON of Label Studio'),
    ('{"1.jpg123": {"filename": "1.jpg", "regions": []}}', 'JSON of VGG Image Annotator')])
def test_formats_that_are_not_read_are_named(pets, annotated, content, what, capsys):
    folder = pets(PICTURES | {'cat/1.json': content})
    annotated(folder, boxes='whole')
    assert f'1 files are {what}, which is not read: cat/1.json. Formats: Pascal VOC' in capsys.readouterr().out
    with pytest.raises(UserError, match=f'is {what}; the formats that are read are'):
        annotated(folder, annotations=(folder / 'cat/1.json',))


@pytest.mark.parametrize('name', ['notes.docx', 'a.txt', 'a.xml', 'a.json'])
def test_a_named_file_of_another_format(pets, annotated, name):
    other = pets({name: '<notes/>' if name == 'a.xml' else '{}'}, 'other')
    with pytest.raises(UserError, match='formats that are read'):
        annotated(pets(PICTURES), annotations=(other / name,))


def test_captions_are_said_to_hold_no_boxes(pets, annotated, capsys):
    annotated(pets(PICTURES | {'cat/1.txt': '2 cats on a lawn'}), boxes='whole')
    assert '1 txt files named like pictures hold no boxes: cat/1.txt' in capsys.readouterr().out


def test_class_numbers_without_names_stop_the_run(pets, annotated):
    with pytest.raises(UserError, match=r'cat.1.txt: holds class numbers'):
        annotated(pets(PICTURES | {'cat/1.txt': '0.0 .5 .5 .2 .2'}), boxes='whole')


def test_poses_of_yolo_are_boxes(pets, annotated):
    """Two keypoints of x and y: eight numbers, which would be a polygon without kpt_shape."""
    pose = '0 .5 .5 .2 .4 .1 .1 .9 .9'
    files = PICTURES | {'cat/1.txt': pose, 'data.yaml': 'names: [cat]\nkpt_shape: [2, 2]'}
    [box] = annotated(pets(files), boxes='whole')['cat/1.jpg'].boxes
    assert box.corners == pytest.approx((.3, .4, .7, .6))
    [box] = annotated(pets({'data.yaml': 'names: [cat]'}), boxes='whole')['cat/1.jpg'].boxes
    assert box.corners == pytest.approx((.1, .1, .9, .9))


def test_pixels_in_yolo(pets, annotated):
    found = annotated(pets(PICTURES | {'cat/1.txt': '0 100 50 20 20', 'classes.txt': 'cat'}), boxes='whole')
    assert found['cat/1.jpg'].boxes is None and 'line 1 is in pixels' in found['cat/1.jpg'].findings[0]


def test_a_picture_in_the_folder_of_another_label(pets, annotated):
    found = annotated(pets(PICTURES | {'cat/1.xml': voc([DOG]), 'cat/3.xml': voc([CAT, DOG])}), boxes='whole')
    assert found['cat/1.jpg'].findings == ['lies in the folder cat, and its boxes are named dog']
    assert not found['cat/3.jpg'].findings


@pytest.mark.parametrize(('other', 'differs'), [
    ({'a.json': coco({'cat/1.jpg': [CAT]})}, False), ({'a.json': coco({'cat/1.jpg': [DOG]})}, True),
    ({'a.json': coco({'cat/1.jpg': [('cat', (60, 10, 100, 50))]})}, True), ({'a.csv': table({'1.jpg': [CAT]})}, False),
    ({'a.csv': table({'1.jpg': [CAT, CAT]})}, True),
    ({'a.json': coco({'cat/1.jpg': [], 'dog/2.jpg': [DOG]})}, False), ({'cat/1.txt': yolo([CAT])}, False),
    ({'cat/1.txt': yolo([CAT, DOG])}, True), ({'cat/1.txt': 'a cat'}, False), ({'cat/1.txt': ''}, False)])
def test_two_files_with_other_objects(pets, annotated, capsys, other, differs):
    folder = pets(PICTURES | {'cat/1.xml': voc([CAT]), 'dog/2.xml': voc([DOG])} | other)
    found = annotated(folder, boxes='whole')
    assert names(found) == {'cat/1.jpg': ['cat'], 'dog/2.jpg': ['dog']}
    assert ('1 pictures have other objects in two files' in capsys.readouterr().out) == differs
    assert any('which counts' in line for line in found['cat/1.jpg'].findings) == differs


@pytest.mark.parametrize(('name', 'text', 'what'), [
    ('via.csv', 'filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n',
     'CSV of VGG Image Annotator'),
    ('vott.json', '{"name": "pets", "assets": {}}', 'JSON of VoTT'),
    ('one.json', '{"asset": {}, "regions": []}', 'JSON of VoTT'),
    ('min.json', '[{"image": "1.jpg", "label": [{"x": 1, "original_width": 200}]}]', 'JSON-MIN of Label Studio'),
    ('sly.json', '{"size": {}, "objects": []}', 'JSON of Supervisely')])
def test_more_formats_are_named(pets, annotated, capsys, name, text, what):
    annotated(pets(PICTURES | {name: text}), boxes='whole')
    assert f'1 files are {what}, which is not read: {name}' in capsys.readouterr().out


def test_a_file_that_is_named_may_have_other_objects(pets, annotated, capsys):
    folder = pets(PICTURES | {'cat/1.xml': voc([CAT]), 'dog/2.xml': voc([DOG])})
    corrected = pets({'corrected.json': coco({'cat/1.jpg': [CAT, CAT]})}, 'other') / 'corrected.json'
    found = annotated(folder, boxes='whole', annotations=(corrected,))
    assert names(found) == {'cat/1.jpg': ['cat', 'cat'], 'dog/2.jpg': ['dog']} and not found['cat/1.jpg'].findings
    assert 'other objects' not in capsys.readouterr().out
