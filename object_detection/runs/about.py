"""Versions and machine of a run, for run.json."""
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from object_detection.utils import machine as this

_ROOT = Path(__file__).parents[2]
_TENSORFLOW = 'tensorflow', 'tensorflow-cpu', 'tensorflow-macos', 'tf-nightly'


def versions() -> dict[str, str]:
    """Return {'Python', 'TensorFlow', 'NumPy', 'object-detection': version}, and 'commit' in a git checkout."""
    found = {'Python': platform.python_version(), 'TensorFlow': next(filter(None, map(_version, _TENSORFLOW)), '?'),
             'NumPy': _version('numpy') or '?', 'object-detection': _ours()}
    if (_ROOT / '.git').exists():
        try:
            done = subprocess.run(['git', 'rev-parse', '--short=12', 'HEAD'], cwd=_ROOT, capture_output=True, text=True,
                                  check=True, timeout=10)
            found['commit'] = done.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass  # no git here
    return found


def machine() -> dict[str, Any]:
    """Return {'system', 'processor', 'cores', 'memory_gb', 'gpus': [name]}."""
    memory = this.main_memory()
    return {'system': platform.platform(), 'processor': this.processor(), 'cores': this.cores(),
            'memory_gb': round(memory, 1) if memory else None, 'gpus': [name for name, _ in this.gpus()]}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _ours() -> str:
    """Return the version of this package: of the checkout it runs from, or as it is installed."""
    project = _ROOT / 'pyproject.toml'
    if project.is_file() and (found := re.search(r'^version = "(.+)"', project.read_text(encoding='utf-8'), re.M)):
        return found[1]
    return _version('object-detection') or '?'
