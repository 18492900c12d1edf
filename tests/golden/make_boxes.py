"""Makes boxes.npz: what the reference computes for anchors, targets, suppression, resizing and losses.

  PYTHONPATH=benchmarks/reference python tests/golden/make_boxes.py tests/golden/boxes.npz

in the reference environment (benchmarks/reference_env.sh).

Arrays are CASE/in/NAME and CASE/out/NAME; the arguments of a case stand in the tests that read them.
"""
import os
import sys

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import compat  # noqa: F401  (before object_detection)
import numpy as np
import tensorflow as tf

from object_detection.anchor_generators import multiple_grid_anchor_generator, multiscale_grid_anchor_generator
from object_detection.box_coders import faster_rcnn_box_coder
from object_detection.core import (
    box_list,
    box_list_ops,
    losses,
    matcher,
    post_processing,
    preprocessor,
    region_similarity_calculator,
    target_assigner,
)
from object_detection.matchers import argmax_matcher

random = np.random.default_rng(7)
arrays = {}


def put(case, inputs, outputs):
    for kind, values in (('in', inputs), ('out', outputs)):
        arrays.update({f'{case}/{kind}/{name}': np.asarray(value) for name, value in values.items()})


def some_boxes(*shape, steps=None, spread=1.2):
    """Boxes around the unit square; with `steps` on a grid, so that many are equal or touch."""
    center, size = random.uniform(-.1, spread, (*shape, 2)), random.uniform(.02, .4, (*shape, 2))
    boxes = np.concatenate([center - size / 2, center + size / 2], -1)
    return (np.round(boxes * steps) / steps if steps else boxes).astype(np.float32)


def some_scores(*shape, steps=None):
    scores = random.random(shape) if steps else 1 / (1 + np.exp(-random.normal(-2, 2, shape)))
    return (np.round(scores * steps) / steps if steps else scores).astype(np.float32)


def suppression(case, boxes, scores, **arguments):
    window = np.array([[0, 0, .75, 1], [0, 0, 1, 1]], np.float32)[:len(boxes)]
    index = tf.tile(tf.range(boxes.shape[1], dtype=tf.float32)[tf.newaxis], [len(boxes), 1])
    arguments = {'score_thresh': 1e-8, 'iou_thresh': .5, 'max_size_per_class': 100, 'max_total_size': 100,
                 'change_coordinate_frame': True} | arguments
    found = post_processing.batch_multiclass_non_max_suppression(
        tf.constant(boxes)[:, :, tf.newaxis], tf.constant(scores), clip_window=tf.constant(window),
        additional_fields={'index': index}, **arguments)
    put(f'nms {case}', {'boxes': boxes, 'scores': scores, 'window': window},
        dict(zip(('boxes', 'scores', 'classes'), found), indices=found[4]['index'], count=found[5]))


def targets(case, steps, rows, padding, **arguments):
    anchors, boxes = some_boxes(300, steps=steps), some_boxes(3, rows, steps=steps)
    weights = np.ones((3, rows), np.float32)
    weights[0, 0], weights[1, 1] = 0., .5
    boxes[:, rows - padding:], weights[:, rows - padding:] = 0., 0.
    labels = np.eye(5, dtype=np.float32)[random.integers(1, 5, (3, rows))]
    assigner = target_assigner.TargetAssigner(
        region_similarity_calculator.IouSimilarity(), argmax_matcher.ArgMaxMatcher(**arguments),
        faster_rcnn_box_coder.FasterRcnnBoxCoder([10., 10., 5., 5.]), negative_class_weight=.7)
    found = target_assigner.batch_assign(
        assigner, box_list.BoxList(tf.constant(anchors)), [box_list.BoxList(tf.constant(v)) for v in boxes],
        [tf.constant(v) for v in labels], tf.constant([1., 0, 0, 0, 0]), [tf.constant(v) for v in weights])
    put(f'targets {case}', {'anchors': anchors, 'boxes': boxes, 'labels': labels, 'weights': weights},
        dict(zip(('classes', 'class_weights', 'boxes', 'box_weights', 'matches'), found)))


def anchors(case, generator, maps, size):
    grids = generator.generate(maps, im_height=size[0], im_width=size[1])
    put(f'anchors {case}', {'maps': maps, 'size': size}, {'anchors': box_list_ops.concatenate(grids).get()})


def resize(case, image, function, **arguments):
    pixels, shape = function(tf.constant(image), **arguments)
    put(f'resize {case}', {'image': image}, {'pixels': pixels, 'shape': shape})


def mining(case, **arguments):
    boxes, matches = some_boxes(2, 80, steps=9), random.integers(-2, 3, (2, 80)).astype(np.int32)
    localization, classification = some_scores(2, 80), some_scores(2, 80)
    miner = losses.HardExampleMiner(cls_loss_weight=1., loc_loss_weight=.5, **arguments)
    found = miner(tf.constant(localization), tf.constant(classification),
                  [box_list.BoxList(tf.constant(v)) for v in boxes], [matcher.Match(tf.constant(v)) for v in matches])
    put(f'mining {case}', {'boxes': boxes, 'matches': matches, 'localization': localization,
                           'classification': classification}, dict(zip(('localization', 'classification'), found)))


def anchor_losses():
    logits, labels = random.normal(0, 4, (2, 30, 4)).astype(np.float32), np.eye(4)[random.integers(0, 4, (2, 30))]
    codes, wanted = some_boxes(2, 30), some_boxes(2, 30)
    weights, labels = some_scores(2, 30), labels.astype(np.float32)
    by_class = np.repeat(weights[..., np.newaxis], 4, -1)
    classification = {
        'focal': losses.SigmoidFocalClassificationLoss(1.5, .25), 'sigmoid': losses.WeightedSigmoidClassificationLoss(),
        'focal without alpha': losses.SigmoidFocalClassificationLoss(2., None),
        'softmax': losses.WeightedSoftmaxClassificationLoss(2.),
        'softmax of logits': losses.WeightedSoftmaxClassificationAgainstLogitsLoss(2.),
        'bootstrapped': losses.BootstrappedSigmoidClassificationLoss(.8, 'soft'),
        'bootstrapped hard': losses.BootstrappedSigmoidClassificationLoss(.8, 'hard')}
    localization = {
        'smooth l1': losses.WeightedSmoothL1LocalizationLoss(.1), 'l2': losses.WeightedL2LocalizationLoss(),
        'iou': losses.WeightedIOULocalizationLoss(), 'giou': losses.WeightedGIOULocalizationLoss()}
    found = {name: loss(tf.constant(logits), tf.constant(labels), weights=tf.constant(by_class)).numpy()
             for name, loss in classification.items()}
    found |= {name: loss(tf.constant(codes), tf.constant(wanted), weights=tf.constant(weights)).numpy()
              for name, loss in localization.items()}
    put('losses', {'logits': logits, 'labels': labels, 'codes': codes, 'wanted': wanted, 'weights': weights},
        {name: value.reshape(2, 30, -1).sum(-1) for name, value in found.items()})


def main(path):
    suppression('plain', some_boxes(2, 300), some_scores(2, 300, 6))
    suppression('ties', some_boxes(2, 300, steps=8), some_scores(2, 300, 6, steps=6))
    suppression('equal scores', some_boxes(1, 400, steps=6), np.full((1, 400, 6), .5, np.float32))
    suppression('capped', some_boxes(2, 300), some_scores(2, 300, 6), iou_thresh=.6, max_size_per_class=7)
    suppression('few', some_boxes(2, 60), some_scores(2, 60, 6), score_thresh=.3, iou_thresh=.3)
    suppression('none', some_boxes(2, 60), some_scores(2, 60, 6), score_thresh=.9999999)
    suppression('crowded', some_boxes(1, 1500, steps=40, spread=.1), some_scores(1, 1500, 6, steps=90), iou_thresh=.2)
    suppression('two classes', some_boxes(2, 200, steps=8), some_scores(2, 200, 2, steps=9))
    suppression('soft', some_boxes(2, 200), some_scores(2, 200, 6), score_thresh=1e-3, iou_thresh=1.,
                soft_nms_sigma=.5)
    suppression('agnostic', some_boxes(2, 300, steps=8), some_scores(2, 300, 6, steps=9), use_class_agnostic_nms=True)
    suppression('same frame', some_boxes(2, 300), some_scores(2, 300, 6), change_coordinate_frame=False)
    for case, (steps, rows, padding, *thresholds, force) in {
            'plain': (None, 7, 3, .5, .5, True, True), 'ties': (8, 9, 4, .5, .3, True, True),
            'swapped': (6, 9, 2, .6, .4, False, False), 'crowded': (4, 12, 0, .5, .5, True, True),
            'no thresholds': (5, 6, 2, None, None, True, True)}.items():
        targets(case, steps, rows, padding, matched_threshold=thresholds[0], unmatched_threshold=thresholds[1],
                negatives_lower_than_unmatched=thresholds[2], force_match_for_each_row=force)
    for size in ((256, 256), (160, 96), (300, 200)):
        anchors(f'multiscale {size[0]}', multiscale_grid_anchor_generator.MultiscaleGridAnchorGenerator(
            3, 7, 4., [1., 2., .5], 3), [(-(-size[0] // 2 ** n), -(-size[1] // 2 ** n)) for n in range(3, 8)], size)
    anchors('ssd', multiple_grid_anchor_generator.create_ssd_anchors(
        min_scale=float(np.float32(.2)), max_scale=float(np.float32(.95)),
        aspect_ratios=[1., 2., .5, 3., float(np.float32(.3333))]),
            [(10, 7), (5, 4), (3, 2), (2, 1), (1, 1), (1, 1)], (320, 200))
    image = random.uniform(0, 255, (23, 37, 3)).astype(np.float32)
    keep = {'min_dimension': 30, 'max_dimension': 40}
    resize('fixed', image, preprocessor.resize_image, new_height=30, new_width=17)
    resize('keep', image, preprocessor.resize_to_range, **keep)
    resize('keep tall', image.transpose(1, 0, 2), preprocessor.resize_to_range, **keep)
    resize('pad', image, preprocessor.resize_to_range, pad_to_max_dimension=True, per_channel_pad_value=(1., 2., 3.),
           **keep)
    for name, method in (('nearest', 'NEAREST_NEIGHBOR'), ('bicubic', 'BICUBIC'), ('area', 'AREA')):
        resize(name, image, preprocessor.resize_image, new_height=30, new_width=17,
               method=getattr(tf.image.ResizeMethod, method))
    mining('plain', num_hard_examples=20, iou_threshold=.5, loss_type='both')
    mining('negatives', num_hard_examples=None, iou_threshold=.7, loss_type='cls', max_negatives_per_positive=1,
           min_negatives_per_image=5)
    anchor_losses()
    np.savez_compressed(path, **arrays)


if __name__ == '__main__':
    main(*sys.argv[1:])
