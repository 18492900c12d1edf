"""best/: which checkpoint it holds, whatever was deleted, killed or rewritten meanwhile."""
import json
import os
import shutil

import pytest

from object_detection.runs import best
from object_detection.runs.record import Record
from object_detection.utils import machine
from object_detection.utils.errors import UserError

MAP, LOSS = 'DetectionBoxes_Precision/mAP', 'Loss/total_loss'


class Killed(BaseException):
    """Stands for SIGKILL."""


class Run:
    """A model_dir with evaluated checkpoints of a few bytes."""

    def __init__(self, folder):
        self.folder, self.record = folder, Record(folder)

    def saved(self, number, value=None, loss=1., age=100, metric=MAP):
        """Write ckpt-NUMBER, and evaluate it if there is a value."""
        for end in ('data-00000-of-00001', 'index'):
            path = self.folder / f'ckpt-{number}.{end}'
            path.write_text(f'{end} of {number}, {value}')
            os.utime(path, (10 ** 9 + 60 * number - age, 10 ** 9 + 60 * number - age))
        self.record.forget(f'ckpt-{number}')
        if value is not None:
            self.record.add('eval', f'ckpt-{number}', 100 * number, [(metric, value), (LOSS, loss)])

    def deleted(self, number):
        for path in self.folder.glob(f'ckpt-{number}.*'):
            path.unlink()

    def slimmed(self, number):
        """What checkpoints/slim.py does to it."""
        index = self.folder / f'ckpt-{number}.index'
        stat, new = index.stat(), self.folder / 'new'
        for shard in range(2):
            (self.folder / f'ckpt-{number}.data-0000{shard}-of-00002').write_text(f'slim {number}')
        new.write_text(f'slim index of {number}')
        os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        new.replace(index)
        (self.folder / f'ckpt-{number}.data-00000-of-00001').unlink()

    def follow(self, *arguments, **options):
        found = best.follow(self.record, *arguments, **options)
        return found and (found.checkpoint, found.value)

    def whole(self):
        """What best/ holds, and nothing else: (checkpoint that best.json names, value, its index, its data)."""
        folder = self.folder / 'best'
        kept = best.read(folder)
        assert (folder / 'checkpoint').read_text().startswith(f'model_checkpoint_path: "{kept.files}"')
        data = sorted(path for path in folder.iterdir() if '.data-' in path.name)
        others = {path.name for path in folder.iterdir()} - {path.name for path in data}
        assert others == {'best.json', 'checkpoint', f'{kept.files}.index'}
        assert all(path.name.startswith(f'{kept.files}.') for path in data)
        return kept.checkpoint, kept.value, (folder / f'{kept.files}.index').read_text(), data[0].read_text()


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_follows_the_best_and_keeps_it_when_it_is_deleted(run):
    run.saved(1)
    assert run.follow() is None and not (run.folder / 'best').exists()
    run.saved(2, .5)
    assert run.follow() == ('ckpt-2', .5)
    run.saved(3, .4)
    run.deleted(2)
    assert run.follow() == ('ckpt-2', .5)
    assert run.whole() == ('ckpt-2', .5, 'index of 2, 0.5', 'data-00000-of-00001 of 2, 0.5')
    assert json.loads((run.folder / 'best' / 'best.json').read_text()) == {
        'checkpoint': 'ckpt-2', 'files': 'ckpt-2', 'step': 200, 'metric': MAP, 'value': .5, 'higher_is_better': True,
        'metrics': {MAP: .5, LOSS: 1.}}
    run.saved(4, .5)
    assert run.follow() == ('ckpt-2', .5)  # equal is not better
    run.saved(5, .51)
    assert run.follow() == ('ckpt-5', .51) and run.whole()[0] == 'ckpt-5'


@pytest.mark.parametrize('value', [float('nan'), -1., float('inf')])
def test_no_value_is_never_the_best(run, value):
    run.saved(2, value)
    assert run.follow() is None
    run.saved(3, 0.)
    assert run.follow() == ('ckpt-3', 0.)
    run.saved(4, value)
    assert run.follow() == ('ckpt-3', 0.)


def test_takes_no_disk_of_its_own(run):
    run.saved(2, .5)
    run.follow()
    name = 'ckpt-2.data-00000-of-00001'
    assert (run.folder / 'best' / name).samefile(run.folder / name)


def test_a_file_system_without_links(run, monkeypatch):
    def refuse(*_):
        raise OSError(1, 'Operation not permitted')
    monkeypatch.setattr(os, 'link', refuse)
    run.saved(2, .5)
    assert run.follow() == ('ckpt-2', .5)
    run.slimmed(2)
    assert run.follow() == ('ckpt-2', .5)
    assert run.whole() == ('ckpt-2', .5, 'slim index of 2', 'slim 2')


def test_another_metric_chooses_again_among_those_that_are_there(run):
    run.saved(2, .5, loss=3.)
    run.saved(3, .4, loss=1.)
    run.saved(4, .3, loss=2.)
    assert run.follow() == ('ckpt-2', .5)
    assert run.follow('total_loss') == ('ckpt-3', 1.)
    assert not json.loads((run.folder / 'best' / 'best.json').read_text())['higher_is_better']
    assert run.follow() == ('ckpt-3', 1.)  # stays until another one is asked for
    run.deleted(2)
    assert run.follow('mAP') == ('ckpt-3', .4) and run.whole()[0] == 'ckpt-3'


def test_names_of_metrics():
    names = [MAP, f'{MAP}@.50IOU', 'DetectionMasks_Precision/mAP', LOSS]
    assert best.resolve(LOSS, names) == LOSS == best.resolve('total_loss', names)
    assert best.resolve('map@.50iou', names) == f'{MAP}@.50IOU'
    with pytest.raises(UserError, match=f'--best_metric mAP: may be {MAP} or DetectionMasks_Precision/mAP; write'):
        best.resolve('mAP', names)
    with pytest.raises(UserError, match='--best_metric f1: is no metric of this evaluation; allowed: Detection'):
        best.resolve('f1', names)


def test_other_metrics_than_before(run):
    run.saved(2, .5)
    run.follow('mAP')
    assert run.follow('total_gain') == ('ckpt-2', .5)
    with pytest.raises(UserError, match='total_gain: is no metric'):
        run.follow('total_gain', strict=True)
    run.saved(3, .1, metric='PascalBoxes_Precision/mAP@0.5IOU')
    assert run.follow() == ('ckpt-3', .1)


def test_a_checkpoint_of_the_same_name_that_is_another_one(run):
    """The user went back to ckpt-1, and trained on otherwise."""
    run.saved(2, .5)
    run.follow()
    run.deleted(2)
    run.saved(2, .4, age=0)
    assert run.follow() == ('ckpt-2', .5)
    assert run.whole() == ('ckpt-2', .5, 'index of 2, 0.5', 'data-00000-of-00001 of 2, 0.5')
    run.saved(2, .6, age=-50)
    assert run.follow() == ('ckpt-2', .6)
    assert run.whole() == ('ckpt-2', .6, 'index of 2, 0.6', 'data-00000-of-00001 of 2, 0.6')


def test_goes_with_a_checkpoint_that_was_rewritten(run):
    run.saved(2, .5)
    run.follow()
    run.slimmed(2)
    run.saved(3, .4)
    assert run.follow() == ('ckpt-2', .5)
    assert run.whole() == ('ckpt-2', .5, 'slim index of 2', 'slim 2')


def test_rewritten_while_it_is_linked(run, monkeypatch):
    """Another process trains. The files that are taken belong together."""
    run.saved(2, .5)
    link, left = os.link, [1]

    def rewritten_first(source, target):
        if left and '.data-' in str(source):
            left.pop()
            run.slimmed(2)
        link(source, target)
    monkeypatch.setattr(os, 'link', rewritten_first)
    assert run.follow() == ('ckpt-2', .5)
    assert run.whole() == ('ckpt-2', .5, 'slim index of 2', 'slim 2')


def test_deleted_while_it_is_linked(run, monkeypatch):
    run.saved(2, .5)
    run.follow()
    run.saved(3, .6)
    link = os.link

    def deleted_first(source, target):
        run.deleted(3)
        link(source, target)
    monkeypatch.setattr(os, 'link', deleted_first)
    assert run.follow() == ('ckpt-2', .5)
    assert run.follow() == ('ckpt-2', .5) and run.whole()[0] == 'ckpt-2'


@pytest.mark.parametrize('moment', range(13))
@pytest.mark.parametrize('rewritten', [False, True])
def test_a_kill_leaves_the_old_one_or_the_new_one(run, moment, rewritten, monkeypatch):
    run.saved(2, .5)
    run.follow()
    old = run.whole()
    if rewritten:
        run.slimmed(2)
        new = 'ckpt-2', .5, 'slim index of 2', 'slim 2'
    else:
        run.saved(3, .6)
        new = 'ckpt-3', .6, 'index of 3, 0.6', 'data-00000-of-00001 of 3, 0.6'
    left = [moment]

    def at(work):
        def step(*arguments, **options):
            if left[0] <= 0:
                raise Killed
            left[0] -= 1
            return work(*arguments, **options)
        return step

    with monkeypatch.context() as patched:
        for owner, name in ((os, 'link'), (best.Path, 'replace'), (best.Path, 'unlink')):
            patched.setattr(owner, name, at(getattr(owner, name)))
        try:
            best.follow(run.record)
        except Killed:
            pass
        else:
            assert left[0] > 0 or moment > 9
    kept = best.read(run.folder / 'best')
    index = (run.folder / 'best' / f'{kept.files}.index').read_text()
    expected = {found[2]: found for found in (old, new)}[index]
    assert (kept.checkpoint, kept.value) == expected[:2]
    shard = 'data-00000-of-00002' if index.startswith('slim') else 'data-00000-of-00001'
    assert (run.folder / 'best' / f'{kept.files}.{shard}').read_text() == expected[3]
    state = (run.folder / 'best' / 'checkpoint').read_text().split('"')[1]
    assert (run.folder / 'best' / f'{state}.index').exists()

    monkeypatch.setattr(machine, 'runs', lambda process: False)  # at the next start, which is of another process
    assert run.follow() == new[:2]
    assert run.whole() == new


def test_patience_counts_what_run_json_says(run):
    run.saved(1)
    for number, value in ((2, .5), (3, .4), (4, float('nan')), (5, .3)):
        run.saved(number, value)
    assert best.since(run.record, best.follow(run.record)) == 3
    for number in (4, 5):  # back to ckpt-3; its later evaluations are of no checkpoint that is there
        run.deleted(number)
    assert best.since(run.record, best.follow(run.record)) == 1
    run.saved(4, .6)
    assert best.since(run.record, best.follow(run.record)) == 0
    assert best.since(run.record, None) == 3


def test_the_best_of_an_earlier_training_is_set_aside(run):
    run.saved(2, .5)
    run.follow()
    assert best.set_aside(run.folder) is None
    run.deleted(2)
    (run.folder / 'best-1').mkdir()
    assert best.set_aside(run.folder) == run.folder / 'best-2' and not (run.folder / 'best').exists()
    assert best.read(run.folder / 'best-2').value == .5


def test_a_damaged_json(run):
    run.saved(2, .5)
    run.follow()
    path = run.folder / 'best' / 'best.json'
    whole = path.read_text()
    for text in ('{', '[]', '{"checkpoint": 3}', '[' * 100_000, whole.replace(': 1.0', ': "much"'), '\xff'):
        path.write_text(text)
        with pytest.raises(UserError, match=r'best\.json: is not what was written there .* move the folder away'):
            run.follow()
    shutil.rmtree(run.folder / 'best')
    assert run.follow() == ('ckpt-2', .5)
