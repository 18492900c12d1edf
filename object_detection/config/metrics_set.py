"""The metrics that eval_config may ask for, and whether each compares masks. evaluation/metrics computes them."""
import difflib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        family: the module of evaluation/metrics that computes it; empty for KEYPOINTS, which is configured by class.
        prefix: the beginning of its TensorBoard tags.
        masks: it compares masks instead of boxes.
        weighted, group_of: arguments of pascal_voc.PascalVoc.
        recall_bounds: it uses eval_config.recall_lower_bound and recall_upper_bound.
    """

    family: str = ''
    prefix: str = ''
    masks: bool = False
    weighted: bool = False
    group_of: bool = False
    recall_bounds: bool = False


KEYPOINTS = 'coco_keypoint_metrics'
METRICS = {
    'coco_detection_metrics': Metric('coco', 'DetectionBoxes'),
    'coco_mask_metrics': Metric('coco', 'DetectionMasks', masks=True),
    KEYPOINTS: Metric(),
    'pascal_voc_detection_metrics': Metric('pascal_voc', 'PascalBoxes'),
    'weighted_pascal_voc_detection_metrics': Metric('pascal_voc', 'WeightedPascalBoxes', weighted=True),
    'pascal_voc_instance_segmentation_metrics': Metric('pascal_voc', 'PascalMasks', masks=True),
    'weighted_pascal_voc_instance_segmentation_metrics':
        Metric('pascal_voc', 'WeightedPascalMasks', masks=True, weighted=True),
    'precision_at_recall_detection_metrics': Metric('pascal_voc', 'PrecisionAtRecallBoxes', recall_bounds=True),
    'oid_V2_detection_metrics': Metric('pascal_voc', 'OpenImagesV2', group_of=True),
}
_IMAGE_LABELS = 'it needs image-level labels, which are not read'
LEFT_OUT = {
    'oid_challenge_detection_metrics': _IMAGE_LABELS,
    'oid_challenge_segmentation_metrics': _IMAGE_LABELS,
    'lvis_mask_metrics': _IMAGE_LABELS,
    'coco_panoptic_metrics': 'no model here assigns a class to every pixel',
}
# Names of before 2018 and 2019, as in the configs of many projects.
RENAMED = {
    'coco_metrics': 'coco_detection_metrics',
    'pascal_voc_metrics': 'pascal_voc_detection_metrics',
    'weighted_pascal_voc_metrics': 'weighted_pascal_voc_detection_metrics',
    'open_images_metrics': 'oid_V2_detection_metrics',
    'open_images_detection_metrics': 'oid_V2_detection_metrics',
    'open_images_V2_detection_metrics': 'oid_V2_detection_metrics',
    'oid_challenge_object_detection_metrics': 'oid_challenge_detection_metrics',
}


def similar(name: str) -> str | None:
    """Return the metric that an unknown name probably means; one of masks or keypoints only if it speaks of them."""
    words = name.lower()
    masks, keypoints = ('mask' in words or 'segm' in words), 'keypoint' in words
    families = {'coco': 'coco', 'voc': 'pascal_voc', 'pascal': 'pascal_voc', 'open': 'oid', 'oid': 'oid'}
    family = next((prefix for word, prefix in families.items() if word in words), '')
    names = {known.lower(): known for known, kind in METRICS.items()
             if kind.masks == masks and (known == KEYPOINTS) == keypoints and family in known}
    close = difflib.get_close_matches(words, names, n=1, cutoff=0.75)
    return names[close[0]] if close else next(iter(names.values()), None) if family else None


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
