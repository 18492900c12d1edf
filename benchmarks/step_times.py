"""Measure the training of any model, the suite and the reference in turn: start, step, memory.

    python -m benchmarks.step_times --reference_python FOLDER/bin/python --config A.config B.config ...

Each pipeline.config without keypoints (a released one works unchanged) is pointed at drawn shapes with boxes and masks
and trained from random weights for a few steps by both sides, --runs times in turn. Prints a table, and writes it with
all samples, the processor, and its load to WORK/step_times.md and .json. For CenterNet with MobileNetV2 the reference
downloads pretrained weights, so it needs the internet.
"""
import argparse
import json
import os
import shutil
import statistics
import sys
from pathlib import Path

from benchmarks import drawn, side_by_side
from object_detection.utils import files, machine

SIDES = ('suite', 'reference')
PICTURES = {'train': 32, 'test': 1}  # the suite evaluates after training; the evaluation is not timed
WARMUP = 3
ROWS = {'first_step': ('command to first finished step', 's'), 'step': ('one training step', 's'),
        'memory': ('peak memory', 'GB')}


def measure(path, pythons, args):
    """Return {side: [{key of ROWS: value} of each run]} for one pipeline.config."""
    folder = args.work.resolve() / path.stem
    files.write_text(folder / 'pipeline.config', drawn.adapted(path, args.work.resolve() / 'data', args.size,
                                                               args.batch_size, args.steps))
    samples = {side: [] for side in pythons}
    for _ in range(args.runs):
        for side, python in pythons.items():
            shutil.rmtree(folder / side, ignore_errors=True)
            command = side_by_side.training(side, python, str(folder / 'pipeline.config'), str(folder / side),
                                            args.steps)
            lines, _, memory = side_by_side.run(command, folder / f'{side}.log')
            ends = side_by_side.step_ends(lines)
            samples[side].append({'first_step': ends[1], 'step': side_by_side.settled_step(ends, WARMUP),
                                  'memory': memory})
    return samples


def rows(name, samples):
    """Yield the lines of a Markdown table for one model: medians with ranges, and suite / reference."""
    for key, (title, unit) in ROWS.items():
        values = [[sample[key] for sample in of_side] for of_side in samples.values()]
        medians = list(map(statistics.median, values))
        cells = [f'{median:.3g} {unit} ({min(side):.3g} to {max(side):.3g})' for median, side in zip(medians, values)]
        yield f'| {name} | {title} | {" | ".join(cells)} | {medians[0] / medians[-1]:.2f} |'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--reference_python', help='python of its environment; without it only the suite runs')
    parser.add_argument('--config', type=Path, nargs='+', required=True)
    parser.add_argument('--size', type=int, help='height and width of the input, overriding the config')
    parser.add_argument('--batch_size', type=int, default=2)
    parser.add_argument('--steps', type=int, default=12)
    parser.add_argument('--runs', type=int, default=1)
    parser.add_argument('--work', type=Path, default=side_by_side.ROOT / 'out' / 'step_times')
    args = parser.parse_args()
    drawn.records(args.work.resolve() / 'data', **PICTURES)
    pythons = {side: python for side, python in zip(SIDES, (sys.executable, args.reference_python)) if python}
    lines = [f'| batch {args.batch_size} | | {" | ".join(pythons)} | ratio |', '|---' * (len(pythons) + 3) + '|']
    print(*lines, sep='\n', flush=True)
    found, loads = {}, []
    for path in args.config:
        found[path.stem] = measure(path, pythons, args)
        loads.append(os.getloadavg()[1])
        new = list(rows(path.stem, found[path.stem]))
        print(*new, sep='\n', flush=True)
        lines += new
    about = {'processor': machine.processor(), 'cores': machine.cores(), 'loads': loads}
    text = f'{about["processor"]}, {about["cores"]} cores; load {min(loads):.1f} to {max(loads):.1f}'
    print(text)
    files.write_text(args.work / 'step_times.md', '\n'.join([text, '', *lines, '']))
    files.write_text(args.work / 'step_times.json', json.dumps({**about, 'samples': found}, indent=1))


if __name__ == '__main__':
    main()
