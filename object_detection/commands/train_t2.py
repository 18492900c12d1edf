"""Verify a pipeline.config before the long run.

Reports everything that is wrong with the config's fields and numbers, paths, label map, checkpoint, and records with
their pictures and boxes, all at once, and what of it may be put right: each finding has its line, its grade (error,
warning or hint) and the fix. Then builds the model, trains it for a few steps and evaluates it on a few pictures, in a
folder that is deleted afterwards. Ends with code 0 if there is no error, else with 1.
"""
import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from object_detection.utils import args, console, errors, files, machine, phases

_STYLES = {'error': 'bad', 'warning': 'warning', 'hint': 'soft'}


def main(argv: Sequence[str] | None = None) -> int:
    parser = args.Parser(__doc__)
    args.add_pipeline_config(parser)
    parser.add_argument('--num_train_steps', type=args.positive_int, default=10, metavar='N', help='steps to try')
    parser.add_argument('--sample', type=args.count, default=1000, metavar='N',
                        help='records of each data set to open; 0: all of them')
    parser.add_argument('--checkpoint_every_n', type=args.positive_int, default=1000, metavar='N',
                        help='of the training, as are the next two: for the disk that its checkpoints take')
    parser.add_argument('--checkpoint_max_to_keep', type=args.positive_int, default=100, metavar='N')
    parser.add_argument('--keep_optimizer', type=args.positive_int, default=3, metavar='N')
    parser.add_argument('--fix', action='store_true', help='write a corrected config beside the old one '
                        '(NAME.fixed.config), with the reason above each change')
    parser.add_argument('--json', action='store_true', help='print one JSON object with all findings and measurements, '
                        'and everything else to stderr')
    parser.add_argument('--plot', type=Path, metavar='FOLDER', help='draw augmented inputs with their boxes, masks and '
                        'matched anchors here, as the network will see them; a new or empty folder')
    options = parser.parse_args(argv)
    with phases.Worker(preload=['object_detection.doctor.trial']) as worker:
        if not options.json:
            return verify(options, worker, {})
        found: dict[str, Any] = {'config': str(options.pipeline_config_path)}
        with contextlib.redirect_stdout(sys.stderr):
            try:
                code = verify(options, worker, found)
            except errors.UserError as error:  # the config cannot be parsed
                code = 1
                found['findings'] = [{'grade': 'error', 'file': found['config'], 'message': message, 'fixes': []}
                                     for message in error.findings]
        print(json.dumps(found, indent=1))
        return code


def verify(options: argparse.Namespace, worker: phases.Worker, found: dict[str, Any]) -> int:
    """Print all findings about a pipeline.config, and put them into `found`, for JSON; return the exit code."""
    from object_detection.commands import preflight
    from object_detection.config import pipeline
    from object_detection.doctor import checkup, data

    path, sample = options.pipeline_config_path, options.sample or None
    if options.plot:
        files.vacant_dir(options.plot)
    config = pipeline.read(path)
    console.log(f'{path}: every field is known')
    findings, reports = preflight.examine(config, path, sample)
    for name, report in reports.items():
        describe_records(name, report)
    looked_at = data.read(config, reports, sample)
    findings += checkup.examine(config, path, findings, looked_at, len(machine.gpus()))
    errors_in = [finding for finding in findings if finding.severity == 'error']
    if checkup.can_train(findings):
        findings += try_out(worker, config, options, not errors_in, looked_at, found)
    findings = checkup.by_grade(findings)
    found['records'] = {name: checkup.report_json(report) for name, report in reports.items()}
    found['findings'] = [checkup.as_json(finding, path) for finding in findings]
    code = conclude(findings)
    if options.fix:
        found['fixed'] = write_fixed(path, findings)
    return code


def describe_records(name: str, report: Any) -> None:
    """Print what an input reader's records hold: a records.Report."""
    boxes = ', '.join(f'{label} {count}' for label, count in sorted(report.boxes_of.items(), key=str))
    console.log(f'{name}: {report.records} records, {report.checked} opened; boxes: {boxes or "none"}'
                + (f'; {report.without_boxes} pictures without a box' if report.without_boxes else ''))


def try_out(worker: phases.Worker, config: Any, options: argparse.Namespace, trains: bool, looked_at: Sequence[Any],
            found: dict[str, Any]) -> list[Any]:
    """Build, restore, and if it trains, train, measure and evaluate; return the checks.Findings."""
    from object_detection.config.checks import Finding, located
    from object_detection.config.pipeline import to_text
    from object_detection.doctor import cost

    console.stage('Steps')
    findings: list[Finding] = []
    splits = {split.name: split for split in looked_at}

    def on_event(name, **values):
        if name == 'device' and 'device' not in found:  # evaluation reports it again
            found['device'] = values
            console.log(f'computing on {values["count"]} x {values["device"]}')
        elif name == 'fine_tuned':
            console.table(['part of the model', 'restored', 'new', 'other shape'], values['table'],
                          title=f'restored from {values["checkpoint"]}')
        elif name == 'warning':
            finding = Finding('warning', 'train_config', values['text'])
            if finding not in findings:  # training and evaluation may both meet it
                findings.append(finding)
        elif name == 'finding':
            findings.append(values['finding'])
        elif name == 'plotted':
            found['plots'] = values['paths']
            console.log(f'drew {len(values["paths"])} inputs: {options.plot}')
        elif name == 'log':
            losses = ', '.join(f'{tag.removeprefix("Loss/")} {value:.4g}' for tag, value in values['values'].items())
            console.log(f'step {values["step"]}: {losses}')
        elif name == 'evaluated':
            console.log(f'evaluated {values["pictures"]} pictures')

    evaluated = splits['eval_input_reader[0]'].total if 'eval_input_reader[0]' in splits else 1
    arguments: dict[str, Any] = {'config_text': to_text(config), 'num_steps': options.num_train_steps if trains else 0,
                                 'sample_1_of_n': max(1, evaluated // 8)}
    if trains and (training := splits.get('train_input_reader')):
        arguments['worst'] = cost.worst(training.looks, config.train_config.batch_size,
                                        config.train_input_reader.max_number_of_boxes)
        arguments['boxes'] = resized_boxes(config, training)
    if options.plot and trains:
        arguments['plot_folder'] = str(files.make_dir(options.plot))
    with tempfile.TemporaryDirectory() as folder:
        outcome = worker.run(try_out_phase, arguments, Path(folder, 'outcome.json'), on_event)
    if outcome.kind != phases.DONE:
        findings.append(Finding('error', outcome.kind, outcome.message))
    elif trains:
        found['cost'] = add_up(outcome.data, config, options)
        folder = options.pipeline_config_path.absolute().parent
        findings += [*cost.check_disk(found['cost']['checkpoints_bytes'], found['cost']['checkpoints'], folder),
                     *cost.check_waiting(found['cost']['waiting'])]
        describe_cost(found['cost'], config.train_config.num_steps)
    return located(findings, options.pipeline_config_path)


def resized_boxes(config: Any, split: Any) -> Any:
    """Return the boxes of a doctor.data.Split as fractions of the input; None without anchors or a size of the input.
    """
    from object_detection.config.pipeline import architecture, fixed_size
    from object_detection.doctor import anchors

    resizer = architecture(config)[1].image_resizer
    if not fixed_size(resizer) or anchors.rules(config.model) is None:
        return None
    return anchors.all_resized([(look.boxes, look.size) for look in split.looks], resizer)


def add_up(measured: dict[str, Any], config: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured (doctor.trial), and what follows from it for the whole training."""
    from object_detection.doctor import cost

    steps = config.train_config.num_steps
    kept, needed = cost.disk(steps, options.checkpoint_every_n, options.checkpoint_max_to_keep, options.keep_optimizer,
                             measured['checkpoint_bytes'], measured['slot_bytes'])
    return {**measured, 'checkpoints': kept, 'checkpoints_bytes': needed,
            'training_seconds': steps * measured['seconds_per_step']}


def try_out_phase(report: phases.Report, stopping: phases.Stopping, **arguments: Any) -> dict[str, Any]:
    """The phase that tries the config out; only its process imports TensorFlow."""
    from object_detection.doctor import trial
    return trial.try_out(report, stopping, **arguments)


def describe_cost(cost: dict[str, Any], num_steps: int) -> None:
    """Print what the training takes: the result of add_up."""
    seconds = cost['seconds_per_step']
    finish = time.strftime('%A %H:%M', time.localtime(time.time() + cost['training_seconds']))
    took = console.duration(cost['training_seconds'])
    memory = [f'{size / 1e9:.1f} GB of {words}' for size, words in (
        (cost['peak_memory'], 'main memory'), (cost['peak_gpu_memory'], 'GPU memory')) if size]
    console.table(['what the training takes', ''], [
        ('a step', f'{seconds:.3g} s ({1 / seconds:.3g} a second); waits for input {cost["waiting"]:.0%} of the time'),
        ('memory', f'at most {", ".join(memory) or "unknown"}, with a batch of most boxes and largest pictures'),
        (f'{num_steps} steps', f'{took} without the evaluations; begun now, it ends after {finish}'),
        ('disk', f'{cost["checkpoints_bytes"] / 1e9:.2g} GB for {cost["checkpoints"]} checkpoints and best/')])


def conclude(findings: Sequence[Any]) -> int:
    """Print all findings; return the exit code."""
    console.stage('Findings')
    for finding in findings:
        console.log(f'{finding.severity}: {finding}', _STYLES[finding.severity])
    counts = {grade: sum(finding.severity == grade for finding in findings) for grade in _STYLES}
    console.log(', '.join(f'{count} {grade}{"" if count == 1 else "s"}' for grade, count in counts.items()))
    return 1 if counts['error'] else 0


def write_fixed(path: Path, findings: Sequence[Any]) -> str | None:
    """Write the corrected config, print what it changes, and return its path; None if there is nothing to correct."""
    from object_detection.doctor import checkup

    written = checkup.write_corrected(path, findings)
    if written is None:
        console.log('--fix: no error or warning can be corrected by itself')
        return None
    target, fixes = written
    console.log(f'wrote {target}')
    console.table(['field', 'new value', 'reason'], [
        (shortened(fix.field), str(fix.value), fix.why) for fix in fixes])
    return str(target)


def shortened(field: str) -> str:
    """Return the path of a field without its middle, if it is long."""
    parts = field.split('.')
    return f'{parts[0]} ... {".".join(parts[-2:])}' if len(parts) > 4 else field


def run() -> None:
    """Run main; a user's mistakes end it with a message and an exit code."""
    errors.run_main(main)
