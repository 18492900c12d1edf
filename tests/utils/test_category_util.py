import pytest

from object_detection.utils import category_util


def test_written_and_read(tmp_path):
    path = tmp_path / 'categories.csv'
    categories = [{'id': 2, 'name': 'a, b'}, {'id': 1, 'name': 'dog'}]
    category_util.save_categories_to_csv_file(categories, path)
    assert path.read_text() == '1,dog\n2,"a, b"\n'
    assert category_util.load_categories_from_csv_file(path) == [{'id': 1, 'name': 'dog'}, {'id': 2, 'name': 'a, b'}]


def test_lines_that_do_not_fit(tmp_path):
    path = tmp_path / 'categories.csv'
    path.write_text('1,dog\n\n2,cat,3\n')
    with pytest.raises(ValueError, match='2 fields per row in csv: 2,cat,3'):
        category_util.load_categories_from_csv_file(path)
