"""What is printed about evaluations."""
import json

from object_detection.runs.record import Record
from object_detection.training import screen

BOXES, VOC = 'DetectionBoxes_Precision/mAP', 'PascalBoxes_Precision/mAP@0.5IOU'


def summary(folder, capsys, deleted=(), **evaluations):
    """What show_summary prints about {checkpoint: metrics}."""
    for name in evaluations:
        index = folder / f'{name.replace("_", "-")}.index'
        if name in deleted:
            index.unlink(missing_ok=True)
        else:
            index.touch()
    record = {name.replace('_', '-'): {'step': step, 'eval': values} for step, (name, values) in
              enumerate(evaluations.items())}
    (folder / 'run.json').write_text(json.dumps({'checkpoints': record}))
    screen.show_summary(Record(folder))
    return capsys.readouterr().out


def test_all_metrics_of_the_newest_and_the_best_checkpoint(tmp_path, capsys):
    text = summary(tmp_path, capsys, ckpt_1={BOXES: .4, VOC: .5}, ckpt_2={BOXES: .3, VOC: .6})
    assert BOXES in text and VOC in text and 'ckpt-2, step 1' in text
    assert f'best mAP 0.4000: {tmp_path / "ckpt-1"}, step 0' in text


def test_the_best_is_one_that_still_exists(tmp_path, capsys):
    values = {'ckpt_1': {BOXES: .4}, 'ckpt_2': {BOXES: .3}, 'ckpt_3': {BOXES: .2}}
    text = summary(tmp_path, capsys, ['ckpt_1'], **values)
    assert f'best mAP 0.3000: {tmp_path / "ckpt-2"}, step 1' in text
    assert 'mAP 0.4000 was reached by ckpt-1, step 0, which was deleted' in text
    text = summary(tmp_path, capsys, ['ckpt_3'], **values)
    assert f'best mAP 0.4000: {tmp_path / "ckpt-1"}' in text and 'was deleted' not in text
    text = summary(tmp_path, capsys, list(values), **values)
    assert 'best mAP' not in text and 'reached by ckpt-1' in text


def test_the_best_by_whatever_metric_comes_first(tmp_path, capsys):
    text = summary(tmp_path, capsys, ckpt_1={BOXES: .9}, ckpt_2={VOC: .5}, ckpt_3={VOC: None}, ckpt_4={VOC: .4})
    assert f'best PascalBoxes_Precision/mAP@0.5IOU 0.5000: {tmp_path / "ckpt-2"}' in text
    text = summary(tmp_path, capsys, ckpt_1={VOC: None})
    assert 'nan' in text and 'best Pascal' not in text


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
