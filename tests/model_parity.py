"""A whole model beside its golden: keys, predictions, detections, losses, gradient norms.

Tolerances: 1e-4 relative, or five times how far the reference is from itself on other kernels where that is more.
"""
import dataclasses

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from object_detection import config
from object_detection.models import build
from tests import parity

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


def build_model(golden, path):
    """The model of a config with the golden's resizer and weights, and its variables by checkpoint key."""
    model_config = config.read(path).model
    section = getattr(model_config, model_config.WhichOneof('model'))
    section.image_resizer.CopyFrom(text_format.Parse(golden.meta['resizer'], type(section.image_resizer)()))
    model = build.build(model_config)
    variables = parity.variables_by_key(model=model)
    weights = golden.weights()
    parity.assign({key: variable for key, variable in variables.items() if key in weights}, weights)
    return model, variables


def compare(name, folder=None):
    """Run the golden's config on the golden's input. folder: where the golden is, if not where tests/parity looks."""
    golden = parity.Golden(name, folder)
    model, variables = build_model(golden, parity.config_path(name))
    boxes, classes = golden.groundtruth(model.num_classes)
    groundtruth = {'groundtruth_boxes': tf.stack(boxes), 'groundtruth_classes':
                   tf.one_hot(np.stack(classes), model.num_classes),
                   'groundtruth_weights': tf.ones((2, 3)),
                   'num_groundtruth_boxes': tf.constant([3, 3])}
    trainable = {key: variable for key, variable in variables.items() if variable.trainable}

    @tf.function(autograph=False)
    def run(images):
        inputs, shapes = model.preprocess(images)
        with tf.GradientTape() as tape:
            predictions = model.predict(inputs, shapes)
            losses = model.loss(predictions, shapes, groundtruth)
            regularization = tf.add_n(model.regularization_losses() or [0.])
            total = tf.add_n([*losses.values(), regularization])
        gradients = tape.gradient(total, list(trainable.values()))
        norms = {key: tf.norm(tf.convert_to_tensor(gradient)) for key, gradient in zip(trainable, gradients)
                 if gradient is not None}
        detections = {f'post/{key}': value for key, value in model.postprocess(predictions, shapes).items()}
        predictions = {'preprocessed': inputs, 'true_image_shapes': shapes, **_flat(predictions), **detections}
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
    """Share of the golden's detections that ours hold too: same anchor and class, box and score as close as raw ones."""
    keys = ('detection_anchor_indices', 'detection_classes', 'detection_scores', 'detection_boxes')
    ours, theirs = ([np.asarray(values) for values in columns] for columns in zip(
        *((found[f'post/{key}'], golden.expected(f'post/{key}').reshape(found[f'post/{key}'].shape)) for key in keys)))
    near = 10 * max(golden.tolerance('post/raw_detection_boxes'), golden.tolerance('post/raw_detection_scores'))
    again = total = 0
    for image, count in enumerate(golden.expected('post/num_detections').astype(int)):
        here = {(int(index), int(label)): (score, box) for index, label, score, box in zip(*(v[image] for v in ours))}
        for index, label, score, box in zip(*(v[image, :count] for v in theirs)):
            match = here.get((int(index), int(label)))
            again += match is not None and abs(match[0] - score) < near and np.abs(match[1] - box).max() < near
            total += 1
    return again / max(total, 1), golden.meta['self_agreement']['detections_found_again']
