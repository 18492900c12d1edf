"""Makes metrics.npz (pictures with objects and detections, drawn at random) and metrics.json (what the reference's
evaluators say of them).

  PYTHONPATH=benchmarks/reference python tests/golden/make_metrics.py tests/golden

in the reference environment (benchmarks/reference_env.sh).

Arrays are NUMBER/truth/NAME and NUMBER/found/NAME; the json has {case: {tag: value}}, NaN as null.
"""
import json
import os
import sys
from pathlib import Path

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import compat  # noqa: F401  (before object_detection)
import numpy as np

from object_detection import eval_util
from object_detection.metrics import coco_evaluation
from object_detection.protos import eval_pb2

SIZE, PICTURES, POINTS = (120, 160), 16, 5
CATEGORIES = [{'id': 1, 'name': 'person', 'keypoints': {'nose': 0, 'tail': 3, 'foot': 1}},  # 2 and 4: another class's
              {'id': 2, 'name': 'café'}, {'id': 3, 'name': 'dog', 'keypoints': {'eye': 2, 'ear': 4}},
              {'id': 5, 'name': 'never there'}, {'id': 6, 'name': 'never found'}]
SIGMAS = {'nose': .04, 'tail': .1, 'foot': .07}
CASES = {  # everything in one evaluation, as a config would ask for it
    'boxes': {'metrics_set': [
        'coco_detection_metrics', 'pascal_voc_detection_metrics', 'weighted_pascal_voc_detection_metrics',
        'precision_at_recall_detection_metrics', 'oid_V2_detection_metrics'],
        'recall_lower_bound': .2, 'recall_upper_bound': .6},
    'masks': {'metrics_set': ['coco_mask_metrics', 'pascal_voc_instance_segmentation_metrics',
                              'weighted_pascal_voc_instance_segmentation_metrics']},
    'keypoints': {'metrics_set': ['coco_detection_metrics']},
}
np.float, np.bool = float, bool  # names of older numpy that the reference uses
random = np.random.default_rng(11)


def boxes_near(boxes, spread):
    moved = boxes + random.normal(0, spread, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return np.clip(moved, 0, [*SIZE, *SIZE]).astype(np.float32)


def ellipses(boxes):
    """Masks uint8 [n, H, W] that fill the boxes but for their corners."""
    y, x = np.mgrid[:SIZE[0], :SIZE[1]]
    centers, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum((boxes[:, 2:] - boxes[:, :2]) / 2, .5)
    places = np.stack([y, x], -1)[None] - centers[:, None, None]
    return ((places / halves[:, None, None]) ** 2).sum(-1).__le__(1.).astype(np.uint8)


def picture(number):
    count = 0 if number == 3 else int(random.integers(1, 8))
    corner, size = random.uniform(0, 90, (count, 2)), random.choice([12., 30., 70.], (count, 1)) * random.uniform(
        .6, 1.4, (count, 2))
    boxes = np.clip(np.concatenate([corner, corner + size], 1), 0, [*SIZE, *SIZE]).astype(np.float32)
    classes = random.choice([1, 1, 2, 3, 6], count)
    points = (boxes[:, None, :2] + random.random((count, POINTS, 2)) * (boxes[:, 2:] - boxes[:, :2])[:, None])
    visible = random.random((count, POINTS)) < .8
    visible[:1] = number % 4 != 0  # objects without any keypoint
    masks = ellipses(boxes)
    masks[random.random(count) < .2] = 0  # a box without a mask
    truth = {'boxes': boxes, 'classes': classes, 'is_crowd': random.random(count) < .1,
             'difficult': random.random(count) < .2, 'group_of': random.random(count) < .15, 'masks': masks,
             'area': np.where(random.random(count) < .3, 0, .7 * size.prod(1)).astype(np.float32),
             'keypoints': np.where(visible[..., None], points, np.nan).astype(np.float32),
             'keypoint_visibilities': visible}

    again = np.concatenate([np.flatnonzero(random.random(count) < share) for share in (.9, .4)])  # some of them twice
    extra = int(random.integers(0, 4)) if number != 5 else 0
    corner = random.uniform(0, 90, (extra, 2))
    guesses = np.concatenate([corner, corner + random.uniform(0, 50, (extra, 2)) + .1], 1).astype(np.float32)
    found_boxes = np.concatenate([boxes_near(boxes[again], .1), guesses])
    if number == 7:
        found_boxes[:1, 2] = found_boxes[:1, 0]  # a box without area
    found_classes = np.concatenate([np.where(random.random(len(again)) < .9, classes[again], 2),
                                    random.choice([1, 2, 3, 5], extra)])
    found_classes[found_classes == 6] = 3
    moved = points[again] + random.normal(0, 3., (len(again), POINTS, 2))
    scattered = random.uniform(0, 100, (extra, POINTS, 2))
    found = {'boxes': found_boxes, 'classes': found_classes, 'masks': ellipses(found_boxes),
             'scores': random.random(len(found_boxes)).astype(np.float32),
             'keypoints': np.concatenate([moved, scattered]).astype(np.float32)}
    return truth, found


def evaluators(options):
    config = eval_pb2.EvalConfig(**options)
    return eval_util.get_evaluators(config, CATEGORIES, eval_util.evaluator_options_from_eval_config(config))


def evaluate(case, options, pictures):
    if case == 'keypoints':
        metrics = options['parameterized_metric'] = [eval_pb2.ParameterizedMetric() for _ in range(2)]
        metrics[0].coco_keypoint_metrics.class_label = 'person'
        metrics[0].coco_keypoint_metrics.keypoint_label_to_sigmas.update(SIGMAS)
        metrics[1].coco_keypoint_metrics.class_label = 'dog'  # the default of sigmas
    values = {}
    for evaluator in evaluators(options):
        skipped = {'boxes': ('masks', 'keypoints', 'keypoint_visibilities'), 'keypoints': ('masks',)}.get(case, ())
        if not isinstance(evaluator, coco_evaluation.CocoKeypointEvaluator):
            skipped += 'area',  # the reference's evaluation loop gives it to no other
        for number, (truth, found) in enumerate(pictures):
            evaluator.add_single_ground_truth_image_info(str(number), {
                f'groundtruth_{"instance_masks" if name == "masks" else name}': array.copy()
                for name, array in truth.items() if name not in skipped})
            evaluator.add_single_detected_image_info(str(number), {
                f'detection_{name}': array.copy() for name, array in found.items() if name not in skipped})
        values.update(evaluator.evaluate())
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


if __name__ == '__main__':
    drawn = [picture(number) for number in range(PICTURES)]
    folder = Path(sys.argv[1])
    np.savez_compressed(folder / 'metrics.npz', **{
        f'{number}/{side}/{name}': array for number, sides in enumerate(drawn)
        for side, arrays in zip(('truth', 'found'), sides) for name, array in arrays.items()})
    results = {case: evaluate(case, options, drawn) for case, options in CASES.items()}
    (folder / 'metrics.json').write_text(json.dumps(results, indent=1) + '\n')
