"""A real browser for the HTML pages: Chromium or Chrome without a window."""
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome', 'chrome'))), None)
needed = pytest.mark.skipif(BROWSER is None, reason='no Chromium or Chrome here (Debian: apt install chromium)')


def _run(address, profile, *options):
    command = [BROWSER, '--headless', '--disable-gpu', '--hide-scrollbars', '--no-first-run',
               '--disable-background-networking', '--disable-component-update', '--disable-sync',
               '--enable-logging=stderr', f'--user-data-dir={profile}', *options, address]
    if getattr(os, 'geteuid', lambda: 1)() == 0:
        command.insert(1, '--no-sandbox')  # Chromium refuses to run as root with it
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def dom(address, profile, *options):
    """The document as the browser has it after the page's scripts; fails if the page wrote to the console.

    address: of the page. profile: a folder for the browser.
    """
    done = _run(address, profile, '--dump-dom', *options)
    said = [line for line in done.stderr.splitlines() if 'CONSOLE' in line]
    assert not said, said
    return done.stdout


def shown(address, profile, *options):
    """The document, of a page that is not ours and may write to the console."""
    return _run(address, profile, '--dump-dom', *options).stdout


def pixels(address, profile, width, height, *options):
    """A screenshot, int [height, width, 3]."""
    picture = profile / 'page.png'
    _run(address, profile, f'--window-size={width},{height}', f'--screenshot={picture}', *options)
    return np.asarray(Image.open(picture).convert('RGB')).astype(int)


def after(page, script, tmp_path):
    """A copy of a page that runs a further script at its end; returns its address."""
    copy = tmp_path / 'with_script.html'
    copy.write_text(page.read_text(encoding='utf-8') + f'<script>{script}</script>', encoding='utf-8')
    return copy.as_uri()


def foreign(html):
    """What a page would load from elsewhere: every address that is neither a part of it nor a link to click."""
    loaded = re.findall(r'<(?:link|script|img|iframe|image|use|source)\b[^>]*?(?:src|href)="([^"]*)"', html)
    loaded += re.findall(r'@import[^;]*|url\(([^)]*)\)', html)
    return [address for address in loaded if not address.startswith(('data:', '#'))]
