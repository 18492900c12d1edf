import io
import subprocess
import sys
from pathlib import Path

import pytest

from object_detection.utils import console

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when told to."""
    now = [100.0]
    monkeypatch.setattr(console.time, 'monotonic', lambda: now[0])
    return now


def test_plain_lines_start_with_the_time(capsys):
    console.log('hello [bold] 5 %')
    console.warn('careful')
    first, second = capsys.readouterr().out.splitlines()
    assert first[2] == first[5] == ':' and first[8:] == ' hello [bold] 5 %'
    assert second[8:] == ' warning: careful'


def test_plain_table_is_aligned(capsys):
    console.table(['model', 'mAP', 'steps'], [['d0', 0.51234567, 10], ['mobilenet', 0.4, 12345]], title='Results')
    assert capsys.readouterr().out == (
        'Results\n'
        'model         mAP  steps\n'
        '---------  ------  -----\n'
        'd0         0.5123     10\n'
        'mobilenet     0.4  12345\n')


def test_progress_in_a_pipe_prints_a_line_at_intervals_and_at_the_end(capsys, clock):
    with console.progress('train', 200, 'steps', start=100) as bar:
        for done in range(101, 151):
            clock[0] += 0.5
            bar.update(done, loss=2.0 - done / 100)
    lines = [line[9:] for line in capsys.readouterr().out.splitlines()]
    assert lines == ['train: 120/200 steps, 2 steps/s, 0:40 left, loss 0.8',
                     'train: 140/200 steps, 2 steps/s, 0:30 left, loss 0.6',
                     'train: 150/200 steps, 2 steps/s, 0:25 left, loss 0.5']


def test_rate_covers_the_last_minute(capsys, clock):
    with console.progress('scan', None, 'files') as bar:
        for done in range(1, 1001):
            clock[0] += 0.1
            bar.update(done)
        for done in range(1001, 1101):
            clock[0] += 1
            bar.update(done)
    assert capsys.readouterr().out.splitlines()[-1][9:] == 'scan: 1100 files, 1 files/s'


def test_slow_work_is_shown_in_seconds_each(capsys, clock):
    with console.progress('export', 3, 'models') as bar:
        clock[0] += 40
        bar.update(1)
    assert capsys.readouterr().out.splitlines()[-1][9:] == 'export: 1/3 models, 40 s each, 1:20 left'


def test_durations():
    assert [console.duration(s) for s in (0.4, 59.6, 750, 3723)] == ['0:00', '1:00', '12:30', '1:02:03']


def test_characters_that_the_output_cannot_encode(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(raw, encoding='ascii'))
    console.log('Größe')
    assert raw.getvalue().strip().endswith(rb'Gr\xf6\xdfe')


class Terminal(io.StringIO):
    encoding = 'utf-8'

    def isatty(self):
        return True


def test_terminal_draws_with_rich_and_keeps_log_lines(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, 'stdout', screen)
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.delenv('JPY_PARENT_PID', raising=False)
    monkeypatch.setenv('COLUMNS', '120')
    with console.progress('train', 10, 'steps') as bar:
        bar.update(3, loss=0.25)
        console.log('a line [in] between')
        with console.progress('inner', 2) as inner:  # a second bar becomes lines
            inner.update(2)
        bar.update(10, loss=0.125)
    console.table(['a [b]'], [['[red]']])
    text = screen.getvalue()
    for part in ('train', '10/10 steps', 'loss 0.125', 'a line [in] between', 'inner: 2/2 steps', '[red]'):
        assert part in text
    assert console._live is None


@pytest.mark.parametrize(('variables', 'redraws'), [
    ({'TERM': 'xterm'}, True), ({'TERM': 'dumb'}, False), ({'TERM': 'xterm-color', 'JPY_PARENT_PID': '7'}, False)])
def test_a_notebook_keeps_every_line_so_nothing_is_redrawn_there(variables, redraws, monkeypatch):
    monkeypatch.setattr(sys, 'stdout', Terminal())
    monkeypatch.delenv('JPY_PARENT_PID', raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert console.is_terminal() is redraws


def test_rich_and_tensorflow_are_not_imported_for_plain_output():
    code = '''
import sys
from object_detection.utils import args, console, files
with console.progress('x', 1) as bar:
    bar.update(1)
console.table(['a'], [[1]])
print(not {'rich', 'tensorflow', 'numpy'} & set(sys.modules))
'''
    out = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.endswith('True\n')


def test_muffled():
    """In a process of its own, for pytest has taken stderr."""
    code = '''
import os
from object_detection.utils import console
with console.muffled():
    os.write(2, b'chatter;')
with console.muffled(when=False):
    os.write(2, b'heard;')
with console.muffled():
    os.write(2, b'reason;')
    raise SystemExit(3)
'''
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stderr) == (3, 'heard;reason;')


def test_the_same_warning_is_logged_once(capsys):
    for text in ('one of a kind', 'another', 'one of a kind'):
        console.warn_once(text)
    assert [line.partition('warning: ')[2] for line in capsys.readouterr().out.splitlines()] == [
        'one of a kind', 'another']
