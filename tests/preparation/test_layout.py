"""Labels from folders or from annotations, contradictions between the two, and a split that is there already."""
import pytest

from object_detection.preparation import run
from object_detection.preparation.options import Options
from object_detection.utils.errors import UserError
from tests.support.drawn import CAT, DOG, OBJECTS, coco, table, voc, yolo


@pytest.fixture
def resolve(tmp_path):
    """resolve({path: text, or None for a picture}, **options) -> Layout."""
    def resolve(files, **options):
        for path, text in files.items():
            (tmp_path / 'pets' / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / 'pets' / path).write_text('x' if text is None else text, encoding='utf-8')
        return run.find(Options(tmp_path / 'pets', tmp_path / 'out', **({'boxes': 'whole'} | options)))[0]
    return resolve


def labels_of(layout):
    return {source.path: source.label for source in layout.sources}


def test_top_folders_are_labels(resolve):
    layout = resolve({'cat/1.jpg': None, 'dog/train/2.jpg': None, 'dog/test/3.jpg': None, 'loose.jpg': None})
    assert (layout.labels, layout.from_annotations, layout.parts) == (['cat', 'dog'], False, None)
    assert labels_of(layout) == {'cat/1.jpg': 'cat', 'dog/train/2.jpg': 'dog', 'dog/test/3.jpg': 'dog', 'loose.jpg': ''}
    assert [source.problem for source in layout.sources if source.path == 'loose.jpg'] == ["lies in no label's folder"]


def test_folders_of_annotations_are_no_labels(resolve):
    files = {'cat/1.jpg': None, 'dog/2.jpg': None, 'drawn/1.xml': voc([CAT]), 'drawn/2.xml': voc([DOG])}
    assert resolve(files).labels == ['cat', 'dog']


def test_an_empty_folder_is_a_label(resolve, tmp_path):
    (tmp_path / 'pets' / 'bird').mkdir(parents=True)
    assert resolve({'cat/1.jpg': None}).labels == ['bird', 'cat']


def test_labels_below_the_parts_of_a_split(resolve):
    files = {'train/cat/1.jpg': None, 'train/dog/2.jpg': None, 'val/cat/3.jpg': None, 'val/dog/4.jpg': None}
    layout = resolve(files)
    assert layout.labels == ['cat', 'dog'] and not layout.from_annotations
    assert labels_of(layout) == {path: path.split('/')[1] for path in files}
    assert layout.parts == {path: 'train' if path.startswith('train') else 'validation' for path in files}
    assert resolve(files | {'train/cat/1.xml': voc([CAT])}).labels == ['cat', 'dog']  # boxes named like the folders


def test_boxes_of_other_names_below_images_and_train(resolve, capsys):
    """images/monday and images/tuesday are no labels if boxes are named cat and dog."""
    layout = resolve({'images/monday/1.jpg': None, 'images/monday/1.xml': voc([CAT]), 'images/tuesday/2.jpg': None,
                      'images/tuesday/2.xml': voc([DOG])})
    assert layout.labels == ['cat', 'dog'] and layout.from_annotations and layout.parts is None
    said = capsys.readouterr().out
    assert 'the labels come from the annotations: cat (1), dog (1); the folders (images) are none' in said


def test_the_user_decides(resolve):
    files = {'cat/1.jpg': None, 'cat/1.xml': voc([DOG]), 'bird/2.jpg': None, 'bird/2.xml': voc([CAT])}
    assert resolve(files, labels='annotations').labels == ['cat', 'dog']
    assert resolve(files, labels='folders').labels == ['bird', 'cat']
    with pytest.raises(UserError, match='no annotation names an object'):
        resolve({'cat/1.xml': voc([]), 'bird/2.xml': voc([])}, labels='annotations')


def test_flat_pictures_need_annotations(resolve):
    with pytest.raises(UserError, match='holds 2 files but no folders; it needs one folder per label'):
        resolve({'1.jpg': None, '2.jpg': None})
    assert resolve({'1.xml': voc([CAT]), '2.xml': voc([DOG])}).labels == ['cat', 'dog']


def test_no_box_is_named_like_a_folder(resolve):
    files = {f'monday/{i}.jpg': None for i in OBJECTS} | {f'monday/{i}.xml': voc(o) for i, o in OBJECTS.items()}
    with pytest.raises(UserError, match=r'the folders are monday, the boxes dog \(4\), cat \(3\)\. If the boxes are '
                       'right: --labels annotations takes the labels from them'):
        resolve(files)
    assert resolve(files, labels='annotations').labels == ['cat', 'dog']


def test_all_boxes_of_a_folder_have_another_name(resolve):
    """The classes are listed in the wrong order: every cat is a dog."""
    files = {f'cat/{i}.jpg': None for i in '123'} | {f'dog/{i}.jpg': None for i in '456'}
    files |= {f'cat/{i}.txt': yolo([CAT]) for i in '123'} | {f'dog/{i}.txt': yolo([DOG]) for i in '456'}
    with pytest.raises(UserError) as error:
        resolve(files | {'classes.txt': 'cat\ndog\n'})
    assert len(error.value.findings) == 2
    assert 'cat: all 3 boxes drawn on 3 pictures of this folder are named dog (3), none cat.' in error.value.findings[0]
    assert 'classes.txt' in error.value.findings[0]
    assert resolve({'classes.txt': 'dog\ncat\n'}).labels == ['cat', 'dog']


def test_one_picture_in_the_wrong_folder_is_no_contradiction(resolve):
    files = {'cat/1.jpg': None, 'cat/2.jpg': None, 'cat/1.xml': voc([DOG]), 'dog/3.jpg': None, 'dog/3.xml': voc([DOG])}
    assert resolve(files).labels == ['cat', 'dog']


def test_labels_that_differ_in_case_alone(resolve, capsys):
    files = {'images/1.jpg': None, 'images/1.xml': voc([('Cat', CAT[1]), CAT]), 'images/2.jpg': None}
    assert resolve(files).labels == ['Cat', 'cat']
    assert 'differ in upper and lower case alone: Cat (1 boxes), cat (1 boxes)' in capsys.readouterr().out


def test_crowds_make_no_label(resolve):
    files = {'images/1.jpg': None, 'a.json': coco({'1.jpg': [CAT, (*DOG, {'iscrowd': 1})]})}
    assert resolve(files).labels == ['cat']
    assert resolve(files, keep_crowds=True).labels == ['cat', 'dog']


def test_pictures_elsewhere(resolve, tmp_path):
    """COCO's JSON in --dataset, its pictures in --images."""
    for name in ('1.jpg', '2.jpg'):
        (tmp_path / 'pictures').mkdir(exist_ok=True)
        (tmp_path / 'pictures' / name).write_text('x')
    files = {'instances_train.json': coco({'1.jpg': [CAT]}), 'instances_val.json': coco({'2.jpg': [DOG]})}
    layout = resolve(files, images=tmp_path / 'pictures')
    assert layout.labels == ['cat', 'dog'] and [source.path for source in layout.sources] == ['1.jpg', '2.jpg']
    assert layout.parts == {'1.jpg': 'train', '2.jpg': 'validation'}


def test_a_split_in_label_folders_is_kept_only_if_asked_for(resolve):
    files = {'cat/train/1.jpg': None, 'cat/test/2.jpg': None, 'dog/train/3.jpg': None}
    assert resolve(files).parts is None
    assert resolve(files, split_given=True).parts == {'cat/train/1.jpg': 'train', 'cat/test/2.jpg': 'test',
                                                      'dog/train/3.jpg': 'train'}


TRAIN_AND_TEST = {'images/train/1.jpg': None, 'images/train/1.xml': voc([CAT]), 'images/test/2.jpg': None,
                  'images/test/2.xml': voc([DOG])}


@pytest.mark.parametrize(('more', 'other'), [
    ({'test.txt': 'images/train/1.jpg\n'}, r'test \(test.txt\)'),
    ({'data.yaml': 'train: images/train\nval: images/train\nnames: [cat]\n'}, r'validation \(data.yaml\)')])
def test_a_split_that_contradicts_itself(resolve, more, other):
    files = TRAIN_AND_TEST | more
    with pytest.raises(UserError, match=r'contradicts itself for 1 pictures: images/train/1.jpg belongs to train \(its '
                       rf'folder\), {other}; --split 0.8 splits anew'):
        resolve(files)
    assert resolve(files, split_given=False).parts is None


def test_a_picture_of_another_part_is_another_picture(resolve, capsys):
    layout = resolve(TRAIN_AND_TEST | {'test_labels.csv': table({'1.jpg': [CAT]})})
    assert layout.parts == {'images/train/1.jpg': 'train', 'images/test/2.jpg': 'test'}
    assert '1 of 1 pictures that test_labels.csv lists are not in the data set: 1.jpg' in capsys.readouterr().out


def test_a_split_of_other_folders_by_data_yaml(resolve):
    files = {'a/1.jpg': None, 'b/2.jpg': None, 'a/1.txt': yolo([CAT]), 'b/2.txt': yolo([DOG]),
             'data.yaml': 'path: /somewhere\ntrain: [a]\nval: b\nnames: [dog, cat]\n'}
    assert resolve(files, labels='annotations').parts == {'a/1.jpg': 'train', 'b/2.jpg': 'validation'}


def test_no_split_is_there(resolve):
    with pytest.raises(UserError, match=r'--split given: .* has no part for training'):
        resolve({'cat/1.jpg': None}, split_given=True)
    assert resolve({'train/1.jpg': None, 'train/1.xml': voc([CAT])}, labels='annotations').parts is None  # one part


def test_lines_of_a_list_that_fit_no_picture(resolve, capsys):
    files = {'JPEGImages/1.jpg': None, 'JPEGImages/2.jpg': None, 'Annotations/1.xml': voc([CAT]),
             'Annotations/2.xml': voc([DOG]), 'ImageSets/Main/train.txt': '1\n7\n', 'ImageSets/Main/val.txt': '2\n'}
    assert resolve(files).parts == {'JPEGImages/1.jpg': 'train', 'JPEGImages/2.jpg': 'validation'}
    assert '1 of 2 pictures that ImageSets/Main/train.txt lists are not in the data set: 7' in capsys.readouterr().out
