"""Time the switch from training to evaluation and back, and the memory of the process that waits for it.

    python -m benchmarks.phase_switch --model_dir FOLDER --pipeline_config_path FILE [--late] [--phases 3]

Runs train_and_eval_tf2.py in this process and takes the time of its events. `--late` starts the process of a phase
only when the one before has ended, as it was before. Linux only (memory).
"""
import argparse
import json
import statistics
import time
from pathlib import Path

from object_detection.commands import train_and_eval_tf2, workers
from object_detection.training import screen
from object_detection.utils import phases

WORK = 'progress', 'evaluated'  # events of a phase at work


def memory(process):
    """Return resident MB of a process, and what of it no other process shares; None if it has ended."""
    try:
        lines = Path(f'/proc/{process}/smaps_rollup').read_text().splitlines()
    except OSError:
        return None
    sizes = {line.split(':')[0]: int(line.split()[1]) / 1e3 for line in lines[1:]}
    return {'resident': sizes['Rss'], 'own': sizes['Private_Clean'] + sizes['Private_Dirty']}


class Watch:
    """Collects (title, name, when) of all events, and the memory of each worker just before its phase begins."""

    def __init__(self):
        self.events, self.waiting = [], []
        show, run = screen.Screen.show, phases.Worker.run

        def shown(drawn, name, values):
            self.events.append((drawn._title, name, time.perf_counter()))
            show(drawn, name, values)

        def ran(worker, *args, **kwargs):
            self.waiting.append(memory(worker._process.pid))
            return run(worker, *args, **kwargs)
        screen.Screen.show, phases.Worker.run = shown, ran

    def switches(self):
        """Return {'train to eval': [seconds], 'eval to train': [seconds]} from work to work."""
        found, before = {}, None
        for title, name, when in self.events:
            if name in WORK:
                if before and before[0] != title:
                    found.setdefault(f'{before[0]} to {title}', []).append(when - before[1])
                before = title, when
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--late', action='store_true')
    parser.add_argument('--json', type=Path, help='write the numbers there, too')
    options, rest = parser.parse_known_args()
    if options.late:
        workers.LEAD = -1.
        workers.FREE_MEMORY = float('inf')
    watch = Watch()
    train_and_eval_tf2.main(rest)
    result = {'switches': watch.switches(), 'waiting': [entry for entry in watch.waiting[1:] if entry]}
    for name, seconds in result['switches'].items():
        print(f'{name}: {statistics.median(seconds):.2f} s ({", ".join(f"{value:.2f}" for value in seconds)})')
    for kind in ('resident', 'own'):
        values = [entry[kind] for entry in result['waiting']]
        print(f'a process that waits, {kind}: {statistics.median(values):.0f} MB')
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == '__main__':
    main()
