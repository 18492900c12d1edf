"""Names for the variables of a detector.

Programs that fine-tune a few layers choose them by name. Variables of the heads get the names that they have in the
TF2 Object Detection API, such as

    WeightSharedConvolutionalBoxPredictor/WeightSharedConvolutionalBoxHead/BoxPredictor/bias
    BoxPredictor/ConvolutionalClassHead_0/ClassPredictor/kernel
    mask_rcnn_keras_box_predictor/mask_rcnn_class_head/ClassPredictor_dense/kernel

and all others their checkpoint key, such as _feature_extractor/classification_backbone/layer_with_weights-0/kernel.
"""
import re
from collections.abc import Iterable

import tensorflow as tf

from object_detection import checkpoints

_SHARED = 'WeightSharedConvolutionalBoxPredictor'
_MASK_RCNN = 'mask_rcnn_keras_box_predictor'
_BOXES, _CLASSES = '_box_encoder_layers', '_class_predictor_layers'
_HEADS = {_BOXES: ('ConvolutionalBoxHead', 'BoxEncodingPredictor'), _CLASSES: ('ConvolutionalClassHead',
                                                                              'ClassPredictor')}
# (checkpoint key of a layer, its name)
_LAYERS = tuple((re.compile(key), name) for key, name in (
    (rf'_box_predictor/_box_prediction_head/{_BOXES}/\d+', f'{_SHARED}/WeightSharedConvolutionalBoxHead/BoxPredictor'),
    (rf'_box_predictor/_prediction_heads/\w+/{_CLASSES}/\d+',
     f'{_SHARED}/WeightSharedConvolutionalClassHead/ClassPredictor'),
    (r'_box_predictor/_head_scope_conv_layers/(\w+)/(\d+)', rf'{_SHARED}/\1/conv2d_\2'),
    (r'_first_stage_box_predictor_first_conv/layer_with_weights-0', 'RPNConv'),
    (rf'_mask_rcnn_box_predictor/_box_prediction_head/{_BOXES}/\d+',
     f'{_MASK_RCNN}/mask_rcnn_box_head/BoxEncodingPredictor_dense'),
    (rf'_mask_rcnn_box_predictor/_class_prediction_head/{_CLASSES}/\d+',
     f'{_MASK_RCNN}/mask_rcnn_class_head/ClassPredictor_dense')))
_TOWER_NORM = re.compile(r'_box_predictor/_base_tower_layers_for_heads/(\w+)/(\d+)/(\d+)')
_MASKS = re.compile(r'_mask_rcnn_box_predictor/_third_stage_heads/mask_predictions/_mask_predictor_layers/(\d+)')
_CONVOLUTIONAL = re.compile(rf'(_first_stage)?_box_predictor/_prediction_heads/\w+/(\d+)/({_BOXES}|{_CLASSES})/(\d+)')


def apply(detector: tf.Module) -> None:
    """Name the variables of a detector."""
    variables = checkpoints.keys(detector)
    for key, name in zip(variables, names(variables)):
        for part in getattr(variables[key], 'values', [variables[key]]):  # one for each device
            part._handle_name = f'{name}:0'


def names(keys: Iterable[str]) -> list[str]:
    """Return the names of all variables of a detector.

    Args:
        keys: of a checkpoint, without the suffix /.ATTRIBUTES/VARIABLE_VALUE.
    """
    keys = list(keys)
    layers = {key.rpartition('/')[0] for key in keys}
    shared_tower = any('/_head_scope_conv_layers/PredictionTower/' in f'{layer}/' for layer in layers)
    return ['/'.join((_layer_name(layer, layers, shared_tower), variable))
            for layer, _, variable in (key.rpartition('/') for key in keys)]


def _layer_name(layer: str, layers: set[str], shared_tower: bool) -> str:
    for pattern, name in _LAYERS:
        if match := pattern.fullmatch(layer):
            return match.expand(name)
    if match := _TOWER_NORM.fullmatch(layer):
        head, level, position = match.groups()
        tower = {'box_encodings': 'BoxPredictionTower'}.get(head, 'ClassPredictionTower')
        tower = 'PredictionTower' if shared_tower else tower
        return f'{_SHARED}/{tower}/conv2d_{int(position) // 3}/BatchNorm/feature_{level}'  # convolution, norm, ReLU
    if match := _CONVOLUTIONAL.fullmatch(layer):
        first_stage, level, kind, _ = match.groups()
        head, name = _HEADS[kind]
        position, positions = _positions(layer, layers)
        if position != positions[-1]:
            name += '_depthwise' if position == positions[0] else '_depthwise_batchnorm'
        return f'{"FirstStageBoxPredictor" if first_stage else "BoxPredictor"}/{head}_{level}/{name}'
    if _MASKS.fullmatch(layer):
        position, positions = _positions(layer, layers)
        if position == positions[-1] or position % 3 == 0:  # convolution, norm, ReLU
            name = 'last_conv2d' if position == positions[-1] else f'conv2d_{position // 3}'
            return f'{_MASK_RCNN}/mask_rcnn_mask_head/MaskPredictor_{name}'
    return layer


def _positions(layer: str, layers: set[str]) -> tuple[int, list[int]]:
    """Return the position of a layer in its core.Sequence, and the positions of all layers there."""
    sequence, _, position = layer.rpartition('/')
    return int(position), sorted(int(other.rpartition('/')[2]) for other in layers
                                 if other.rpartition('/')[0] == sequence)
