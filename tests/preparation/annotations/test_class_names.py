"""The names of YOLO's class numbers come from a file that lists them, in any of the usual forms, or not at all."""
import pytest

from object_detection.preparation.annotations import class_names, data_yaml
from object_detection.preparation.annotations.class_names import ClassNames
from object_detection.preparation.annotations.entry import Unreadable
from object_detection.utils.errors import UserError


@pytest.fixture
def names(tmp_path):
    """names({path: text or bytes}, file='pets/a/1.txt') -> what holds for the file."""
    def names(files, file='pets/a/1.txt'):
        (tmp_path / 'pets' / 'a').mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ClassNames([tmp_path / 'pets']).of(str(tmp_path / file)).names
    return names


@pytest.mark.parametrize(('name', 'content'), [
    ('classes.txt', 'dog\ncat\n'), ('obj.names', 'dog\r\ncat\r\n\r\n'), ('_darknet.labels', ' dog \ncat'),
    ('pets.names', 'dog\ncat'), ('labels.txt', 'dog\ncat'), ('predefined_classes.txt', 'dog\ncat'),
    ('Classes.TXT', 'dog\ncat'), ('classes.txt', b'\xef\xbb\xbfdog\ncat\n'),
    ('classes.txt', 'dog\ncat'.encode('utf-16')),
    ('notes.json', '{"categories": [{"id": 1, "name": "cat"}, {"id": 0, "name": "dog"}]}'),
    ('data.yaml', 'nc: 2\nnames: [dog, cat]\n'), ('data.yml', 'names:\n  0: dog\n  1: cat # a comment\n'),
    ('pets.yaml', "train: x\nnames:\n- 'dog'\n- \"cat\"\nroboflow:\n  names: [no, names]\n")])
def test_every_file_that_names_classes(names, name, content):
    assert sorted(names({f'pets/{name}': content}).items()) == [(0, 'dog'), (1, 'cat')]
    assert sorted(names({f'pets/a/{name}': content}).items()) == [(0, 'dog'), (1, 'cat')]


def test_no_file_is_an_error(names):
    with pytest.raises(UserError, match=r'1\.txt: holds class numbers, and no file .* Put a classes\.txt'):
        names({'pets/data.yaml': 'train: images\n'})


def test_files_above_the_data_set_do_not_count(names):
    with pytest.raises(UserError):
        names({'classes.txt': 'dog\ncat'})


def test_the_nearest_folder_counts(names, capsys):
    assert names({'pets/a/classes.txt': 'cat\ndog', 'pets/data.yaml': 'names: [dog, cat]'}) == {0: 'cat', 1: 'dog'}
    assert 'give class numbers different names; the first counts' in capsys.readouterr().out


def test_the_list_of_labelimg_itself_gives_way(names):
    assert names({'pets/predefined_classes.txt': 'person\ncar', 'pets/classes.txt': 'dog\ncat'}) == {0: 'dog', 1: 'cat'}


def test_files_that_contradict_one_another(names):
    with pytest.raises(UserError, match=r'classes.txt: dog, cat; data.yaml: cat, dog\); delete the wrong one'):
        names({'pets/classes.txt': 'dog\ncat', 'pets/data.yaml': 'names: [cat, dog]'})


def test_an_empty_line_keeps_its_number(names):
    assert names({'pets/classes.txt': 'dog\n\ncat\n\n'}) == {0: 'dog', 1: '', 2: 'cat'}


@pytest.mark.parametrize(('name', 'content', 'message'), [
    ('classes.txt', 'dog\nK\xe4tzchen'.encode('latin-1'), 'classes.txt: line 2 is not UTF-8 text; save'),
    ('data.yaml', 'train: x\nnames: [dog', 'data.yaml: line 2: cannot be read as YAML'),
    ('data.yaml', 'names:\n  0: dog\n  0: cat', 'line 3: cannot be read as YAML: 0 stands twice'),
    ('data.yaml', 'names: {0: dog, 00: cat}', 'names is neither'),
    ('data.yaml', 'nc: 3\nnames: [dog, cat]', 'data.yaml: nc says 3 classes, but names has 2'),
    ('data.yaml', 'names: {a: dog}', 'names is neither'), ('notes.json', '{"categories": ', 'cannot be read as JSON'),
    ('data.yaml', 'names: [dog]\nkpt_shape: 17', 'kpt_shape is not')])
def test_files_that_cannot_be_read(names, name, content, message):
    with pytest.raises(UserError, match=message):
        names({f'pets/{name}': content})


@pytest.mark.parametrize(('text', 'expected'), [
    ('names: [no, 1, "a, b", \'it\'\'s\', c#d] # five', ['no', '1', 'a, b', "it's", 'c#d']),
    ('names: [\n  dog,\n  cat,\n]\ntrain: x', ['dog', 'cat']), ('names: []', []),
    ('names:\n- stop, sign\n- x', ['stop, sign', 'x']), ('nc: 1\nnames:\n  - null', ['null']),
    ('names: &a [dog]\nother: *a', ['dog']), ('names: ["a\\tb"]', ['a\tb']), ('nc: 2', []), ('', []), ('- a', []),
    ('other: [', []), ('names: !!python/object:os.system [a]', ['a'])])
def test_lists_of_yaml(text, expected):
    assert data_yaml.class_names(data_yaml.read(text)) == dict(enumerate(expected))


@pytest.mark.parametrize(('text', 'expected'), [
    ('names:\n\n  0: a b\n\n  1: c:d\n', {0: 'a b', 1: 'c:d'}), ('names: {0: a, 2: "b"}', {0: 'a', 2: 'b'})])
def test_maps_of_yaml(text, expected):
    assert data_yaml.class_names(data_yaml.read(text)) == expected


@pytest.mark.parametrize('text', [
    'names:\n- a: b', 'names: [a, [b]]', 'names: [a', 'names: |\n  a', 'names:\n  a:\n  - b', 'names: {0: a, b}',
    'names: dog', 'names: &a [*a]', 'names:\n\t- a', 'names: ' + '[' * 5000, 'names: {-1: a}', 'names: {1.0: a}'])
def test_other_yaml(text):
    with pytest.raises(Unreadable, match=r'write it as one item a line|cannot be read as YAML'):
        data_yaml.class_names(data_yaml.read(text))


def test_yaml_of_a_split():
    values = data_yaml.read('path: ../pets  # here\ntrain: ../train/images\nval:\n  - a.txt\n  - b.txt\n')
    assert {key: data_yaml.texts(values.get(key)) for key in ('path', 'train', 'val', 'test')} == {
        'path': ['../pets'], 'train': ['../train/images'], 'val': ['a.txt', 'b.txt'], 'test': []}


@pytest.mark.parametrize('text', ['names: [a]\nkpt_shape: [2, 0]', 'names: [a]\nkpt_shape: [' + '9' * 5000 + ', 2]',
                                  'names:\n  ' + '9' * 500 + ': a',
                                  'names: [a]\nkpt_shape: [2, 3]\nkpt_names: [nose]',
                                  'names: [a]\nkpt_shape: [1, 3]\nkpt_names: {x: [nose]}'])
def test_numbers_of_a_yaml_out_of_range(text, tmp_path):
    (tmp_path / 'data.yaml').write_text(text)
    with pytest.raises(Unreadable, match=r'kpt_shape is not|class numbers|kpt_names does not'):
        class_names._from_yaml(tmp_path / 'data.yaml')


@pytest.mark.parametrize('points', ['{0: [nose, tail], 1: [beak, wing]}', '[nose, tail]'])
def test_names_of_keypoints(points, tmp_path):
    (tmp_path / 'data.yaml').write_text(f'names: [dog, bird]\nkpt_shape: [2, 3]\nkpt_names: {points}\n')
    known = class_names._from_yaml(tmp_path / 'data.yaml')
    assert known.keypoint_names == {0: ['nose', 'tail'], 1: ['beak', 'wing'] if '{' in points else ['nose', 'tail']}


def test_one_name_for_two_class_numbers(names, capsys):
    assert names({'pets/data.yaml': 'names: [dog, cat, dog]'}) == {0: 'dog', 1: 'cat', 2: 'dog'}
    assert 'gives several class numbers the name dog; they count as one class' in capsys.readouterr().out
