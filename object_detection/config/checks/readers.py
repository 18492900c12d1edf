"""Rules about one input_reader: its records, its label map, and what the model needs of it."""
from collections.abc import Iterator

from google.protobuf.message import Message

from object_detection import protos
from object_detection.config import label_map, metrics_set, paths, unread_fields
from object_detection.config.checks.findings import Finding, error, warning
from object_detection.config.pipeline import Config, architecture
from object_detection.utils.errors import UserError


def check(config: Config, reader: protos.InputReader, path: str, evaluated: bool) -> Iterator[Finding]:
    """Yield findings about the input_reader at `path`; `evaluated`: metrics are computed on its records."""
    yield from placeholders(reader, path)
    yield from _records(reader, f'{path}.tf_record_input_reader.input_path')
    yield from _labels(config, reader, f'{path}.label_map_path', evaluated)
    yield from _needs(config, reader, path, evaluated)
    weights, entries = reader.sample_from_datasets_weights, reader.tf_record_input_reader.input_path
    if weights and len(weights) != len(entries):
        yield error(f'{path}.sample_from_datasets_weights', f'has {len(weights)} values for {len(entries)} input_path '
                    'entries; give one for each')
    if evaluated and (labels := label_map_of(reader)):
        for field, metric in keypoint_metrics(config.eval_config):
            if metric.class_label:
                yield from _keypoints_of_class(metric, field, reader, labels)


def placeholders(section: Message, path: str) -> Iterator[Finding]:
    """Yield the paths of a section that still say PATH_TO_BE_CONFIGURED."""
    for place, _, field, value in unread_fields.walk(section, path):
        if field.type == field.TYPE_STRING:
            for name, text in unread_fields.entries(place, value):
                if paths.is_placeholder(text):
                    yield error(name, f'is still {text!r}; set it to a path of your own, or delete the line')


def label_map_of(reader: protos.InputReader) -> label_map.LabelMap | None:
    """Return the label map of an input_reader, None without a readable one."""
    try:
        return label_map.load(reader.label_map_path) if reader.label_map_path else None
    except UserError:
        return None


def predicts_masks(config: Config) -> bool:
    """Return whether the model is a Mask R-CNN."""
    name, model = architecture(config)
    return name == 'faster_rcnn' and model.number_of_stages == 3


def predicts_keypoints(config: Config) -> bool:
    """Return whether the model is a CenterNet with keypoints."""
    name, model = architecture(config)
    return name == 'center_net' and len(model.keypoint_estimation_task) > 0


def _records(reader: protos.InputReader, path: str) -> Iterator[Finding]:
    patterns = reader.tf_record_input_reader.input_path
    if not patterns:
        yield error(path, 'is missing; name the records')
    for index, pattern in enumerate(patterns):
        if not paths.is_placeholder(pattern):
            for severity, message in paths.records(pattern):
                yield Finding(severity, f'{path}[{index}]', message)


def _labels(config: Config, reader: protos.InputReader, path: str, evaluated: bool) -> Iterator[Finding]:
    source = reader.label_map_path
    if not source:
        yield (error(path, 'is missing; evaluation takes the labels\' names and number from it: set it to '
                     'the label_map.pbtxt of the records') if evaluated else
               warning(path, 'is missing: class ids come from the records, and names are unknown'))
        return
    if paths.is_placeholder(source):
        return
    yield from (Finding(severity, path, message, source=source) for severity, message in _content(config, source))


def _content(config: Config, source: str) -> Iterator[tuple[str, str]]:
    """Yield (severity, message) about the content of a label map."""
    try:
        labels = label_map.load(source)
    except UserError as fault:
        yield from (('error', message) for message in fault.findings)
        return
    yield from (('warning', message) for message in labels.warnings)
    _, model = architecture(config)
    classes = model.num_classes if model else 0
    if labels.num_classes > classes > 0:
        yield 'error', (f'{source} goes up to id {labels.num_classes}, but num_classes of the model is {classes}; '
                        f'set num_classes: {labels.num_classes}')
    elif labels.num_classes < classes:
        yield 'warning', (f'{source} goes up to id {labels.num_classes}, but num_classes of the model is {classes}: '
                          f'{classes - labels.num_classes} outputs never learn anything; did you mean num_classes: '
                          f'{labels.num_classes}?')


def _needs(config: Config, reader: protos.InputReader, path: str, evaluated: bool) -> Iterator[Finding]:
    """Masks and keypoints are loaded where the loss or a metric compares with them."""
    options = config.eval_config
    names = metrics_set.chosen(options) if evaluated else []
    by_masks = [name for name in names if name in metrics_set.METRICS and metrics_set.METRICS[name].masks]
    by_keypoints = [metrics_set.KEYPOINTS] * (evaluated and len(options.parameterized_metric) > 0)
    by_masks += ['a model with number_of_stages: 3'] * predicts_masks(config)
    by_keypoints += ['a model with a keypoint_estimation_task'] * predicts_keypoints(config)
    if by_masks and not reader.load_instance_masks:
        yield error(path, f'does not load masks, which {by_masks[0]} needs; set load_instance_masks: true, and '
                    'mask_type to match the records')
    if by_keypoints and not reader.num_keypoints:
        yield error(path, f'loads no keypoints, which {by_keypoints[0]} needs; set num_keypoints to the '
                    'number of keypoints per object in the records')


def keypoint_metrics(options: protos.EvalConfig) -> list[tuple[str, protos.CocoKeypointMetrics]]:
    """Return (field, CocoKeypointMetrics) of each parameterized_metric."""
    return [(f'eval_config.parameterized_metric[{index}].{metrics_set.KEYPOINTS}', metric.coco_keypoint_metrics)
            for index, metric in enumerate(options.parameterized_metric)]


def _keypoints_of_class(metric: protos.CocoKeypointMetrics, field: str, reader: protos.InputReader,
                        labels: label_map.LabelMap) -> Iterator[Finding]:
    """Yield faults of class_label and keypoint_label_to_sigmas against the label map."""
    try:
        keypoints = labels.item_of(metric.class_label).keypoints
    except UserError as fault:
        yield error(f'{field}.class_label', str(fault))
        return
    if not keypoints:
        yield error(f'{field}.class_label', f'is {metric.class_label!r}, which has no keypoints in {labels.source}; '
                    'add keypoints { id: 0 label: "..." } to its item, one for each')
    elif 0 < reader.num_keypoints <= max(keypoints.values()):
        yield error(f'{field}.class_label', f'is {metric.class_label!r}, whose keypoints in {labels.source} go up to '
                    f'id {max(keypoints.values())}, but num_keypoints is {reader.num_keypoints}; ids count from 0')
    sigmas = metric.keypoint_label_to_sigmas
    if missing := [label for label in keypoints if not sigmas.get(label, 0.) > 0.] if sigmas else []:
        yield error(f'{field}.keypoint_label_to_sigmas', f'has no value above 0 for {", ".join(missing)}; give one for '
                    'each keypoint of the class, or none at all for .05')
    if unknown := sorted(set(sigmas) - set(keypoints)):
        yield warning(f'{field}.keypoint_label_to_sigmas', f'has {", ".join(unknown)}, which is no keypoint of '
                      f'{metric.class_label!r} in {labels.source}')
