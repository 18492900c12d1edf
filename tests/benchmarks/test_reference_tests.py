"""benchmarks/reference_tests.py on a drawn folder of tests."""
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'reference_tests.py'
TESTS = '''
import os
import unittest
import contextlib2
import numpy as np
from PIL import Image
from object_detection.core import losses
from object_detection.utils import label_map_util, ops, test_case

class A(test_case.TestCase):
    def test_right(self):
        assert label_map_util.create_class_agnostic_category_index()[1]['id'] == np.float(1)
        assert Image.open('object_detection/test_images/image1.jpg').size == (1024, 636)
        assert contextlib2.ExitStack
    def test_old(self):
        self.skipTest('TF1 only')
    def test_wrong(self):
        self.assertEqual(1, 2, 'not equal')
    def test_absent_name(self):
        ops.normalize_to_target(3)
    def test_absent_module(self):
        losses.Loss()
    def test_another(self):
        losses.Loss()
'''


def run(folder, *arguments):
    return subprocess.run([sys.executable, SCRIPT, folder, *arguments], capture_output=True, text=True)


def test_table_and_reasons(tmp_path):
    package = tmp_path / 'object_detection'
    (package / 'utils').mkdir(parents=True)
    (package / 'utils/a_test.py').write_text(TESTS)
    (package / 'utils/b_test.py').write_text('import nothing_at_all')
    (package / 'utils/test_case.py').write_text('import unittest\nclass TestCase(unittest.TestCase): pass\n')
    done = run(tmp_path, 'utils/*_test.py')
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == '| file | passed | failed | not here | TensorFlow 1 |'
    assert lines[2:4] == ['| utils/a_test.py | 1 | 1 | 3 | 1 |', '| utils/b_test.py | 0 | 1 | 0 | 0 |']
    reasons = '\n'.join(lines[5:])
    assert 'failed: utils/a_test.py: A.test_wrong: AssertionError: 1 != 2 : not equal' in reasons
    assert 'not here: utils/a_test.py: A, 2 tests (test_absent_module, ...): ' in reasons
    assert 'use object_detection.models.losses (docs/api.md)' in reasons
    assert "no attribute 'normalize_to_target': it makes variables of TensorFlow 1 (docs/api.md)" in reasons
    assert 'skipped: utils/a_test.py: A.test_old: TF1 only' in reasons
    assert "ModuleNotFoundError: No module named 'nothing_at_all'" in reasons


def test_success_and_empty_folder(tmp_path):
    (tmp_path / 'object_detection').mkdir()
    (tmp_path / 'object_detection/a_test.py').write_text(
        'import unittest\nclass A(unittest.TestCase):\n    def test(self): pass\n')
    assert run(tmp_path, 'a_test.py').returncode == 0
    assert 'has no b_test.py' in run(tmp_path, 'b_test.py').stderr
