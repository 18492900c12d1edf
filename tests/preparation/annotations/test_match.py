"""Which picture an annotation belongs to: exactly first, otherwise only where one picture is left."""
import pytest

from object_detection.preparation.annotations.match import EXACT, LIKELY, SURE, Pictures


@pytest.mark.parametrize(('path', 'names', 'expected'), [
    ('cat/1.xml', [], ('cat/1.jpg',)), ('cat/1.XML', [], ('cat/1.jpg',)), ('cat/1.jpg.xml', [], ('cat/1.jpg',)),
    ('cat/2.txt', [], ('cat/2.JPG',)), ('cat/b.txt', [], ('cat/b.jpg',)), ('cat/B.txt', [], ('cat/B.jpg',)),
    ('CAT/no suffix.xml', [], ('cat/no suffix',)),
    ('only here.xml', [], ('dog/only here.png',)), ('Annotations/ONLY here.xml', [], ('dog/only here.png',)),
    ('elsewhere/x.xml', ['only here.png'], ('dog/only here.png',)),
    ('x.xml', ['C:\\pets\\dog\\1.jpg', '1.jpg'], ('dog/1.jpg',)), ('1.xml', ['dog/1.jpg'], ('dog/1.jpg',)),
    ('cat/twin.xml', ['twin.png'], ('cat/twin.png',)), ('cat/twin.xml', [], ('cat/twin.jpg', 'cat/twin.png')),
    ('cat/twin.xml', ['another.png'], ('cat/twin.jpg', 'cat/twin.png'))])
def test_a_file_of_one_picture(path, names, expected):
    pictures = Pictures(['cat/1.jpg', 'dog/1.jpg', 'cat/2.JPG', 'cat/b.jpg', 'cat/B.jpg', 'cat/no suffix',
                         'dog/only here.png', 'cat/twin.jpg', 'cat/twin.png'])
    assert pictures.described_by(path, names).paths == expected


@pytest.mark.parametrize(('path', 'names', 'reason'), [
    ('1.xml', ['1.jpg'], 'fits 2 pictures: cat/1.jpg, dog/1.jpg'), ('9.xml', [], 'no picture of this name'),
    ('dog/2.xml', [], 'no picture of this name; cat/2.jpg lies in another folder')])
def test_a_file_that_fits_no_picture(path, names, reason):
    match = Pictures(['cat/1.jpg', 'dog/1.jpg', 'cat/2.jpg']).described_by(path, names)
    assert match.paths == () and match.reason == reason


def test_folders_named_like_images_and_labels_stand_for_one_another():
    pictures = Pictures(['images/train/1.jpg', 'images/val/1.jpg'])
    assert pictures.described_by('labels/train/1.txt', []).paths == ('images/train/1.jpg',)
    assert pictures.described_by('labels/val/1.txt', []).paths == ('images/val/1.jpg',)
    assert pictures.described_by('labels/test/1.txt', []).paths == ()


@pytest.mark.parametrize(('name', 'folder', 'part', 'expected'), [
    ('train/1.jpg', '', None, ('train/1.jpg', EXACT)), ('1.jpg', 'valid', None, ('valid/1.jpg', EXACT)),
    ('1.jpg', 'annotations', 'validation', ('valid/1.jpg', SURE)), ('./train/1.jpg', '', None, ('train/1.jpg', EXACT)),
    ('/data/pets/train/1.jpg', '', None, ('train/1.jpg', SURE)), ('TRAIN/1.JPG', '', None, ('train/1.jpg', SURE)),
    ('D:\\pets\\my%20dog.jpg', '', None, ('train/my dog.jpg', SURE)), ('my dog.png', '', None,
                                                                      ('train/my dog.jpg', LIKELY)),
    ('my dog', '', None, ('train/my dog.jpg', LIKELY)), ('e\u0301.jpg', '', None, ('train/\xe9.jpg', SURE))])
def test_a_name_in_a_list(name, folder, part, expected):
    pictures = Pictures(['train/1.jpg', 'valid/1.jpg', 'train/my dog.jpg', 'train/\xe9.jpg'])
    match = pictures.listed([name], folder, part)
    assert (*match.paths, match.level) == expected


@pytest.mark.parametrize('name', ['1.jpg', 'other/1.jpg', 'test/1.jpg', '2.jpg', 'valid/my dog.jpg'])
def test_a_name_in_a_list_that_fits_no_picture(name):
    assert Pictures(['train/1.jpg', 'valid/1.jpg', 'train/my dog.jpg']).listed([name], '').paths == ()
