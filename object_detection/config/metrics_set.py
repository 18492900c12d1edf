"""The metrics that eval_config may ask for, and what each requires of model, records and label map.

evaluation/metrics computes them.
"""
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from object_detection.config.label_map import LabelMap
from object_detection.config.pipeline import Config, architecture
from object_detection.utils.errors import UserError


@dataclass(frozen=True)
class Kind:
    """One metric.

    Attributes:
        family: the module of evaluation/metrics that computes it.
        prefix: of its TensorBoard tags.
        masks: it compares masks instead of boxes.
        weighted, group_of: arguments of pascal_voc.PascalVoc.
        recall_bounds: it uses eval_config.recall_lower_bound and recall_upper_bound.
    """

    family: str
    prefix: str
    masks: bool = False
    weighted: bool = False
    group_of: bool = False
    recall_bounds: bool = False


KEYPOINTS = 'coco_keypoint_metrics'
METRICS = {
    'coco_detection_metrics': Kind('coco', 'DetectionBoxes'),
    'coco_mask_metrics': Kind('coco', 'DetectionMasks', masks=True),
    KEYPOINTS: Kind('keypoints', 'Keypoints'),
    'pascal_voc_detection_metrics': Kind('pascal_voc', 'PascalBoxes'),
    'weighted_pascal_voc_detection_metrics': Kind('pascal_voc', 'WeightedPascalBoxes', weighted=True),
    'pascal_voc_instance_segmentation_metrics': Kind('pascal_voc', 'PascalMasks', masks=True),
    'weighted_pascal_voc_instance_segmentation_metrics':
        Kind('pascal_voc', 'WeightedPascalMasks', masks=True, weighted=True),
    'precision_at_recall_detection_metrics': Kind('pascal_voc', 'PrecisionAtRecallBoxes', recall_bounds=True),
    'oid_V2_detection_metrics': Kind('pascal_voc', 'OpenImagesV2', group_of=True),
}
_LABELS_OF_PICTURES = 'it needs labels of whole pictures, which are not read'
LEFT_OUT = {
    'oid_challenge_detection_metrics': _LABELS_OF_PICTURES,
    'oid_challenge_segmentation_metrics': _LABELS_OF_PICTURES,
    'lvis_mask_metrics': _LABELS_OF_PICTURES,
    'coco_panoptic_metrics': 'no model here assigns a class to every pixel',
}


def chosen(options: Any) -> list[str]:
    """Return the names in eval_config.metrics_set, each once; coco_detection_metrics if there are none.

    Keypoint metrics are left out: a parameterized_metric asks for them, class by class.

    Args:
        options: the EvalConfig message.
    """
    return [name for name in dict.fromkeys(options.metrics_set or ['coco_detection_metrics']) if name != KEYPOINTS]


def need_masks(options: Any) -> bool:
    """Return whether any metric of an EvalConfig compares masks."""
    return any(METRICS[name].masks for name in chosen(options))


def check(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield (severity, field, message) for metrics that do not fit the model or are not supported."""
    options = config.eval_config
    for index, name in enumerate(options.metrics_set):
        if name not in METRICS:
            yield 'error', f'eval_config.metrics_set[{index}]', _unknown(name)
        elif METRICS[name].masks and not _finds_masks(config):
            yield ('error', f'eval_config.metrics_set[{index}]', f'is {name!r}, but the model predicts no masks; that '
                   'takes faster_rcnn with number_of_stages: 3')
        elif name == KEYPOINTS and not options.parameterized_metric:
            yield ('error', f'eval_config.metrics_set[{index}]', f'is {name!r}, but no class is given; add '
                   'parameterized_metric { coco_keypoint_metrics { class_label: "..." } } to eval_config')
    for path, metric in _of_keypoints(options):
        if not metric.class_label:
            yield 'error', path, 'has no class_label; it names the class whose keypoints are evaluated'
        if not _finds_keypoints(config):
            yield ('error', path, 'asks for keypoint metrics, but the model predicts no keypoints; that takes '
                   'center_net with a keypoint_estimation_task')


def check_reader(config: Config, reader: Any, path: str, labels: LabelMap | None) -> Iterator[tuple[str, str, str]]:
    """Yield (severity, field, message) for metrics that one input_reader cannot supply.

    Args:
        reader: the InputReader message.
        path: its field in the config.
        labels: its label map, if it can be read.
    """
    options = config.eval_config
    masks = [name for name in chosen(options) if name in METRICS and METRICS[name].masks]
    if masks and not reader.load_instance_masks:
        yield ('error', path, f'does not load masks, which {masks[0]} needs; set load_instance_masks: true, and '
               'mask_type as the records have them')
    for field, metric in _of_keypoints(options):
        if not reader.num_keypoints:
            yield ('error', path, f'loads no keypoints, which {KEYPOINTS} needs; set num_keypoints: as many as an '
                   'object has in the records')
        if labels and metric.class_label:
            yield from _keypoints_of_class(metric, field, reader, labels)


def demand(config: Config, reader: Any, path: str, labels: LabelMap | None) -> None:
    """Raise one UserError with everything that prevents the metrics from being computed on the records of a reader."""
    faults = [*check(config), *check_reader(config, reader, path, labels)]
    if errors := [f'{field}: {message}' for severity, field, message in faults if severity == 'error']:
        raise UserError(errors)


def _unknown(name: str) -> str:
    if name in LEFT_OUT:
        return f'is {name!r}, which is not supported: {LEFT_OUT[name]}; supported: {", ".join(METRICS)}'
    close = difflib.get_close_matches(name, METRICS, n=1)
    return f'is {name!r}; {f"did you mean {close[0]}? " if close else ""}supported: {", ".join(METRICS)}'


def _finds_masks(config: Config) -> bool:
    name, model = architecture(config)
    return name == 'faster_rcnn' and model.number_of_stages == 3


def _finds_keypoints(config: Config) -> bool:
    name, model = architecture(config)
    return name == 'center_net' and len(model.keypoint_estimation_task) > 0


def _of_keypoints(options: Any) -> list[tuple[str, Any]]:
    """Return [(field, CocoKeypointMetrics message)]."""
    return [(f'eval_config.parameterized_metric[{index}].{KEYPOINTS}', metric.coco_keypoint_metrics)
            for index, metric in enumerate(options.parameterized_metric)]


def _keypoints_of_class(metric: Any, field: str, reader: Any, labels: LabelMap) -> Iterator[tuple[str, str, str]]:
    """Check class_label and keypoint_label_to_sigmas against the label map."""
    try:
        keypoints = labels.item_of(metric.class_label).keypoints
    except UserError as error:
        yield 'error', f'{field}.class_label', str(error)
        return
    if not keypoints:
        yield ('error', f'{field}.class_label', f'is {metric.class_label!r}, which has no keypoints in '
               f'{labels.source}; add keypoints {{ id: 0 label: "..." }} to its item, one for each')
    elif 0 < reader.num_keypoints <= max(keypoints.values()):
        yield ('error', f'{field}.class_label', f'is {metric.class_label!r}, whose keypoints in {labels.source} go up '
               f'to id {max(keypoints.values())}, but num_keypoints is {reader.num_keypoints}; ids count from 0')
    sigmas = metric.keypoint_label_to_sigmas
    if missing := [label for label in keypoints if not sigmas.get(label, 0.) > 0.] if sigmas else []:
        yield ('error', f'{field}.keypoint_label_to_sigmas', f'has no value above 0 for {", ".join(missing)}; give one '
               'for each keypoint of the class, or none at all for .05')
    if unknown := sorted(set(sigmas) - set(keypoints)):
        yield ('warning', f'{field}.keypoint_label_to_sigmas', f'has {", ".join(unknown)}, which is no keypoint of '
               f'{metric.class_label!r} in {labels.source}')
