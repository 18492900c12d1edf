"""Workers of a Dask cluster do what the processes of this machine do, and may die of it."""
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from object_detection.preparation import cluster
from object_detection.preparation.cluster import Cluster
from object_detection.preparation.workers import Crashed
from object_detection.utils import files
from object_detection.utils.errors import UserError
from tests.support.hostile import encoded, scene
from tests.support.prepared import contents

distributed = pytest.importorskip('distributed', reason='Dask is not installed (the extra `cluster`)')
DEADLY = 7


@pytest.fixture(scope='module')
def dask():
    """A scheduler with two workers, each a process that is started again when it dies; one has the detector."""
    def worker(**resources):
        return {'cls': distributed.Nanny, 'options': {'nthreads': 1, 'resources': resources}}
    scheduler = {'cls': distributed.Scheduler, 'options': {'dashboard_address': ':0', 'port': 0}}
    with distributed.SpecCluster({0: worker(), 'gpu': worker(detector=1)}, scheduler, silence_logs=50) as started:
        yield started


@pytest.fixture
def workers(dask, tmp_path):
    with distributed.Client(dask.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)  # one that a test has killed takes a moment to come back
    with files.lock(tmp_path / 'locked'), Cluster(dask.scheduler_address, tmp_path / 'locked') as connected:
        yield connected


def square(task):
    number, folder = task
    if number == DEADLY:
        (folder / f'{time.monotonic_ns()}').write_text('died here')
        os._exit(3)
    return number * number


def refuse(number):
    raise ValueError(f'not {number}')


def test_a_task_that_kills_its_worker_is_repeated_twice_and_named(workers, tmp_path):
    (tmp_path / 'deaths').mkdir()
    tasks = [(number, tmp_path / 'deaths') for number in range(600)]  # they travel in groups
    results = {task[0]: result for task, result in workers.unordered(square, iter(tasks), len(tasks))}
    assert isinstance(results.pop(DEADLY), Crashed)
    assert results == {number: number * number for number in range(600) if number != DEADLY}
    assert len(list((tmp_path / 'deaths').iterdir())) == 1 + cluster.RETRIES


def test_an_error_is_raised_here(workers):
    with pytest.raises(ValueError, match='not 5'):
        list(workers.unordered(refuse, [5], 1))


def process(_):
    return os.getpid()


def test_the_detector_runs_where_it_is_to(workers):
    where = {pid for _, pid in workers.unordered(process, range(60), 60, 'detector')}
    assert len(where) == 1
    assert len(list(workers.unordered(process, range(60), 60, 'nobody has this'))) == 60


def test_the_same_files_though_a_worker_is_killed(dask, run, tmp_path):
    for label in 'ab':
        (tmp_path / 'pets' / label).mkdir(parents=True)
        for i in range(30):
            (tmp_path / 'pets' / label / f'{i}.jpg').write_bytes(encoded(scene(i + ord(label) * 50), 'JPEG'))
    alone = run(tmp_path / 'pets', 'alone', shards=3, near_duplicates=None)
    killed = []

    def kill():
        """Kill a worker once it has written a picture."""
        with distributed.Client(dask.scheduler_address, set_as_default=False) as client:
            pids = list(client.run(os.getpid).values())
            while not any((tmp_path / 'together').glob('jpg/*/*.jpg')):
                time.sleep(.001)
            os.kill(pids[0], getattr(signal, 'SIGKILL', signal.SIGTERM))
            killed.append(pids[0])
    killer = threading.Thread(target=kill)
    killer.start()
    together = run(tmp_path / 'pets', 'together', shards=3, near_duplicates=None, scheduler=dask.scheduler_address)
    killer.join()
    assert killed and contents(together) == contents(alone)
    assert len(contents(alone)) == 60 + 3 + 1 + 3  # pictures, records, label map, stats, report


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_files_though_workers_come_and_go(run, tmp_path):
    for label in 'ab':
        (tmp_path / 'pets' / label).mkdir(parents=True)
        for i in range(300):
            (tmp_path / 'pets' / label / f'{i}.jpg').write_bytes(encoded(scene(i + ord(label) * 500), 'JPEG'))
    alone = run(tmp_path / 'pets', 'alone', shard_size=300_000, near_duplicates=None)
    with distributed.LocalCluster(n_workers=0, threads_per_worker=1, processes=True, dashboard_address=':0',
                                  silence_logs=50) as grown:
        ended, deaths = threading.Event(), []

        def come_and_go():
            with distributed.Client(grown, set_as_default=False) as client:
                for number in range(1000):
                    grown.scale(1 + number % 3)
                    pids = list(client.run(os.getpid, on_error='ignore').values())
                    if number % 3 == 1 and pids:
                        os.kill(pids[0], getattr(signal, 'SIGKILL', signal.SIGTERM))
                        deaths.append(pids[0])
                    if ended.wait(.5):
                        return
        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            together = run(tmp_path / 'pets', 'together', shard_size=300_000, near_duplicates=None,
                           scheduler=grown.scheduler_address)
        finally:
            ended.set()
            thread.join()
    assert deaths and contents(together) == contents(alone)


def test_other_versions_are_named(dask, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, 'likeness', lambda: 'pillow=1')
    said = r'worker tcp.* other versions: .* instead of pillow=1'
    with files.lock(tmp_path / 'locked'), pytest.raises(UserError, match=said):
        Cluster(dask.scheduler_address, tmp_path / 'locked')


def test_a_folder_that_is_not_shared_is_named(dask, tmp_path, monkeypatch):
    with files.lock(tmp_path / 'locked'):
        text = Path.read_text
        monkeypatch.setattr(Path, 'read_text', lambda path, *args: 'other' if path.name == files.LOCK_NAME
                            else text(path, *args))
        with pytest.raises(UserError, match=r'sees another folder as .*locked'):
            Cluster(dask.scheduler_address, tmp_path / 'locked')


def test_nobody_is_waited_for_without_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, 'PATIENCE', 0)
    monkeypatch.setattr(cluster, 'LOOK_SECONDS', .05)
    with distributed.LocalCluster(n_workers=0, processes=True, dashboard_address=':0', silence_logs=50) as empty, \
            files.lock(tmp_path), Cluster(empty.scheduler_address, tmp_path) as workers, \
            pytest.raises(UserError, match='no worker has come'):
        list(workers.unordered(square, [(1, None)], 1))
    assert 'no worker is there; waiting for one' in capsys.readouterr().out


def test_a_folder_that_a_worker_does_not_see_is_named(dask, tmp_path):
    with files.lock(tmp_path), pytest.raises(UserError, match=r'worker tcp.* does not see .*absent, which must be'):
        Cluster(dask.scheduler_address, tmp_path, [tmp_path / 'absent'])
    with distributed.Client(dask.scheduler_address, set_as_default=False) as client:
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures) == 3  # as it was


def test_no_scheduler(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, 'CONNECT_SECONDS', .5)
    with files.lock(tmp_path), pytest.raises(UserError, match=r'tcp://127.0.0.1:9: no scheduler of Dask answers.*dask'):
        Cluster('tcp://127.0.0.1:9', tmp_path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'distributed', None)
    with pytest.raises(UserError, match=r"--scheduler needs Dask: pip install 'object-detection\[cluster\]'"):
        Cluster('tcp://127.0.0.1:9', tmp_path)
