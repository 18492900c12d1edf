"""Fresh processes: their events, their outcomes, and that they end."""
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from object_detection.utils import endings, errors, phases
from tests.support import phase_samples

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(sys.platform == 'win32', reason='signals of POSIX')


def run(phase, tmp_path, on_event=lambda name, **values: None, **arguments):
    with phases.Worker() as worker:
        return worker.run(phase, arguments, tmp_path / 'outcome.json', on_event)


def test_events_and_data(tmp_path, monkeypatch):
    monkeypatch.delenv('TF_USE_LEGACY_KERAS', raising=False)  # the process has to set it itself
    events = []
    outcome = run(phase_samples.count, tmp_path, lambda name, **values: events.append((name, values)), to=3)
    assert events == [('counted', {'number': i}) for i in range(3)]
    assert outcome.kind == phases.DONE and outcome.data['last'] == 2
    assert outcome.data['pid'] != os.getpid() and outcome.data['keras'] == '1'
    assert json.loads((tmp_path / 'outcome.json').read_text())['kind'] == phases.DONE


def test_the_peak_memory_of_a_process(tmp_path):
    small, large = (run(phase_samples.count, tmp_path, to=1), run(phase_samples.holds_memory, tmp_path, megabytes=150))
    assert 5e6 < small.peak_memory < large.peak_memory and 140e6 < large.peak_memory - small.peak_memory < 200e6


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='elsewhere only a process itself knows its peak')
def test_the_peak_memory_of_a_process_that_was_killed(tmp_path):
    outcome = run(phase_samples.holds_memory, tmp_path, megabytes=150, seconds=2.5, killed=True)
    assert outcome.kind == phases.KILLED and outcome.peak_memory > 150e6


@pytest.mark.parametrize('phase, kind, message, data', [
    (phase_samples.bad_input, phases.BAD_INPUT, 'no such file\nno such label', {}),
    (phase_samples.not_finite, phases.NOT_FINITE, 'the loss is nan', {'step': 3}),
    (phase_samples.out_of_memory, phases.OUT_OF_MEMORY, 'main memory ran out', {}),
    (phase_samples.disk_full, phases.DISK_FULL, 'no space left on the device while writing ckpt-3', {}),
])
def test_typed_ends(phase, kind, message, data, tmp_path):
    assert run(phase, tmp_path) == phases.Outcome(kind, message, data)


def test_bug_keeps_its_traceback(tmp_path, capfd):
    (tmp_path / 'outcome.json').write_text('{"kind": "done"}')  # of an earlier phase; it must not be believed
    assert run(phase_samples.bug, tmp_path).kind == phases.BUG
    assert 'ZeroDivisionError: a mistake in the program' in capfd.readouterr().err


@pytest.mark.parametrize('text', ['', '{"kind": "done"', '[]', '{"kind": 1, "message": "", "data": {}}',
                                  '{"kind": "done", "message": "", "data": {}, "more": 1}', '[' * 100_000])
def test_a_damaged_outcome_is_a_bug_in_one_line(text, tmp_path):
    (tmp_path / 'outcome.json').write_text(text)
    outcome = phases._read_outcome(tmp_path / 'outcome.json')
    assert outcome.kind == phases.BUG and 'it is unknown how the process ended' in outcome.message
    assert '\n' not in outcome.message


@posix
def test_stderr_is_passed_on_and_damaged_jpegs_are_one_warning(tmp_path, capfd):
    damaged = b'Corrupt JPEG data: 12 extraneous bytes before marker 0xd9\n'
    lines = [b'first\n', damaged, damaged, b'Corrupt JPEG data: bad Huffman code\n', b'x' * 300_000 + b'\n', b'no end']
    events = []
    run(phase_samples.noisy, tmp_path, lambda name, **values: events.append((name, values)), lines=lines)
    (name, values), = events
    assert name == 'warning' and values['text'].startswith('the data of a JPEG is damaged')
    assert capfd.readouterr().err == f'first\n{"x" * 300_000}\nno end\n'


@posix
def test_killed(tmp_path):
    outcome = run(phase_samples.killed, tmp_path)
    assert outcome.kind == phases.KILLED and 'SIGKILL' in outcome.message


@posix
def test_killed_because_memory_ran_out(tmp_path, monkeypatch):
    counts = iter([4, 4, 5])  # when it starts, when its phase begins, at its end
    monkeypatch.setattr(endings, 'oom_kills', lambda: next(counts))
    outcome = run(phase_samples.killed, tmp_path)
    assert outcome.kind == phases.OUT_OF_MEMORY and 'probably because main memory ran out' in outcome.message


@posix
def test_killed_by_the_kernel_in_a_control_group_that_is_full(tmp_path):
    group = control_group(limit=300 << 20)
    script = tmp_path / 'parent.py'
    script.write_text(f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from object_detection.utils import endings, phases
from tests.support import phase_samples
if __name__ == '__main__':
    Path({str(group)!r}, 'cgroup.procs').write_text(str(os.getpid()))
    with phases.Worker() as worker:
        print(worker.run(phase_samples.takes_memory, {{}}, {str(tmp_path / 'outcome.json')!r}, print))
""")
    try:
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    finally:
        for _ in range(50):
            try:
                group.rmdir()
                break
            except OSError:  # a process of it is still ending
                time.sleep(.1)
    assert "kind='out of memory', message='the operating system ended the process" in done.stdout, done


def control_group(limit):
    """A new control group with a limit in bytes; skips the test where none can be made."""
    for parent, name in (('/sys/fs/cgroup/memory', 'memory.limit_in_bytes'), ('/sys/fs/cgroup', 'memory.max')):
        group = Path(parent, f'test-{os.getpid()}')
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / name).write_text(str(limit))
            if 'oom_kill ' in ''.join((group / file).read_text() for file in ('memory.events', 'memory.oom_control')
                                      if (group / file).exists()):
                return group
        except OSError:
            pass
        group.rmdir()
    pytest.skip('this system lets nobody make a control group')


@posix
@pytest.mark.skipif(sys.platform == 'darwin', reason='libstdc++')
def test_an_abort_of_the_allocator_is_out_of_memory(tmp_path):
    outcome = run(phase_samples.bad_alloc, tmp_path)
    assert outcome.kind == phases.OUT_OF_MEMORY and 'std::bad_alloc' in outcome.message, outcome


@posix
@pytest.mark.parametrize('where, says', [('C', 'stacks of its threads are above'), ('stopped', 'it was stopped')])
def test_a_process_that_hangs_is_ended_and_says_where(where, says, tmp_path, capfd):
    began = time.monotonic()
    with phases.Worker() as worker:
        outcome = worker.run(phase_samples.hangs, {'where': where}, tmp_path / 'outcome.json',
                             lambda name, **values: None, watchdog=1.)
    assert outcome.kind == phases.HUNG and says in outcome.message and '0.0167 minutes' in outcome.message
    assert time.monotonic() - began < 15
    if where == 'C':
        assert 'phase_samples.py", line' in capfd.readouterr().err


def test_the_watchdog_waits_for_a_phase_to_begin_and_for_each_step(tmp_path):
    with phases.Worker() as worker:
        outcome = worker.run(phase_samples.takes_its_time, {}, tmp_path / 'outcome.json', lambda name, **values: None,
                             watchdog=1.2)
    assert outcome.kind == phases.DONE


@posix
def test_sigterm_to_the_worker_alone_asks_it_to_stop(tmp_path):
    outcome = run(phase_samples.wait_for_stop, tmp_path, lambda name, pid: os.kill(pid, signal.SIGTERM))
    assert outcome == phases.Outcome(phases.INTERRUPTED, 'stopped as asked', {'step': 7})


@posix
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_to_stop(number, tmp_path):
    before = signal.getsignal(number)
    outcome = run(phase_samples.wait_for_stop, tmp_path, lambda name, **values: os.kill(os.getpid(), number))
    assert outcome == phases.Outcome(phases.INTERRUPTED, 'stopped as asked', {'step': 7})
    assert signal.getsignal(number) == before


@posix
@pytest.mark.parametrize('asks', [lambda pid: os.kill(os.getpid(), signal.SIGINT),
                                  lambda pid: os.kill(pid, signal.SIGTERM)], ids=['the command', 'the worker'])
def test_a_request_at_the_end_of_a_phase_ends_the_command(asks, tmp_path, capsys):
    """What the phase has done counts, and the next one does not begin."""
    outcomes = []

    def main(argv):
        outcomes.append(run(phase_samples.stopped_at_its_end, tmp_path, lambda name, pid: asks(pid)))
        outcomes.append(run(phase_samples.stopped_at_its_end, tmp_path, pytest.fail))
    with pytest.raises(SystemExit) as end:
        errors.run_main(main)
    assert end.value.code == 130 and capsys.readouterr().err == 'interrupted\n'
    assert [(outcome.kind, outcome.data) for outcome in outcomes] == [
        (phases.DONE, {'step': 7}), (phases.INTERRUPTED, {})]
    assert all(outcome.asked_to_stop for outcome in outcomes)


@posix
def test_a_request_in_the_last_phase_is_not_forgotten(tmp_path):
    def main(argv):
        run(phase_samples.stopped_at_its_end, tmp_path, lambda name, pid: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as end:
        errors.run_main(main)
    assert end.value.code == 130


@posix
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_a_request_between_two_phases(tmp_path):
    """It raises at once; where Python loses the exception, the next phase knows of it."""
    class Careless:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)

    outcomes = []

    def main(argv):
        Careless()
        outcomes.append(run(phase_samples.wait_for_stop, tmp_path, pytest.fail))
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail('it should have ended')
    with pytest.raises(SystemExit) as end:
        errors.run_main(main)
    assert end.value.code == 130 and outcomes[0].kind == phases.INTERRUPTED


@posix
@pytest.mark.parametrize('seconds', [0, .02, .1, .3])
def test_ctrl_c_to_the_whole_group_while_the_worker_starts(seconds, tmp_path):
    """No traceback of a process that is not ready yet."""
    script = tmp_path / 'parent.py'
    script.write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from object_detection.utils import errors, phases
from tests.support import phase_samples

def main(argv):
    with phases.Worker() as worker:
        print('started', flush=True)
        worker.run(phase_samples.wait_for_stop, {{}}, {str(tmp_path / 'outcome.json')!r}, lambda name, **values: None)

if __name__ == '__main__':
    errors.run_main(main)
""")
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    assert process.stdout.readline() == 'started\n'
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    assert (process.communicate(timeout=60)[1], process.returncode) == ('interrupted\n', 130)


@posix
def test_a_second_signal_ends_it(tmp_path):
    def twice(name, **values):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert run(phase_samples.never_stops, tmp_path, twice) == phases.Outcome(phases.INTERRUPTED, 'ended at once')


def test_a_phase_that_cannot_be_pickled_raises_in_the_parent(tmp_path):
    with phases.Worker() as worker, pytest.raises((AttributeError, pickle.PicklingError)):
        worker.run(lambda report, stopping: None, {}, tmp_path / 'outcome.json', lambda name, **values: None)


def test_what_was_prepared_is_there_for_the_phase(tmp_path):
    with phases.Worker() as worker:
        worker.prepare(phase_samples.remember, {'value': 3})
        outcome = worker.run(phase_samples.recall, {}, tmp_path / 'outcome.json', lambda name, **values: None)
    assert outcome == phases.Outcome(phases.DONE, data={'remembered': [3]})


def test_leaving_the_block_ends_a_worker_that_never_ran():
    with phases.Worker() as worker:
        process = worker._process
        assert process.is_alive()
    assert not process.is_alive()


@posix
def test_the_worker_dies_with_its_parent(tmp_path):
    """Even with a parent that had no chance to say so."""
    script = tmp_path / 'parent.py'
    script.write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from object_detection.utils import endings, phases
from tests.support import phase_samples
if __name__ == '__main__':
    with phases.Worker() as worker:
        worker.run(phase_samples.never_stops, {{}}, {str(tmp_path / 'outcome.json')!r},
                   lambda name, pid: print(pid, flush=True))
""")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.kill()
        parent.wait()
        assert ends_within(pid, 10)


def ends_within(pid, seconds):
    for _ in range(seconds * 50):
        try:
            os.kill(pid, 0)
            if Path(f'/proc/{pid}/stat').exists() and ' Z ' in Path(f'/proc/{pid}/stat').read_text():
                return True  # ended; whoever adopted it has not looked yet
        except ProcessLookupError:
            return True
        time.sleep(.02)
    return False
