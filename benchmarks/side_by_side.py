"""Measure the suite and the reference in turn, on the same machine and data, and print a table.

    python -m benchmarks.side_by_side --reference_python FOLDER/bin/python --config A.config B.config ... [--short]

Each pipeline.config without keypoints (a released one works unchanged) is pointed at drawn scenes of 640 x 640 and
trained from random weights by both sides, evaluated, exported, and run, --runs times in turn, each in fresh processes.
README.md explains the rows. Writes WORK/side_by_side.md and .json, with all samples, the processor, and its load. For
CenterNet with MobileNetV2 the reference downloads pretrained weights, so it needs the internet. Linux and macOS only.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import drawn
from object_detection.config import pipeline
from object_detection.utils import files, machine

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / 'benchmarks'
SETTLED = 5  # earlier steps do not count for the median
CYCLE = 1000  # steps
ROWS = {'first_step': ('command to first finished step', 's'),
        'step': ('one training step', 's'),
        'memory': ('peak memory, training', 'GB'),
        'checkpoint': ('checkpoint', 's'),
        'evaluation': ('last step to metrics of {pictures} pictures', 's'),
        'cycle': (f'{CYCLE} steps and an evaluation, computed from the rows above', 's'),
        'export': ('export', 's'),
        'load': ('load the SavedModel', 's'),
        'picture': ('one picture, batch 1', 's'),
        'picture_of_8': ('one picture, batch 8', 's')}


class Side:
    """The commands of one side, and what their lines say.

    Attributes:
        python: of its environment.
        folder: for its files and logs.
        precision: that the suite trains in.
    """
    saved = r'step {steps} saved as'
    evaluated = r'eval: step \d+, \d+ pictures: '

    def __init__(self, python: str, config: Path, folder: Path, precision: str) -> None:
        self.python, self.folder, self.precision = python, folder, precision
        self.paths = ['--pipeline_config_path', config]
        self.model_dir, self.exported = folder / 'model', folder / 'exported'

    def training(self, steps):
        """Commands that print a line for each of `steps` steps and then evaluate, one after the other."""
        return [[ROOT / 'train_and_eval_tf2.py', '--model_dir', self.model_dir, *self.paths, '--num_train_steps', steps,
                 '--checkpoint_every_n', steps, '--log_every_n', 1, '--precision', self.precision]]

    exporter = ROOT / 'exporter_main_v2.py'

    def measure(self, size, steps, parts):
        """Return {key of ROWS: value}."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        lines, memories, offset = [], [], 0.
        for number, command in enumerate(self.training(steps)):
            printed, seconds, memory = self._run(command, f'train_{number}')
            lines += [(at + offset, line) for at, line in printed]
            offset += seconds
            memories.append(memory)
        ends = step_ends(lines)
        found = {'first_step': ends[1], 'step': settled_step(ends), 'memory': memories[0],
                 'checkpoint': _when(lines, self.saved.format(steps=steps), ends[steps]) - ends[steps],
                 'evaluation': _when(lines, self.evaluated, ends[steps]) - ends[steps]}
        found['cycle'] = found['first_step'] + (CYCLE - 1) * found['step'] + found['evaluation']
        if 'export' in parts:
            _, found['export'], _ = self._run(
                [self.exporter, '--input_type', 'image_tensor', *self.paths, '--trained_checkpoint_dir', self.model_dir,
                 '--output_directory', self.exported], 'export')
            lines, _, _ = self._run([HERE / 'measure_saved_model.py', self.exported / 'saved_model', size],
                                    'saved_model')
            found |= json.loads(lines[-1][1])
        return found

    def _run(self, command, name):
        return run([self.python, *map(str, command)], self.folder / f'{name}.log')


class Reference(Side):
    saved = 'checkpoint written'
    evaluated = 'Eval metrics at step'
    exporter = HERE / 'reference/export.py'

    def training(self, steps):
        return [[HERE / 'reference/train.py', self.model_dir, self.paths[1], steps],
                [HERE / 'reference/evaluate.py', self.model_dir, self.paths[1]]]


def _when(lines, pattern, after):
    """Return the time of the first line from `after` on that matches."""
    return next(at for at, line in lines if at >= after and re.search(pattern, line))


def step_ends(lines):
    """Return {step: seconds since the start} from the lines that a training command printed."""
    ends = {}
    for at, line in lines:
        if found := re.search(r'\bstep (\d+)', line, re.IGNORECASE):
            ends.setdefault(int(found[1]), at)
    return ends


def settled_step(ends, after=SETTLED):
    """Median seconds of a step, those before `after` left out, for they are not typical."""
    return statistics.median(at - ends[step - 1] for step, at in ends.items() if step >= after and step - 1 in ends)


def run(command, log):
    """Run a command. Return [(seconds since the start, line)], total seconds, and peak memory in GB."""
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1', 'TF_CPP_MIN_LOG_LEVEL': '3', 'CUDA_VISIBLE_DEVICES': '-1'}
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, errors='replace',
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        lines = [(time.perf_counter() - started, line) for line in process.stdout]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    log.write_text(''.join(f'{at:8.2f} {line}' for at, line in lines))
    if process.returncode:
        sys.exit(f'{" ".join(command)}\nended with {process.returncode}; its output is in {log}')
    unit = 1e9 if sys.platform == 'darwin' else 1e6  # bytes there, kilobytes on Linux
    return lines, seconds, usage.ru_maxrss / unit


def rows(name, samples, pictures):
    """Yield the lines of a Markdown table for one model: medians with ranges, and suite / reference."""
    for key, (title, unit) in ROWS.items():
        values = [[sample[key] for sample in of_side if key in sample] for of_side in samples.values()]
        if not all(values):
            continue
        medians = list(map(statistics.median, values))
        cells = [f'{median:.3g} {unit}' if len(side) == 1 else
                 f'{median:.3g} {unit} ({min(side):.3g} to {max(side):.3g})' for median, side in zip(medians, values)]
        ratio = f'{medians[0] / medians[1]:.2f}' if len(medians) == 2 else ''
        yield f'| {name} | {title.format(pictures=pictures)} | {" | ".join(cells)} | {ratio} |'
        name = ''


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--reference_python', help='python of its environment; without it only the suite runs')
    parser.add_argument('--config', type=Path, nargs='+', default=[HERE / 'efficientdet_d0_512.config'])
    parser.add_argument('--size', type=int, help='height and width of the input, overriding the config')
    parser.add_argument('--batch_size', type=int, nargs='+', default=[2], help='one, or one for each config')
    parser.add_argument('--precision', default='float32', help='of the suite; the reference has float32 only')
    parser.add_argument('--steps', type=int, default=40)
    parser.add_argument('--pictures', type=int, default=200, help='to evaluate')
    parser.add_argument('--short', action='store_true', help='12 steps, 20 pictures, no export')
    parser.add_argument('--runs', type=int, default=1)
    parser.add_argument('--work', type=Path, default=ROOT / 'out' / 'side_by_side', help='folder for files and logs')
    args = parser.parse_args()
    if args.short:
        args.steps, args.pictures = 12, 20
    work = args.work.resolve()
    drawn.scenes(work / 'data', train=64, test=args.pictures)
    sides = {'suite': (Side, sys.executable)}
    if args.reference_python:
        sides['reference'] = Reference, args.reference_python
    lines = [f'| model | | {" | ".join(sides)} | suite / reference |', '|---' * (len(sides) + 3) + '|']
    print(*lines, sep='\n', flush=True)
    found, loads = {}, []
    batches = args.batch_size * len(args.config) if len(args.batch_size) == 1 else args.batch_size
    for path, batch in zip(args.config, batches, strict=True):
        folder = work / path.stem
        text = drawn.adapted(path, work / 'data', args.size, batch, args.steps)
        files.write_text(folder / 'pipeline.config', text)
        resizer = pipeline.architecture(pipeline.parse(text))[1].image_resizer
        size = resizer.fixed_shape_resizer.height or resizer.keep_aspect_ratio_resizer.max_dimension
        samples = found[path.stem] = {side: [] for side in sides}
        for _ in range(args.runs):
            for side, (kind, python) in sides.items():
                measured = kind(python, folder / 'pipeline.config', folder / side, args.precision).measure(
                    size, args.steps, () if args.short else ('export',))
                samples[side].append(measured)
                loads.append(os.getloadavg()[1])
                (work / 'side_by_side.json').write_text(json.dumps({'loads': loads, 'samples': found}, indent=1))
        new = list(rows(f'{path.stem}, batch {batch}', samples, args.pictures))
        print(*new, sep='\n', flush=True)
        lines += new
    text = f'{machine.processor()}, {machine.cores()} cores; load {min(loads):.1f} to {max(loads):.1f}'
    print(text)
    files.write_text(work / 'side_by_side.md', '\n'.join([text, '', *lines, '']))


if __name__ == '__main__':
    main()
