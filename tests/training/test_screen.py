"""What is printed about evaluations."""
import json

import numpy as np

from object_detection.evaluation.analysis import files as analysis_files
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
    assert 'no value' in text and 'best' not in text
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


def test_a_table_says_what_got_better_since_the_evaluation_before_and_what_was_best(tmp_path, capsys):
    record = Record(tmp_path)
    names = BOXES, f'{BOXES}@.50IOU', f'{BOXES}@.75IOU', f'{BOXES} (small)', 'Loss/total_loss'
    for step, values in ((10, (.1, .9, -1., -1., 3.)), (20, (.3, .2, .5, -1., 2.)), (30, (.2, .8, .5, -1., 1.))):
        record.add('eval', f'ckpt-{step}', step, list(zip(names, values)))
        screen.show_evaluation('eval', step, 7, list(zip(names, values)), record)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(': ', 1)[1] for line in lines if 'eval: ' in line] == [
        'step 10, 7 pictures: mAP 0.1000, mAP@.50IOU 0.9000, total_loss 3.0000',
        'step 20, 7 pictures: mAP 0.3000, mAP@.50IOU 0.2000, total_loss 2.0000',
        'step 30, 7 pictures: mAP 0.2000, mAP@.50IOU 0.8000, total_loss 1.0000']
    assert [line.split() for line in lines[-4:]] == [
        ['mAP', '0.2000', '-0.1000', '0.3000', '20'], ['mAP@.50IOU', '0.8000', '+0.6000', '0.9000', '10'],
        ['mAP@.75IOU', '0.5000', '+0.0000', '0.5000', '20'], ['total_loss', '1.0000', '-1.0000', '1.0000', 'now']]
    assert lines[-6].split('  ')[0] == 'metric' and 'since step 20' in lines[-6]
    assert 'since step 10' in '\n'.join(lines)  # but no table after the first evaluation
    assert sum(line.startswith('metric') for line in lines) == 2


def test_the_end_of_a_phase(capsys):
    screen.show_end('train', 754.2, 2_340_000_000)
    screen.show_end('eval', 3., None)
    first, second = capsys.readouterr().out.splitlines()
    assert first[9:] == 'train: done in 12:34, 2.34 GB of memory' and second[9:] == 'eval: done in 0:03'


def test_losses_of_both_stages_are_told_apart():
    assert screen.short_names(['Loss/RPNLoss/localization_loss', 'Loss/BoxClassifierLoss/localization_loss',
                               'Loss/BoxClassifierLoss/mask_loss', 'Loss/total_loss', 'learning_rate']) == [
        'RPNLoss/localization_loss', 'BoxClassifierLoss/localization_loss', 'mask_loss', 'total_loss', 'learning_rate']


def analysis(mean, spread, **more):
    """What a phase returns; its resamples lie within +-spread."""
    return {'map': mean, 'interval': [mean - spread, mean + spread],
            'resamples': np.linspace(-spread, spread, 200).tolist(), 'pictures': 7, **more}


def test_an_interval_and_what_may_be_chance(tmp_path, capsys):
    record = Record(tmp_path)
    for step, mean in ((10, .3), (20, .301), (30, .6)):
        known = analysis(mean, .1)
        if step == 20:
            known['resamples'].reverse()  # better in other pictures than before
        record.add('eval', f'ckpt-{step}', step, [(BOXES, mean)], known['interval'])
        analysis_files.write(tmp_path / 'analysis' / f'ckpt-{step}', {'step': step, 'classes': [], **known}, {})
        screen.show_evaluation('eval', step, 7, [(BOXES, mean)], record, analysis=known)
    text = capsys.readouterr().out
    assert 'mAP 0.3000; mAP is between 0.200 and 0.400 (95 %)' in text
    assert '+0.0010 (chance?)' in text and '+0.2990 ' in text and '+0.2990 (chance?)' not in text
    assert record.entries['ckpt-30']['interval'] == [.5, .7]


def test_classes_the_worst_first(capsys):
    entry = {'ap50': .5, 'ar': .5, 'threshold': .3, 'precision': .5, 'recall': .5, 'right': 1, 'wrong': 2, 'missed': 3}
    screen.show_classes({'classes': [{'name': 'good', 'groundtruth': 4, 'ap': .9, **entry},
                                     {'name': 'bad', 'groundtruth': 4, 'ap': .1, **entry},
                                     {'name': 'unseen', 'groundtruth': 0, 'ap': None, **entry, 'wrong': 0}]})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:]] == ['bad', 'good']
    screen.show_classes(None)
    assert capsys.readouterr().out == ''


def test_metrics_without_groundtruth_say_so(capsys):
    screen.show_metrics({f'{BOXES} (small)': -1., VOC: -1., 'Loss/total_loss': 1.5}, 'ckpt-1')
    text = capsys.readouterr().out
    assert 'no groundtruth of this size' in text and text.count('no groundtruth') == 2 and '1.5' in text
