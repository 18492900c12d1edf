"""Rules about evaluation: eval_config with its metrics, and every eval_input_reader."""
import contextlib
from collections.abc import Iterable, Iterator

from object_detection import protos
from object_detection.config import paths
from object_detection.config.checks import readers
from object_detection.config.checks.findings import Finding, error, warning
from object_detection.config.label_map import LabelMap
from object_detection.config.metrics_set import KEYPOINTS, LEFT_OUT, METRICS, RENAMED, similar
from object_detection.config.pipeline import Config
from object_detection.utils import shards
from object_detection.utils.errors import UserError


def check(config: Config) -> Iterator[Finding]:
    """Yield findings about evaluation alone."""
    yield from readers.placeholders(config.eval_config, 'eval_config')
    yield from _metrics(config)
    if not config.eval_input_reader:
        yield error('eval_input_reader', 'is missing; evaluation needs at least one')
    trained_on = _files(config.train_input_reader)
    labels = readers.label_map_of(config.train_input_reader)
    for index, reader in enumerate(config.eval_input_reader):
        path = f'eval_input_reader[{index}]'
        yield from readers.check(config, reader, path, evaluated=True)
        if index:
            yield warning(path, 'is not evaluated: only the first eval_input_reader is, as in the reference; to '
                          'evaluate these records too, name them there as another input_path')
        others = readers.label_map_of(reader)
        if labels and others and labels.items != others.items:
            yield from _two_label_maps(labels, others, f'{path}.label_map_path')
        both = trained_on & _files(reader)
        if both and not paths.is_placeholder(source := min(both)):
            yield warning(f'{path}.tf_record_input_reader.input_path',
                          f'{source!r} is trained on as well; its metrics say nothing about new pictures')


def _files(reader: protos.InputReader) -> set[str]:
    """Return the paths of an input_reader, and the files that they match."""
    found = {pattern for pattern in reader.tf_record_input_reader.input_path if pattern}
    for pattern in list(found):
        with contextlib.suppress(UserError):  # of a store; the check of the records says it
            found.update(map(str, shards.expand(pattern)))
    return found


def _two_label_maps(trained: LabelMap, evaluated: LabelMap, path: str) -> Iterator[Finding]:
    """Compare the label map of train_input_reader with that of an eval_input_reader."""
    shared = trained.ids.keys() & evaluated.ids.keys()
    differing = [name for name in trained.ids if name in shared and trained.ids[name] != evaluated.ids[name]]
    if differing:
        yield error(path, f'{evaluated.source} contradicts {trained.source} of train_input_reader: ' + _few(
            f'{name!r} has id {evaluated.ids[name]}, not {trained.ids[name]}' for name in differing) +
            '; use one label map for both')
        return
    here, there = ({item.id: item for item in labels.items} for labels in (evaluated, trained))
    renamed = [number for number in here.keys() & there.keys()
               if not {here[number].name, here[number].display_name or None}
               & {there[number].name, there[number].display_name}]
    if renamed:
        yield warning(path, f'{evaluated.source} and {trained.source} of train_input_reader name the same id '
                      'differently: ' + _few(f'{number} is {here[number].name!r} here and {there[number].name!r} there'
                                             for number in sorted(renamed)))
    if lacking := [item.name for number, item in there.items() if number not in here]:
        yield warning(path, f'{evaluated.source} lacks {_few(map(repr, lacking))}, which is trained on, so detections '
                      'of it are not evaluated')
    if extra := [item.name for number, item in here.items() if number not in there]:
        yield warning(path, f'{evaluated.source} has {_few(map(repr, extra))}, which {trained.source} of '
                      'train_input_reader lacks, so it is never learned')


def _few(texts: Iterable[str]) -> str:
    found = list(texts)
    return ', '.join(found[:5]) + (f' and {len(found) - 5} more' if len(found) > 5 else '')


def _metrics(config: Config) -> Iterator[Finding]:
    options = config.eval_config
    for index, name in enumerate(options.metrics_set):
        path = f'eval_config.metrics_set[{index}]'
        if name in LEFT_OUT:
            yield error(path, f'is {name!r}, which is not supported: {LEFT_OUT[name]}; supported: {", ".join(METRICS)}')
        elif name in RENAMED:
            now = RENAMED[name]
            refused = f', which is not supported: {LEFT_OUT[now]}' if now in LEFT_OUT else ''
            yield error(path, f'is {name!r}, the old name of {now}{refused or "; write that"}')
        elif name not in METRICS:
            close = similar(name)
            yield error(path, f'is {name!r}; {f"did you mean {close}? " if close else ""}'
                        f'supported: {", ".join(METRICS)}')
        elif METRICS[name].masks and not readers.predicts_masks(config):
            yield error(path, f'is {name!r}, but the model predicts no masks; that takes faster_rcnn with '
                        'number_of_stages: 3')
        elif name == KEYPOINTS and not options.parameterized_metric:
            yield error(path, f'is {name!r}, but no class is given; add parameterized_metric '
                        '{ coco_keypoint_metrics { class_label: "..." } } to eval_config')
    for path, metric in readers.keypoint_metrics(options):
        if not metric.class_label:
            yield error(path, 'has no class_label; it names the class whose keypoints are evaluated')
        if not readers.predicts_keypoints(config):
            yield error(path, 'asks for keypoint metrics, but the model predicts no keypoints; that takes center_net '
                        'with a keypoint_estimation_task')
