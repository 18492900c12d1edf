"""Records compared with the config that names them."""
import numpy as np
import pytest

from demo import make_records, make_scenes
from object_detection import protos, records
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
        assert [severity for severity, _ in said] == ['error', 'warning', 'warning']
        assert said[0][1].startswith("label 'triangle' is not in the label map: scene00003.jpg")
        assert 'contradict each other; the name counts: scene00002.jpg' in said[1][1]
        assert "'star' is 4 in the label map, not 3" in said[1][1]
        assert said[2][1].endswith('has the label hexagon')


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


def rewrite(path, change):
    """Write the records of a file again, after change(Example, number)."""
    examples = [records.Example.from_bytes(records.Records(path)[i]) for i in range(len(records.Records(path)))]
    for number, example in enumerate(examples):
        change(example, number)
    with records.Writer(path) as writer:
        for example in examples:
            writer.write(example.to_bytes())


def by_reader(findings):
    return [(f.severity, f.field.split('.')[0], f.message.split(':')[0]) for f in findings]


def test_records_of_which_no_box_can_be_used_stop_a_run(data_set, tmp_path):
    def unknown(example, number):
        example.texts, example.labels = [text.upper() for text in example.texts], [0] * len(example.texts)

    rewrite(tmp_path / 'train.tfrecords', unknown)
    for lenient in (False, True):
        findings = [f for f in records.check_data(data_set, lenient=lenient)[0] if f.field.startswith('train')]
        said = {f.message.partition(':')[0]: f.severity for f in findings}
        assert said["label 'DISC' is not in the label map, which has 'disc'"] == 'error'
        assert said['none of the 8 boxes in the 8 records looked at can be used'] == 'error'
        assert any('training would learn nothing' in f.message for f in findings)


def test_a_run_is_only_warned_of_what_leaves_usable_boxes(data_set, tmp_path):
    def change(example, number):
        if number == 0:
            example.texts = ['wheel']
        if number == 1:
            example.boxes = [tuple(64 * side for side in box) for box in example.boxes]

    rewrite(tmp_path / 'train.tfrecords', change)
    kinds = ["label 'wheel' is not in the label map",
             'a box is in pixels; coordinates are fractions of height and width, 0 to 1']
    for lenient, severity in ((False, 'error'), (True, 'warning')):
        findings, reports = records.check_data(data_set, lenient=lenient)
        assert by_reader(findings) == [(severity, 'train_input_reader', kind) for kind in kinds]
        assert (reports['train_input_reader'].boxes, reports['train_input_reader'].usable) == (8, 6)


def test_what_the_input_pipeline_fails_at_stops_a_run(data_set, tmp_path):
    def invert(example, number):
        if number == 2:
            example.boxes = [(ymax, xmin, ymin, xmax) for ymin, xmin, ymax, xmax in example.boxes]

    rewrite(tmp_path / 'test.tfrecords', invert)
    assert by_reader(records.check_data(data_set, lenient=True)[0]) == [
        ('error', 'eval_input_reader[0]', 'a box has its maximum before its minimum')]


def test_a_usable_box_outside_of_the_sample_is_found(data_set, tmp_path):
    def change(example, number):
        example.texts = ['wheel'] if number != 3 else example.texts

    rewrite(tmp_path / 'train.tfrecords', change)
    findings, reports = records.check_data(data_set, sample=3, lenient=True)
    assert reports['train_input_reader'].usable == 1
    assert ('warning', 'train_input_reader', "label 'wheel' is not in the label map") in by_reader(findings)
    assert not any(f.severity == 'error' for f in findings)


def test_more_boxes_than_the_reader_takes(data_set, tmp_path):
    def crowd(example, number):
        count = (3, 5, 1, 1)[number]
        example.boxes, example.texts, example.labels = example.boxes * count, example.texts * count, []

    rewrite(tmp_path / 'test.tfrecords', crowd)
    data_set.eval_input_reader[0].max_number_of_boxes = 2
    finding, = records.check_data(data_set)[0]
    assert finding.severity == 'warning' and 'record 1 at' in finding.message
    assert finding.message.startswith(
        '2 of 4 pictures have more boxes than max_number_of_boxes of the input_reader (2); the rest is left out, so '
        'set max_number_of_boxes: 5, or more: ')


def test_names_without_a_label_map_that_have_several_numbers(data_set, tmp_path):
    def change(example, number):
        example.texts, example.labels = ['disc'], [1 + number % 2]

    rewrite(tmp_path / 'test.tfrecords', change)
    data_set.eval_input_reader[0].label_map_path = ''
    finding, = records.check_data(data_set, training=False)[0]
    assert finding.message == "class 'disc' has the numbers 1, 2; without label_map_path the numbers count"


def test_readers_of_the_same_records_share_their_findings(data_set, tmp_path):
    def change(example, number):
        example.texts = ['wheel'] if number == 0 else example.texts

    rewrite(tmp_path / 'train.tfrecords', change)
    data_set.eval_input_reader[0].tf_record_input_reader.input_path[:] = [str(tmp_path / 'train.tfrecords')]
    data_set.eval_input_reader.add().CopyFrom(data_set.eval_input_reader[0])
    findings, reports = records.check_data(data_set)
    assert [f.field for f in findings] == ['train_input_reader.tf_record_input_reader.input_path']
    assert len(reports) == 3 and len({id(report) for report in reports.values()}) == 1


def test_without_its_label_map_a_reader_s_labels_are_left_alone(data_set, tmp_path):
    (tmp_path / 'label_map.pbtxt').write_text('item {')
    rewrite(tmp_path / 'train.tfrecords', lambda example, number: setattr(example, 'labels', []))
    assert records.check_data(data_set)[0] == []


def test_training_records_without_any_box_are_an_error_once_all_were_opened(data_set, tmp_path):
    def empty(example, number):
        example.boxes, example.texts, example.labels = [], [], []

    rewrite(tmp_path / 'train.tfrecords', empty)
    assert by_reader(records.check_data(data_set)[0]) == [
        ('error', 'train_input_reader', 'none of the 8 records looked at has a box')]
    assert by_reader(records.check_data(data_set, sample=4)[0]) == [
        ('warning', 'train_input_reader', 'none of the 4 records looked at has a box')]


def test_features_under_other_names_are_named_where_boxes_are_missing(data_set, tmp_path):
    example = records.Records(tmp_path / 'test.tfrecords')[0]
    message = protos.Example.FromString(example)
    features = message.features.feature
    for side in ('xmin', 'xmax', 'ymin', 'ymax'):
        features[f'image/bbox/{side}'].CopyFrom(features[f'image/object/bbox/{side}'])
        del features[f'image/object/bbox/{side}']
    for name in ('text', 'label'):
        del features[f'image/object/class/{name}']
    with records.Writer(tmp_path / 'test.tfrecords') as writer:
        writer.write(message.SerializeToString())
    finding, = records.check_data(data_set, training=False)[0]
    assert finding.message == ('none of the 1 records looked at has a box; they have features that are not read: '
                               'image/bbox/xmax, image/bbox/xmin, image/bbox/ymax, image/bbox/ymin')


def test_time_is_bounded_and_the_sample_is_spread_all_the_same(tmp_path):
    image, box = make_scenes.scene(np.random.default_rng(0), 'disc')
    with records.Writer(tmp_path / 'x') as writer:
        for i in range(64):
            writer.write(make_records.example(image, box, 'disc' if i else 'star', 2, f'{i}.jpg').to_bytes())
    report = records.check(tmp_path / 'x', seconds=1e-9)
    assert (report.records, report.checked) == (64, 16)  # every fourth, the first among them
    assert records.check(tmp_path / 'x', seconds=60).checked == 64
