import io
import re
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


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 40 columns; call it with another encoding."""
    def start(encoding='utf-8'):
        raw = io.BytesIO()
        made = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
        made.isatty = lambda: True
        monkeypatch.setattr(sys, 'stdout', made)
        return lambda: raw.getvalue().decode(encoding)
    monkeypatch.setenv('TERM', 'xterm-256color')
    monkeypatch.setenv('COLUMNS', '40')
    for name in ('JPY_PARENT_PID', 'NO_COLOR', 'FORCE_COLOR'):
        monkeypatch.delenv(name, raising=False)
    return start


def draw():
    """Everything that the console draws."""
    console.stage('evaluation')
    console.warn('careful, Größe \u2192 5 [red]')
    console.table(['metric', 'change \u2192'], [['mAP', console.Styled('+0.1', 'good')],
                                               ['loss', console.Styled('-0.2000', 'bad')]], title='Step \u2192 7')
    with console.progress('train', 1000, 'steps') as bar:
        bar.update(10, loss=0.123456, another_long_value=1234567.)


def test_colors_mark_what_is_better(terminal):
    text = terminal()
    draw()
    assert '\x1b[32m' in text() and '\x1b[31m' in text() and '\x1b[33m' in text()  # green, red, a yellow warning
    assert 'careful, Größe \u2192 5 [red]' in text() and '\u2500' in text()


def test_no_color(terminal, monkeypatch):
    monkeypatch.setenv('NO_COLOR', '1')
    text = terminal()
    draw()
    assert not [code for code in re.findall(r'\x1b\[([\d;]*)m', text()) if re.search(r'(^|;)(3[0-7]|9\d|38)', code)]
    assert '+0.1' in text()


def test_a_narrow_terminal_keeps_one_live_line(terminal):
    text = terminal()
    draw()
    plain = re.sub(r'\x1b\[[\d;?]*[a-zA-Z]', '', text())
    live = [line for line in re.split(r'[\r\n]', plain) if line.startswith('train ')]
    assert live and max(map(len, live)) <= 40 and any('10/1000 st' in line for line in live)


@pytest.mark.parametrize('encoding', ['cp1252', 'ascii'])
def test_a_windows_console_gets_only_what_it_can_print(terminal, encoding):
    text = terminal(encoding)
    draw()
    assert r'\u2192' in text() and 'mAP' in text()  # nothing raised


def test_in_a_pipe_nothing_is_colored(capsys):
    draw()
    text = capsys.readouterr().out
    assert '\x1b' not in text and text.splitlines()[1:5] == [
        'Step \u2192 7', 'metric  change \u2192', '------  --------', 'mAP         +0.1']
    assert 'evaluation' not in text
