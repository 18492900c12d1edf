"""Run the reference's own unit tests against this package, and print a table and what did not pass.

    pip download --no-deps --no-binary :all: tf-models-research-object-detection==2.8.0.post1
    tar xzf tf_models_research_object_detection-2.8.0.post1.tar.gz
    python benchmarks/reference_tests.py tf_models_research_object_detection-2.8.0.post1

FOLDER holds the reference's object_detection/; only its *_test.py files and their helper test_case.py run from there.
Each file runs in a process of its own. What the tests expect of old libraries is put back: the names that NumPy has
removed (np.float), arrays of floats as pixels, which Pillow has ceased to take, the modules contextlib2, tf_slim, and
pycocotools where they are not installed, and a picture that is part of the reference's repository but not of its
package. Tests of what this package says that it has not, and those that DIFFERENT lists with the reason, are counted as
"not here", tests that skip themselves under TensorFlow 2 as "TensorFlow 1". Ends with 1 if another test fails.
"""
import argparse
import contextlib
import importlib.machinery
import importlib.util
import json
import logging
import os
import re
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
    'np_box_mask_list_ops', 'object_detection_evaluation')), 'metrics/coco_tools_test.py',
    'metrics/coco_evaluation_test.py', 'dataset_tools/tf_record_creation_util_test.py',
    'dataset_tools/create_coco_tf_record_test.py', 'dataset_tools/create_pascal_tf_record_test.py',
    'metrics/tf_example_parser_test.py', 'data_decoders/tf_example_decoder_test.py', 'core/preprocessor_test.py',
    'core/model_test.py', 'inputs_test.py', 'eval_util_test.py', 'exporter_lib_tf2_test.py', 'model_lib_tf2_test.py',
    *(f'builders/{name}_test.py' for name in (
        'preprocessor_builder', 'image_resizer_builder', 'dataset_builder', 'model_builder_tf2',
        'optimizer_builder_tf2'))]
HELPERS = ('test_case', 'test_utils', '_test_lib', '_testbase', 'model_builder_test')
NOT_HERE = '(docs/api.md)'  # at the end of errors about what the reference has and this package has not

# (file, part of 'Class.test: error', why the test does not pass); such tests count as "not here".
DIFFERENT = (
    ('core/preprocessor_test.py', r"attribute '_", 'tests functions that are private in the reference'),
    ('core/preprocessor_test.py', r"argument 'center_pad'", 'no field of the option'),
    ('core/preprocessor_test.py', r'MockSampleDistortedBoundingBox|RandomCropWithoutClipBoxes|'
     r'RandomCropImageWith(DensePose|KeypointsInsideCrop|Masks)', 'replaces the function that draws the crop'),
    ('core/preprocessor_test.py', r'WithEmptyBoxes.*Tuples differ', 'no boxes are [0, 4] here, not [1, 0]'),
    ('inputs_test.py', r'test_negative_size_no_assert', 'replaces tf.Assert; assertions are possible here'),
    ('core/model_test.py', r"'Variable' object has no attribute 'get_shape'", 'variables of layers of Keras 3'),
    ('builders/optimizer_builder_tf2_test.py', r'is not an instance of', 'optimizers are not those of Keras'),
    ('builders/model_builder_(tf2_)?test.py', r"attribute '(\w+_MAP|_hard_example_miner)'|NotImplementedError",
     'looks into the builder'),
    ('builders/model_builder_(tf2_)?test.py', r'model: no kind is set|nms_iou_threshold: is 1.1|'
     r'second_stage_batch_size: is 2, more than',
     'the error has another text'),
    ('builders/model_builder_tf2_test.py', r'batchnorm_update.*not raised', 'the field is ignored, with a note'),
    ('builders/model_builder_tf2_test.py', r'ConfigError: model.ssd.*for 6 feature maps; feature_extractor has 5',
     'anchors do not fit the feature maps; in the reference predict would fail'),
    ('builders/dataset_builder_test.py', r'make_initializable_iterator|read_dataset', 'iterators of TensorFlow 1'),
    ('eval_util_test.py', r"attribute '_include_metrics_per_category'", 'reads private attributes of evaluators'),
    ('model_lib_tf2_test.py', r'samples/configs', "files of the reference's repository that are not in its package"),
    (r'(exporter_lib|model_lib)_tf2_test.py', r'get_true_shapes|_BUILD\w*_MAP', 'replaces parts of the functions'),
    (r'.*', r'(Config|User)Error: .*support', 'says that it is not supported'))


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
        sys.meta_path.insert(0, _Finder(folder))
        try:
            spec = importlib.util.spec_from_file_location(f'reference_{path.stem}', path)
            module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except Exception as error:  # whatever it is, it becomes the reason
            return {'(import)': ('failed', _reason(error))}
        from absl import flags
        from absl import logging as absl_logging
        absl_logging.use_absl_handler()
        flags.FLAGS(['test', *([f'--test_tmpdir={work}'] if 'test_tmpdir' in flags.FLAGS else [])])
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
    if lines[0].startswith('in user code'):  # raised in a tf.function
        return lines[-1].strip()
    return f'{type(error).__name__}: {lines[0]}'


class _Finder:
    """Finds the tests' helpers in the reference's folder, and stands in for modules that this package has not.

    What a test takes from such a module raises an AttributeError with the line that an import of it ends in; classes
    raise it when they are used, so that helpers can derive from them.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        with contextlib.suppress(ImportError):  # the reference has no such module
            self._explain = importlib.import_module('object_detection.absent').explain_module

    _explain = staticmethod(lambda name: None)

    def find_spec(self, name, path=None, target=None):
        if name.startswith('object_detection.') and name.endswith(HELPERS):
            return importlib.util.spec_from_file_location(
                name, self._folder.joinpath(*name.split('.')).with_suffix('.py'))
        return self._absent(name) if name.startswith('object_detection.') else None

    def _absent(self, name):
        parts = name.split('.')[1:]
        try:
            for i in range(len(parts)):  # a module of a package that is not here
                self._explain('.'.join(parts[:i + 1]))
        except ModuleNotFoundError as error:
            return importlib.machinery.ModuleSpec(name, _Absent(str(error)), is_package=True)
        return None


class _Absent:
    """Loads a module whose functions, and classes when they are used, raise an AttributeError with this text."""

    def __init__(self, text: str):
        self._text = text

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        def fail(*args, **keywords):
            raise AttributeError(self._text)

        def missing(name):
            if name.startswith('__'):
                raise AttributeError(name)
            return type(name, (), {'__new__': fail}) if name[0].isupper() and not name.isupper() else fail()
        module.__getattr__ = missing


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
    if importlib.util.find_spec('pycocotools') is None:
        import faster_coco_eval
        faster_coco_eval.init_as_pycocotools()


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
    """Print the table, then what did not pass by class and reason; return 1 if a test failed."""
    sys.path.insert(0, str(ROOT))
    from object_detection.absent import MODULES
    print(f'| file | passed | failed | not here | TensorFlow 1 |{" reference passes |" * bool(theirs)}')
    print('|---' * (5 + bool(theirs)) + '|')
    others: dict[tuple[str, ...], list[str]] = {}
    for name, tests in outcomes.items():
        subject = re.sub(r'(_tf[12])?_test\.py$', '', name).replace('/', '.')  # the module that the file tests
        counts = dict.fromkeys(('passed', 'failed', 'not here', 'skipped'), 0)
        for test, (outcome, reason) in tests.items():
            if outcome == 'failed' and (reason.endswith(NOT_HERE) or subject in MODULES):
                outcome, reason = 'not here', MODULES.get(subject, reason)
            if outcome == 'failed':
                outcome, reason = next((('not here', f'{why}: {reason}') for file, error, why in DIFFERENT
                                        if re.fullmatch(file, name) and re.search(error, f'{test}: {reason}')),
                                       (outcome, reason))
            counts[outcome] += 1
            if outcome != 'passed':
                class_name, _, method = test.partition('.')
                others.setdefault((outcome, name, class_name, reason), []).append(method)
        passes = f' {sum(outcome == "passed" for outcome, _ in theirs[name].values())} |' if theirs else ''
        print(f'| {name} | {" | ".join(str(count) for count in counts.values())} |{passes}')
    print()
    for (outcome, name, class_name, reason), methods in others.items():
        print(f'{outcome}: {name}: {class_name}, {len(methods)} tests ({methods[0]}, ...): {reason}'
              if len(methods) > 1 else f'{outcome}: {name}: {class_name}.{methods[0]}: {reason}')
    return int(any(outcome == 'failed' for outcome, *_ in others))


if __name__ == '__main__':
    sys.exit(main())
