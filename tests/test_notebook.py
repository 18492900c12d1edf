"""docs/colab.ipynb runs from its first cell to its last, and holds the pictures of such a run."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / 'docs' / 'colab.ipynb'
PICTURES = 3  # cells whose output is a picture


def cells(notebook):
    return [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']


def outputs(notebook, kind):
    return [output for cell in cells(notebook) for output in cell['outputs'] if output['output_type'] == kind]


def pictures(notebook):
    return [output for output in outputs(notebook, 'display_data') if 'image/jpeg' in output['data']]


def text(notebook):
    return ''.join(part for output in outputs(notebook, 'stream') for part in output['text'])


def test_it_holds_the_pictures_of_a_run():
    saved = json.loads(NOTEBOOK.read_text(encoding='utf-8'))
    assert len(pictures(saved)) == PICTURES and not outputs(saved, 'error')
    assert 'mAP@.50IOU' in text(saved) and '\x1b[' not in text(saved)
    assert str(ROOT) not in NOTEBOOK.read_text(encoding='utf-8')
    assert NOTEBOOK.stat().st_size < 1e6


def test_its_commands_and_their_options_exist():
    source = '\n'.join(''.join(cell['source']) for cell in cells(json.loads(NOTEBOOK.read_text(encoding='utf-8'))))
    commands = re.findall(r'^!\{PYTHON\} (?:-m )?(\S+)((?:.*\\\n)*.*)$', source, flags=re.MULTILINE)
    assert len(commands) == 5
    for name, options in commands:
        command = [ROOT / name] if name.endswith('.py') else ['-m', name]
        done = subprocess.run([sys.executable, *command, '--help'], cwd=ROOT, capture_output=True, text=True,
                              check=True)
        assert set(re.findall(r'--\w+', options)) <= set(re.findall(r'--\w+', done.stdout)), name


@pytest.mark.slow
def test_it_runs(tmp_path):
    """With few pictures and steps, in the environment of the tests."""
    nbformat = pytest.importorskip('nbformat')
    nbclient = pytest.importorskip('nbclient')
    pytest.importorskip('ipykernel')
    notebook = nbformat.read(NOTEBOOK, 4)
    [parameters] = [cell for cell in cells(notebook) if 'parameters' in cell['metadata'].get('tags', ())]
    names = [line.split(' = ')[0] for line in parameters['source'].splitlines()]
    assert names == ['WORK', 'PER_LABEL', 'STEPS']
    parameters['source'] = f'WORK, PER_LABEL, STEPS = {(tmp_path / "work").as_posix()!r}, 6, 4'
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name='python3',
                                     resources={'metadata': {'path': str(NOTEBOOK.parent)}})
    client.execute()
    printed = text(notebook)
    assert len(pictures(notebook)) == PICTURES
    assert 'Traceback' not in printed and 'error:' not in printed, printed
    assert 'step 4: mAP' in printed and 'done in' in printed
    assert (tmp_path / 'work' / 'exported' / 'saved_model' / 'saved_model.pb').exists()
    assert sys.executable not in NOTEBOOK.read_text(encoding='utf-8')
