"""docs/api.md names everything that the modules under the reference's names have, and nothing else."""
import importlib
import re
import types
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parent.parent / 'docs' / 'api.md').read_text(encoding='utf-8')
SECTIONS = dict(re.findall(r'^## (object_detection\.\S+)\n(.*?)(?=^## |\Z)', PAGE, re.MULTILINE | re.DOTALL))
MODULES = sorted(set(SECTIONS) - {'object_detection.protos'})


def public(module):
    """Names that a module defines itself; a name in capitals and a type alias have no __module__ of their own."""
    listed = getattr(module, '__all__', None)
    if listed:
        return set(listed)
    source = Path(module.__file__).read_text(encoding='utf-8')
    assigned = set(re.findall(r'^([A-Za-z]\w*)(?:: [^=]*)? = ', source, re.MULTILINE))
    return {name for name, value in vars(module).items() if not name.startswith('_')
            and not isinstance(value, types.ModuleType)
            and (getattr(value, '__module__', None) == module.__name__ or name in assigned)}


@pytest.mark.parametrize('name', MODULES)
def test_every_name_is_on_the_page(name):
    named = set(re.findall(r'`(\w+)`', SECTIONS[name]))
    assert public(importlib.import_module(name)) - named == set()


@pytest.mark.parametrize('name', MODULES)
def test_names_of_the_tables_are_there(name):
    module = importlib.import_module(name)
    first_column = re.findall(r'^\| (`.*?) \|', SECTIONS[name], re.MULTILINE)
    assert [word for cell in first_column for word in re.findall(r'`(\w+)`', cell) if not hasattr(module, word)] == []


def test_modules_are_on_the_page():
    assert {f'object_detection.{name}' for name in (
        'core.standard_fields', 'dataset_tools.tf_record_creation_util', 'dataset_tools.create_coco_tf_record',
        'dataset_tools.create_pascal_tf_record', 'dataset_tools.create_pet_tf_record', 'metrics.coco_evaluation',
        'metrics.coco_tools', 'utils.config_util', 'utils.dataset_util', 'utils.label_map_util', 'utils.ops',
        'utils.visualization_utils')} < set(MODULES)
