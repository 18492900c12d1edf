"""Run the reference's own unit tests against this package, and print a table and what did not pass.

    pip download --no-deps --no-binary :all: tf-models-research-object-detection==2.8.0.post1
    tar xzf tf_models_research_object_detection-2.8.0.post1.tar.gz
    python benchmarks/reference_tests.py tf_models_research_object_detection-2.8.0.post1

FOLDER holds the reference's object_detection/; only its *_test.py files and their helper test_case.py run from there.
Each file runs in a process of its own. What the tests expect of old libraries is put back: the names that NumPy has
removed (np.float), arrays of floats as pixels, which Pillow has ceased to take, the modules contextlib2 and tf_slim
where they are not installed, and a picture that is part of the reference's repository but not of its package. Ends with
1 if a test fails that is not in EXPECTED.
"""
import argparse
import contextlib
import fnmatch
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
import traceback
import unittest
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
FILES = [*(f'utils/{name}_test.py' for name in (
    'label_map_util', 'dataset_util', 'config_util', 'visualization_utils', 'ops', 'shape_utils', 'static_shape',
    'category_util', 'json_utils', 'np_box_ops', 'np_box_list', 'np_box_list_ops', 'np_mask_ops', 'np_box_mask_list',
    'np_box_mask_list_ops')), 'metrics/coco_tools_test.py', 'metrics/coco_evaluation_test.py',
    'dataset_tools/tf_record_creation_util_test.py', 'dataset_tools/create_coco_tf_record_test.py',
    'dataset_tools/create_pascal_tf_record_test.py']
HELPERS = ('test_case', 'test_utils', '_test_lib', '_testbase')
# Pattern of "file: Class.test" -> why this package does not pass it.
EXPECTED = {
    'utils/ops_test.py: OpsTest*PositionSensitive*': 'R-FCN is not supported',
    'utils/ops_test.py: OpsTestNormalizeToTarget.*': 'normalize_to_target makes variables of TensorFlow 1',
}


def run_file(folder: Path, name: str, reference: bool) -> dict[str, tuple[str, str]]:
    """Run one file of tests in this process.

    Args:
        reference: against the reference of this environment instead of this package.
    Returns:
        {'Class.test': (outcome, reason)}, outcome 'passed', 'failed' or 'skipped'.
    """
    sys.path[0] = str(ROOT / 'benchmarks' / 'reference' if reference else ROOT)
    if reference:
        importlib.import_module('compat')
    _old_names()
    path = folder / 'object_detection' / name
    outcomes: dict[str, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory() as work, contextlib.chdir(work):
        _test_picture(Path('object_detection/test_images/image1.jpg'))
        sys.meta_path.insert(0, _Helpers(folder))
        try:
            spec = importlib.util.spec_from_file_location(f'reference_{path.stem}', path)
            module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except Exception as error:  # whatever it is, it becomes the reason
            return {'(import)': ('failed', _reason(error))}
        from absl import flags
        from absl import logging as absl_logging
        absl_logging.use_absl_handler()
        flags.FLAGS(['test', f'--test_tmpdir={work}'])
        tests = unittest.defaultTestLoader.loadTestsFromModule(module)
        tests.run(_Collect(outcomes))
    return outcomes


class _Collect(unittest.TestResult):
    """Notes the outcome of each test in a dict."""

    def __init__(self, outcomes: dict[str, tuple[str, str]]):
        super().__init__()
        self._outcomes = outcomes

    def _note(self, test: unittest.TestCase, outcome: str, reason: str = '') -> None:
        name = '.'.join(test.id().split('.')[1:])
        if not name.endswith('.test_session'):  # a method of tf.test.TestCase that looks like a test
            self._outcomes[name] = outcome, reason

    def addSuccess(self, test):
        self._note(test, 'passed')

    def addError(self, test, error):
        self._note(test, 'failed', _reason(error[1]))

    def addFailure(self, test, error):
        self._note(test, 'failed', _reason(error[1]))

    def addSubTest(self, test, subtest, error):
        if error:
            self._note(test, 'failed', _reason(error[1]))

    def addSkip(self, test, reason):
        self._note(test, 'skipped', reason)


def _reason(error: BaseException) -> str:
    if os.environ.get('TRACEBACKS'):
        traceback.print_exception(error)
    lines = str(error).strip().splitlines() or ['']
    return f'{type(error).__name__}: {lines[-1 if lines[0].startswith("in user code") else 0].strip()}'


class _Helpers:
    """Finds modules that only tests use in the reference's folder."""

    def __init__(self, folder: Path):
        self._folder = folder

    def find_spec(self, name, path=None, target=None):
        if not name.startswith('object_detection.') or not name.endswith(HELPERS):
            return None
        return importlib.util.spec_from_file_location(name, self._folder.joinpath(*name.split('.')).with_suffix('.py'))


def _old_names() -> None:
    import numpy as np
    for name, value in {'float': float, 'int': int, 'bool': bool, 'object': object, 'str': str,
                        'string_': bytes}.items():
        if name not in np.__dict__:
            setattr(np, name, value)
    from PIL import Image
    fromarray = Image.fromarray
    Image.fromarray = lambda array, mode=None: fromarray(
        array if mode is None else np.frombuffer(array.tobytes(), np.uint8)[:array.size].reshape(array.shape))
    for name, replacement in (('contextlib2', contextlib), ('tf_slim', ModuleType('tf_slim'))):
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = replacement


def _test_picture(path: Path) -> None:
    from PIL import Image
    path.parent.mkdir(parents=True)
    Image.linear_gradient('L').resize((1024, 636)).convert('RGB').save(path)


def _in_process(python: str, folder: Path, name: str, reference: bool) -> dict[str, tuple[str, str]]:
    """Like run_file, in a fresh process of an interpreter."""
    command = [python, __file__, str(folder), '--one', name, *(['--reference'] if reference else [])]
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'CUDA_VISIBLE_DEVICES': '-1'}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if os.environ.get('TRACEBACKS'):
        sys.stderr.write(done.stderr)
    if done.returncode:
        return {'(process)': ('failed', f'ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}')}
    return {test: tuple(outcome) for test, outcome in json.loads(done.stdout.splitlines()[-1]).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', metavar='FOLDER', type=Path, help='of the unpacked package')
    parser.add_argument('files', metavar='FILE', nargs='*', default=FILES,
                        help="files or patterns below object_detection/, such as 'core/*_test.py'; default: those of "
                        'the modules that this package offers under their names')
    parser.add_argument('--reference_python', metavar='PATH',
                        help="of benchmarks/reference_env.sh's environment: run the tests against the reference too")
    parser.add_argument('--one', help=argparse.SUPPRESS)
    parser.add_argument('--reference', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = args.folder.resolve()
    if args.one:
        logging.disable()
        print('\n' + json.dumps(run_file(folder, args.one, args.reference)))
        return 0
    package = folder / 'object_detection'
    names = [path.relative_to(package).as_posix() for pattern in args.files for path in sorted(package.glob(pattern))]
    if not names:
        parser.error(f'{package} has no {", ".join(args.files)}')
    outcomes = {name: _in_process(sys.executable, folder, name, False) for name in names}
    theirs = {name: _in_process(args.reference_python, folder, name, True) for name in names
              } if args.reference_python else {}
    return report(outcomes, theirs)


def report(outcomes: dict[str, dict[str, tuple[str, str]]], theirs: dict[str, dict[str, tuple[str, str]]]) -> int:
    """Print the table and all tests that did not pass; return 1 if one of them failed unexpectedly."""
    print(f'| file | passed | failed | not here | TensorFlow 1 |{" reference passes |" * bool(theirs)}')
    print('|---' * (5 + bool(theirs)) + '|')
    lines, unexpected = [], 0
    for name, tests in outcomes.items():
        counts = dict.fromkeys(('passed', 'failed', 'expected', 'skipped'), 0)
        for test, (outcome, reason) in tests.items():
            known = next((why for pattern, why in EXPECTED.items() if fnmatch.fnmatch(f'{name}: {test}', pattern)), '')
            outcome = 'expected' if outcome == 'failed' and known else outcome
            counts[outcome] += 1
            if outcome != 'passed':
                also = f' (the reference: {theirs[name].get(test, ("not run",))[0]})' if theirs else ''
                lines.append(f'{outcome:9s}{name}: {test}: {known or reason}{also}')
        unexpected += counts['failed']
        passes = f' {sum(o == "passed" for o, _ in theirs[name].values())} |' if theirs else ''
        print(f'| {name} | {" | ".join(str(count) for count in counts.values())} |{passes}')
    print(*lines, sep='\n')
    return 1 if unexpected else 0


if __name__ == '__main__':
    sys.exit(main())
