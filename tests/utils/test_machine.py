"""What the files of Linux say of the machine's memory."""
import pytest

from object_detection.utils import machine

MEMINFO = {'proc/meminfo': 'MemTotal:       24000000 kB\nMemAvailable:   20000000 kB\nHugePages_Total:       0\n'}
JOB = 'sys/fs/cgroup/job_7/step_0'


@pytest.mark.parametrize('files, gigabytes', [
    (MEMINFO, 20.48),
    ({**MEMINFO, 'proc/self/cgroup': '0::/job_7/step_0\n', f'{JOB}/memory.max': 'max\n', f'{JOB}/memory.current': '5\n',
      'sys/fs/cgroup/job_7/memory.max': '8000000000\n', 'sys/fs/cgroup/job_7/memory.current': '7000000000\n',
      'sys/fs/cgroup/job_7/memory.stat': 'anon 5\ninactive_file 2500000000\n'}, 3.5),  # a limit around the step
    ({**MEMINFO, 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': '90000000000\n',
      'sys/fs/cgroup/memory.current': '1000000000\n'}, 20.48),  # a limit beyond what the machine has
    ({**MEMINFO, 'proc/self/cgroup': '4:memory:/docker/51f4\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '4000000000\n',
      'sys/fs/cgroup/memory/memory.usage_in_bytes': '3000000000\n',
      'sys/fs/cgroup/memory/memory.stat': 'total_inactive_file 500000000\n'}, 1.5),  # a container of version 1
    ({}, None)])
def test_free_memory_is_what_the_narrowest_limit_leaves(files, gigabytes, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.free_memory(tmp_path) == (gigabytes and pytest.approx(gigabytes))


def test_free_memory_here_is_less_than_all():
    free = machine.free_memory()
    assert free is None or 0 < free < machine.main_memory()
