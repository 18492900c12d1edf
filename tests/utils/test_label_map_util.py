import subprocess
import sys

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.protos import string_int_label_map_pb2
from object_detection.utils import label_map_util
from object_detection.utils.errors import UserError

PETS = """
item { id: 2 name: "n02121808" display_name: "cat" }
item { id: 1 name: "dog" keypoints { id: 0 label: "nose" } keypoints { id: 1 label: "tail" } }
item { id: 5 name: "bird" frequency: RARE instance_count: 7 ancestor_ids: 1 ancestor_ids: 2 descendant_ids: 5 }
"""


@pytest.fixture
def pets(tmp_path):
    path = tmp_path / 'label_map.pbtxt'
    path.write_text(PETS)
    return path


def label_map(text):
    return text_format.Parse(text, string_int_label_map_pb2.StringIntLabelMap())


def test_category_index_of_a_file(pets):
    index = label_map_util.create_category_index_from_labelmap(str(pets), use_display_name=True)
    assert index == {2: {'id': 2, 'name': 'cat'},
                     1: {'id': 1, 'name': 'dog', 'keypoints': {'nose': 0, 'tail': 1}},
                     5: {'id': 5, 'name': 'bird', 'frequency': 'r', 'instance_count': 7}}
    assert list(index) == [2, 1, 5]


def test_names_instead_of_display_names(pets):
    categories = label_map_util.create_categories_from_labelmap(pets, use_display_name=False)
    assert [category['name'] for category in categories] == ['n02121808', 'dog', 'bird']


def test_the_three_lines_of_old_tutorials(pets):
    message = label_map_util.load_labelmap(pets)
    categories = label_map_util.convert_label_map_to_categories(message, max_num_classes=2, use_display_name=True)
    assert label_map_util.create_category_index(categories)[2] == {'id': 2, 'name': 'cat'}
    assert len(categories) == 2  # id 5 is above max_num_classes
    assert label_map_util.get_max_label_map_index(message) == 5


def test_categories_without_a_label_map():
    assert label_map_util.convert_label_map_to_categories(None, 2) == [
        {'id': 1, 'name': 'category_1'}, {'id': 2, 'name': 'category_2'}]


def test_the_first_of_several_classes_with_one_id():
    message = label_map('item { id: 1 name: "a" } item { id: 1 name: "b" }')
    assert label_map_util.convert_label_map_to_categories(message, 9) == [{'id': 1, 'name': 'a'}]


def test_dict_of_names(pets):
    assert label_map_util.get_label_map_dict(str(pets)) == {'n02121808': 2, 'dog': 1, 'bird': 5}
    assert label_map_util.get_label_map_dict(pets, use_display_name=True) == {'cat': 2, '': 5}
    assert label_map_util.get_label_map_dict(label_map(PETS), fill_in_gaps_and_background=True) == {
        'n02121808': 2, 'dog': 1, 'bird': 5, 'background': 0, '3': 3, '4': 4}


def test_keypoints_of_all_classes(pets):
    assert label_map_util.get_keypoint_label_map_dict(pets) == {'nose': 0, 'tail': 1}
    both = label_map('item { id: 1 name: "a" keypoints { id: 0 label: "x" } } '
                     'item { id: 2 name: "b" keypoints { id: 1 label: "x" } }')
    with pytest.raises(ValueError, match='Duplicated keypoint label: x'):
        label_map_util.get_keypoint_label_map_dict(both)
    both.item[1].keypoints[0].label, both.item[1].keypoints[0].id = 'y', 0
    with pytest.raises(ValueError, match='Duplicated keypoint ID: 0'):
        label_map_util.get_keypoint_label_map_dict(both)


def test_duplicate_keypoint_ids_of_a_class():
    message = label_map('item { id: 1 name: "a" keypoints { id: 3 label: "x" } keypoints { id: 3 label: "y" } }')
    with pytest.raises(ValueError, match='Found 3 more than once'):
        label_map_util.convert_label_map_to_categories(message, 1)


def test_hierarchy(pets):
    ancestors, descendants = label_map_util.get_label_map_hierarchy_lut(pets)
    expected = np.zeros([5, 5])
    expected[4, [0, 1]] = 1  # bird is a dog and a cat
    np.testing.assert_array_equal(ancestors, expected)
    assert descendants.sum() == descendants[4, 4] == 1
    assert label_map_util.get_label_map_hierarchy_lut(pets, include_identity=True)[0][2, 2] == 1


def test_class_agnostic_index():
    assert label_map_util.create_class_agnostic_category_index() == {1: {'id': 1, 'name': 'object'}}


@pytest.mark.parametrize('text, problem', [('item { id: -1 name: "a" }', '>= 0'),
                                           ('item { id: 0 name: "a" }', 'background')])
def test_ids_that_cannot_be(tmp_path, text, problem):
    path = tmp_path / 'map.pbtxt'
    path.write_text(text)
    with pytest.raises(ValueError, match=problem):
        label_map_util.load_labelmap(path)
    with pytest.raises(ValueError, match=problem):
        label_map_util.get_label_map_dict(label_map(text))


def test_background_may_have_id_0():
    assert label_map_util.get_label_map_dict(label_map('item { id: 0 name: "background" }')) == {'background': 0}


def test_missing_file_names_similar_ones(pets):
    with pytest.raises(FileNotFoundError, match=r'did you mean .*label_map\.pbtxt'):
        label_map_util.load_labelmap(str(pets).replace('label_map', 'labelmap'))
    with pytest.raises(OSError):  # what scripts catch
        label_map_util.create_category_index_from_labelmap('nowhere/map.pbtxt')


def test_text_that_does_not_fit_the_schema(tmp_path):
    path = tmp_path / 'map.pbtxt'
    path.write_text('item {\n  id: one\n  name: "a"\n}\n')
    with pytest.raises(UserError, match=r"map\.pbtxt:2:7: 'one' is not a whole number"):
        label_map_util.load_labelmap(path)


def test_imports_in_half_a_second_without_tensorflow(pets):
    """The best of three fresh interpreters; protobuf is all that it needs."""
    code = ('import time; start = time.perf_counter(); from object_detection.utils import label_map_util; '
            f'label_map_util.create_category_index_from_labelmap({str(pets)!r}); '
            'import sys; print(time.perf_counter() - start, *sorted({"tensorflow", "numpy", "PIL", "matplotlib"} & '
            'set(sys.modules)))')
    runs = [subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.split()
            for _ in range(3)]
    assert all(loaded == [] for _, *loaded in runs)
    assert min(float(seconds) for seconds, *_ in runs) < .5
