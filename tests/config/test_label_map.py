import pytest

from object_detection.config import label_map
from object_detection.utils.errors import UserError


@pytest.fixture
def save(tmp_path):
    def write(text):
        path = tmp_path / 'label_map.pbtxt'
        path.write_text(text, encoding='utf-8')
        return path
    return write


def test_round_trip(tmp_path):
    path = tmp_path / 'new/label_map.pbtxt'
    label_map.write(path, ['Down', 'Sit "still"', 'Größe'])
    assert path.read_text(encoding='utf-8').startswith('item {\n  name: "Down"\n  id: 1\n}\n')
    labels = label_map.load(path)
    assert [(item.id, item.name) for item in labels.items] == [(1, 'Down'), (2, 'Sit "still"'), (3, 'Größe')]
    assert labels.num_classes == 3 and not labels.warnings


def test_display_names_keypoints_gaps_and_background(save):
    labels = label_map.load(save('''
        item { id: 0 name: "background" }
        item { name: "/m/01g317" id: 1 display_name: "person"
               keypoints { id: 0 label: "nose" } keypoints { id: 1 label: "left_eye" } }
        item: { id: 4, name: 'dog' }  # single quotes, commas and colons are text protos too
        item { id: 5 display_name: "cat" }'''))
    person = labels.items[0]
    assert person.keypoints == {'nose': 0, 'left_eye': 1}
    assert (labels.name_of(1), labels.name_of(4), labels.name_of(5), labels.name_of(2)) == \
        ('person', 'dog', 'cat', 'category_2')
    assert labels.item_of('/m/01g317').id == labels.item_of('person').id == 1
    assert labels.num_classes == 5
    assert len(labels.warnings) == 1 and 'no class has id 2, 3;' in labels.warnings[0]


def test_unknown_name_suggests_similar_ones(save):
    labels = label_map.load(save('item { id: 1 name: "Stand" } item { id: 2 name: "Sit" }'))
    with pytest.raises(UserError, match=r"no class 'Stnad'; did you mean Stand"):
        labels.item_of('Stnad')
    with pytest.raises(UserError, match='it has Stand, Sit'):
        labels.item_of('xxxxxx')


def test_all_broken_entries_are_reported_with_their_lines(save):
    path = save('''item { name: "a"
        id: 1 }
item { name: "a" id: 2 }
item { name: "b" id: 1 }
item { name: "c" id: 0 }
item { id: 7 }
item { name: "d" }
item { name: "e" id: 8 keypoints { id: 0 label: "x" } keypoints { id: 0 label: "y" } }
item { name: "f" id: -1 }
''')
    with pytest.raises(UserError) as error:
        label_map.load(path)
    found = [finding.removeprefix(f'{path}:') for finding in error.value.findings]
    assert [finding.split(':')[0] for finding in found] == ['3', '4', '5', '6', '7', '8', '9']
    for finding, words in zip(found, ("name 'a' is given twice (first on line 2)", 'id 1 is given twice',
                                      'id 0; ids start at 1', 'has no name', "class 'd' has no id",
                                      'keypoint id 0 is given twice', 'id -1; ids start at 1')):
        assert words in finding


def test_empty_and_misspelled(save):
    with pytest.raises(UserError, match='has no class'):
        label_map.load(save('# nothing\n'))
    with pytest.raises(UserError, match=r":2:1: 'itme' is not a field .* did you mean item\?"):
        label_map.load(save('\nitme { id: 1 name: "a" }'))


def test_spaces_around_a_name_are_a_warning(save):
    assert 'begins or ends with a space' in label_map.load(save('item { id: 1 name: "dog " }')).warnings[0]


def test_an_id_of_another_size_is_an_error_and_takes_no_memory(save):
    with pytest.raises(UserError, match="class 'b' has id 2000000000, and a model has as many outputs as the highest"):
        label_map.load(save('item { id: 1 name: "a" }\nitem { id: 2000000000 name: "b" }'))
    labels = label_map.load(save('item { id: 2 name: "a" } item { id: 100000 name: "b" }'))
    assert len(labels.warnings) == 1
    assert 'no class has id 1, 3, 4, 5, 6, 7, 8, 9, 10, 11 ...; the model keeps 99998 unused' in labels.warnings[0]


def test_a_name_of_two_classes_means_the_higher_id_as_in_the_reference(save):
    labels = label_map.load(save('item { id: 1 name: "cat" } item { id: 2 name: "dog" display_name: "cat" }'))
    assert labels.ids == {'cat': 2, 'dog': 2}
    assert labels.warnings[0].endswith("'cat' is the display_name of class 2 and the name of class 1; in the records "
                                       'it means the higher of the two')


def test_typographic_quotes_in_a_label_map(save):
    with pytest.raises(UserError, match=r'label_map\.pbtxt:2:9: typographic quotes \(‘ ’\) stand where straight ones'):
        label_map.load(save('item { id: 1\n  name: ‘dog’ }'))
