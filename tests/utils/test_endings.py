"""Why a process ended: control groups of both versions, what libraries write, and silence."""
import signal
import time

import pytest

from object_detection.utils import endings


@pytest.mark.parametrize('files, expected', [
    ({'proc/vmstat': 'nr_free_pages 7\noom_kill 3\n'}, 3),
    ({'proc/vmstat': 'oom_kill 3\n', 'proc/self/cgroup': '0::/job/7\n',
      'sys/fs/cgroup/job/7/memory.events': 'low 0\noom 2\noom_kill 1\noom_group_kill 0\n'}, 1),
    ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.events': 'oom_kill 4\n'}, 4),
    ({'proc/self/cgroup': '9:name=systemd:/\n4:memory:/docker/51f4\n0::/\n',
      'sys/fs/cgroup/memory/docker/51f4/memory.oom_control': 'under_oom 0\noom_kill 5\n'}, 5),
    ({'proc/self/cgroup': '4:memory:/docker/51f4\n', 'sys/fs/cgroup/memory/memory.oom_control': 'oom_kill 6\n'}, 6),
    ({'proc/self/cgroup': '0::/\n', 'proc/vmstat': 'nr_free_pages 7\n'}, 0),
    ({}, 0)])
def test_the_count_of_processes_killed_for_memory(files, expected, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert endings.oom_kills(tmp_path) == expected


@pytest.mark.parametrize('line, is_memory', [
    (b"terminate called after throwing an instance of 'std::bad_alloc'", True),
    (b"terminate called after throwing an instance of 'std::length_error'", True),
    (b'F0000 tensorflow/core/framework/tensor.cc:852] Check failed: ... OOM when allocating tensor', True),
    (b'pthread_create failed: Resource temporarily unavailable', True),
    (b"terminate called after throwing an instance of 'std::runtime_error'", False)])
def test_what_is_written_before_an_abort(line, is_memory):
    lines = [b'I0000 something else', line, b'  what():  it']
    message = endings.memory_ran_out(-signal.SIGABRT, lines, 0)
    assert (line.decode() in message) == is_memory and bool(message) == is_memory
    assert not endings.memory_ran_out(1, lines, 0)  # an exception, which has a traceback


def test_a_crash_under_a_memory_limit(monkeypatch):
    """Libraries that take no notice of a failed allocation write nothing."""
    monkeypatch.setattr(endings, 'memory_limit', lambda: 2_000_000_000)
    assert 'under a memory limit of 2.00 GB' in endings.memory_ran_out(-signal.SIGSEGV, [], 0)
    assert not endings.memory_ran_out(-signal.SIGABRT, [], 0)
    monkeypatch.setattr(endings, 'memory_limit', lambda: None)
    assert not endings.memory_ran_out(-signal.SIGSEGV, [], 0)


def test_silence_counts_from_the_last_event_and_not_while_we_were_stopped_ourselves(monkeypatch):
    now = [100.]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    watchdog = endings.Watchdog(60.)

    def passes(seconds):
        bites = []
        for _ in range(seconds):
            now[0] += 1
            bites.append(watchdog.bites())
        return bites[-1]

    assert not passes(1000)  # building and tracing
    watchdog.event('progress')
    assert not passes(54)
    now[0] += 7 * 3600
    assert not watchdog.bites()
    watchdog.event('saved')
    assert not passes(60) and passes(1)
