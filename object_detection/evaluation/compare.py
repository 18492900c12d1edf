"""Compare runs side by side: what differs between them, and how good they are.

    python -m object_detection.evaluation.compare models/a models/b --output comparison.html

Each is the model_dir of a train_and_eval_tf2.py, whose run.json is read. The first one is what the others are compared
with. The page is one file; the differences of the metrics are printed, too.
"""
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from object_detection.config import pipeline
from object_detection.evaluation import charts, summary
from object_detection.evaluation.analysis import bootstrap
from object_detection.evaluation.analysis import files as analysis_files
from object_detection.evaluation.charts import Line
from object_detection.records.fingerprint import changes
from object_detection.runs import curves
from object_detection.runs.metrics import (
    best_of,
    class_of,
    differences,
    has_value,
    is_loss,
    leading_metrics,
    printed,
    short_name,
)
from object_detection.runs.record import Record, now
from object_detection.utils import args, console, errors, files, pages

_CURVES = ('Loss/total_loss', 'learning_rate')


@dataclasses.dataclass
class Run:
    """One of the runs.

    Attributes:
        name: for people; as short as it can be told from the others.
        folder: its model_dir.
        record: its run.json.
        best: the evaluated checkpoint with the best first mAP, see summary.evaluations_of; None without evaluations.
    """

    name: str
    folder: Path
    record: Record
    best: dict[str, Any] | None

    @property
    def start(self) -> dict[str, Any]:
        """The last start that trained, or else the last one; empty if there is none."""
        return self.record.last_start() or next(reversed(self.record.content['starts']), {})

    def metrics(self) -> dict[str, float | None]:
        """The metrics of `best` on the test pictures."""
        return self.best['eval'] if self.best else {}


def load(folders: Sequence[Path]) -> list[Run]:
    """Return the runs of model_dirs; UserError with every folder that has no run.json."""
    if lost := [folder for folder in folders if not (folder / 'run.json').is_file()]:
        raise errors.UserError([files.missing(folder) if not folder.exists() else
                                f'{folder}: has no run.json; give the --model_dir of a train_and_eval_tf2.py'
                                for folder in lost])
    return [Run(name, folder, record := Record(folder), _best(record))
            for folder, name in zip(folders, files.short_names(folders))]


def _best(record: Record) -> dict[str, Any] | None:
    evaluations = [entry for entry in summary.evaluations_of(record) if entry['eval']]
    if not evaluations:
        return None
    leading = leading_metrics(evaluations[-1]['eval'])
    values = {entry['checkpoint']: entry['eval'].get(leading[0]) for entry in evaluations} if leading else {}
    name = best_of(leading[0], values) if leading else None
    return next((entry for entry in evaluations if entry['checkpoint'] == name), evaluations[-1])


def write(runs: Sequence[Run], path: Path) -> None:
    """Write the page."""
    rows = list(differences([run.metrics() for run in runs]))
    files.write_text(path, pages.render(
        Path(__file__).parent, 'compare_template.html', title=' and '.join(run.name for run in runs), runs=runs,
        written=now(), config=config_rows(runs), about=list(_about(runs)), data=list(_data(runs)),
        names=[run.name for run in runs], metrics=[row for row in rows if not class_of(row['name'])],
        classes=[row for row in rows if class_of(row['name'])],
        charts=list(_charts(runs)), verdicts=list(verdicts(runs)), has_value=has_value,
        is_loss=is_loss, class_of=class_of))


def config_rows(runs: Sequence[Run]) -> list[tuple[str, list[str | None]]]:
    """Return (field, [its value in each run, None where it is not set]) of the fields that differ."""
    configs = [pipeline.fields(pipeline.parse(summary.config_of(run.record))) for run in runs]
    names = dict.fromkeys(name for config in configs for name in config)
    return [(name, [config.get(name) for config in configs]) for name in names
            if len({config.get(name) for config in configs}) > 1]


def _about(runs: Sequence[Run]) -> Iterator[tuple[str, list[str]]]:
    """Yield (what, [value of each run]) of versions, machines and seeds that differ."""
    def facts(run):
        machine = run.start.get('machine', {})
        return {**run.start.get('versions', {}), 'processor': machine.get('processor', ''),
                'cores': str(machine.get('cores', '')), 'GPUs': ', '.join(machine.get('gpus', [])),
                'system': machine.get('system', ''), 'seed': str(run.start.get('seed', ''))}
    known = [facts(run) for run in runs]
    for name in dict.fromkeys(name for one in known for name in one):
        if len({one.get(name, '') for one in known}) > 1:
            yield name, [one.get(name, '') for one in known]


def _data(runs: Sequence[Run]) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield (input_reader, [how the data of each run differs from that of the first]) where they differ."""
    known = [run.record.data_of(run.start) for run in runs]
    for name in dict.fromkeys(name for one in known for name in one):
        first = known[0].get(name)
        lines = [['not recorded'] if name not in one else changes(first, one[name]) if first else [] for one in known]
        if any(lines):
            yield name, lines


def verdicts(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a line about the difference in mAP of each run to the first: whether it is more than chance."""
    known = [analysis_files.read(run.folder, run.best['checkpoint'], run.best['step']) if run.best else None
             for run in runs]
    first, data = known[0], [run.record.data_of(run.start).get('eval_input_reader[0]', {}) for run in runs]
    for run, other, its_data in zip(runs[1:], known[1:], data[1:]):
        if not first or not other or first['map'] is None or other['map'] is None:
            yield f'{run.name}: it is not known whether mAP differs from that of {runs[0].name} by more than chance'
            continue
        difference = other['map'] - first['map']
        if its_data.get('digest') != data[0].get('digest') or first['pictures'] != other['pictures']:
            yield f'{run.name}: was evaluated on other pictures than {runs[0].name}, so their mAP cannot be compared'
        elif bootstrap.tells_apart(first['resamples'], other['resamples'], difference):
            yield (f'{run.name}: mAP is {"above" if difference > 0 else "below"} that of {runs[0].name} by '
                   f'{abs(difference):.4f}, which is more than chance (95 %, {first["pictures"]} pictures)')
        else:
            yield (f'{run.name}: the difference in mAP to {runs[0].name}, {difference:+.4f}, may be chance (95 %, '
                   f'{first["pictures"]} pictures)')


def _charts(runs: Sequence[Run]) -> Iterator[tuple[str, Any]]:
    """Yield (title, SVG): the curves of all runs over each other."""
    evaluations = [[entry for entry in summary.evaluations_of(run.record) if entry['eval']] for run in runs]
    names = leading_metrics(dict.fromkeys(name for entries in evaluations for entry in entries
                                          for name in entry['eval']))
    for metric in names:
        yield short_name(metric), charts.chart([
            Line(run.name, [(entry['step'], entry['eval'][metric]) for entry in entries
                            if entry['eval'].get(metric) is not None], number % 10, dots=True,
                 best=run.best['step'] if run.best and metric == names[0] else None)
            for number, (run, entries) in enumerate(zip(runs, evaluations))], short_name(metric))
    trained = [curves.scalars(run.folder / 'train') for run in runs]
    for tag in _CURVES:
        lines = [Line(run.name, known[tag], number % 10) for number, (run, known) in enumerate(zip(runs, trained))
                 if known.get(tag)]
        if lines:
            title = short_name(tag).replace('_', ' ').capitalize()
            yield title, charts.chart(lines, title)


def main(argv: Sequence[str] | None = None) -> None:
    parser = args.Parser(__doc__)
    parser.add_argument('runs', nargs='+', type=Path, metavar='MODEL_DIR', help='two or more, the first as baseline')
    parser.add_argument('--output', required=True, type=Path, metavar='FILE', help='the page, such as comparison.html')
    options = parser.parse_args(argv)
    if len({folder.resolve() for folder in options.runs}) < max(2, len(options.runs)):
        parser.error('give two or more different model_dirs')
    runs = load(options.runs)
    write(runs, options.output)
    rows = [(short_name(row['name']), *(printed(row, number) for number in range(len(runs))))
            for row in differences([run.metrics() for run in runs]) if not class_of(row['name'])]
    console.table(['metric', *(f'{run.name}, step {run.best["step"]}' if run.best else run.name for run in runs)], rows)
    for line in verdicts(runs):
        console.log(line)
    console.log(f'{options.output} is written')


def run() -> None:
    """Run main; a user's mistakes end it with a message and an exit code."""
    errors.run_main(main)


if __name__ == '__main__':
    run()
