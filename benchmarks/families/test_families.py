"""The benchmark of families: its configs are valid, and values that miss their targets are named."""
import pytest

from benchmarks.families import __main__ as families
from demo import shapes
from object_detection.config import checks, label_map, pipeline


@pytest.mark.parametrize('name', [*families.FAMILIES, 'mask_rcnn_start'])
def test_configs_are_valid(tmp_path, name, monkeypatch):
    monkeypatch.setattr(families, 'SETS', {'train': 2, 'test': 2})
    families.prepare(None, tmp_path)
    assert [item.name for item in label_map.load(tmp_path / 'label_map.pbtxt').items] == list(shapes.LABELS)
    path = tmp_path / 'pipeline.config'
    path.write_text(families.text_of(name, tmp_path, tmp_path / 'ckpt-2'), encoding='utf-8')
    for part in ('index', 'data-00000-of-00001'):
        (tmp_path / f'ckpt-2.{part}').touch()
    assert [finding for finding in checks.check(pipeline.read(path), path) if finding.severity == 'error'] == []


def test_missed_targets_are_named():
    row = dict(zip(families.COLUMNS, ('mask_rcnn', 'x', 64, 5, 3, .95, .89, None, 0.)))
    assert families.line(row) == '| mask_rcnn | x | 64 | 5 | 3 | 0.950 | 0.890 |  | 0 |'
    assert families.missed(row) == ['mask_rcnn: masks mAP@.50 is 0.890, target: 0.9']
    assert families.missed({**row, 'masks mAP@.50': .9, 'export differs by': 2e-4}) == [
        'mask_rcnn: the export differs by 2.0e-04']


def test_metrics_of_keypoints_are_averaged_over_the_classes():
    assert families.at_half({
        'DetectionBoxes_Precision/mAP@.50IOU': .9, 'DetectionBoxes_Precision/mAP': .5,
        'Keypoints_Precision/mAP@.50IOU ByCategory/square': .5,
        'Keypoints_Precision/mAP@.50IOU ByCategory/triangle': 1.}) == [.9, None, .75]
