"""Measure the suite and the reference in turn, on the same machine and data, and print a table.

    python benchmarks/side_by_side.py --reference_python FOLDER/bin/python

Each number is the median over --runs fresh processes. Linux and macOS only. README.md explains the rows.
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

ROOT = Path(__file__).resolve().parent.parent
STEPS = 30
SETTLED = 5  # earlier steps do not count for the median
# Key, title, unit, and target as a share of the reference's value.
ROWS = (('first_step', 'command to first finished step', 's', 1 / 6),
        ('step', 'one training step', 's', 1),
        ('train_memory', 'peak memory, training', 'GB', None),
        ('export', 'export', 's', 1 / 8),
        ('load', 'load the SavedModel', 's', 1 / 10),
        ('first_picture', 'first picture through it', 's', None),
        ('picture', 'one picture, after the first', 's', None))


def commands(side, python, config, folder):
    """Return the three command lines of one side: train, export, measure the SavedModel."""
    train_dir, exported = str(folder / 'model'), str(folder / 'exported')
    here = ROOT / 'benchmarks'
    export = [here / 'reference/export.py' if side == 'reference' else ROOT / 'exporter_main_v2.py',
              '--input_type', 'image_tensor', '--pipeline_config_path', config, '--trained_checkpoint_dir', train_dir,
              '--output_directory', exported]
    load = [here / 'measure_saved_model.py', Path(exported, 'saved_model')]
    return [training(side, python, config, train_dir, STEPS),
            *([python, *map(str, command)] for command in (export, load))]


def training(side, python, config, model_dir, steps):
    """Return the command line that trains `steps` steps on one side and prints a line for each."""
    if side == 'reference':
        command = [ROOT / 'benchmarks/reference/train.py', model_dir, config, steps]
    else:
        command = [ROOT / 'train_and_eval_tf2.py', '--model_dir', model_dir, '--pipeline_config_path', config,
                   '--num_train_steps', steps, '--log_every_n', 1]
    return [python, *map(str, command)]


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


def measure(side, python, config, folder):
    """Measure one side once. Return {key of ROWS: value}."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    train, export, load = commands(side, python, config, folder)
    lines, _, memory = run(train, folder / 'train.log')
    ends = step_ends(lines)
    _, exporting, _ = run(export, folder / 'export.log')
    lines, _, _ = run(load, folder / 'saved_model.log')
    return {'first_step': ends[1], 'step': settled_step(ends), 'train_memory': memory, 'export': exporting,
            **json.loads(lines[-1][1])}


def table(samples):
    """Yield the lines of a Markdown table: medians with ranges, the ratio, and whether it reaches the target."""
    sides = list(samples)
    yield '| EfficientDet D0, 512 x 512, batch 2 | ' + ' | '.join(sides) + ' | suite / reference | target |'
    yield '|---' * (len(sides) + 3) + '|'
    for key, title, unit, limit in ROWS:
        values = {side: [sample[key] for sample in samples[side]] for side in sides}
        cells = [f'{statistics.median(v):.3g} {unit} ({min(v):.3g} to {max(v):.3g})' for v in values.values()]
        ratio = target = ''
        if len(sides) == 2:
            share = statistics.median(values['suite']) / statistics.median(values['reference'])
            ratio = f'{share:.3f}'
            target = '' if limit is None else f'{limit:.3f} {"reached" if share <= limit else "MISSED"}'
        yield f'| {title} | {" | ".join(cells)} | {ratio} | {target} |'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--reference_python', help='python of its environment; without it only the suite runs')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--work', type=Path, default=ROOT / 'out' / 'benchmarks', help='folder for files and logs')
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from demo import make_records
    data = args.work.resolve() / 'data'
    data.mkdir(parents=True, exist_ok=True)
    make_records.write_data_set(data, train=32, test=2, seed=0, size=640)
    config = data / 'pipeline.config'
    config.write_text((ROOT / 'benchmarks/efficientdet_d0_512.config').read_text().replace('FOLDER', data.as_posix()))
    sides = {'suite': sys.executable, 'reference': args.reference_python}
    samples = {side: [] for side, python in sides.items() if python}
    for number in range(args.runs):
        for side, rounds in samples.items():
            rounds.append(measure(side, sides[side], str(config), args.work.resolve() / side))
            print(f'run {number + 1} of {args.runs}, {side}: '
                  + ', '.join(f'{key} {value:.3g}' for key, value in rounds[-1].items()), flush=True)
    (args.work / 'samples.json').write_text(json.dumps(samples, indent=1))
    print('', *table(samples), sep='\n')


if __name__ == '__main__':
    main()
