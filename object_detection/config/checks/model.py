"""Rules about the model section."""
import difflib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from object_detection import protos
from object_detection.config import label_map, paths
from object_detection.config.checks.extractors import TYPES, Extractor
from object_detection.config.checks.findings import Finding
from object_detection.config.checks.rules import Faults, Rule, at_most, chooses, limit, one_of
from object_detection.config.pipeline import fixed_size
from object_detection.utils.errors import UserError

KERAS_INITIALIZERS = ('zeros', 'ones', 'glorot_normal', 'glorot_uniform', 'he_normal', 'he_uniform', 'lecun_normal',
                      'lecun_uniform')
COMBINE_METHODS = ('fast_attention', 'attention', 'weighted_sum', 'sum')
INTERPOLATIONS = ('nearest', 'bilinear')
RANKINGS = ('min_distance', 'score_distance_ratio', 'score_scaled_distance_ratio', 'gaussian_weighted')
FPN_TOP = 5  # the levels of an FPN above it are not merged top-down
MOST_MAPS = 6  # of an SSD without a pyramid
MOST_LEVELS = 100  # more are out of range, see ranges.py, and are not counted

_HEATMAP = 'penalty_reduced_logistic_focal_loss'
_ONE_SIZE = ('fixed_shape_resizer', 'keep_aspect_ratio_resizer')
_PROPOSAL_ANCHORS = ('grid_anchor_generator', 'multiscale_anchor_generator', 'flexible_grid_anchor_generator')
CLASSIFICATION = ('weighted_sigmoid_focal', 'weighted_sigmoid', 'weighted_softmax', 'weighted_logits_softmax',
                  'bootstrapped_sigmoid')
LOCALIZATION = ('weighted_smooth_l1', 'weighted_l2', 'weighted_iou', 'weighted_giou')
_CENTER_NET_LOCALIZATION = ('l1_localization_loss', 'weighted_smooth_l1', 'weighted_l2')
_CHANGE_MAPS = {  # how to get anchors for more or fewer feature maps
    'multiscale_anchor_generator': 'change its min_level or max_level',
    'ssd_anchor_generator': 'change its num_layers, or the number of its scales if it has any',
    'grid_anchor_generator': 'use multiscale_anchor_generator',
    'flexible_grid_anchor_generator': 'give it one anchor_grid for each'}


def feature_maps(section: Any, extractor: Extractor) -> int:
    """Return the number of feature maps of a feature_extractor."""
    if extractor.pyramid:
        low, high = _levels(section, extractor)
        return high - low + 1
    return min(getattr(section, 'num_layers', 1), MOST_MAPS)


def anchors_per_location(generator: protos.AnchorGenerator) -> list[int]:
    """Return the number of anchors at each location of each feature map that an anchor generator is for."""
    kind = generator.WhichOneof('anchor_generator_oneof') or 'flexible_grid_anchor_generator'
    section = getattr(generator, kind)
    if kind == 'multiscale_anchor_generator':
        levels = section.max_level - section.min_level + 1
        return [len(section.aspect_ratios) * section.scales_per_octave] * min(levels, MOST_LEVELS)
    if kind == 'ssd_anchor_generator':
        counts = [len(section.aspect_ratios) + (section.interpolated_scale_aspect_ratio > 0)] * (
            len(section.scales) or min(section.num_layers, MOST_LEVELS))
        return [3, *counts[1:]] if section.reduce_boxes_in_lowest_layer and counts else counts
    if kind == 'grid_anchor_generator':
        return [len(section.scales) * len(section.aspect_ratios)]
    return [len(grid.base_sizes) for grid in section.anchor_grid]


def _extractor(architecture: str) -> Rule:
    """The type exists, has the fields that are set, and takes images of this size."""
    types = TYPES[architecture]

    def rule(model: Any) -> Faults:
        section = model.feature_extractor
        if not section.type:
            yield 'feature_extractor.type', f'is missing; it names the network, such as "{next(iter(types))}"'
        elif section.type not in types:
            close = difflib.get_close_matches(section.type, types, n=1, cutoff=.75)
            yield 'feature_extractor.type', (f'is "{section.type}"; {f"did you mean {close[0]}? " if close else ""}'
                                             f'supported for {architecture}: {", ".join(types)}')
        else:
            extractor = types[section.type]
            yield from _lacking(section, extractor)
            if size := fixed_size(model.image_resizer):
                yield from _image_size(size, section, extractor)
    return rule


def _lacking(section: Any, extractor: Extractor) -> Faults:
    for field, value in section.ListFields():
        maps = field.name in ('fpn', 'bifpn', 'num_layers')
        if field.name in extractor.lacks and (maps or field.message_type or value != field.default_value):
            advice = f'; {extractor.pyramid} gives its feature maps' if maps and extractor.pyramid else ''
            yield f'feature_extractor.{field.name}', f'does not belong to type "{section.type}"; remove it{advice}'


def _image_size(size: tuple[int, int], section: Any, extractor: Extractor) -> Faults:
    """Maps that are added to each other must have equal sizes."""
    height, width = size
    if height % extractor.multiple or width % extractor.multiple:
        yield 'image_resizer', (f'makes images of {height}x{width}; for "{section.type}" height and width must be '
                                f'multiples of {extractor.multiple}')
    low, high = _levels(section, extractor) if extractor.pyramid else (0, 0)
    counted = 0 <= min(low, high) <= max(low, high) < MOST_LEVELS
    if extractor.pyramid and counted and not getattr(section, 'use_explicit_padding', False):
        top, pad = min(high, FPN_TOP) if extractor.pyramid == 'fpn' else high, max(section.pad_to_multiple, 1)
        sides = [-(-side // pad) * pad for side in size]
        if any(-(-side // 2 ** level) % 2 for side in sides for level in range(low, top)):
            yield 'image_resizer', (
                f'makes images of {height}x{width}, which do not fit the feature pyramid; choose multiples of '
                f'{2 ** top}, or set feature_extractor.pad_to_multiple: {2 ** top}')


def _levels(section: Any, extractor: Extractor) -> tuple[int, int]:
    pyramid = getattr(section, str(extractor.pyramid))
    return (pyramid.min_level, pyramid.max_level) if section.HasField(extractor.pyramid) else extractor.levels


def _anchors(architecture: str, field: str) -> Rule:
    """There are anchors for as many feature maps as the feature extractor has."""
    def rule(model: Any) -> Faults:
        section, kind = model.feature_extractor, getattr(model, field).WhichOneof('anchor_generator_oneof')
        extractor = TYPES[architecture].get(section.type)
        if extractor and kind in (_CHANGE_MAPS if architecture == 'ssd' else _PROPOSAL_ANCHORS):
            maps, given = feature_maps(section, extractor), len(anchors_per_location(getattr(model, field)))
            other = (f'; or change feature_extractor.{extractor.pyramid}.min_level or max_level' if extractor.pyramid
                     else '; or change feature_extractor.num_layers' if architecture == 'ssd' else '')
            if given != maps:
                yield f'{field}.{kind}', (f'is for {given} feature maps; feature_extractor has {maps}; make them '
                                          f'equal: {_CHANGE_MAPS[kind]}{other}')
    return rule


def _shared_predictor(model: protos.Ssd) -> Faults:
    if model.box_predictor.HasField('weight_shared_convolutional_box_predictor'):
        counts = anchors_per_location(model.anchor_generator)
        if len(set(counts)) > 1:
            yield 'box_predictor.weight_shared_convolutional_box_predictor', (
                'needs the same number of anchors at each location of all feature maps; anchor_generator gives '
                f'{counts}')


def _towers(predictor: protos.WeightSharedConvolutionalBoxPredictor) -> Faults:
    if predictor.depth < 1 and predictor.num_layers_before_predictor > 0:
        yield 'depth', (f'is {predictor.depth}; it must be at least 1, the channels of the '
                        f'{predictor.num_layers_before_predictor} layers before the predictor')


def _width(extractor: protos.SsdFeatureExtractor) -> Faults:
    if extractor.min_depth < 1 and 0 < extractor.depth_multiplier < 1 / 16:
        yield 'min_depth', (f'is {extractor.min_depth}; with depth_multiplier {extractor.depth_multiplier:g} it must '
                            'be at least 1, or convolutions have no channels')


def _one_size(model: protos.Ssd | protos.CenterNet) -> Faults:
    if model.image_resizer.HasField('keep_aspect_ratio_resizer') and not fixed_size(model.image_resizer):
        yield 'image_resizer.keep_aspect_ratio_resizer', (
            'makes images of different sizes, and this model takes one size: use fixed_shape_resizer, or set '
            'pad_to_max_dimension: true')


def _nms(message: protos.BatchNonMaxSuppression) -> Faults:
    if message.soft_nms_sigma < 0 or (message.soft_nms_sigma and message.use_hard_nms):
        yield 'soft_nms_sigma', f'is {message.soft_nms_sigma:g}; allowed: at least 0, and 0 with use_hard_nms'
    if message.use_class_agnostic_nms and message.max_classes_per_detection > 1:
        yield 'max_classes_per_detection', f'is {message.max_classes_per_detection}; allowed: 1'


def _faster_rcnn(model: protos.FasterRcnn) -> Faults:
    predictor, stages = model.second_stage_box_predictor, model.number_of_stages
    if stages == 3 and predictor.HasField('mask_rcnn_box_predictor') and not (
            predictor.mask_rcnn_box_predictor.predict_instance_masks):
        yield 'number_of_stages', ('is 3, but second_stage_box_predictor.mask_rcnn_box_predictor.'
                                   'predict_instance_masks is not set; without masks there are 2 stages')
    section = model.feature_extractor
    extractor = TYPES['faster_rcnn'].get(section.type)
    if extractor and extractor.pyramid and not section.HasField('conv_hyperparams'):
        yield 'feature_extractor.conv_hyperparams', 'is missing; a feature pyramid needs it'
    kind = model.first_stage_anchor_generator.WhichOneof('anchor_generator_oneof')
    if kind and getattr(getattr(model.first_stage_anchor_generator, kind), 'normalize_coordinates', False):
        yield (f'first_stage_anchor_generator.{kind}.normalize_coordinates',
               'is true; it must be false: proposals are in pixels')


def _tasks(model: protos.CenterNet) -> Faults:
    if not (model.HasField('object_detection_task') or model.keypoint_estimation_task):
        yield '', 'has neither object_detection_task nor keypoint_estimation_task; add one'
    try:
        yield from _keypoints(model)
    except UserError as error:
        yield from (('keypoint_label_map_path', message) for message in error.findings)


def _keypoints(model: protos.CenterNet) -> Faults:
    """Each keypoint_estimation_task has a class of its own in the label map, with its keypoints."""
    path, items = model.keypoint_label_map_path, []
    for index, task in enumerate(model.keypoint_estimation_task):
        place, name = f'keypoint_estimation_task[{index}]', task.keypoint_class_name
        if task.candidate_ranking_mode in RANKINGS[2:] and not model.HasField('object_detection_task'):
            yield (f'{place}.candidate_ranking_mode',
                   f'is {task.candidate_ranking_mode!r}, which needs boxes: add object_detection_task')
        item = label_map.keypoint_class(path, name, task.keypoint_label_to_std)
        if item:
            items.append(item)
            if unknown := sorted(set(task.keypoint_label_to_std) - set(item.keypoints)):
                yield (f'{place}.keypoint_label_to_std', f'has {", ".join(unknown)}, which class {name} of '
                       'keypoint_label_map_path does not have')
        elif not path or paths.is_placeholder(path):
            yield 'keypoint_label_map_path', (f'is not set; it must name a label map whose class "{name}" has '
                                              'keypoints { id: 0 label: "..." }')
        else:
            known = ', '.join(item.name for item in label_map.load(path).items if item.keypoints) or 'none'
            yield f'{place}.keypoint_class_name', f'is "{name}"; classes with keypoints in {path}: {known}'
    for what, values in (('task_name', [task.task_name for task in model.keypoint_estimation_task]),
                         ('keypoint_class_name', [item.name for item in items]),
                         ('keypoint', [str(index) for item in items for index in item.keypoints.values()])):
        if repeated := [value for value, count in Counter(values).items() if count > 1]:
            yield 'keypoint_estimation_task', f'more than one has {what} {", ".join(repeated)}'


def assumed(section: protos.DetectionModel) -> Iterator[Finding]:
    """Yield notes about what is taken for fields that are not configured."""
    center_net = section.center_net
    path = center_net.keypoint_label_map_path
    if (not path or paths.is_placeholder(path)) and any(
            label_map.keypoint_class(path, task.keypoint_class_name, task.keypoint_label_to_std)
            for task in center_net.keypoint_estimation_task):
        yield Finding('hint', 'model.center_net.keypoint_label_map_path',
                      f'is {path or "not set"}; the keypoints of COCO are taken: {", ".join(label_map.COCO_KEYPOINTS)}')


def _head(message: protos.CenterNet.PredictionHeadParams) -> Faults:
    if len(message.num_filters) != len(message.kernel_sizes):
        yield '', (f'has {len(message.num_filters)} num_filters and {len(message.kernel_sizes)} kernel_sizes; there '
                   'must be one of each for a layer')


RULES: dict[str, list[Rule]] = {
    'DetectionModel': [chooses('')],
    'Ssd': [
        _extractor('ssd'), chooses('image_resizer', *_ONE_SIZE), _one_size, chooses('box_coder'),
        chooses('matcher'), chooses('similarity_calculator'),
        chooses('box_predictor', 'convolutional_box_predictor', 'weight_shared_convolutional_box_predictor'),
        chooses('anchor_generator'), _anchors('ssd', 'anchor_generator'), _shared_predictor,
        chooses('loss.classification_loss', *CLASSIFICATION),
        chooses('loss.localization_loss', *LOCALIZATION)],
    'FasterRcnn': [
        _extractor('faster_rcnn'), _faster_rcnn, chooses('image_resizer'),
        limit(lambda stages: stages in (2, 3), 'supported: 2 (boxes), 3 (boxes and masks)')('number_of_stages'),
        chooses('first_stage_anchor_generator', *_PROPOSAL_ANCHORS),
        _anchors('faster_rcnn', 'first_stage_anchor_generator'),
        chooses('second_stage_box_predictor', 'mask_rcnn_box_predictor'),
        chooses('second_stage_classification_loss', *CLASSIFICATION, required=False),
        at_most('maxpool_kernel_size', 'initial_crop_size')],
    'CenterNet': [
        _extractor('center_net'), chooses('image_resizer', *_ONE_SIZE), _one_size,
        chooses('object_center_params.classification_loss', _HEATMAP), _tasks],
    'ObjectDetection': [chooses('localization_loss', *_CENTER_NET_LOCALIZATION)],
    'KeypointEstimation': [
        chooses('loss.classification_loss', _HEATMAP), chooses('loss.localization_loss', *_CENTER_NET_LOCALIZATION),
        one_of('candidate_ranking_mode', *RANKINGS)],
    'WeightSharedConvolutionalBoxPredictor': [_towers],
    'SsdFeatureExtractor': [_width],
    'PredictionHeadParams': [_head],
    'FasterRcnnFeatureExtractor': [
        limit(lambda stride: stride == 16, 'supported: 16')('first_stage_features_stride')],
    'CenterNetFeatureExtractor': [one_of('upsampling_interpolation', *INTERPOLATIONS)],
    'BidirectionalFeaturePyramidNetworks': [one_of('combine_method', *COMBINE_METHODS)],
    'Initializer': [one_of('keras_initializer_by_name', *KERAS_INITIALIZERS)],
    'KeepAspectRatioResizer': [at_most('min_dimension', 'max_dimension')],
    'BatchNonMaxSuppression': [at_most('max_detections_per_class', 'max_total_detections'), _nms],
}
