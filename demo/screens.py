"""Draw the pictures of the README: the terminal and summary.html of a training, as they really look.

    python -m demo.screens --output docs/images [options of train_and_eval_tf2.py]

Runs train_and_eval_tf2.py in a terminal of its own (Linux, macOS) and draws that terminal twice as SVG: the live line
of a training after an evaluation, and the end. With a Chromium or Chrome it also draws summary.html, light and dark.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 108, 30
BROWSERS = 'chromium', 'chromium-browser', 'google-chrome', 'chrome'


def record(command: list[str]) -> list[str]:
    """Run a command in a terminal of COLUMNS x ROWS, and return what it wrote, piece by piece."""
    import fcntl
    import pty
    import struct
    import termios
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack('HHHH', ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, 'TERM': 'xterm-256color', 'COLUMNS': str(COLUMNS)}
    pieces = []
    with subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment) as process:
        os.close(child)
        while True:
            try:
                data = os.read(parent, 1 << 16)
            except OSError:  # Linux: the terminal is closed
                break
            if not data:
                break
            pieces.append(data.decode('utf-8', 'replace'))
        if process.wait():
            sys.exit(f'{command}: ended with code {process.returncode}\n{"".join(pieces)}')
    return pieces


def screen(written: str) -> list[str]:
    """Return the lines, with their colors, that a terminal shows after `written`: rich redraws lines from below."""
    lines = ['']
    for token in re.split(r'(\x1b\[1A|\x1b\[2K|\r\n|\r|\n)', written):
        if token == '\x1b[1A':
            lines.pop()
        elif token in ('\x1b[2K', '\r'):
            lines[-1] = '' if token == '\x1b[2K' else lines[-1]
        elif token in ('\r\n', '\n'):
            lines.append('')
        elif token:
            lines[-1] += token
    return lines


def draw(lines: list[str], path: Path, title: str) -> None:
    """Write the last ROWS lines as an SVG of a terminal."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, 'w'))  # noqa: SIM115, PTH123
    for line in lines[-ROWS:]:
        console.print(Text.from_ansi(line), no_wrap=True, crop=True)
    svg = console.export_svg(title=title)  # with fonts of a web site, which the viewer's own replace
    path.write_text(re.sub(r'@font-face {.*?}', '', svg, flags=re.DOTALL), encoding='utf-8')


def photograph(page: Path, folder: Path) -> None:
    """Draw a page light and wide, and dark and narrow, as PNG."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        print('no Chromium or Chrome here: summary.html is not drawn')
        return
    for name, size, options in (('summary.png', (1200, 1350), []),
                                ('summary_phone.png', (500, 1350), ['--blink-settings=preferredColorScheme=0'])):
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run([browser, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', *options,
                            f'--user-data-dir={profile}', '--window-size={},{}'.format(*size),
                            f'--screenshot={folder / name}', page.resolve().as_uri()], check=True, capture_output=True)
        Image.open(folder / name).convert('RGB').quantize(256, Image.Quantize.MAXCOVERAGE).save(folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--output', type=Path, required=True)
    options, passed = parser.parse_known_args()
    options.output.mkdir(parents=True, exist_ok=True)
    pieces = record([sys.executable, 'train_and_eval_tf2.py', *passed])
    states = [screen(''.join(pieces[:number + 1])) for number in range(len(pieces))]
    live = [lines for lines in states if 'steps/s' in lines[-1] and 'since step' in '\n'.join(lines[-ROWS:])]
    title = 'train_and_eval_tf2.py'
    draw(live[len(live) // 2] if live else states[-1], options.output / 'terminal.svg', title)
    draw(states[-1], options.output / 'terminal_end.svg', title)
    photograph(Path(passed[passed.index('--model_dir') + 1], 'summary.html'), options.output)


if __name__ == '__main__':
    main()
