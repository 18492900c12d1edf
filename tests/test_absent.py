"""Modules of the reference that are not here: an ImportError in one line that says what takes their place."""
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from object_detection.absent import MODULES, AbsentModule

PACKAGE = Path(__file__).resolve().parent.parent / 'object_detection'


@pytest.mark.parametrize('name', MODULES)
def test_import_says_what_takes_its_place(name):
    with pytest.raises(AbsentModule) as caught:
        importlib.import_module(f'object_detection.{name}')
    message = str(caught.value)
    assert message.startswith(f'object_detection.{name} of the TF2 Object Detection API is not here: ')
    assert '\n' not in message and MODULES[name] in message


@pytest.mark.parametrize('name', MODULES)
def test_none_of_them_is_here(name):
    path = PACKAGE.joinpath(*name.split('.'))
    assert not path.exists() and not path.with_suffix('.py').exists()


@pytest.mark.parametrize('place', sorted(set(MODULES.values())))
def test_what_takes_its_place_is_here(place):
    for name in re.findall(r'object_detection(?:\.\w+)+', place):
        assert importlib.util.find_spec(name), name


def test_the_forms_of_import():
    for line in ('from object_detection.core import losses', 'import object_detection.core.losses',
                 'from object_detection.core.losses import Loss'):
        with pytest.raises(ImportError, match=r'use object_detection\.models\.losses'):
            exec(line)
    for line in ('import object_detection.meta_architectures.rfcn_meta_arch',
                 'from object_detection.meta_architectures import rfcn_meta_arch'):
        with pytest.raises(ModuleNotFoundError, match=r'object_detection\.models has the architectures'):
            exec(line)


def test_scripts_that_ask_before():
    with pytest.raises(ModuleNotFoundError, match=r'use object_detection\.models\.losses'):
        importlib.util.find_spec('object_detection.core.losses')


def test_other_names_fail_as_ever():
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'object_detection\.nothing'$") as caught:
        importlib.import_module('object_detection.nothing')
    assert caught.value.name == 'object_detection.nothing'
    with pytest.raises(ImportError, match='cannot import name'):
        exec('from object_detection.core import nothing')
    assert importlib.util.find_spec('object_detection.nothing') is None
    assert importlib.util.find_spec('nothing_at_all') is None


def test_it_costs_nothing_until_it_is_needed():
    code = ('import sys; import object_detection; from object_detection.utils import label_map_util; '
            'print("object_detection.absent" in sys.modules)')
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True
                          ).stdout.strip() == 'False'


@pytest.mark.parametrize('name', ['model_main', 'legacy.train', 'inference.infer_detections'])
def test_run_as_a_module_it_ends_in_one_line(name):
    done = subprocess.run([sys.executable, '-m', f'object_detection.{name}', '--train_dir=x'], capture_output=True,
                          text=True)
    [line] = done.stderr.splitlines()
    assert done.returncode == 1 and 'model_main_tf2 trains and exporter_main_v2 exports' in line


@pytest.mark.parametrize('script', ['model_main_tf2.py', 'dataset_tools/create_pet_tf_record.py'])
def test_commands_run_by_their_path(script, tmp_path):
    """As tutorials call them; tmp_path, so that the checkout isn't found as the current folder."""
    done = subprocess.run([sys.executable, PACKAGE / script, '--help'], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f'usage: {Path(script).name}'), done.stderr


def test_a_module_that_is_imported_without_a_use_for_it():
    from object_detection.inference import detection_inference
    with pytest.raises(AttributeError, match=r'tf\.saved_model\.load reads what exporter_main_v2 writes'):
        detection_inference.build_inference_graph  # noqa: B018
