"""The wheel holds object_detection and nothing else, and its commands work away from the checkout."""
import email
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = 'object_detection', 'pyproject.toml', 'README.md', 'LICENSE', 'requirements.txt'
COMMANDS = {'prepare_data', 'train_t2', 'train_and_eval_tf2', 'model_main_tf2', 'exporter_main_v2',
            'export_tflite_graph_tf2', 'export_onnx', 'detect', 'evaluate', 'detection_zoo', 'create_coco_tf_record',
            'create_pascal_tf_record', 'create_pet_tf_record'}


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel, built from a copy, because setuptools writes into the folder that it builds."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation', '--no-index',
                    '--wheel-dir', folder, source], check=True)
    [path] = folder.glob('*.whl')
    return path


def _metadata(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        [path] = [entry for entry in archive.namelist() if entry.endswith(f'.dist-info/{name}')]
        return archive.read(path).decode()


def _split(requirement):
    """(name, sorted ranges) of a requirement without spaces and markers."""
    name = requirement.replace(' ', '').split('<')[0].split('>')[0].split('=')[0]
    return name, tuple(sorted(requirement.replace(' ', '')[len(name):].split(',')))


def test_all_files_of_the_package_and_no_others(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if '.dist-info/' not in name}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'object_detection').rglob('*')
             if path.is_file() and '__pycache__' not in path.parts}
    assert packed == files


def test_dependencies_are_those_of_requirements_txt(wheel):
    lines = (ROOT / 'requirements.txt').read_text(encoding='utf-8').splitlines()
    metadata = email.message_from_string(_metadata(wheel, 'METADATA'))
    required = {line for line in metadata.get_all('Requires-Dist') if 'extra ==' not in line}
    assert {_split(line) for line in required} == {_split(line) for line in lines if line and not line.startswith('#')}


def test_metadata_are_complete(wheel):
    metadata = email.message_from_string(_metadata(wheel, 'METADATA'))
    assert metadata['Name'] == 'object-detection'
    assert metadata['License-Expression'] == 'Apache-2.0'
    assert metadata['Requires-Python'] == '<3.14,>=3.10'
    assert metadata['Summary'] and metadata['Description-Content-Type'] == 'text/markdown'
    assert {f'Programming Language :: Python :: 3.{minor}' for minor in range(10, 14)} < set(
        metadata.get_all('Classifier'))
    lines = _metadata(wheel, 'entry_points.txt').splitlines()
    assert {line.split(' = ')[0] for line in lines if ' = ' in line} == COMMANDS


@pytest.mark.slow
def test_commands_run_from_an_empty_folder_in_a_fresh_environment(wheel, tmp_path):
    """The demo's commands with a few steps; needs a package index."""
    environment, work = tmp_path / 'environment', tmp_path / 'work'
    venv.create(environment, with_pip=True)
    scripts = environment / ('Scripts' if sys.platform == 'win32' else 'bin')
    subprocess.run([scripts / 'python', '-m', 'pip', 'install', '--quiet', wheel, '-c', ROOT / 'constraints.txt'],
                   check=True)
    subprocess.run([sys.executable, '-m', 'demo.make_scenes', '--output', work / 'out/demo/pictures', '--per_label',
                    '6'], cwd=ROOT, check=True)
    shutil.copytree(ROOT / 'models' / 'demo', work / 'models' / 'demo')
    variables = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}

    def run(command, *options):
        done = subprocess.run([str(scripts / command), *options], cwd=work, env=variables, text=True,
                              capture_output=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    config = '--pipeline_config_path', 'models/demo/pipeline.config'
    assert 'efficientdet_d1' in run('detection_zoo', 'list', 'efficientdet')
    run('prepare_data', '--dataset', 'out/demo/pictures', '--output', 'out/demo/data', '--coco',
        'models/demo/saved_model')
    run('train_t2', *config)
    run('train_and_eval_tf2', '--model_dir', 'out/demo/model', *config, '--num_train_steps', '2')
    run('exporter_main_v2', *config, '--trained_checkpoint_dir', 'out/demo/model', '--output_directory',
        'out/demo/exported')
    assert (work / 'out/demo/exported/saved_model/saved_model.pb').exists()
    assert (work / 'out/demo/data/report.html').exists()
