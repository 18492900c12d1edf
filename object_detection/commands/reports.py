"""What is written about a run while it goes on: summary.html, and what a tracker wants. Also a command:

    python -m object_detection.commands.reports models/d1      # writes models/d1/summary.html anew, of any run

Both need packages that the parent of a training should not load (matplotlib, mlflow), so a process of their own writes
them, beside the training.
"""
import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from object_detection.utils import args, console, errors

_ROOT = Path(__file__).parents[2]


class Reports:
    """Write the reports of a model_dir again and again; a context manager, whose end writes them a last time.

    Args:
        tracker: where else to write to: 'mlflow', or '' for nowhere.
    """

    def __init__(self, model_dir: str | Path, tracker: str = '') -> None:
        self._folder, self._tracker = Path(model_dir), tracker
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> 'Reports':
        return self

    def __exit__(self, *_: object) -> None:
        self.write('--ended')
        if self._wait():
            console.log(f'summary: {self._folder / "summary.html"}')

    def write(self, *options: str) -> None:
        """Start to write them, as run.json is now; wait for those that were started before."""
        self._wait()
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
        self._process = subprocess.Popen(
            [sys.executable, '-m', __name__, str(self._folder), *options,
             *(['--tracker', self._tracker] if self._tracker else [])], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding='utf-8', errors='replace',
            env={**os.environ, 'PYTHONPATH': path, 'PYTHONIOENCODING': 'utf-8'})

    def _wait(self) -> bool:
        """Wait for the process, and return whether it was successful; a failure is no reason to end a training."""
        code = None
        if self._process:
            _, said = self._process.communicate()
            code = self._process.returncode
            if code not in (0, 130):
                last = ['its process was ended', *said.strip().splitlines()][-1].removeprefix('error: ')
                what = f'summary.html or the run in {self._tracker}' if self._tracker else 'summary.html'
                console.warn(f'{what} of {self._folder} could not be written: {last}')
            self._process = None
        return code == 0


def main(argv: Sequence[str] | None = None) -> None:
    parser = args.Parser('Write summary.html of a model_dir from its run.json and TensorBoard files.')
    parser.add_argument('model_dir', type=Path, help='the model_dir of a training or evaluation')
    parser.add_argument('--ended', action='store_true', help='the run has ended')
    add_tracker(parser)
    options = parser.parse_args(argv)
    if not (options.model_dir / 'run.json').is_file():
        raise errors.UserError(f'{options.model_dir}: has no run.json; give the --model_dir of train_and_eval_tf2.py')
    from object_detection.evaluation import summary
    page = summary.write(options.model_dir)
    console.log(f'{page} is written')
    if options.tracker:
        from object_detection.runs import tracker
        tracker.demand()
        tracker.log(options.model_dir, page, options.ended)


def add_tracker(parser: argparse.ArgumentParser) -> None:
    """Add --tracker."""
    parser.add_argument('--tracker', choices=['mlflow'], default='', help='write config, metrics, and summary.html to '
                        'MLflow, too: where MLFLOW_TRACKING_URI says, else into model_dir/mlflow')


def run() -> None:
    """Run main; a user's mistakes end it with a message and an exit code."""
    errors.run_main(main)


if __name__ == '__main__':
    run()
