"""Machines that meet and run phases together, as processes and threads of this machine, without TensorFlow."""
import contextlib
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from object_detection.cluster import meeting, team
from object_detection.cluster.meeting import Chief, Follower
from object_detection.cluster.members import Members
from object_detection.utils import phases
from object_detection.utils.errors import UserError
from tests.support import cluster_phases

FACTS = {'config': 'a: 1\nb: 2\n', 'versions': {'TensorFlow': '2.20.0'}, 'gpus': 0, 'data': {'train': 'x'}}
PHASES = {'train_phase': cluster_phases.train_phase, 'unconnected': cluster_phases.unconnected}


def addresses(count=2):
    return tuple(f'127.0.0.1:{meeting.free_port()}' for _ in range(count))


def member(all_of_them, index):
    return Members(all_of_them, index, 'test')


class Others:
    """The other machines, each in a thread that follows the chief; `ends` has how each ended."""

    def __init__(self, all_of_them, folder, timeout=10., facts=FACTS):
        self.ends = {}
        self._threads = [threading.Thread(target=self._follow, args=(member(all_of_them, i), folder, timeout, facts))
                         for i in range(1, len(all_of_them))]
        for thread in self._threads:
            thread.start()

    def _follow(self, who, folder, timeout, facts):
        shown = []

        @contextlib.contextmanager
        def watch(phase, num_steps):
            yield lambda name, **values: shown.append(name)
        try:
            with phases.Worker() as worker, Follower(who, timeout) as follower:
                follower.agree(facts)
                team.follow(follower, worker, PHASES, folder, watch)
            self.ends[who.index] = 'done'
        except (UserError, KeyboardInterrupt) as error:
            self.ends[who.index] = str(error) or type(error).__name__

    def join(self):
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        return self.ends


def run(folder, what, timeout=10., phase=cluster_phases.train_phase):
    """Run one phase on as many machines as `what` has entries; return the outcome and how the others ended."""
    everybody = addresses(len(what))
    others = Others(everybody, folder, timeout)
    arguments = {'model_dir': str(folder), **({'what': what} if phase is cluster_phases.train_phase else {})}
    with contextlib.suppress(UserError), Chief(member(everybody, 0), timeout) as chief:
        chief.agree(FACTS)
        with team.Worker([], chief, folder) as worker:
            outcome = worker.run(phase, arguments, folder / 'outcome.json', lambda *_, **__: None)
        if outcome.kind != phases.DONE:
            raise UserError(outcome.message)
    return outcome, others.join()


def test_a_phase_runs_on_all_machines_with_the_same_addresses(tmp_path):
    outcome, ends = run(tmp_path, ['', '', ''])
    assert outcome.kind == phases.DONE and outcome.data == {'index': 0} and ends == {1: 'done', 2: 'done'}
    told = {(tmp_path / f'ran-{i}').read_text() for i in range(3)}
    assert len(told) == 1 and len(set(told.pop().split())) == 3


@pytest.mark.skipif(sys.platform == 'win32', reason='SIGKILL')
def test_the_machine_that_failed_first_is_named(tmp_path):
    """Others that lost it, or were ended because of it, are not the cause."""
    began = time.monotonic()
    outcome, ends = run(tmp_path, ['hang', 'lost', 'killed'])
    assert outcome.kind == phases.KILLED and outcome.message.startswith('machine 2 (127.0.0.1:')
    assert 'SIGKILL' in outcome.message and time.monotonic() - began < 8
    assert all('machine 2 (127.0.0.1:' in end for end in ends.values())


def test_a_failure_of_the_chief_ends_the_others(tmp_path):
    outcome, ends = run(tmp_path, ['nan', 'hang'])
    assert (outcome.kind, outcome.data) == (phases.NOT_FINITE, {'step': 3})
    assert 'ended: the loss is not finite' in ends[1]


def test_memory_that_runs_out_elsewhere_is_out_of_memory(tmp_path):
    outcome, _ = run(tmp_path, ['hang', 'memory'])
    assert outcome.kind == phases.OUT_OF_MEMORY and 'machine 1' in outcome.message


def test_servers_that_do_not_connect(tmp_path):
    began = time.monotonic()
    outcome, ends = run(tmp_path, ['', ''], timeout=1., phase=cluster_phases.unconnected)
    assert 'did not connect within 1 s (--barrier_timeout)' in outcome.message and time.monotonic() - began < 8
    assert 'did not connect' in ends[1] or 'ended' in ends[1]


def test_a_second_phase_after_a_failed_one(tmp_path):
    """As after an out-of-memory that the chief answers with smaller parts."""
    everybody = addresses()
    others = Others(everybody, tmp_path)
    kinds = []
    with Chief(member(everybody, 0), 10.) as chief:
        chief.agree(FACTS)
        worker = team.Worker([], chief, tmp_path)
        for what in (['hang', 'memory'], ['', '']):
            with worker:
                kinds.append(worker.run(cluster_phases.train_phase, {'model_dir': str(tmp_path), 'what': what},
                                        tmp_path / 'outcome.json', lambda *_, **__: None).kind)
            worker = worker.another()
        with worker:
            pass
    assert kinds == [phases.OUT_OF_MEMORY, phases.DONE] and others.join() == {1: 'done'}


def test_a_machine_that_does_not_come_is_named():
    everybody = addresses(3)
    with contextlib.ExitStack() as stack:
        chief = stack.enter_context(Chief(member(everybody, 0), 1.))
        stack.enter_context(contextlib.suppress(UserError))
        stack.enter_context(Follower(member(everybody, 1), 1.)).agree(FACTS)
        with pytest.raises(UserError, match=r'^machine 2 \(\S+\): no word for 1 s \(--barrier_timeout\)'):
            chief.agree(FACTS)


def test_a_chief_that_does_not_come_is_named():
    with pytest.raises(UserError, match=r'the chief, machine 0 \(\S+\): no answer for 1 s'):
        Follower(member(addresses(), 1), 1.)


def test_a_machine_that_is_silent_counts_as_dead():
    everybody = addresses()
    with Chief(member(everybody, 0), 1.) as chief, socket.create_connection(
            ('127.0.0.1', int(everybody[0].rpartition(':')[2]))) as silent:
        silent.sendall(b'{"kind": "hello", "index": 1, "addresses": ["%s", "%s"]}\n'
                       % tuple(address.encode() for address in everybody))
        silent.sendall(b'{"kind": "other"}\n')
        with pytest.raises(UserError, match=r'machine 1 \(\S+\): (was silent for|no word for) 1 s'):
            chief.agree(FACTS)


@pytest.mark.parametrize('sent', [
    b'GET / HTTP/1.1\r\n\r\n', b'{}\n', b'[1]\n', b'{"kind": "hello", "index": 1}\n', b'\n'])
def test_what_is_no_machine_does_no_harm(sent, tmp_path):
    everybody = addresses()
    with Chief(member(everybody, 0), 5.) as chief, socket.create_connection(
            ('127.0.0.1', int(everybody[0].rpartition(':')[2]))) as stranger:
        stranger.sendall(sent)
        others = Others(everybody, tmp_path)
        chief.agree(FACTS)
    assert others.join() == {1: 'done'}


def test_a_machine_too_many():
    everybody = addresses()
    with Chief(member(everybody, 0), 5.), Follower(member(everybody, 1), 5.), \
            pytest.raises(UserError, match='another process is machine 1 already'), \
            Follower(member(everybody, 1), 5.) as second:
        second.wait('order')


def test_a_port_that_is_taken():
    everybody = addresses()
    with Chief(member(everybody, 0), 5.), pytest.raises(UserError, match='give the chief a port that is free'):
        Chief(member(everybody, 0), 5.)


@pytest.mark.parametrize(('changes', 'line'), [
    ({'config': 'a: 1\nb: 3\n'}, "its config differs: 'b: 3', the chief's 'b: 2'"),
    ({'config': 'a: 1\n'}, "its config differs: '', the chief's 'b: 2'"),
    ({'versions': {'TensorFlow': '2.21.0'}}, 'has TensorFlow 2.21.0, the chief 2.20.0'),
    ({'versions': {}}, 'has TensorFlow none'),
    ({'data': {'train': 'y'}}, 'its records of train differ'),
    ({'gpus': 2}, 'has 2 GPUs, the chief 0')])
def test_what_differs_is_named_on_both_sides(changes, line, tmp_path):
    everybody = addresses()
    others = Others(everybody, tmp_path, facts=FACTS | changes)
    with pytest.raises(UserError) as caught, Chief(member(everybody, 0), 10.) as chief:
        chief.agree(FACTS)
    assert str(caught.value).startswith(f'machine 1 ({everybody[1]}): {line}')
    assert line in others.join()[1]


def test_a_clock_that_is_off_is_named(capsys, monkeypatch):
    everybody = addresses()
    with Chief(member(everybody, 0), 5.) as chief, Follower(member(everybody, 1), 5.) as follower:
        follower.send('facts', facts=FACTS, clock=time.time() - 90)
        chief.agree(FACTS)
    assert 'its clock is 90 s behind that of the chief' in ''.join(capsys.readouterr())


def test_a_follower_without_the_checkpoint_of_the_chief(tmp_path, monkeypatch):
    """model_dir is another folder there."""
    everybody = addresses()
    for folder in ('chief', 'other'):
        (tmp_path / folder).mkdir()
    for end in ('index', 'data-00000-of-00001'):
        Path(tmp_path, 'chief', f'ckpt-4.{end}').write_text('')
    others = Others(everybody, tmp_path / 'other', 1.)
    with pytest.raises(UserError), Chief(member(everybody, 0), 4.) as chief:
        chief.agree(FACTS)
        with team.Worker([], chief, tmp_path / 'chief') as worker:
            worker.run(cluster_phases.train_phase, {'model_dir': str(tmp_path / 'chief'), 'what': ['', '']},
                       tmp_path / 'outcome.json', lambda *_, **__: None)
    assert 'has no ckpt-4, which the chief sees' in others.join()[1]
