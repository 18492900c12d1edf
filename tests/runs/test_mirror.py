"""A model_dir on an S3 server: two machines, which have a cache each, and uploads that are cut off."""
import time

import pytest

from object_detection.runs import mirror
from object_detection.utils import store
from object_detection.utils.errors import UserError

pytest_plugins = ['tests.support.object_store']


@pytest.fixture
def machine(s3, tmp_path, monkeypatch):
    """fn(name) -> the Mirror of that machine; what it does until the next call happens there."""
    number = next(NUMBERS)

    def of(name):
        monkeypatch.setenv('OBJECT_DETECTION_CACHE', str(tmp_path / name))
        return mirror.Mirror(f's3://bucket/run{number}/d1')
    return of


NUMBERS = iter(range(100))


def write(found, **contents):
    """Write files; __ in a name is a dot, three of them a folder."""
    for name, content in contents.items():
        path = found.folder / name.replace('___', '/').replace('__', '.')
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)


def here(found):
    return {path: (found.folder / path).read_text() for path in found._local()}


def test_another_machine_goes_on(machine, recwarn):
    first = machine('first')
    first.fetch()
    write(first, run__json='1', ckpt_1__index='i', train___events='e', __hidden='lock')
    first.send()
    assert sorted(store.walk(first.url)) == ['ckpt_1.index', 'run.json', 'train/events']
    second = machine('second')
    second.fetch()
    assert here(second) == here(first)
    write(second, run__json='2', ckpt_2__index='i')
    (second.folder / 'ckpt_1.index').unlink()
    second.send()
    assert sorted(store.walk(first.url)) == ['ckpt_2.index', 'run.json', 'train/events']
    machine('first')
    first.fetch()
    assert here(first) == here(second)


def test_what_did_not_change_is_not_sent_again(machine, s3):
    first = machine('first')
    write(first, run__json='1', ckpt_1__index='i')
    first.send()
    write(first, run__json='2')
    s3.requests.clear()
    first.send()
    assert [path.rpartition('/')[2] for method, path in s3.requests if method == 'PUT'] == ['run.json']
    s3.requests.clear()
    first.fetch()
    assert {method for method, _ in s3.requests} == {'GET'} and all('list-type' in path for _, path in s3.requests)


def test_a_checkpoint_appears_after_its_data_and_before_what_names_it(machine, s3):
    first = machine('first')
    for name in ('checkpoint', 'run.json', 'ckpt-1.index', 'ckpt-1.data-00000-of-00001', 'best/best.json',
                 'best/ckpt-1.index', 'best/ckpt-1.data-00000-of-00001', 'train/events'):
        (first.folder / name).parent.mkdir(exist_ok=True)
        (first.folder / name).write_text(name)
    s3.requests.clear()
    first.send()
    order = [path.partition('/d1/')[2] for method, path in s3.requests if method == 'PUT']
    kinds = [0 if '.data-' in name or name == 'train/events' else 1 if name.endswith('.index') else 2 for name in order]
    assert kinds == sorted(kinds) == [0, 0, 0, 1, 1, 2, 2, 2]
    (first.folder / 'ckpt-1.data-00000-of-00001').write_text('without optimizer')
    (first.folder / 'ckpt-1.index').write_text('of the new data')
    s3.requests.clear()
    first.send()
    assert [(method, path.rpartition('/')[2]) for method, path in s3.requests if method in ('PUT', 'DELETE')] == [
        ('DELETE', 'ckpt-1.index'), ('PUT', 'ckpt-1.data-00000-of-00001'), ('PUT', 'ckpt-1.index')]


def test_a_machine_that_was_cut_off_sends_later(machine, s3, monkeypatch):
    monkeypatch.setenv('OBJECT_DETECTION_STORE_RETRY', '.1')
    first = machine('first')
    write(first, a='1', b='2', run__json='3')
    s3.faults[:] = [None, 500, None, *[500] * 50]  # a listing, then files
    with pytest.raises(store.Unreachable):
        first.send()
    s3.faults.clear()
    assert len(store.walk(first.url)) < 3
    again = machine('first')
    again.fetch()
    assert here(again) == {'a': '1', 'b': '2', 'run.json': '3'}, 'nothing is lost'
    again.send()
    assert len(store.walk(first.url)) == 3


@pytest.mark.parametrize('sent', range(5))
def test_a_machine_that_was_killed_while_it_sent(machine, monkeypatch, capsys, sent):
    """After so many files, before it could note which; it has also to delete one and to write one anew."""
    first = machine('first')
    names = 'ckpt-1.index', 'ckpt-1.data-00000-of-00001', 'old', 'run.json'
    for name in names:
        (first.folder / name).write_text('1')
    first.send()
    (first.folder / 'old').unlink()
    for name in (*names[:2], 'run.json', 'new'):
        (first.folder / name).write_text('22')
    left, upload, keep = [sent], store.upload, mirror.Mirror._keep

    def killed(*arguments):
        left[0] -= 1
        if left[0] < 0:
            monkeypatch.setattr(mirror.Mirror, '_keep', lambda *_: None)
            raise SystemExit
        return upload(*arguments)
    with monkeypatch.context() as patched:
        patched.setattr(store, 'upload', killed)
        if sent < 4:
            with pytest.raises(SystemExit):
                first.send()
        else:
            first.send()
    monkeypatch.setattr(mirror.Mirror, '_keep', keep)
    again = machine('first')
    again.fetch()
    again.send()
    assert 'another machine' not in capsys.readouterr().out and not list(first.folder.parent.glob('*unsent*'))
    second = machine('second')
    second.fetch()
    assert here(second) == here(again) == dict.fromkeys((*names[:2], 'run.json', 'new'), '22')


def test_a_run_that_went_on_elsewhere(machine, capsys):
    first = machine('first')
    write(first, run__json='1', ckpt_1__index='i')
    first.send()
    write(first, ckpt_2__index='not sent')
    second = machine('second')
    second.fetch()
    write(second, run__json='longer', ckpt_2__index='sent')
    second.send()
    machine('first')
    with pytest.raises(UserError, match=r'another command writes there \(ckpt_2.index, run.json\)'):
        first.send()
    first.fetch()
    assert here(first) == here(second)
    aside, = first.folder.parent.glob('d1.unsent-*')
    assert (aside / 'ckpt_2.index').read_text() == 'not sent' and str(aside) in capsys.readouterr().out


def test_nothing_is_deleted_because_the_cache_was(machine, tmp_path):
    first = machine('first')
    write(first, run__json='1', ckpt_1__index='i')
    first.send()
    for path in first.folder.iterdir():
        path.unlink()
    with pytest.raises(UserError, match='was deleted while the command worked there'):
        first.send()
    first.fetch()
    assert here(first) == {'run.json': '1', 'ckpt_1.index': 'i'}


def test_an_error_of_the_block_is_not_hidden_by_the_store(machine, s3, monkeypatch, capsys):
    first = machine('first')
    write(first, run__json='1')
    monkeypatch.setenv('OBJECT_DETECTION_STORE_RETRY', '.1')
    s3.faults[:] = [500] * 50
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), first.sending():
        raise KeyboardInterrupt
    s3.faults.clear()
    assert 'the store failed' in capsys.readouterr().out and time.monotonic() - began < 5


def test_a_folder_of_this_machine_is_left_alone(tmp_path):
    found = mirror.of(tmp_path)
    assert type(found) is mirror.Local and found.folder == tmp_path
    with found.sending():
        found.fetch()
    assert list(tmp_path.iterdir()) == []
