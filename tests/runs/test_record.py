"""run.json: what stands in it, and that it survives kills, damage and other processes."""
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from object_detection.runs import about
from object_detection.runs.record import Record, read
from object_detection.utils import oslock, phases
from object_detection.utils.errors import UserError

BOXES, VOC = 'DetectionBoxes_Precision/mAP', 'PascalBoxes_Precision/mAP@0.5IOU'


def content(folder):
    return json.loads((folder / 'run.json').read_text(encoding='utf-8'))


def begin(folder, trains=True, config='model {}', **data):
    record = Record(folder)
    record.start(config, {name: {'digest': known} for name, known in data.items()}, trains, command=['x'])
    return record


def test_a_metric_without_a_value_is_null(tmp_path):
    Record(tmp_path).add('eval', 'ckpt-1', 5, [(BOXES, .5), (VOC, math.nan)])
    assert content(tmp_path)['checkpoints'] == {'ckpt-1': {'step': 5, 'eval': {BOXES: .5, VOC: None}}}


def test_the_record_knows_which_evaluations_it_has(tmp_path):
    record = Record(tmp_path)
    record.add('eval', 'ckpt-2', 5, [(BOXES, .5)])
    record.add('eval_train', 'ckpt-2', 5, [(BOXES, .6)])
    record.add('eval', 'ckpt-3', 10, [(BOXES, .7)])
    record = Record(tmp_path)
    assert record.evaluated('eval') == ['ckpt-2', 'ckpt-3'] and record.evaluated('eval_train') == ['ckpt-2']
    record.forget('ckpt-2')
    record.forget('ckpt-9')
    assert Record(tmp_path).entries == {'ckpt-3': {'step': 10, 'eval': {BOXES: .7}}}


def test_starts_share_configs_and_data(tmp_path):
    begin(tmp_path, train='a')
    begin(tmp_path, train='a', evaluation='b')
    record = begin(tmp_path, config='model { ssd {} }', train='c')
    written = content(tmp_path)
    assert [start['data'] for start in written['starts']] == [
        {'train': 'a'}, {'train': 'a', 'evaluation': 'b'}, {'train': 'c'}]
    first, second, third = (start['config'] for start in written['starts'])
    assert first == second != third and written['configs'] == {first: 'model {}', third: 'model { ssd {} }'}
    assert set(written['data']) == {'a', 'b', 'c'}
    assert record.data_of(record.last_start()) == {'train': {'digest': 'c'}}


def test_a_phase_from_its_begin_to_its_end(tmp_path):
    record = begin(tmp_path)
    phase = record.phase('train')
    running, = content(tmp_path)['phases']
    assert running['outcome'] is None and running['start'] == 0
    for name, values in (('device', {'device': 'H100', 'count': 2}), ('started', {'step': 10, 'target': 20}),
                         ('warning', {'text': 'odd'}), ('warning', {'text': 'odd'}),
                         ('progress', {'step': 17, 'loss': 1., 'steps_per_second': 2.})):
        phase.on_event(name, values)
    phase.end(phases.Outcome(phases.NOT_FINITE, 'the loss is NaN', peak_memory=123))
    ended, = content(tmp_path)['phases']
    assert ended.pop('seconds') >= 0
    assert ended == {**running, 'device': 'H100 x 2', 'from_step': 10, 'warnings': ['odd'], 'step': 17,
                     'outcome': 'not finite', 'message': 'the loss is NaN', 'peak_memory': 123}


def test_a_phase_that_nobody_ended_was_killed_if_it_trained(tmp_path):
    begin(tmp_path).phase('train')
    begin(tmp_path, trains=False).phase('eval')  # evaluates beside the training, and may still
    begin(tmp_path)
    assert [phase['outcome'] for phase in content(tmp_path)['phases']] == ['killed', None]


def test_a_deleted_file_comes_back_with_what_is_known(tmp_path):
    record = begin(tmp_path)
    phase = record.phase('train')
    (tmp_path / 'run.json').unlink()
    phase.end(phases.Outcome(phases.DONE, data={'step': 5}))
    kept, = content(tmp_path)['phases']
    assert kept['outcome'] == 'done' and kept['step'] == 5 and kept['start'] is None


def test_metrics_of_earlier_versions_are_taken_over(tmp_path):
    entries = {'ckpt-2': {'step': 20, 'eval': {BOXES: .5}}}
    (tmp_path / 'metrics.json').write_text(json.dumps(entries))
    record = Record(tmp_path)
    assert record.entries == entries and (tmp_path / 'metrics.json').exists()  # reading changes nothing
    record.add('eval', 'ckpt-3', 30, [(BOXES, .6)])
    assert content(tmp_path)['checkpoints'] == {**entries, 'ckpt-3': {'step': 30, 'eval': {BOXES: .6}}}
    assert not (tmp_path / 'metrics.json').exists()


@pytest.mark.parametrize('text, message', [
    ('{"format": 1,\n "starts": [', 'run.json:2:13: is not JSON'), ('[' * 100_000, 'is not JSON'),
    ('[]', 'run.json: the content must be an object, not []; move the file away'), ('{"format": 2}', 'the format 2'),
    ('{"phases": {}}', 'phases must be a list, not {}'), ('\xff', 'run.json'),
    ('{"starts": [1]}', 'starts[0] must be an object, not 1'), ('{"starts": [{}]}', 'starts[0].trains is missing'),
    ('{"starts": [{"trains": true, "data": {"x": 1}}]}', 'starts[0].data.x must be text, not 1'),
    ('{"phases": [{"title": "train"}]}', 'phases[0].outcome is missing'),
    ('{"checkpoints": {"ckpt-1": {"step": true}}}', 'checkpoints.ckpt-1.step must be a whole number, not true'),
    ('{"checkpoints": {"ckpt-1": {"step": 1, "eval": {"mAP": "x"}}}}', 'eval.mAP must be a number or null, not "x"'),
    ('{"recovery": {"rollbacks": [{"step": 1, "checkpoint": "c", "factor": null}]}}', 'factor must be a number, not n'),
    ('{"mlflow": []}', 'mlflow must be an object'), ('{"configs": {"a": ' + '9' * 5000 + '}}', ': is not JSON')])
def test_a_damaged_file_is_one_line(tmp_path, text, message):
    (tmp_path / 'run.json').write_text(text, encoding='latin-1')
    with pytest.raises(UserError) as error:
        Record(tmp_path)
    assert message in str(error.value) and '\n' not in str(error.value)


def _write_some(folder, process):
    for number in range(15):
        record = Record(folder)
        record.add('eval', f'ckpt-{process}-{number}', number, [(BOXES, .5)])
        phase = record.phase('eval')
        phase.end(phases.Outcome(phases.DONE, data={'step': number}))


def test_processes_do_not_lose_each_others_entries(tmp_path):
    processes = [multiprocessing.get_context('spawn').Process(target=_write_some, args=(tmp_path, number))
                 for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    written = content(tmp_path)
    assert len(written['checkpoints']) == 45
    assert [phase['outcome'] for phase in written['phases']] == ['done'] * 45


WRITE = '''
import sys
from object_detection.runs.record import Record
record = Record(sys.argv[1])
print("ready", flush=True)
while True:
    record.add("eval", "ckpt-1", 1, [("x" * 100_000, 0.5)])
'''


@pytest.mark.skipif(sys.platform == 'win32', reason='SIGKILL')
def test_a_kill_leaves_the_file_whole(tmp_path):
    for wait in (.02, .05, .08):
        writer = subprocess.Popen([sys.executable, '-c', WRITE, tmp_path], stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(wait)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        read(tmp_path / 'run.json')
        Record(tmp_path).add('eval', 'ckpt-2', 2, [(BOXES, .5)])  # the lock died with its holder
    assert set(content(tmp_path)['checkpoints']) == {'ckpt-1', 'ckpt-2'}


def test_a_turn_is_waited_for(tmp_path):
    with oslock.turn(tmp_path / '.lock'), pytest.raises(UserError, match='another process has held this lock'), \
            oslock.turn(tmp_path / '.lock', seconds=.05):
        pass


def test_versions_and_machine():
    versions, machine = about.versions(), about.machine()
    assert versions['Python'].split('.')[:2] == list(map(str, sys.version_info[:2]))
    assert versions['TensorFlow'].startswith('2.') and versions['object-detection'][0].isdigit()
    assert machine['cores'] >= 1 and machine['processor'] and (machine['memory_gb'] or 1) > 0
