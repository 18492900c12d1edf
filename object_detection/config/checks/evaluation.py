"""Rules about evaluation: eval_config with its metrics, and every eval_input_reader."""
import difflib
from collections.abc import Iterator

from object_detection.config.checks import readers
from object_detection.config.checks.findings import Finding, error, warning
from object_detection.config.checks.rules import Rule, apply, at_least_one
from object_detection.config.metrics_set import KEYPOINTS, LEFT_OUT, METRICS
from object_detection.config.pipeline import Config

RULES: dict[str, list[Rule]] = {'EvalConfig': [at_least_one('batch_size')]}


def check(config: Config) -> Iterator[Finding]:
    """Yield findings about evaluation alone."""
    yield from readers.placeholders(config.eval_config, 'eval_config')
    yield from apply(RULES, config.eval_config, 'eval_config')
    yield from _metrics(config)
    if not config.eval_input_reader:
        yield error('eval_input_reader', 'is missing; evaluation needs at least one')
    trained_on = set(config.train_input_reader.tf_record_input_reader.input_path)
    for index, reader in enumerate(config.eval_input_reader):
        path = f'eval_input_reader[{index}]'
        yield from readers.check(config, reader, path, evaluated=True)
        if index:
            yield warning(path, 'is not evaluated: only the first eval_input_reader is, as in the reference; to '
                          'evaluate these records too, name them there as another input_path')
        both = trained_on & set(reader.tf_record_input_reader.input_path) - {''}
        if both and not readers.PLACEHOLDER.search(source := min(both)):
            yield warning(f'{path}.tf_record_input_reader.input_path',
                          f'{source!r} is trained on as well; its metrics say nothing about new pictures')


def _metrics(config: Config) -> Iterator[Finding]:
    options = config.eval_config
    for index, name in enumerate(options.metrics_set):
        path = f'eval_config.metrics_set[{index}]'
        if name in LEFT_OUT:
            yield error(path, f'is {name!r}, which is not supported: {LEFT_OUT[name]}; supported: {", ".join(METRICS)}')
        elif name not in METRICS:
            close = difflib.get_close_matches(name, METRICS, n=1)
            yield error(path, f'is {name!r}; {f"did you mean {close[0]}? " if close else ""}'
                        f'supported: {", ".join(METRICS)}')
        elif METRICS[name].masks and not readers.finds_masks(config):
            yield error(path, f'is {name!r}, but the model predicts no masks; that takes faster_rcnn with '
                        'number_of_stages: 3')
        elif name == KEYPOINTS and not options.parameterized_metric:
            yield error(path, f'is {name!r}, but no class is given; add parameterized_metric '
                        '{ coco_keypoint_metrics { class_label: "..." } } to eval_config')
    for path, metric in readers.keypoint_metrics(options):
        if not metric.class_label:
            yield error(path, 'has no class_label; it names the class whose keypoints are evaluated')
        if not readers.finds_keypoints(config):
            yield error(path, 'asks for keypoint metrics, but the model predicts no keypoints; that takes center_net '
                        'with a keypoint_estimation_task')
