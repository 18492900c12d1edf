"""prepare_data.py against the plain way of preparing pictures, side by side.

    python -m benchmarks.preparation                                    # 12-megapixel JPEGs, made here
    python -m benchmarks.preparation --pictures FOLDER --mindim 400     # pictures of yours, one folder per label

The plain way, per picture, in one process: decode with Pillow and hash it (SHA-256 and pHash); decode again, resize
with LANCZOS, save as JPEG. Ours: the stage of prepare_data.py that does the same and more (checksum, orientation,
profile, atomic files, manifest, duplicates), processes started and all; and beside it the whole run with --boxes whole,
that is with records and report. Rounds alternate; medians, their ratio and the PSNR between the two ways' pictures are
printed. CPU seconds are less disturbed by other work on the machine than seconds on the clock.
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

QUALITY = 95  # of both
DCT = np.cos(np.pi / 32 * (np.arange(32) + 0.5) * np.arange(8)[:, None])


def photograph(seed, width=4000, height=3000):
    """A picture with detail at all scales, as photographs have it: noise whose strength falls with its frequency."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 128, np.float32)
    for columns in (8, 32, 128, 512, 2048):
        noise = rng.normal(size=(columns * height // width, columns, 3)).astype(np.float32) * (60 / columns ** 0.35)
        for channel in range(3):
            layer = Image.fromarray(noise[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += np.asarray(layer)
    return Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))


def generate(folder, count):
    for i in range(count):
        place = folder / 'ab'[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        photograph(i).save(place / f'{i}.jpg', quality=90)


def plain(sources, mindim, output):
    """The plain way; {source path: file written}."""
    from object_detection.preparation import decode
    written = {}
    Image.core.set_blocks_max(0)  # as Pillow comes; ours keeps memory for the next picture (preparation/decode.py)
    for i, source in enumerate(sources):
        with Image.open(source.file) as image:
            hashlib.sha256(Path(source.file).read_bytes())
            hashed(image.convert('L').resize((32, 32), Image.Resampling.LANCZOS))
        with Image.open(source.file) as image:
            small = image.convert('RGB').resize(shrunk(image.size, mindim), Image.Resampling.LANCZOS)
            written[source.path] = output / f'{i}.jpg'
            small.save(written[source.path], 'JPEG', quality=QUALITY)
    Image.core.set_blocks_max(decode.BLOCKS_KEPT)
    return written


def hashed(grey):
    """pHash of a grey 32x32 picture."""
    low = DCT @ np.asarray(grey, np.float64) @ DCT.T
    return np.packbits(low > np.median(low))


def ours(dataset, options, manifest):
    """The stage of ours that does the same."""
    from object_detection.preparation import duplicates, names, pictures, run
    from object_detection.preparation.scan import scan
    found = scan(dataset)
    made = pictures.prepare(found, names.jpg_names(found.sources), manifest, options, silent, lambda: None)
    run.skip_unusable(made)
    duplicates.find(made, options.near_duplicates)
    return made


def psnr(a, b):
    """Decibels between two picture files of one size."""
    first, second = (np.asarray(Image.open(file).convert('RGB'), np.float64) for file in (a, b))
    return 10 * np.log10(255 ** 2 / max(((first - second) ** 2).mean(), 1e-9))


@contextlib.contextmanager
def silent(*_):
    class Bar:
        def update(self, done, **values):
            pass
    yield Bar()


def measured(function):
    """(result, seconds on the clock, CPU seconds of this process and its children)."""
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
        print(f'{name:>10}: {wall:6.2f} s on the clock, {cpu:6.2f} s CPU, {each:6.1f} ms a picture')
    whole = statistics.median(p[0] / w[0] for p, w in zip(rows['plain'], rows['whole run']))
    cpu = statistics.median(p[1] / o[1] for p, o in zip(rows['plain'], rows['ours']))
    print(f'ours is {statistics.median(ratios):.2f} times as fast (rounds: {", ".join(f"{r:.2f}" for r in ratios)}); '
          f'CPU seconds: {cpu:.2f} times less; the whole run, records and report included: {whole:.2f} times as fast')
    print(f'PSNR between the pictures of the two ways: least {min(quality):.1f} dB, '
          f'median {statistics.median(quality):.1f} dB')


def shrunk(size, mindim):
    scale = min(1, mindim / min(size))
    return round(size[0] * scale), round(size[1] * scale)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pictures', type=Path, help='folder of folders of pictures; without it 12-megapixel JPEGs')
    parser.add_argument('--count', type=int, default=24, help='pictures to make')
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
