"""run.json of a model_dir: everything that is known of the run. Imports no TensorFlow.

    {"format": 1,
     "starts": [{"started", "process", "command", "folder", "trains", "versions", "machine", "config", "data",
                 "changes", "warnings", "seed"}],       each time that a command began to work on the model_dir
     "configs": {digest: text},                         the resolved pipeline.configs that `starts` name
     "data": {digest: fingerprint},                     the data sets that `starts` name; see records.fingerprint
     "phases": [{"title", "start", "started", "seconds", "outcome", "message", "from_step", "step", "checkpoint",
                 "pictures", "device", "precision", "peak_memory", "warnings"}],
     "checkpoints": {"ckpt-7": {"step": 700, "eval": {metric: value}, "eval_train": {...},
                                "interval": [low, high] of mAP}},
     "recovery": {...}}                                 what was decided after phases that ended badly; see
                                                        commands/recovery.py

A metric without a value is null. A phase whose outcome is null is running, or its command was killed.
"""
import contextlib
import datetime
import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from object_detection.utils import files, oslock, state
from object_detection.utils.errors import UserError
from object_detection.utils.phases import DONE, KILLED, Outcome

FORMAT = 1


class Record:
    """What run.json holds. Every change is written at once, to the file as it is then.

    One process may train while another one evaluates: each reads, changes and writes the file in its turn.

    Attributes:
        folder, path: the model_dir, and its run.json.
        content: of the file, as above.
    Raises:
        UserError: the file is damaged, or of a later version.
    """

    def __init__(self, model_dir: str | Path) -> None:
        self.folder = Path(model_dir)
        self.path = self.folder / 'run.json'
        self.content: dict[str, Any] = {}
        self._start: int | None = None
        self._read()

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """{checkpoint (ckpt-7): {'step': N, 'eval': {metric: value}, 'eval_train': {...}}}; None: without a value."""
        return self.content['checkpoints']

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Any]]:
        """Yield the content as it is in the file now, and write it back at the end of the block."""
        files.make_dir(self.folder)
        with oslock.turn(self.folder / '.run.lock'):
            self._read()
            yield self.content
            files.write_text(self.path, json.dumps(self.content, indent=1, ensure_ascii=False) + '\n')
            self._old.unlink(missing_ok=True)  # all that it held is in run.json now

    def evaluated(self, title: str) -> list[str]:
        """List the checkpoints with an evaluation of this title: 'eval' or 'eval_train'."""
        return [checkpoint for checkpoint, entry in self.entries.items() if title in entry]

    def add(self, title: str, checkpoint: str, step: int, metrics: list[tuple[str, float]],
            interval: Sequence[float] | None = None) -> None:
        """Add an evaluation of a checkpoint at a global step.

        Args:
            interval: (low, high) of mAP of boxes; kept for 'eval' only.
        """
        with self.changing():
            entry = self.entries.setdefault(checkpoint, {})
            entry.update({'step': step, title: without_nan(metrics)})
            if title == 'eval' and interval:
                entry['interval'] = list(interval)

    def forget(self, checkpoint: str) -> None:
        """Drop all evaluations of a checkpoint."""
        if checkpoint in self.entries or checkpoint in Record(self.folder).entries:
            with self.changing():
                self.entries.pop(checkpoint, None)

    def start(self, config_text: str, data: dict[str, dict[str, Any]], trains: bool, **facts: Any) -> None:
        """Add a start of a command to the file.

        Args:
            config_text: the resolved pipeline.config.
            data: {name of the input_reader: its fingerprint}.
            trains: whether it trains; nobody else trains in this model_dir then, so phases of an earlier training that
                have no outcome were killed.
            facts: the rest of the entry; JSON.
        """
        config = digest(config_text)
        entry = {'started': now(), 'process': os.getpid(), 'trains': trains, **facts, 'config': config,
                 'data': {name: print_['digest'] for name, print_ in data.items()}}
        files.remove_leftovers(self.folder)
        with self.changing() as content:
            training = {number for number, start in enumerate(content['starts']) if start['trains']}
            for phase in content['phases'] if trains else ():
                if phase['outcome'] is None and phase.get('start') in training:
                    phase.update(outcome=KILLED, message='the command was ended from outside, without a word')
            content['configs'][config] = config_text
            content['data'].update((print_['digest'], print_) for print_ in data.values())
            content['starts'].append(entry)
            self._start = len(content['starts']) - 1

    def skip(self, reader: str, records: dict[str, str]) -> None:
        """Note records of an input_reader that are not read from now on: {index: reason}."""
        with self.changing() as content:
            data = self._data_now(reader)
            known = content['recovery'].setdefault('skipped', {}).get(reader, {})
            kept = known['records'] if known.get('data') == data else {}
            content['recovery']['skipped'][reader] = {'data': data, 'records': {**kept, **records}}

    def skipped(self, reader: str) -> list[int]:
        """Return the indices of the records that are not read; an empty list if the data is not what it was."""
        known = self.content['recovery'].get('skipped', {}).get(reader, {})
        if not known or known['data'] != self._data_now(reader):
            return []
        return sorted(int(index) for index in known['records'] if index.isdecimal())

    def _data_now(self, reader: str) -> str | None:
        """Return the digest of the data that an input_reader has in this start."""
        if self._start is None or self._start >= len(self.content['starts']):
            return None
        return self.content['starts'][self._start].get('data', {}).get(reader)

    def this_start(self) -> dict[str, Any] | None:
        """Return the entry that `start` has added; None before that."""
        return None if self._start is None else self.content['starts'][self._start]

    def last_start(self) -> dict[str, Any] | None:
        """Return the newest start that trained; None if there was none."""
        return next((start for start in reversed(self.content['starts']) if start['trains']), None)

    def lasted(self, title: str) -> float | None:
        """Return the seconds of the newest phase of this title that was done; None if there was none."""
        return next((phase['seconds'] for phase in reversed(self.content['phases'])
                     if phase['title'] == title and phase['outcome'] == DONE), None)

    def data_of(self, start: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
        """Return {name of the input_reader: fingerprint} of a start; empty for None."""
        known = self.content['data']
        return {name: known[found] for name, found in (start or {}).get('data', {}).items() if found in known}

    def phase(self, title: str) -> 'PhaseRecord':
        """Add a phase that begins now."""
        return PhaseRecord(self, title, self._start)

    @property
    def _old(self) -> Path:
        """Where earlier versions kept `entries`."""
        return self.folder / 'metrics.json'

    def _read(self) -> None:
        self.content = read(self.path)
        if not self.path.exists() and self._old.exists():
            self.content['checkpoints'] = state.read(self._old, _CHECKPOINTS, _ADVICE)


class PhaseRecord:
    """The entry of one phase: written when it begins, and again when it ends.

    Attributes:
        entry: of `phases` in run.json.
    """

    def __init__(self, record: Record, title: str, start: int | None) -> None:
        self._record, self._began = record, time.monotonic()
        self.entry: dict[str, Any] = {'title': title, 'start': start, 'started': now(), 'process': os.getpid(),
                                      'outcome': None}
        with record.changing() as content:
            content['phases'].append(self.entry)

    def on_event(self, name: str, values: dict[str, Any]) -> None:
        """Take from an event of the phase what is worth keeping."""
        if name == 'warning':
            warnings = self.entry.setdefault('warnings', [])
            if values['text'] not in warnings:
                warnings.append(values['text'])
        elif name == 'started':
            self.entry['from_step'] = values['step']
        elif name == 'precision':
            self.entry['precision'] = values['precision']
        elif name == 'device':
            self.entry['device'] = values['device'] + (f' x {values["count"]}' if values['count'] > 1 else '')
        elif name in ('restored', 'saved', 'progress', 'evaluated'):
            self.entry.update({key: values[key] for key in ('checkpoint', 'step', 'pictures') if key in values})

    def end(self, outcome: Outcome) -> None:
        """Write the outcome and what it says."""
        self.entry.update((key, outcome.data[key]) for key in ('step', 'checkpoint', 'pictures', 'skipped')
                          if key in outcome.data)
        self.entry.update(seconds=round(time.monotonic() - self._began, 3), outcome=outcome.kind,
                          peak_memory=outcome.peak_memory)
        if outcome.message:
            self.entry['message'] = outcome.message
        self.write()

    def write(self) -> None:
        """Write the entry as it is now."""
        with self._record.changing() as content:
            known = [number for number, entry in enumerate(content['phases'])
                     if all(entry.get(key) == self.entry[key] for key in ('title', 'started', 'process'))]
            if known:
                content['phases'][known[-1]] = self.entry
            else:  # somebody has deleted the file
                content['phases'].append({**self.entry, 'start': None})


def read(path: Path) -> dict[str, Any]:
    """Return the content of a run.json; an empty one if there is no such file, UserError if it is damaged."""
    content = state.read(path, _SHAPE, _ADVICE) if path.exists() else {}
    if content.get('format', FORMAT) != FORMAT:
        raise UserError(f'{path}: has the format {content["format"]!r}, and this version reads {FORMAT}; use the '
                        'version that wrote it')
    for key, empty in (('starts', []), ('configs', {}), ('data', {}), ('phases', []), ('checkpoints', {}),
                       ('recovery', {})):
        content.setdefault(key, empty)
    return {'format': FORMAT, **content}


_ADVICE = 'move the file away, and the run continues from its checkpoints with a new one'
_METRICS = {'*': state.NUMBER_OR_NONE}
_CHECKPOINTS = {'*': {'step': int, 'eval?': _METRICS, 'eval_train?': _METRICS}}
_SHAPE = {  # what is read of it, here and by those who use `content`
    'starts?': [{'trains': bool, 'config?': str, 'started?': str, 'data?': {'*': str}, 'changes?': [str],
                 'warnings?': [str], 'command?': [str], 'versions?': {'*': str}, 'machine?': dict, 'seed?': int}],
    'configs?': {'*': str},
    'data?': {'*': {'digest?': str, 'records?': int, 'labels?': dict, 'files?': [{'path': str}]}},
    'phases?': [{'title': str, 'outcome': state.TEXT_OR_NONE, 'message?': str, 'warnings?': [str],
                 **dict.fromkeys(('start?', 'seconds?', 'step?', 'from_step?', 'pictures?', 'peak_memory?'),
                                 state.NUMBER_OR_NONE)}],
    'checkpoints?': _CHECKPOINTS,
    'recovery?': {'accumulate?': {'parts': int, 'batch_size': int, 'asked?': state.NUMBER_OR_NONE},
                  'rollbacks?': [{'step': state.NUMBER_OR_NONE, 'checkpoint': str, 'factor': state.NUMBER,
                                  'optimizer': str}],
                  'skipped?': {'*': {'data': state.TEXT_OR_NONE, 'records': {'*': str}}}},
    'mlflow?': {'uri': str, 'run_id': str, 'logged': {'*': int}}}


def without_nan(metrics: list[tuple[str, float]]) -> dict[str, float | None]:
    """Return {metric: value}, None for NaN, which JSON lacks."""
    return {name: None if math.isnan(value) else value for name, value in metrics}


def digest(text: str | bytes) -> str:
    """Return a short name for a content: the beginning of its SHA-256."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


def now() -> str:
    """Return the time with its zone: 2026-11-26T10:32:30+00:00."""
    return datetime.datetime.now().astimezone().isoformat(timespec='seconds')
