"""prepare_data.py through a Dask scheduler beside the process pool of one machine: time, and bytes when workers die.

    python -m benchmarks.preparation_cluster --count 2000 --rounds 3
    python -m benchmarks.preparation_cluster --count 10000 --rounds 1 --kill 60

Draws pictures of 1.2 megapixels and prepares them with --boxes whole, in turn with two processes and with two workers
of a scheduler on this machine; prints the times, their ratio, and whether all files are equal. With --kill, a worker is
killed every so many seconds (and started again by its nanny). POSIX only.
"""
import argparse
import contextlib
import io
import logging
import os
import signal
import statistics
import tempfile
import threading
import time
from pathlib import Path

DISTINCT = 200  # pictures that are drawn; the others differ from them behind their end


def draw(folder, count):
    from demo.make_scenes import photograph
    from tests.support.hostile import encoded
    drawn = [encoded(photograph(seed, 1280, 960), 'JPEG', quality=90) for seed in range(min(DISTINCT, count))]
    for i in range(count):
        place = folder / f'label{i % 10}'
        place.mkdir(parents=True, exist_ok=True)
        (place / f'{i:06}.jpg').write_bytes(drawn[i % DISTINCT] + i.to_bytes(8, 'big'))


def prepared(dataset, output, **options):
    """Prepare a data set; return the seconds it took."""
    from object_detection.preparation import run
    from object_detection.preparation.options import Options
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        run.prepare(Options(dataset, output, boxes='whole', mindim=640, near_duplicates=None, shard_size=50_000_000,
                            **options))
    return time.perf_counter() - start


def kill(client, seconds, ended, killed):
    """Kill one of the workers every so many seconds."""
    while not ended.wait(seconds):
        pids = list(client.run(os.getpid, on_error='ignore').values())
        if pids:
            os.kill(pids[len(killed) % len(pids)], signal.SIGKILL)
            killed.append(pids)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--count', type=int, default=2000)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--kill', type=float, metavar='SECONDS')
    args = parser.parse_args()
    import distributed

    from tests.support.prepared import contents
    with tempfile.TemporaryDirectory() as scratch, distributed.LocalCluster(
            n_workers=args.workers, threads_per_worker=1, dashboard_address=':0',
            silence_logs=logging.CRITICAL) as cluster:
        dataset = Path(scratch, 'pictures')
        draw(dataset, args.count)
        times, written, killed = {'pool': [], 'scheduler': []}, [], []
        for number in range(args.rounds):
            for name in times if number % 2 == 0 else reversed(times):
                output = Path(scratch, f'{name}{number}')
                with distributed.Client(cluster, set_as_default=False) as client:
                    ended = threading.Event()
                    killer = threading.Thread(target=kill, args=(client, args.kill, ended, killed))
                    if name == 'scheduler' and args.kill:
                        killer.start()
                    times[name].append(prepared(dataset, output, **(
                        {'workers': args.workers} if name == 'pool' else {'scheduler': cluster.scheduler_address})))
                    ended.set()
                    if killer.ident:
                        killer.join()
                written.append(contents(output))
    ratios = [one / other for one, other in zip(times['scheduler'], times['pool'])]
    print(f'{args.count} pictures, {args.workers} workers: pool {statistics.median(times["pool"]):.1f} s, scheduler '
          f'{statistics.median(times["scheduler"]):.1f} s, {statistics.median(ratios):.3f} times as long (rounds: '
          f'{", ".join(f"{ratio:.3f}" for ratio in ratios)}); {len(killed)} workers killed; '
          f'{"all files equal" if all(files == written[0] for files in written) else "FILES DIFFER"}')


if __name__ == '__main__':
    main()
