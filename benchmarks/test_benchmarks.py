"""Each benchmark can be imported, and says what it does."""
import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
COMMANDS = sorted(path.stem for path in FOLDER.glob('[!t]*.py') if "'__main__'" in path.read_text(encoding='utf-8')
                  and 'argparse' in path.read_text(encoding='utf-8'))


@pytest.mark.parametrize('name', COMMANDS)
def test_help(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [name, '--help'])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f'benchmarks.{name}').main()
    assert ended.value.code == 0 and 'usage:' in capsys.readouterr().out


def test_all_are_listed():
    listed = (FOLDER / 'README.md').read_text(encoding='utf-8')
    assert len(COMMANDS) > 15 and [name for name in COMMANDS if f'`{name}.py`' not in listed] == []
