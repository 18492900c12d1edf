"""How fast detect.py is beside its network alone, and how much memory a long video takes.

    python -m benchmarks.detect --model models/d1/exported --pictures FOLDER
    python -m benchmarks.detect --model models/d1/exported --frames 10000

Pictures: the network alone runs on pictures that lie decoded in memory, one after the other; detect.py also decodes,
draws and writes them. Both take turns, 25 pictures each, so that what else runs on the machine slows both.

Video: a drawn video of so many frames is detected, drawn and written; the memory of the process is printed on the way
(Linux).
"""
import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from object_detection.commands import loading
from object_detection.detection.item import Item, Source

WIDTH, HEIGHT, RATE = 640, 360, 25
BLOCK = 25  # pictures in turn


def pictures(runner: Any, folder: str, rounds: int, threads: int) -> None:
    """Print the rate of the network alone, of detect.py, and their ratio."""
    from object_detection.detection import flow, sources, writers
    from object_detection.detection import pictures as reading
    found = sources.find([folder]).pictures
    items = [item for item in reading.read(found, threads, 8) if isinstance(item, Item)]
    found = [item.source for item in items]
    keep = flow.keeper(.3, None)
    for item in items[:20]:
        runner.detect([item.image])
    rates: list[tuple[float, float]] = []
    best: dict[int, tuple[float, float]] = {}  # the shortest seconds of each block
    computed = [0., 0.]  # seconds of all cores
    for number in range(rounds):
        alone = whole = 0.
        for first in range(0, len(items), BLOCK):
            start, before = time.perf_counter(), time.process_time()
            for item in items[first:first + BLOCK]:
                keep(runner.detect([item.image])[0])
            one = time.perf_counter() - start
            computed[0] += time.process_time() - before
            with tempfile.TemporaryDirectory() as output:
                start, before = time.perf_counter(), time.process_time()
                writer = writers.Pictures(Path(output), runner.labels)
                flow.run(reading.read(found[first:first + BLOCK], threads, 2 + threads), runner, 1, keep, [writer],
                         flow.Totals(), print, lambda totals: None, threads)
                other = time.perf_counter() - start
                computed[1] += time.process_time() - before
            alone, whole = alone + one, whole + other
            before_one, before_other = best.get(first, (one, other))
            best[first] = min(one, before_one), min(other, before_other)
        rates.append((len(items) / alone, len(items) / whole))
        print(f'round {number + 1}: network alone {rates[-1][0]:.2f}, detect.py {rates[-1][1]:.2f} pictures/s',
              flush=True)
    medians = [statistics.median(values) for values in zip(*rates)]
    least = [sum(times) for times in zip(*best.values())]
    ratios = sorted(whole / alone for alone, whole in rates)
    print(f'{len(items)} pictures, medians of {rounds} rounds: network alone {medians[0]:.2f}, detect.py '
          f'{medians[1]:.2f} pictures/s; ratio {statistics.median(ratios):.1%} ({ratios[0]:.1%} to {ratios[-1]:.1%}); '
          f'of the shortest time of each block {least[0] / least[1]:.1%}. '
          f'Time of all cores per picture: {computed[0] / len(items) / rounds * 1000:.1f} and '
          f'{computed[1] / len(items) / rounds * 1000:.1f} ms')


def video(runner: Any, frames: int) -> None:
    """Print the memory of the process while it detects in a long video, draws it and writes it."""
    from object_detection.detection import flow, writers
    from object_detection.detection import video as reading
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'drawn.mp4')
        draw(path, frames)
        print(f'{frames} frames of {WIDTH}x{HEIGHT} are drawn, {path.stat().st_size / 1e6:.0f} MB', flush=True)
        memory: list[float] = []
        step = max(1, frames // 10)

        def note(totals: flow.Totals) -> None:
            if totals.items % step == 0:
                memory.append(memory_now())
                print(f'{totals.items} frames: {memory[-1]:.0f} MB, network {totals.utilization:.0%} busy', flush=True)
        writer = writers.Videos(Path(folder, 'out'), runner.labels)
        start, totals = time.perf_counter(), flow.Totals()
        source = Source(path, 'drawn.mp4', 'drawn', True)
        flow.run(reading.ahead(lambda: reading.read(source), 4), runner, 1, flow.keeper(.3, None), [writer], totals,
                 print, note)
        writer.close()
        print(f'{totals.items} frames in {time.perf_counter() - start:.0f} s; memory after the first tenth '
              f'{memory[0]:.0f} MB, at the end {memory[-1]:.0f} MB ({memory[-1] - memory[0]:+.0f} MB)')


def memory_now() -> float:
    """Return the resident MB of this process, as Linux tells it."""
    status = Path('/proc/self/status').read_text(encoding='utf-8')
    return int(status.partition('VmRSS:')[2].split()[0]) / 1000


def draw(path: Path, frames: int) -> None:
    """Write a video of moving rectangles."""
    from object_detection.detection.video import Writer
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 80, (HEIGHT, WIDTH, 3), np.uint8)
    colors = rng.integers(100, 255, (6, 3), np.uint8)
    writer = Writer(path, (WIDTH, HEIGHT), RATE)
    for i in range(frames):
        image = ground.copy()
        for number, color in enumerate(colors):
            top, left = (i * (number + 1)) % (HEIGHT - 80), (i * (number + 2) + 90 * number) % (WIDTH - 80)
            image[top:top + 80, left:left + 60] = color
        writer.write(image, i / RATE)
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', required=True, metavar='PATH')
    parser.add_argument('--label_map', default='coco', metavar='FILE')
    parser.add_argument('--pictures', default='', metavar='FOLDER')
    parser.add_argument('--frames', type=int, default=0, metavar='N', help='of a drawn video')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=max(1, min(4, (os.cpu_count() or 2) // 2)))
    options = parser.parse_args()
    runner = loading.load(options.model, None, options.label_map, None)
    if options.pictures:
        pictures(runner, options.pictures, options.rounds, options.threads)
    if options.frames:
        video(runner, options.frames)


if __name__ == '__main__':
    main()
