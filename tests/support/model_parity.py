"""A whole model beside its golden: keys, predictions, detections, losses, gradient norms.

Tolerances: 1e-4 relative, or five times how far the reference is from itself on other kernels where that is more.
"""
import dataclasses

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from object_detection.config import pipeline
from object_detection.models import build
from object_detection.utils import tracing
from tests.support import parity

LEAST = 1e-4


@dataclasses.dataclass
class Comparison:
    """missing, unexpected: checkpoint keys. predictions, losses: {name: (difference, tolerance)}, relative.
    gradients: {'median', 'p95', 'max': (difference, tolerance)} over the variables, and without_gradient: keys of which
    one side has a gradient and the other has not. detections: share of the golden's that are found again, and the share
    that the reference finds again of itself.
    """
    name: str
    keys: int
    parameters: int
    missing: list
    unexpected: list
    predictions: dict
    detections: tuple
    losses: dict
    gradients: dict
    without_gradient: list

    def failures(self):
        """What is out of tolerance, one line each."""
        lines = [f'{kind}: {key}' for kind in ('missing', 'unexpected', 'without_gradient')
                 for key in getattr(self, kind)]
        lines += [f'{kind} {key}: {difference:.1e}, allowed {tolerance:.1e}'
                  for kind in ('predictions', 'losses', 'gradients')
                  for key, (difference, tolerance) in getattr(self, kind).items() if not difference <= tolerance]
        found, wanted = self.detections
        return lines + ([f'detections found again: {found:.3f} of {wanted:.3f}'] if found < wanted else [])

    def worst(self, kind):
        """(difference, tolerance) of the entry that comes closest to its tolerance."""
        return max(getattr(self, kind).values(), key=lambda pair: pair[0] / pair[1])


def build_model(golden, path, make=build.build, trained=True):
    """The model of a config with the golden's resizer and weights, and its variables by checkpoint key.

    make: function of the config's model section. trained: False keeps the initial weights.
    """
    model_config = pipeline.read(path).model
    section = getattr(model_config, model_config.WhichOneof('model'))
    section.image_resizer.CopyFrom(text_format.Parse(golden.meta['resizer'], type(section.image_resizer)()))
    if model_config.HasField('faster_rcnn'):  # few proposals, and nothing drawn at random
        section.first_stage_max_proposals = section.second_stage_batch_size = 32
        section.first_stage_minibatch_size = 100000
    model = make(model_config)
    variables = parity.variables_by_key(model=model)
    weights = golden.weights() if trained else {}
    parity.assign({key: variable for key, variable in variables.items() if key in weights}, weights)
    return model, variables


def compare(name, folder=None, make=build.build, loss=lambda model, *arguments: model.loss(*arguments)):
    """Run the golden's config on the golden's input, with the ops of a training step.

    folder: where the golden is, if not where tests/parity looks. make: see build_model. loss: fn(model, predictions,
    shapes, groundtruth).
    """
    golden = parity.Golden(name, folder)
    model, variables = build_model(golden, parity.config_path(name), make)
    truth = groundtruth(golden, model.num_classes)
    trainable = {key: variable for key, variable in variables.items() if variable.trainable}

    @tf.function(autograph=False)
    def run(images):
        inputs, shapes = model.preprocess(images)
        with tracing.training_step(), tracing.ops_for_cpu(), tf.GradientTape() as tape:
            predictions = model.predict(inputs, shapes)
            losses = loss(model, predictions, shapes, truth)
            regularization = tf.add_n(model.regularization_losses() or [0.])
            total = tf.add_n([*losses.values(), regularization])
        gradients = tape.gradient(total, list(trainable.values()))
        norms = {key: tf.norm(tf.convert_to_tensor(gradient)) for key, gradient in zip(trainable, gradients)
                 if gradient is not None}
        detections = {f'post/{key}': value for key, value in model.postprocess(predictions, shapes).items()}
        predictions = {'preprocessed': inputs, 'true_image_shapes': shapes, **_flat(predictions)}
        if golden.name.startswith('mask_rcnn'):  # there the reference's postprocess passes all predictions on
            detections = {f'post/{key}': value for key, value in predictions.items()} | detections
        predictions |= detections
        return predictions, {**losses, 'regularization': regularization}, norms

    images = tf.cast(golden.images(), tf.float32)
    predictions, losses, norms = tf.nest.map_structure(
        lambda tensor: tensor.numpy(), run.get_concrete_function(images)(images))
    expected = {key.removesuffix(parity.SUFFIX): norm for key, norm in golden.meta['grad_norm'].items()}
    return Comparison(
        name, len(golden.shapes), sum(int(np.prod(shape)) for shape in golden.shapes.values()),
        missing=sorted(set(golden.shapes) - set(variables)), unexpected=sorted(set(variables) - set(golden.shapes)),
        predictions={key: (golden.difference(key, predictions[key]), golden.tolerance(key))
                     for key in golden.meta['pred'] if key in golden.meta['self_agreement']['pred']},
        detections=_detections(golden, predictions), losses=_losses(golden, losses),
        gradients=_gradients(golden, norms, expected),
        without_gradient=sorted(key for key in set(expected) | set(norms)
                                if (expected.get(key) is None) != (key not in norms)))


def groundtruth(golden, num_classes):
    with_keypoints = 'kpts' in golden.name  # then all objects are of class 0
    boxes, classes = golden.groundtruth(1 if with_keypoints else num_classes)
    truth = {'groundtruth_boxes': tf.stack(boxes), 'groundtruth_classes': tf.one_hot(np.stack(classes), num_classes),
             'groundtruth_weights': tf.ones((2, 3)), 'num_groundtruth_boxes': tf.constant([3, 3])}
    if with_keypoints:
        truth['groundtruth_keypoints'] = tf.stack(parity.fixture.keypoints(boxes))
    if golden.name.startswith('mask_rcnn'):
        truth['groundtruth_instance_masks'] = tf.constant(_filled(np.stack(boxes), golden.meta['size']))
    return truth


def _filled(boxes, size):
    """Masks [B, N, size, size], 1 within boxes [B, N, 4]."""
    masks = np.zeros((*boxes.shape[:2], size, size), np.float32)
    for index in np.ndindex(*boxes.shape[:2]):
        top, left, bottom, right = (boxes[index] * size).astype(int)
        masks[index][top:bottom, left:right] = 1
    return masks


def _flat(predictions):
    flat = {}
    for key, value in predictions.items():
        flat |= {f'{key}/{i}': part for i, part in enumerate(value)} if isinstance(value, list) else {key: value}
    return flat


def _allowed(own):
    return max(LEAST, 5 * own)


def _losses(golden, losses):
    own = golden.meta['self_agreement']['losses']
    return {key: (abs(float(losses[key]) - value) / max(abs(value), 1e-12), _allowed(own[key]))
            for key, value in golden.meta['losses'].items()}


def _gradients(golden, norms, expected):
    differences = [abs(float(norms[key]) - norm) / max(norm, 1e-12) for key, norm in expected.items()
                   if norm is not None and key in norms]
    own = golden.meta['self_agreement']['grad_norm']
    values = {'median': np.median(differences), 'p95': np.percentile(differences, 95), 'max': np.max(differences)}
    return {key: (float(value), _allowed(own[key])) for key, value in values.items()}


def _detections(golden, found):
    """Share of the golden's detections that ours hold too: same class and anchor; score, box and keypoints as close as
    raw ones. What a kind of model does not have is not compared."""
    same, close = ([_rows(golden, found, f'post/detection_{name}') for name in names
                    if f'post/detection_{name}' in golden.meta['pred']]
                   for names in (('classes', 'anchor_indices'), ('scores', 'boxes', 'keypoints')))
    near = 10 * max(golden.tolerance('post/raw_detection_boxes'), golden.tolerance('post/raw_detection_scores'))
    again = total = 0
    for image, count in enumerate(golden.expected('post/num_detections').astype(int)):
        matches = np.ones((count, same[0][0].shape[1]), bool)
        for pairs, distance in ((same, .5), (close, near)):
            for ours, theirs in pairs:
                matches &= np.abs(theirs[image, :count, np.newaxis] - ours[image]).max(-1) < distance
        again += matches.any(-1).sum()
        total += count
    return again / max(total, 1), golden.meta['self_agreement']['detections_found_again']


def _rows(golden, found, key):
    """Ours and the golden's values of detections, [B, D, values kept of each]."""
    facts = golden.meta['pred'][key]
    ours = np.asarray(found[key], np.float64).reshape(*facts['shape'][:2], -1)[..., ::facts['stride']]
    return ours, golden.expected(key).astype(np.float64).reshape(ours.shape)
