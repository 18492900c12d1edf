"""prepare_data.py beside the plain way of preparing pictures.

    python -m benchmarks.preparation                                    # 12-megapixel JPEGs, drawn here
    python -m benchmarks.preparation --pictures FOLDER --mindim 400     # your own pictures, one folder per label

The plain way, for each picture, in one process: decode with Pillow and hash (SHA-256 and pHash); decode again, resize
with LANCZOS, save as JPEG. Ours: the stage of prepare_data.py that does the same and more (orientation, color profile,
atomic files, manifest, duplicates), including the start of its processes; and the whole run with --boxes whole, which
adds records and report. The sides take turns; medians, their ratio and the PSNR between the pictures of both sides are
printed. Other work on the machine disturbs CPU seconds less than wall-clock seconds.
"""
import argparse
import contextlib
import hashlib
import io
import os
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from demo.make_scenes import photograph
from object_detection.utils import console

QUALITY = 95  # of both sides
DCT = np.cos(np.pi / 32 * (np.arange(32) + 0.5) * np.arange(8)[:, None])


def generate(folder, count):
    for i in range(count):
        place = folder / 'ab'[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        photograph(i).save(place / f'{i}.jpg', quality=90)


def plain(sources, mindim, output):
    """Prepare pictures in the plain way; return {source path: file written}."""
    from object_detection.preparation import decode
    written = {}
    Image.core.set_blocks_max(0)  # Pillow's default; preparation/decode.py keeps memory for the next picture
    for i, source in enumerate(sources):
        with Image.open(source.file) as image:
            hashlib.sha256(Path(source.file).read_bytes())
            phash(image.convert('L').resize((32, 32), Image.Resampling.LANCZOS))
        with Image.open(source.file) as image:
            small = image.convert('RGB').resize(decode.shrunk(*image.size, mindim), Image.Resampling.LANCZOS)
            written[source.path] = output / f'{i}.jpg'
            small.save(written[source.path], 'JPEG', quality=QUALITY)
    Image.core.set_blocks_max(decode.BLOCKS_KEPT)
    return written


def phash(gray):
    """Return the pHash of a gray 32x32 picture."""
    low = DCT @ np.asarray(gray, np.float64) @ DCT.T
    return np.packbits(low > np.median(low))


def ours(dataset, options, manifest):
    """Run the stage of prepare_data.py that does the same."""
    from object_detection.preparation import duplicates, names, pictures, run
    from object_detection.preparation.scan import scan
    from object_detection.preparation.workers import Pool
    listed = scan(dataset)
    with Pool(options.workers) as workers:
        made = pictures.prepare(listed.sources, names.jpg_names(listed.sources), manifest, options, workers,
                                on_work=lambda: None)
    run.skip_unusable(made)
    duplicates.find(made, options.near_duplicates)
    return made


def psnr(a, b):
    """Return the decibels between two picture files of one size."""
    first, second = (np.asarray(Image.open(file).convert('RGB'), np.float64) for file in (a, b))
    return 10 * np.log10(255 ** 2 / max(((first - second) ** 2).mean(), 1e-9))


@contextlib.contextmanager
def silent(*_):
    class Bar:
        def update(self, done, **values):
            pass
    yield Bar()


def measured(function):
    """Return (result, wall-clock seconds, CPU seconds of this process and its children)."""
    def cpu():
        return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
                   for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    start, before = time.perf_counter(), cpu()
    result = function()
    return result, time.perf_counter() - start, cpu() - before


def compare(dataset, mindim, rounds, workers, scratch):
    from object_detection.preparation import run  # here, because the workers import this file and need none of that
    from object_detection.preparation.manifest import Manifest
    from object_detection.preparation.options import Options
    from object_detection.preparation.scan import scan
    console.progress = silent
    sources = [source for source in scan(dataset).sources if not source.problem]
    rows = {'plain': [], 'ours': [], 'whole run': []}
    ratios = []
    for number in range(rounds):
        folder = scratch / str(number)
        for name in rows:
            (folder / name).mkdir(parents=True)
        options = Options(dataset, folder / 'ours', mindim=mindim, workers=workers, boxes='whole')
        copies, *times = measured(lambda folder=folder: plain(sources, mindim, folder / 'plain'))
        rows['plain'].append(times)
        with Manifest(options.output) as manifest:
            made, *times = measured(lambda options=options, manifest=manifest: ours(dataset, options, manifest))
        rows['ours'].append(times)
        whole = Options(dataset, folder / 'whole run', mindim=mindim, workers=workers, boxes='whole')
        with contextlib.redirect_stdout(io.StringIO()):
            _, *times = measured(lambda whole=whole: run.prepare(whole))
        rows['whole run'].append(times)
        ratios.append(rows['plain'][-1][0] / rows['ours'][-1][0])
        quality = [psnr(copies[p.path], options.output / p.jpg) for p in made if p.jpg_size and p.turned == 1]
        shutil.rmtree(folder)
    print(f'{len(sources)} pictures, shorter side {mindim}, {workers} workers, {rounds} rounds')
    for name, times in rows.items():
        wall, cpu = (statistics.median(column) for column in zip(*times))
        each = 1000 * wall / len(sources)
        print(f'{name:>10}: {wall:6.2f} s wall clock, {cpu:6.2f} s CPU, {each:6.1f} ms per picture')
    whole = statistics.median(p[0] / w[0] for p, w in zip(rows['plain'], rows['whole run']))
    cpu = statistics.median(p[1] / o[1] for p, o in zip(rows['plain'], rows['ours']))
    print(f'ours is {statistics.median(ratios):.2f} times as fast (rounds: {", ".join(f"{r:.2f}" for r in ratios)}), '
          f'at 1/{cpu:.2f} of the CPU time; the whole run, with records and report, is {whole:.2f} times as fast')
    print(f'PSNR between the pictures of both sides: at least {min(quality):.1f} dB, '
          f'median {statistics.median(quality):.1f} dB')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pictures', type=Path, help='folder of folders of pictures (default: 12-megapixel JPEGs)')
    parser.add_argument('--count', type=int, default=24, help='pictures to draw')
    parser.add_argument('--mindim', type=int, default=640)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--workers', type=int, default=os.cpu_count())
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if not args.pictures:
            generate(Path(scratch, 'pictures'), args.count)
        compare(args.pictures or Path(scratch, 'pictures'), args.mindim, args.rounds, args.workers, Path(scratch))


if __name__ == '__main__':
    main()
