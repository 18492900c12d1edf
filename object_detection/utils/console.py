"""Log lines, stages, tables and progress: drawn with rich on a terminal, plain lines anywhere else.

On a terminal there is color, unless NO_COLOR is set (no-color.org), and one line at most that is redrawn. Nothing is
printed that the output cannot encode, such as that of a Windows console. Imports rich only for a terminal.
"""
import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

PLAIN_INTERVAL = 10  # seconds between two progress lines when the output is not a terminal

_STYLES = {'good': 'green', 'bad': 'red', 'soft': 'dim', 'warning': 'yellow'}
_NUMBER = re.compile(r'[-+]?[\d.]*')

warned: set[str] = set()  # what warn_once logs no more
_live: Any = None  # the rich console of the progress bar on the screen


def is_terminal() -> bool:
    """Return whether output goes to a terminal that can redraw lines.

    A notebook runs `!command` in a terminal and keeps each redrawn line; its kernel sets JPY_PARENT_PID.
    """
    return sys.stdout.isatty() and os.environ.get('TERM') != 'dumb' and 'JPY_PARENT_PID' not in os.environ


class Styled(str):
    """A text with a color where there is color: 'good', 'bad' or 'soft'."""

    style: str

    def __new__(cls, text: str, style: str) -> 'Styled':
        made = super().__new__(cls, text)
        made.style = _STYLES[style]
        return made


def log(message: str, style: str = '') -> None:
    """Print a line that starts with the time of day. style: that of Styled, or 'warning'."""
    now = time.strftime('%H:%M:%S')
    if not is_terminal():
        _print(f'{now} {message}')
        return
    from rich.text import Text
    _draw(Text.assemble((now, 'dim'), ' ', (_printable(message), _STYLES.get(style, ''))))


def stage(title: str) -> None:
    """Begin a new part of the output: a line across the terminal. Anywhere else it needs none, and none is printed."""
    if is_terminal():
        from rich.rule import Rule
        from rich.text import Text
        _draw(Rule(Text(_printable(title), 'bold'), style='dim', align='left',
                   characters='-' if _printable('\u2500') != '\u2500' else '\u2500'))


def warn(message: str) -> None:
    """Log a warning."""
    log(f'warning: {message}', 'warning')


def warn_once(message: str) -> None:
    """Log a warning, unless the same was logged before."""
    if message not in warned:
        warned.add(message)
        warn(message)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = '') -> None:
    """Print rows of values under column names, numbers (also with a sign, as texts) right-aligned."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(isinstance(row[i], int | float) or _NUMBER.fullmatch(row[i]) for row in rows)
             for i in range(len(columns))]
    if is_terminal():
        from rich import box
        from rich.table import Table
        from rich.text import Text
        drawn = Table(title=_escape(title) or None, title_justify='left', box=box.SIMPLE_HEAD, pad_edge=False,
                      show_edge=False)
        for name, is_number in zip(columns, right):
            drawn.add_column(_escape(name), justify='right' if is_number else 'left', overflow='fold')
        for row in cells:
            drawn.add_row(*(Text(_printable(cell), getattr(cell, 'style', '')) for cell in row))
        _draw(drawn)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells)]
    for line in ([[title]] if title else []) + [columns, ['-' * width for width in widths], *cells]:
        _print('  '.join(text.rjust(width) if is_number else text.ljust(width)
                         for text, width, is_number in zip(line, widths, right)).rstrip() if line != [title] else title)


@contextlib.contextmanager
def progress(title: str, total: int | None = None, unit: str = 'steps',
             start: int = 0) -> Iterator['_PlainBar | _DrawnBar']:
    """Show a progress bar.

        with console.progress('train', 1000, 'steps') as bar:
            bar.update(10, loss=0.5)        # units done so far, and values to show beside them

    On a terminal the bar is redrawn in place, and a line takes its place at the end; elsewhere, and inside another bar,
    a line is printed every PLAIN_INTERVAL seconds and at the end. None is printed at the end if the block raises.

    Args:
        total: number of units of work; None if unknown.
        start: number of units that were done before.
    """
    global _live
    meter = _Meter(title, total, unit, start)
    if not is_terminal() or _live is not None:
        yield _PlainBar(meter)
        if meter.unprinted:
            log(meter.line())
        return
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column
    screen = _rich()
    one_line = Column(no_wrap=True, overflow='ellipsis' if _printable('\u2026') == '\u2026' else 'crop', ratio=1)
    drawn = BarColumn(min(24, screen.width // 5), complete_style='cyan', finished_style='green', pulse_style='cyan')
    bar = Progress(TextColumn('{task.description}', markup=False), drawn,
                   TextColumn('{task.fields[state]}', markup=False, table_column=one_line), console=screen, expand=True,
                   transient=True)
    task = bar.add_task(title, total=total, completed=start, state='')
    with bar:
        _live = bar.console
        try:
            yield _DrawnBar(meter, bar, task)
        finally:
            _live = None
    if meter.unprinted:
        log(meter.line())


class _Meter:
    """Counts units of work and the time they take. The rate is over the last minute."""

    WINDOW = 60

    def __init__(self, title: str, total: int | None, unit: str, start: int) -> None:
        self.title, self.total, self.unit, self.done = title, total, unit, start
        self.values: dict[str, Any] = {}
        self.marks = [(time.monotonic(), start)]
        self.unprinted = False

    def update(self, done: int, values: dict[str, Any]) -> None:
        now = time.monotonic()
        self.done, self.unprinted = done, True
        self.values.update(values)
        if len(self.marks) > 1 and now - self.marks[-2][0] < 1:
            self.marks.pop()  # one mark a second is enough
        self.marks.append((now, done))
        while len(self.marks) > 2 and now - self.marks[1][0] > self.WINDOW:
            self.marks.pop(0)

    def rate(self) -> float:
        """Return units per second; 0 while unknown."""
        (first, before), (last, done) = self.marks[0], self.marks[-1]
        return (done - before) / (last - first) if last > first else 0.0

    def state(self) -> str:
        parts = [f'{self.done}/{self.total} {self.unit}' if self.total else f'{self.done} {self.unit}']
        if rate := self.rate():
            parts.append(f'{rate:.3g} {self.unit}/s' if rate >= 0.1 else f'{1 / rate:.3g} s each')
            if self.total and self.done < self.total:
                parts.append(f'{duration((self.total - self.done) / rate)} left')
        parts += [f'{name} {_cell(value)}' for name, value in self.values.items()]
        return ', '.join(parts)

    def line(self) -> str:
        self.unprinted = False
        return f'{self.title}: {self.state()}'


class _PlainBar:
    def __init__(self, meter: _Meter) -> None:
        self.meter, self.printed = meter, time.monotonic()

    def update(self, done: int, **values: Any) -> None:
        self.meter.update(done, values)
        if time.monotonic() - self.printed >= PLAIN_INTERVAL:
            log(self.meter.line())
            self.printed = time.monotonic()


class _DrawnBar:
    def __init__(self, meter: _Meter, bar: Any, task: Any) -> None:
        self.meter, self.bar, self.task = meter, bar, task

    def update(self, done: int, **values: Any) -> None:
        self.meter.update(done, values)
        self.bar.update(self.task, completed=done, state=self.meter.state())


def duration(seconds: float) -> str:
    """Format seconds as 0:07, 12:30 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'


@contextlib.contextmanager
def muffled(when: bool = True) -> Iterator[None]:
    """Hold back what C++ libraries write to stderr inside the block; print it only if the block raises.

    Whatever TF_CPP_MIN_LOG_LEVEL is, TensorFlow 2.21 tells every process that it found no GPU, and the first run of a
    function with CropAndResize prints a groundless "Error in PredictCost()".

    Args:
        when: False to hold nothing back.
    """
    if not when:
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        stderr = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _cell(value: Any) -> str:
    if isinstance(value, str):  # Styled stays so
        return value
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _escape(text: str) -> str:
    from rich.markup import escape
    return escape(_printable(text))


def _rich() -> Any:
    from rich.console import Console
    return Console(highlight=False)


def _draw(thing: Any) -> None:
    """Print something of rich's, above the progress bar if there is one."""
    (_live or _rich()).print(thing, soft_wrap=not hasattr(thing, 'columns'), crop=False)


def _print(text: str) -> None:
    print(_printable(text), flush=True)


def _printable(text: str) -> str:
    """Replace what the output cannot encode: a pipe or console on Windows may support few characters."""
    encoding = sys.stdout.encoding or 'utf-8'
    return text.encode(encoding, 'backslashreplace').decode(encoding)
