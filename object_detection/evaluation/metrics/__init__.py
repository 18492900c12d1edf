"""What the evaluation computes of all pictures together, with the reference's names. Imports no TensorFlow.

Every collector has add(truth, found), called for each picture, and evaluate() -> [(name, value)]. Both arguments are
dicts of arrays; boxes are float32 [n, 4], ymin, xmin, ymax, xmax in pixels of the original picture, class ids are from
1, masks are bool [n, height, width] of the original size, keypoints float32 [n, k, 2], y, x in pixels:
truth: boxes, classes, is_crowd, difficult, group_of (bool [n]), area (float32 [n], 0: not known), and with those
    metrics masks, keypoints, keypoint_visibilities (bool [n, k]).
found: boxes, classes, scores, and with those metrics masks, keypoints.
"""
from object_detection.config.metrics_set import METRICS, chosen
from object_detection.evaluation.metrics.coco import Coco
from object_detection.evaluation.metrics.keypoints import Keypoints
from object_detection.evaluation.metrics.pascal_voc import PascalVoc


def collectors(options, labels):
    """A collector for each metric that eval_config `options` asks for; labels: LabelMap."""
    names = {item.id: item.display_name or item.name for item in labels.items}
    build = {'coco': _coco, 'pascal_voc': _pascal_voc}
    found = [build[METRICS[name].family](METRICS[name], names, options) for name in chosen(options)]
    return found + [_keypoints(metric.coco_keypoint_metrics, labels) for metric in options.parameterized_metric]


def _coco(kind, names, options):
    return Coco(names, kind.prefix, kind.masks, options.include_metrics_per_category, options.all_metrics_per_category)


def _pascal_voc(kind, names, options):
    bounds = (options.recall_lower_bound, options.recall_upper_bound) if kind.recall_bounds else (0., 1.)
    return PascalVoc(names, kind.prefix, kind.masks, kind.weighted, kind.group_of, bounds)


def _keypoints(metric, labels):
    item = labels.item_of(metric.class_label)
    sigmas = {place: metric.keypoint_label_to_sigmas.get(label) for label, place in item.keypoints.items()}
    return Keypoints(item.id, metric.class_label, sigmas)
