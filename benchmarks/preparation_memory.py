"""prepare_data.py on a million pictures that do not exist: the memory of the parent process and the time of each stage.

    python -m benchmarks.preparation_memory --count 100000
    python -m benchmarks.preparation_memory --count 1000000 --boxes yolo
    python -m benchmarks.preparation_memory --hashes 10000000

Everything that the workers find out about a picture is drawn at random and put into the manifest, as if an earlier run
had been stopped after reading; files of pictures are empty shells with the right size and time (sparse, so that a
million takes no space). From there on, prepare_data.py runs as it is, with all stages of its parent: listing, facts,
annotations, duplicates, boxes, split, stats.json, report.html, records. Boxes come from a detector's kept detections,
YOLO files (one for each picture), COCO JSON, or are whole pictures. --hashes looks for near duplicates alone. POSIX
only.
"""
import argparse
import contextlib
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.preparation_scale import peak, timed

LABELS = 20
COPIES = 50  # one picture in this many is a near copy of the one before
SIZE, JPG_SIZE, TIME = 300_000, 200, 1_700_000_000_000_000_000  # bytes of a picture and of its jpg; nanoseconds
OBJECTS = 3  # boxes of a picture, on average
BLOCK = 10_000


def shell(path, size):
    """Make a file of `size` bytes that takes no space."""
    with open(path, 'wb') as file:  # noqa: PTH123, a million times
        file.truncate(size)
    os.utime(path, ns=(TIME, TIME))


def names(count):
    """Yield (label, stem) of each picture, in the order of the paths."""
    for i in range(count):
        yield f'label{i * LABELS // count:02}', f'{i:08}'


def draw(folder, count, kind):
    """Make shells of the pictures and of their jpgs, a manifest with facts about them, and annotations of a kind."""
    import numpy as np

    from object_detection.preparation import pictures
    from object_detection.preparation.manifest import FACTS, Manifest
    from object_detection.preparation.options import Options
    rng, data, output = np.random.default_rng(0), folder / 'pictures', folder / 'out'
    for label in {label for label, _ in names(count)}:
        (data / label).mkdir(parents=True)
        (output / 'jpg' / label).mkdir(parents=True)
    for label, stem in names(count):
        shell(f'{data}/{label}/{stem}.jpg', SIZE)
        shell(f'{output}/jpg/{label}/{stem}.jpg', JPG_SIZE)
    with Manifest(output):
        pass
    key = pictures.picture_options(Options(data, output))
    database = sqlite3.connect(output / 'manifest.sqlite', isolation_level=None)
    listed = list(names(count))
    hashes = rng.integers(-2 ** 63, 2 ** 63 - 1, count)
    hashes[COPIES - 1::COPIES] = hashes[COPIES - 2::COPIES][:len(hashes[COPIES - 1::COPIES])] ^ 0b1001
    for start in range(0, count, BLOCK):
        rows, seen = [], []
        database.execute('BEGIN')
        thumbnails = rng.integers(0, 256, (BLOCK, 768), np.uint8)
        for i, (label, stem) in enumerate(listed[start:start + BLOCK]):
            number = start + i
            copy = number % COPIES == COPIES - 1
            thumbnail = thumbnails[i - copy].tobytes()
            facts = {'path': f'{label}/{stem}.jpg', 'label': label, 'size': SIZE, 'mtime_ns': TIME, 'options': key,
                     'problem': None, 'note': None, 'sha256': f'{number:064x}', 'format': 'JPEG', 'width': 640,
                     'height': 480, 'turned': 1, 'hash': int(hashes[number]), 'thumbnail': thumbnail,
                     'jpg': f'jpg/{label}/{stem}.jpg', 'jpg_size': JPG_SIZE, 'jpg_mtime_ns': TIME, 'jpg_width': 640,
                     'jpg_height': 480, 'jpg_sha256': f'{number + count:064x}'}
            rows.append([facts[name] for name in FACTS])
            if kind == 'detector':
                found = [[*sorted_box(rng), round(float(score), 4), 1 + number % 3]
                         for score in sorted(rng.random(OBJECTS * 2), reverse=True)]
                seen.append([facts['jpg_sha256'], detector(folder)[1], json.dumps(found)])
        database.executemany(f'INSERT INTO found VALUES ({", ".join("?" * len(FACTS))})', rows)
        database.executemany('INSERT INTO written VALUES (?)', [[row[FACTS.index('jpg')]] for row in rows])
        database.executemany('INSERT INTO detections VALUES (?, ?, ?)', seen)
        database.execute('COMMIT')
    database.close()
    if kind in ('yolo', 'coco'):
        {'yolo': draw_yolo, 'coco': draw_coco}[kind](data, count)


def sorted_box(rng):
    """Return (ymin, xmin, ymax, xmax) of a random box."""
    ymin, xmin = rng.random(2) * 0.5
    return [round(float(value), 4) for value in (ymin, xmin, ymin + 0.1 + 0.4 * rng.random(),
                                                 xmin + 0.1 + 0.4 * rng.random())]


def detector(folder):
    """Return the SavedModel that has found the drawn detections, and its digest."""
    from object_detection.preparation import detections
    made = folder / 'detector'
    if not made.exists():
        made.mkdir()
        (made / 'saved_model.pb').write_bytes(b'never loaded')
    return made, detections.digest(made, detections.KEPT, True)


def draw_yolo(data, count):
    rng = random.Random(0)
    (data / 'classes.txt').write_text('\n'.join(f'label{i:02}' for i in range(LABELS)) + '\n')
    for label, stem in names(count):
        lines = [f'{int(label[-2:])} {rng.uniform(.3, .7):.6f} {rng.uniform(.3, .7):.6f} {rng.uniform(.1, .6):.6f} '
                 f'{rng.uniform(.1, .6):.6f}\n' for _ in range(rng.randint(1, 2 * OBJECTS - 1))]
        (data / label / f'{stem}.txt').write_text(''.join(lines))


def draw_coco(data, count):
    rng, number = random.Random(0), 0
    with (data / 'instances.json').open('w') as file:
        file.write('{"images": [')
        for i, (label, stem) in enumerate(names(count)):
            file.write(f'{", " if i else ""}' + json.dumps({
                'id': i, 'file_name': f'{label}/{stem}.jpg', 'width': 640, 'height': 480}))
        file.write('], "annotations": [')
        for i, (label, _) in enumerate(names(count)):
            for _ in range(rng.randint(1, 2 * OBJECTS - 1)):
                number += 1
                file.write(f'{", " if number > 1 else ""}' + json.dumps({
                    'id': number, 'image_id': i, 'category_id': int(label[-2:]) + 1, 'iscrowd': 0,
                    'bbox': [rng.randint(0, 300), rng.randint(0, 200), rng.randint(10, 300), rng.randint(10, 200)]}))
        file.write('], "categories": ' + json.dumps([{'id': i + 1, 'name': f'label{i:02}'} for i in range(LABELS)])
                   + '}')


STAGES = ('find', 'pictures.prepare', 'fit.fit_all', 'duplicates.find', 'pictures.restore', 'boxes.decide',
          'split.name_by_boxes', 'split.assign', 'stats.collect', 'report.write', 'examples.write')


def watch(run):
    """Print time and peak memory of the stages of prepare_data.py."""
    for stage in STAGES:
        owner, _, name = stage.rpartition('.')
        owner = getattr(run, owner) if owner else run
        setattr(owner, name, watched(stage, getattr(owner, name)))


def watched(stage, function):
    def run(*args, **values):
        with timed(stage):
            return function(*args, **values)
    return run


def find_duplicates(count):
    """Look for near duplicates among drawn hashes: of a fiftieth there is a copy that differs in up to six bits."""
    import numpy as np

    from object_detection.preparation import duplicates
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2 ** 64, count, dtype=np.uint64)
    copies = np.arange(COPIES - 1, count, COPIES)
    flips = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (6, len(copies)), dtype=np.uint64))
    hashes[copies] = hashes[copies - 1] ^ flips
    sets = duplicates.Sets(count)
    with timed(f'near duplicates among {count} hashes'):
        duplicates.join_near(sets, np.arange(count), hashes, 6,
                             lambda rows: np.zeros((len(rows), duplicates.THUMBNAIL_BYTES), np.uint8))
    roots = sets.roots()
    print(f'{(roots[copies] == roots[copies - 1]).sum()} of {len(copies)} copies found, '
          f'{(roots != np.arange(count)).sum()} pictures joined')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--count', type=int, default=100_000)
    parser.add_argument('--boxes', choices=('whole', 'detector', 'yolo', 'coco'), default='detector')
    parser.add_argument('--hashes', type=int, metavar='N', help='look for near duplicates among N hashes, and end')
    parser.add_argument('--folder', type=Path, help='where to draw; kept, and used again')
    args = parser.parse_args()
    if args.hashes:
        find_duplicates(args.hashes)
        return
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / 'drawn').exists():
            import subprocess  # so that drawing does not count as memory of the parent
            code = (f'from benchmarks import preparation_memory as m; from pathlib import Path; '
                    f'm.draw(Path({str(folder)!r}), {args.count}, {args.boxes!r})')
            with timed(f'drawing {args.count} pictures'):
                subprocess.run([sys.executable, '-c', code], check=True)
            (folder / 'drawn').write_text('')
        from object_detection.preparation import run
        from object_detection.preparation.options import Options
        base = peak()
        watch(run)
        start = time.perf_counter()
        options = {'boxes': 'whole'} if args.boxes == 'whole' else (
            {'coco': detector(folder)[0]} if args.boxes == 'detector' else {})
        run.prepare(Options(folder / 'pictures', folder / 'out', shards=10, **options))
        print(f'all: {time.perf_counter() - start:.1f} s; peak of the parent {peak():.0f} MB, {base:.0f} MB of them '
              f'before the first stage: {(peak() - base) * 1e6 / args.count:.0f} bytes a picture')


if __name__ == '__main__':
    main()
