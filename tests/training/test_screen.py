"""What is printed about evaluations."""
import json

from object_detection.runs import best
from object_detection.runs.record import Record
from object_detection.training import screen

BOXES, VOC = 'DetectionBoxes_Precision/mAP', 'PascalBoxes_Precision/mAP@0.5IOU'


def summary(folder, capsys, **evaluations):
    """What show_summary prints about {checkpoint: metrics}."""
    for name in evaluations:
        for end in ('index', 'data-00000-of-00001'):
            (folder / f'{name.replace("_", "-")}.{end}').touch()
    record = {name.replace('_', '-'): {'step': step, 'eval': values} for step, (name, values) in
              enumerate(evaluations.items())}
    (folder / 'run.json').write_text(json.dumps({'checkpoints': record}))
    best.follow(Record(folder))
    screen.show_summary(Record(folder))
    return capsys.readouterr().out


def test_all_metrics_of_the_newest_and_the_best_checkpoint(tmp_path, capsys):
    text = summary(tmp_path, capsys, ckpt_1={BOXES: .4, VOC: .5}, ckpt_2={BOXES: .3, VOC: .6})
    assert BOXES in text and VOC in text and 'ckpt-2, step 1' in text
    assert f'best: mAP 0.4000, step 0: {tmp_path / "best" / "ckpt-1"}' in text
    assert f'last: mAP 0.3000, step 1: {tmp_path / "ckpt-2"}' in text


def test_no_value(tmp_path, capsys):
    text = summary(tmp_path, capsys, ckpt_1={VOC: None})
    assert 'nan' in text and 'best' not in text
    text = summary(tmp_path, capsys, ckpt_1={VOC: .5}, ckpt_2={VOC: None})
    assert f'last: PascalBoxes_Precision/mAP@0.5IOU no value, step 1: {tmp_path / "ckpt-2"}' in text


def test_no_evaluation_no_summary(tmp_path, capsys):
    screen.show_summary(Record(tmp_path))
    assert capsys.readouterr().out == ''


def test_one_line_for_each_evaluation(capsys):
    metrics = [(BOXES, .4), (f'{BOXES}@.50IOU', .6), (f'{BOXES}@.75IOU', .2), ('DetectionBoxes_Recall/AR@1', .3),
               (VOC, .5), ('PascalBoxes_PerformanceByCategory/AP@0.5IOU/cat', .5), ('Loss/box_loss', 1.),
               ('Loss/total_loss', 2.)]
    screen.show_evaluation('eval', 7, 3, metrics)
    assert ('eval: step 7, 3 pictures: mAP 0.4000, mAP@.50IOU 0.6000, PascalBoxes_Precision/mAP@0.5IOU 0.5000, '
            'total_loss 2.0000') in capsys.readouterr().out


def test_losses_of_both_stages_are_told_apart():
    assert screen.short_names(['Loss/RPNLoss/localization_loss', 'Loss/BoxClassifierLoss/localization_loss',
                               'Loss/BoxClassifierLoss/mask_loss', 'Loss/total_loss', 'learning_rate']) == [
        'RPNLoss/localization_loss', 'BoxClassifierLoss/localization_loss', 'mask_loss', 'total_loss', 'learning_rate']
