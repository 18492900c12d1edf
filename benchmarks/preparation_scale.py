"""prepare_data.py on very many pictures: the time of each stage and the memory of the parent process.

    python -m benchmarks.preparation_scale --count 100000

Draws the pictures (small JPEGs of noise, one in fifty a recompressed copy of the one before it), runs the whole
preparation with --boxes whole in this process, and prints its time and memory. A few minutes for 100,000. POSIX only.
"""
import argparse
import contextlib
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

LABELS = 10
COPIES = 50  # one picture in this many is a copy of the one before


def draw(folder, count):
    import numpy as np
    from PIL import Image
    rng = np.random.default_rng(0)
    for label in range(LABELS):
        (folder / f'label{label}').mkdir(parents=True)
    for i in range(count):
        copied = i % COPIES == COPIES - 1
        if not copied:
            noise = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
            image = noise.resize((64, 48), Image.Resampling.BICUBIC)
        image.save(folder / f'label{i // COPIES % LABELS}' / f'{i:06}.jpg', quality=60 if copied else 90)


@contextlib.contextmanager
def timed(title, *_):
    """Print the time that a block takes and the memory of this process; stands in for console.progress."""
    class Bar:
        def update(self, done, **values):
            pass
    start = time.perf_counter()
    yield Bar()
    print(f'{title}: {time.perf_counter() - start:.1f} s, peak {peak():.0f} MB', flush=True)


def peak():
    """Return the largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--count', type=int, default=100_000)
    parser.add_argument('--workers', type=int, default=os.cpu_count())
    args = parser.parse_args()
    from object_detection.preparation import run  # here, because the workers import this file and need none of that
    from object_detection.preparation.options import Options
    from object_detection.utils import console
    with tempfile.TemporaryDirectory() as scratch:
        with timed(f'drawing {args.count} pictures'):
            draw(Path(scratch, 'pictures'), args.count)
        console.progress = timed
        start = time.perf_counter()
        run.prepare(Options(Path(scratch, 'pictures'), Path(scratch, 'out'), boxes='whole', workers=args.workers))
        print(f'all: {time.perf_counter() - start:.1f} s; peak memory of the parent: {peak():.0f} MB')


if __name__ == '__main__':
    main()
