"""The Dockerfile does what make setup and the README do, as a user without rights, with the files it needs."""
import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NEEDED = {'requirements.txt', 'constraints.txt', 'object_detection', 'demo', 'models',
          *(path.name for path in ROOT.glob('*.py'))}


def instructions():
    """(name, arguments) of each line of the Dockerfile, continued lines joined."""
    text = re.sub(r'^\s*#.*\n', '', (ROOT / 'Dockerfile').read_text(), flags=re.MULTILINE).replace('\\\n', ' ')
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def pip_commands(text):
    """The arguments of each `pip install` in a text, as a set; without options about what is printed and cached."""
    quiet = {'--quiet', '--disable-pip-version-check', '--no-cache-dir'}
    found = re.findall(r'pip install ([^&;\n]*)', text)
    return [frozenset(shlex.split(arguments.partition('#')[0])) - quiet for arguments in found]


def test_it_installs_what_make_setup_installs_but_the_tools_for_tests():
    recipe = (ROOT / 'Makefile').read_text().partition('.venv/ready:')[2].partition('@touch')[0]
    [setup] = pip_commands(recipe)
    assert setup == {'-r', 'requirements-dev.txt', '-c', 'constraints.txt'}
    assert (ROOT / 'requirements-dev.txt').read_text().count('-r requirements.txt') == 1
    runs = [arguments for name, arguments in instructions() if name == 'RUN']
    assert sum('python -m venv .venv' in run for run in runs) == 1
    cpu, gpu = (command for run in runs for command in pip_commands(run))
    assert cpu == setup - {'requirements-dev.txt'} | {'requirements.txt'}
    readme = pip_commands((ROOT / 'README.md').read_text(encoding='utf-8'))
    assert gpu == {'tensorflow[and-cuda]', '-c', 'constraints.txt'} and gpu in readme


def test_the_gpu_is_a_build_argument():
    assert ('ARG', 'DEVICE=cpu') in instructions()
    [run] = [arguments for name, arguments in instructions() if name == 'RUN' and 'and-cuda' in arguments]
    assert run.startswith('if [ "$DEVICE" = gpu ]; then')


def test_python_is_one_that_the_package_allows():
    [image] = [arguments for name, arguments in instructions() if name == 'FROM']
    match = re.fullmatch(r'python:3\.(\d+)-slim', image)
    assert match and f'Programming Language :: Python :: 3.{match[1]}' in (ROOT / 'pyproject.toml').read_text()


def test_commands_run_without_rights_of_root():
    names = [name for name, _ in instructions()]
    user = names.index('USER')
    assert instructions()[user][1] != '0' and names.count('USER') == 1
    assert all('pip' not in arguments for _, arguments in instructions()[:user])


def ignored(name):
    """Whether .dockerignore keeps an entry of the checkout out; the last pattern that fits decides."""
    out = False
    for line in (ROOT / '.dockerignore').read_text().splitlines():
        allowed, pattern = line.startswith('!'), line.lstrip('!')
        if (allowed and fnmatch.fnmatch(name, pattern.partition('/')[0])) or fnmatch.fnmatch(name, pattern):
            out = not allowed
    return out


def test_the_image_gets_what_the_commands_need_and_nothing_of_the_user():
    assert {name for name in NEEDED if ignored(name)} == set()
    assert {name for name in ('.git', '.venv', 'data', 'out', 'tests', 'benchmarks', 'docs') if not ignored(name)} == (
        set())
    lines = (ROOT / '.dockerignore').read_text().splitlines()
    assert [line for line in lines if line.startswith('!models')] == ['!models/demo']


def test_hadolint_finds_nothing():
    hadolint = shutil.which('hadolint', path=str(Path(sys.executable).parent)) or shutil.which('hadolint')
    if not hadolint:
        pytest.skip('hadolint is not installed')
    done = subprocess.run([hadolint, '--no-color', ROOT / 'Dockerfile'], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout, done.stdout
