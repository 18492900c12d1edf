"""Imports run downwards only and in no circle; commands start without TensorFlow; nothing imports a script."""
import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(p.stem for p in ROOT.glob('*.py'))
# Modules under the reference's names, for people's own code. No room imports them.
REFERENCE = (
    'object_detection.builders', 'object_detection.core', 'object_detection.data_decoders',
    'object_detection.dataset_tools', 'object_detection.eval_util', 'object_detection.exporter_lib_v2',
    'object_detection.inference.detection_inference', 'object_detection.meta_architectures',
    'object_detection.metrics', 'object_detection.model_lib', 'object_detection.model_lib_v2',
    *(f'object_detection.utils.{name}' for name in (
        'category_util', 'colab_utils', 'config_overrides', 'config_util', 'dataset_util', 'gfile', 'json_utils',
        'label_map_util', 'np_box_list', 'np_box_list_ops', 'np_box_mask_list', 'np_box_mask_list_ops', 'np_box_ops',
        'np_mask_ops', 'object_detection_evaluation', 'ops', 'shape_utils', 'static_shape', 'tf_version',
        'variables_helper', 'visualization_plots', 'visualization_shapes', 'visualization_utils')))
# Those that import TensorFlow; the others do so in the functions that need it.
WITH_TENSORFLOW = (
    'object_detection.builders', 'object_detection.core.learning_phase', 'object_detection.core.model',
    'object_detection.core.preprocessor', 'object_detection.core.resizing', 'object_detection.data_decoders',
    'object_detection.eval_util',
    'object_detection.doctor.trial', 'object_detection.exporter_lib_v2',
    'object_detection.meta_architectures', 'object_detection.model_lib', 'object_detection.utils.ops',
    'object_detection.utils.shape_utils')
# From the bottom upwards. A module may import from its own room and from the rooms of the lines above, in no circle.
FLOORS = (
    ('object_detection.utils', 'object_detection.absent'),
    ('object_detection.protos',),
    ('object_detection.config',),
    ('object_detection.records', 'object_detection.boxes', 'object_detection.runs', 'object_detection.cluster'),
    ('object_detection.layers', 'object_detection.inputs'),
    ('object_detection.models',),
    ('object_detection.checkpoints',),
    ('object_detection.evaluation',),
    ('object_detection.training', 'object_detection.export'),
    ('object_detection.inference',),
    ('object_detection.preparation', 'object_detection.zoo'),
    ('object_detection.detection', 'object_detection.doctor'),
    ('object_detection.commands',),
    REFERENCE,
    ('object_detection.model_main_tf2', 'object_detection.exporter_main_v2',
     'object_detection.export_tflite_graph_tf2'),  # python -m, as with the reference
    ('demo', *SCRIPTS),
    ('benchmarks',),
)
APART = ROOT / 'benchmarks' / 'reference'  # runs in another environment, whose object_detection is another one


def _modules():
    files = [p for room in ('object_detection', 'demo', 'benchmarks')
             for p in (ROOT / room).rglob('*.py') if APART not in p.parents]
    for path in sorted([*files, *ROOT.glob('*.py')]):
        parts = path.relative_to(ROOT).with_suffix('').parts
        yield '.'.join(parts[:-1] if parts[-1] == '__init__' else parts), path


MODULES = dict(_modules())


def _floor(name):
    """Index in FLOORS of the longest entry that `name` is or stands below; None for a module from elsewhere."""
    parts = name.split('.')
    for length in range(len(parts), 0, -1):
        for floor, rooms in enumerate(FLOORS):
            if '.'.join(parts[:length]) in rooms:
                return floor
    return None


def _imports(name, path):
    """Full names of the project's modules that `path` imports, at module level or inside a function."""
    package = name if path.name == '__init__.py' else name.rpartition('.')[0]
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split('.')[:len(package.split('.')) - node.level + 1] if node.level else []
            base = '.'.join([*parents, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f'{base}.{alias.name}'
                yield full if full in MODULES else base


def test_every_module_has_its_floor():
    assert [name for name in MODULES if _floor(name) is None] == ['object_detection']  # the package's own docstring


@pytest.mark.parametrize('name', MODULES)
def test_imports_run_downwards(name):
    upwards = [target for target in _imports(name, MODULES[name]) if (_floor(target) or 0) > (_floor(name) or 0)]
    assert upwards == []


def test_only_inputs_leads_to_a_module_of_the_reference_by_its_name():
    """The room has the name of a module of the reference, whose functions it returns when somebody asks for them."""
    found = [(name, node.value) for name, path in MODULES.items() if not name.startswith(REFERENCE)
             and not name.startswith(('demo', 'benchmarks', *SCRIPTS))
             for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
             if isinstance(node, ast.Constant) and node.value in MODULES and node.value.startswith(REFERENCE)]
    assert found == [('object_detection.inputs', 'object_detection.builders.input_functions')]


def test_no_circles():
    """Neither between modules, nor between rooms of one line of FLOORS."""
    def room(module):
        return max((room for rooms in FLOORS for room in rooms if f'{module}.'.startswith(f'{room}.')), key=len)

    modules = {name: {target for target in _imports(name, path) if target in MODULES} - {name}
               for name, path in MODULES.items() if _floor(name) is not None}
    rooms = {}
    for name, targets in modules.items():
        targets = {room(target) for target in targets if _floor(target) is not None}
        rooms.setdefault(room(name), set()).update(targets - {room(name)})
    for graph in (modules, rooms):
        graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_nothing_imports_a_script():
    found = [(name, target) for name, path in MODULES.items() for target in _imports(name, path) if target in SCRIPTS]
    assert found == []


def test_scripts_and_utils_start_without_tensorflow():
    light = ('object_detection.utils', 'object_detection.config', 'object_detection.records', 'object_detection.runs',
             'object_detection.cluster', 'object_detection.zoo', 'object_detection.detection',
             'object_detection.doctor', 'object_detection.commands')
    names = [*SCRIPTS, *(name for name in MODULES if name.startswith((*light, *REFERENCE))
                         and not name.startswith(WITH_TENSORFLOW))]
    code = f'import sys, {", ".join(names)}; print("tensorflow" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'False'


def test_the_rule_sees_an_upward_import(tmp_path):
    path = tmp_path / 'anchors.py'
    path.write_text('def late():\n    from ..models import build\n    import train_t2\n')
    found = list(_imports('object_detection.boxes.anchors', path))
    assert [_floor(target) > _floor('object_detection.boxes.anchors') for target in found] == [True, True]
