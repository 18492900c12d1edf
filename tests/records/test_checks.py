"""Records compared with the config that names them."""
import numpy as np
import pytest

from demo import make_records, make_scenes
from object_detection import records
from object_detection.config import label_map, pipeline


@pytest.fixture
def data_set(tmp_path):
    """A config whose readers name a label map with all labels, 8 training and 4 test records."""
    make_records.write_data_set(tmp_path, train=8, test=4, seed=0)
    reader = (f'label_map_path: "{tmp_path.as_posix()}/label_map.pbtxt" '
              'tf_record_input_reader {{ input_path: "{}" }}')
    return pipeline.parse(f'train_input_reader {{ {reader.format((tmp_path / "train.tfrecords").as_posix())} }}'
                        f'eval_input_reader {{ {reader.format((tmp_path / "test.tfrecords").as_posix())} }}')


def _messages(findings):
    return [(f.severity, f.field.split('.')[0], f.message) for f in findings]


def test_a_correct_data_set_has_no_findings_and_is_counted(data_set):
    findings, reports = records.check_data(data_set)
    assert findings == []
    assert list(reports) == ['train_input_reader', 'eval_input_reader[0]']
    assert [report.records for report in reports.values()] == [8, 4]
    assert reports['train_input_reader'].boxes_of == dict.fromkeys(make_scenes.LABELS, 2)


def test_a_sample_is_spread_over_the_records(data_set):
    _, reports = records.check_data(data_set, sample=3)
    assert [(report.records, report.checked) for report in reports.values()] == [(8, 3), (4, 3)]


def test_labels_that_only_one_side_has_are_reported(data_set, tmp_path):
    label_map.write(tmp_path / 'label_map.pbtxt', ['cross', 'disc', 'hexagon', 'star'])
    findings = _messages(records.check_data(data_set)[0])
    for reader in ('train_input_reader', 'eval_input_reader[0]'):
        said = [(severity, message) for severity, name, message in findings if name == reader]
        assert [severity for severity, _ in said] == ['error', 'warning']
        assert said[0][1].startswith("label 'triangle' is not in the label map: scene00003.jpg")
        assert said[1][1].endswith('has the label hexagon')


def test_a_broken_picture_and_a_truncated_file_are_both_reported(data_set, tmp_path):
    image, box = make_scenes.scene(np.random.default_rng(0), 'disc')
    whole = make_records.example(image, box, 'disc', 2, 'whole.jpg')
    broken = make_records.example(image, box, 'disc', 2, 'broken.jpg')
    broken.encoded = broken.encoded[:300]
    with records.Writer(tmp_path / 'train.tfrecords') as writer:
        writer.write(whole.to_bytes())
        writer.write(broken.to_bytes())
    test = (tmp_path / 'test.tfrecords').read_bytes()
    (tmp_path / 'test.tfrecords').write_bytes(test[:-50])
    errors = [(name, message) for severity, name, message in _messages(records.check_data(data_set)[0])
              if severity == 'error']
    assert [name for name, _ in errors] == ['train_input_reader', 'eval_input_reader[0]']
    assert 'broken.jpg' in errors[0][1] and 'cannot be decoded' in errors[0][1]
    assert 'test.tfrecords is truncated: record 3' in errors[1][1]


def test_records_without_any_box_are_a_warning(data_set, tmp_path):
    image, _ = make_scenes.scene(np.random.default_rng(0), 'disc')
    empty = make_records.example(image, (0, 0, 1, 1), 'disc', 2, 'empty.jpg')
    empty.boxes, empty.labels, empty.texts = [], [], []
    with records.Writer(tmp_path / 'test.tfrecords') as writer:
        writer.write(empty.to_bytes())
    assert _messages(records.check_data(data_set)[0]) == [
        ('warning', 'eval_input_reader[0]', 'none of the 1 records looked at has a box')]


def test_findings_of_the_config_checks_are_not_repeated(data_set):
    data_set.train_input_reader.tf_record_input_reader.input_path[0] = 'nowhere.tfrecords'
    data_set.train_input_reader.label_map_path = 'nowhere.pbtxt'
    findings, reports = records.check_data(data_set)
    assert findings == [] and list(reports) == ['eval_input_reader[0]']
