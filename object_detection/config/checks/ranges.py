"""The range of every number that is read of a config: not a number and infinity are in none of them.

Each numeric field is in RANGES, ANY, or ELSEWHERE; tests/config/checks/test_ranges.py finds those that are not. Upper
bounds are far above what makes sense: they keep a slip of the keyboard from asking for more memory than there is.
"""
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.message import Message

from object_detection import protos
from object_detection.config import unread_fields
from object_detection.config.label_map import MOST_CLASSES
from object_detection.config.pipeline import Config, architecture, fixed_size

MISSING = 'is missing'
MOST_ANCHORS = 1000  # at a location
MOST_BYTES = 10 ** 12  # of the images of a batch


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`. above: without `low` itself. advice: instead of the one made of these."""
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    advice: str = ''

    def fault(self, value: float) -> str | None:
        """Return what is wrong with a number; None if it is in the range."""
        number = f'is {value:g}' if isinstance(value, float) else f'is {value}'
        if not math.isfinite(value):
            return f'{number}; it must be a finite number'
        if value < self.low or (self.above and value == self.low):
            return f'{number}; {self.advice or self._least()}'
        if value > self.high:
            return f'{number}; {self.advice if "to" in self.advice else self._most()}'
        return None

    def _most(self) -> str:
        return self._least() if (self.low, self.high) == (0, 1) else f'it must be at most {self.high:,.10g}'

    def _least(self) -> str:
        if self.low == 0 and self.high == 1:
            return 'it must be above 0, at most 1' if self.above else 'allowed: 0 to 1'
        return f'it must be above {self.low:g}' if self.above else f'it must be at least {self.low:g}'


_SHARE = Range(0, 1)
_POSITIVE_SHARE = Range(0, 1, above=True)
_NOT_NEGATIVE = Range(0)
_POSITIVE = Range(0, above=True)
_FACTOR = Range(0, 10_000, above=True)
_COUNT = Range(1, 100_000)
_FEW = Range(0, 100)
_SOME = Range(1, 100)
_DEPTH = Range(1, 65_536)
_DEPTH_OR_0 = Range(0, 65_536)
_PIXELS = Range(1, 16_384, advice='sizes are in pixels, at least 1')
_PIXELS_OR_0 = Range(0, 16_384)
_SIDE = Range(1, 1024)

RANGES: tuple[tuple[Range, str], ...] = (
    (Range(1, MOST_CLASSES, advice='it is the number of labels, at least 1'),
        'Ssd.num_classes FasterRcnn.num_classes CenterNet.num_classes'),
    (Range(1, MOST_CLASSES), 'RemapLabels.new_label'),
    (_PIXELS, '''FixedShapeResizer.height FixedShapeResizer.width KeepAspectRatioResizer.min_dimension
        KeepAspectRatioResizer.max_dimension ResizeImage.new_height ResizeImage.new_width
        RandomResizeMethod.target_height RandomResizeMethod.target_width RandomScaleCropAndPadToSquare.output_size
        GridAnchorGenerator.height GridAnchorGenerator.width GridAnchorGenerator.height_stride
        GridAnchorGenerator.width_stride AnchorGrid.height_stride AnchorGrid.width_stride
        SsdAnchorGenerator.height_stride SsdAnchorGenerator.width_stride'''),
    (Range(1, 16_384), '''RandomSquareCropByScale.max_border RandomPatchGaussian.min_patch_size
        RandomPatchGaussian.max_patch_size'''),
    (Range(-16_384, 16_384), '''GridAnchorGenerator.height_offset GridAnchorGenerator.width_offset
        AnchorGrid.height_offset AnchorGrid.width_offset SsdAnchorGenerator.height_offset
        SsdAnchorGenerator.width_offset'''),
    (_PIXELS_OR_0, '''RandomPadImage.min_image_height RandomPadImage.min_image_width RandomPadImage.max_image_height
        RandomPadImage.max_image_width RandomAbsolutePadImage.max_height_padding
        RandomAbsolutePadImage.max_width_padding'''),
    (Range(1, 16_384 ** 2), '''RandomDownscaleToTargetPixels.min_target_pixels
        RandomDownscaleToTargetPixels.max_target_pixels'''),
    (_COUNT, '''BatchNonMaxSuppression.max_detections_per_class BatchNonMaxSuppression.max_total_detections
        BatchNonMaxSuppression.max_classes_per_detection InputReader.max_number_of_boxes
        FasterRcnn.first_stage_max_proposals FasterRcnn.first_stage_minibatch_size FasterRcnn.second_stage_batch_size
        ObjectCenterParams.max_box_predictions KeypointEstimation.num_candidates_per_keypoint TrainConfig.batch_size
        EvalConfig.batch_size'''),
    (Range(0, 100_000), '''EvalConfig.num_visualizations EvalConfig.max_num_boxes_to_visualize
        HardExampleMiner.min_negatives_per_image'''),
    (Range(0, 10_000), 'InputReader.num_keypoints KeypointEdge.start KeypointEdge.end'),
    (_FEW, '''ConvolutionalBoxPredictor.num_layers_before_predictor KeypointEstimation.offset_peak_radius
        WeightSharedConvolutionalBoxPredictor.num_layers_before_predictor'''),
    (_SOME, '''MaskRCNNBoxPredictor.mask_prediction_num_conv_layers BidirectionalFeaturePyramidNetworks.num_iterations
        SsdFeatureExtractor.num_layers SsdAnchorGenerator.num_layers MultiscaleAnchorGenerator.scales_per_octave
        FasterRcnn.first_stage_atrous_rate ConvolutionalBoxPredictor.kernel_size
        WeightSharedConvolutionalBoxPredictor.kernel_size FasterRcnn.first_stage_box_predictor_kernel_size
        PredictionHeadParams.kernel_sizes ObjectCenterParams.peak_max_pool_kernel_size
        KeypointEstimation.peak_max_pool_kernel_size FasterRcnn.maxpool_kernel_size FasterRcnn.maxpool_stride
        FasterRcnn.initial_crop_size'''),
    (_DEPTH, '''FasterRcnn.first_stage_box_predictor_depth FeaturePyramidNetworks.additional_layer_depth
        PredictionHeadParams.num_filters BidirectionalFeaturePyramidNetworks.num_filters'''),
    (_DEPTH_OR_0, '''ConvolutionalBoxPredictor.min_depth ConvolutionalBoxPredictor.max_depth
        SsdFeatureExtractor.min_depth MaskRCNNBoxPredictor.mask_prediction_conv_depth
        WeightSharedConvolutionalBoxPredictor.depth'''),
    (_SIDE, 'MaskRCNNBoxPredictor.mask_height MaskRCNNBoxPredictor.mask_width'),
    (Range(0, 4096), 'SsdFeatureExtractor.pad_to_multiple FasterRcnnFeatureExtractor.pad_to_multiple'),
    (Range(2, 12), '''FeaturePyramidNetworks.min_level FeaturePyramidNetworks.max_level
        BidirectionalFeaturePyramidNetworks.min_level BidirectionalFeaturePyramidNetworks.max_level
        MultiscaleAnchorGenerator.min_level MultiscaleAnchorGenerator.max_level'''),
    (Range(0, 100, above=True), 'SsdFeatureExtractor.depth_multiplier CenterNetFeatureExtractor.depth_multiplier'),
    (_FACTOR, '''MultiscaleAnchorGenerator.anchor_scale MultiscaleAnchorGenerator.aspect_ratios
        SsdAnchorGenerator.min_scale SsdAnchorGenerator.max_scale SsdAnchorGenerator.scales
        SsdAnchorGenerator.aspect_ratios SsdAnchorGenerator.base_anchor_height SsdAnchorGenerator.base_anchor_width
        GridAnchorGenerator.scales GridAnchorGenerator.aspect_ratios AnchorGrid.aspect_ratios
        RandomCropImage.min_aspect_ratio RandomCropImage.max_aspect_ratio RandomCropPadImage.min_aspect_ratio
        RandomCropPadImage.max_aspect_ratio RandomCropToAspectRatio.aspect_ratio
        SSDRandomCropOperation.min_aspect_ratio SSDRandomCropOperation.max_aspect_ratio
        SSDRandomCropPadOperation.min_aspect_ratio SSDRandomCropPadOperation.max_aspect_ratio
        SSDRandomCropFixedAspectRatio.aspect_ratio SSDRandomCropPadFixedAspectRatio.aspect_ratio
        SSDRandomCropPadFixedAspectRatioOperation.min_aspect_ratio
        SSDRandomCropPadFixedAspectRatioOperation.max_aspect_ratio'''),
    (Range(0, 10_000), 'SsdAnchorGenerator.interpolated_scale_aspect_ratio'),
    (Range(0, 100_000, above=True), 'AnchorGrid.base_sizes'),
    (Range(0, 20, above=True), '''RandomCropPadImage.min_padded_size_ratio RandomCropPadImage.max_padded_size_ratio
        SSDRandomCropPadOperation.min_padded_size_ratio SSDRandomCropPadOperation.max_padded_size_ratio
        SSDRandomCropPadFixedAspectRatio.min_padded_size_ratio SSDRandomCropPadFixedAspectRatio.max_padded_size_ratio
        RandomImageScale.min_scale_ratio RandomImageScale.max_scale_ratio RandomSquareCropByScale.scale_min
        RandomSquareCropByScale.scale_max RandomScaleCropAndPadToSquare.scale_min
        RandomScaleCropAndPadToSquare.scale_max'''),
    (_POSITIVE, '''FasterRcnnBoxCoder.y_scale FasterRcnnBoxCoder.x_scale FasterRcnnBoxCoder.height_scale
        FasterRcnnBoxCoder.width_scale MeanStddevBoxCoder.stddev PostProcessing.logit_scale
        WeightedSoftmaxClassificationLoss.logit_scale WeightedSoftmaxClassificationAgainstLogitsLoss.logit_scale
        WeightedSmoothL1LocalizationLoss.delta VarianceScalingInitializer.factor BatchNorm.epsilon
        RMSPropOptimizer.epsilon AdamOptimizer.epsilon ExponentialDecayLearningRate.decay_factor
        CenterNetFeatureExtractor.channel_stds KeypointEstimation.keypoint_label_to_std KeypointEstimation.box_scale
        KeypointEstimation.candidate_search_scale KeypointEstimation.score_distance_offset
        KeypointEstimation.std_dev_multiplier CocoKeypointMetrics.keypoint_label_to_sigmas'''),
    (Range(1), 'ExponentialDecayLearningRate.decay_steps'),
    (Range(1, 1000), 'RandomSquareCropByScale.num_scales'),
    (_NOT_NEGATIVE, '''Ssd.negative_class_weight Loss.classification_weight Loss.localization_weight
        FasterRcnn.first_stage_localization_loss_weight FasterRcnn.first_stage_objectness_loss_weight
        FasterRcnn.second_stage_localization_loss_weight FasterRcnn.second_stage_classification_loss_weight
        FasterRcnn.second_stage_mask_prediction_loss_weight ObjectDetection.task_loss_weight
        ObjectDetection.offset_loss_weight ObjectDetection.scale_loss_weight
        ObjectCenterParams.object_center_loss_weight KeypointEstimation.task_loss_weight
        KeypointEstimation.keypoint_regression_loss_weight KeypointEstimation.keypoint_heatmap_loss_weight
        KeypointEstimation.keypoint_offset_loss_weight KeypointEstimation.score_distance_multiplier
        L1Regularizer.weight L2Regularizer.weight TruncatedNormalInitializer.stddev RandomNormalInitializer.stddev
        SigmoidFocalClassificationLoss.gamma PenaltyReducedLogisticFocalLoss.alpha PenaltyReducedLogisticFocalLoss.beta
        BatchNonMaxSuppression.soft_nms_sigma TrainConfig.gradient_clipping_by_norm TrainConfig.bias_grad_multiplier
        InputReader.sample_from_datasets_weights RMSPropOptimizer.decay ConstantLearningRate.learning_rate
        ExponentialDecayLearningRate.initial_learning_rate ExponentialDecayLearningRate.burnin_learning_rate
        ExponentialDecayLearningRate.min_learning_rate ManualStepLearningRate.initial_learning_rate
        LearningRateSchedule.learning_rate CosineDecayLearningRate.learning_rate_base
        CosineDecayLearningRate.warmup_learning_rate RandomPixelValueScale.minval RandomPixelValueScale.maxval
        RandomAdjustContrast.min_delta RandomAdjustContrast.max_delta RandomAdjustSaturation.min_delta
        RandomAdjustSaturation.max_delta RandomPatchGaussian.min_gaussian_stddev
        RandomPatchGaussian.max_gaussian_stddev AdjustGamma.gamma AdjustGamma.gain RandomAdjustBrightness.max_delta
        RandomJitterBoxes.ratio'''),
    (Range(0, .5), 'RandomAdjustHue.max_delta'),
    (_POSITIVE_SHARE, '''ConvolutionalBoxPredictor.dropout_keep_probability
        WeightSharedConvolutionalBoxPredictor.dropout_keep_probability MaskRCNNBoxPredictor.dropout_keep_probability
        RandomCropImage.min_area RandomCropImage.max_area RandomCropPadImage.min_area RandomCropPadImage.max_area
        SSDRandomCropOperation.min_area SSDRandomCropOperation.max_area SSDRandomCropPadOperation.min_area
        SSDRandomCropPadOperation.max_area SSDRandomCropFixedAspectRatioOperation.min_area
        SSDRandomCropFixedAspectRatioOperation.max_area SSDRandomCropPadFixedAspectRatioOperation.min_area
        SSDRandomCropPadFixedAspectRatioOperation.max_area'''),
    (_SHARE, '''BatchNonMaxSuppression.iou_threshold FasterRcnn.first_stage_nms_iou_threshold
        HardExampleMiner.iou_threshold FasterRcnn.first_stage_positive_balance_fraction
        FasterRcnn.second_stage_balance_fraction ObjectCenterParams.min_box_overlap_iou
        KeypointEstimation.keypoint_candidate_score_threshold KeypointEstimation.unmatched_keypoint_score
        KeypointEstimation.rescoring_threshold EvalConfig.min_score_threshold EvalConfig.recall_lower_bound
        EvalConfig.recall_upper_bound BatchNorm.decay Optimizer.moving_average_decay
        MomentumOptimizer.momentum_optimizer_value RMSPropOptimizer.momentum_optimizer_value
        SigmoidFocalClassificationLoss.alpha BootstrappedSigmoidClassificationLoss.alpha
        RandomHorizontalFlip.probability RandomVerticalFlip.probability RandomRotation90.probability
        RandomRGBtoGray.probability RandomBlackPatches.probability RandomBlackPatches.size_to_image_ratio
        RandomSelfConcatImage.concat_vertical_probability RandomSelfConcatImage.concat_horizontal_probability
        DropLabelProbabilistically.drop_probability RandomCropImage.min_object_covered RandomCropImage.overlap_thresh
        RandomCropImage.random_coef RandomCropPadImage.min_object_covered RandomCropPadImage.overlap_thresh
        RandomCropPadImage.random_coef RandomCropToAspectRatio.overlap_thresh
        SSDRandomCropOperation.min_object_covered SSDRandomCropOperation.overlap_thresh
        SSDRandomCropOperation.random_coef SSDRandomCropPadOperation.min_object_covered
        SSDRandomCropPadOperation.overlap_thresh SSDRandomCropPadOperation.random_coef
        SSDRandomCropFixedAspectRatioOperation.min_object_covered
        SSDRandomCropFixedAspectRatioOperation.overlap_thresh SSDRandomCropFixedAspectRatioOperation.random_coef
        SSDRandomCropPadFixedAspectRatioOperation.min_object_covered
        SSDRandomCropPadFixedAspectRatioOperation.overlap_thresh
        SSDRandomCropPadFixedAspectRatioOperation.random_coef RandomJpegQuality.random_coef
        RandomDownscaleToTargetPixels.random_coef RandomPatchGaussian.random_coef'''),
    (Range(0, 1000), 'RandomBlackPatches.max_black_patches'),
    (Range(0, 100, advice='allowed: 0 to 100'),
        'RandomJpegQuality.min_jpeg_quality RandomJpegQuality.max_jpeg_quality'),
)
ANY = {  # any finite number goes
    'biases and means shift values, in either direction': '''ConvolutionalBoxPredictor.class_prediction_bias_init
        WeightSharedConvolutionalBoxPredictor.class_prediction_bias_init ObjectCenterParams.heatmap_bias_init
        KeypointEstimation.heatmap_bias_init TruncatedNormalInitializer.mean RandomNormalInitializer.mean
        CenterNetFeatureExtractor.channel_means SubtractChannelMean.means NormalizeImage.original_minval
        NormalizeImage.original_maxval NormalizeImage.target_minval NormalizeImage.target_maxval''',
    'similarities and scores can be negative': '''ArgMaxMatcher.matched_threshold ArgMaxMatcher.unmatched_threshold
        BatchNonMaxSuppression.score_threshold FasterRcnn.first_stage_nms_score_threshold''',
    'box encodings can be negative': 'BoxEncodingsClipRange.min BoxEncodingsClipRange.max',
    'pixels are cut off at 0 and 255': '''KeepAspectRatioResizer.per_channel_pad_value RandomPadImage.pad_color
        RandomAbsolutePadImage.pad_color RandomCropPadImage.pad_color SSDRandomCropPadOperation.pad_color_r
        SSDRandomCropPadOperation.pad_color_g SSDRandomCropPadOperation.pad_color_b''',
    'it is compared with numbers only; what is never reached never happens': '''DropLabelProbabilistically.label
        RemapLabels.original_labels TrainConfig.num_steps LearningRateSchedule.step
        ExponentialDecayLearningRate.burnin_steps CosineDecayLearningRate.total_steps
        CosineDecayLearningRate.warmup_steps CosineDecayLearningRate.hold_base_rate_steps InputReader.num_epochs
        InputReader.sample_1_of_n_examples''',
    '0 and less mean no limit': 'HardExampleMiner.num_hard_examples HardExampleMiner.max_negatives_per_positive',
}
ELSEWHERE = {  # another rule says which numbers go
    'the only supported values are few': '''FasterRcnn.number_of_stages RandomDistortColor.color_ordering
        FasterRcnnFeatureExtractor.first_stage_features_stride''',
    'with num_keypoints, each number once': '''RandomHorizontalFlip.keypoint_flip_permutation
        RandomVerticalFlip.keypoint_flip_permutation RandomRotation90.keypoint_rot_permutation''',
}
_ORDERED = '''RandomPixelValueScale.minval<maxval RandomImageScale.min_scale_ratio<max_scale_ratio
    RandomAdjustContrast.min_delta<max_delta RandomAdjustSaturation.min_delta<max_delta
    RandomCropImage.min_aspect_ratio<max_aspect_ratio RandomCropImage.min_area<max_area
    RandomCropPadImage.min_aspect_ratio<max_aspect_ratio RandomCropPadImage.min_area<max_area
    SSDRandomCropOperation.min_aspect_ratio<max_aspect_ratio SSDRandomCropOperation.min_area<max_area
    SSDRandomCropPadOperation.min_aspect_ratio<max_aspect_ratio SSDRandomCropPadOperation.min_area<max_area
    SSDRandomCropFixedAspectRatioOperation.min_area<max_area
    SSDRandomCropPadFixedAspectRatioOperation.min_aspect_ratio<max_aspect_ratio
    SSDRandomCropPadFixedAspectRatioOperation.min_area<max_area
    RandomJpegQuality.min_jpeg_quality<max_jpeg_quality
    RandomDownscaleToTargetPixels.min_target_pixels<max_target_pixels
    RandomPatchGaussian.min_patch_size<max_patch_size
    RandomPatchGaussian.min_gaussian_stddev<max_gaussian_stddev
    RandomSquareCropByScale.scale_min<scale_max RandomScaleCropAndPadToSquare.scale_min<scale_max
    MultiscaleAnchorGenerator.min_level<max_level FeaturePyramidNetworks.min_level<max_level
    BidirectionalFeaturePyramidNetworks.min_level<max_level
    BoxEncodingsClipRange.min<max EvalConfig.recall_lower_bound<recall_upper_bound'''
_EQUAL_LENGTHS = '''AnchorGrid.base_sizes=aspect_ratios SsdAnchorGenerator.height_stride=width_stride
    SsdAnchorGenerator.height_offset=width_offset CenterNetFeatureExtractor.channel_means=channel_stds'''
_NEEDED = ('MultiscaleAnchorGenerator.aspect_ratios', 'GridAnchorGenerator.scales', 'GridAnchorGenerator.aspect_ratios',
           'AnchorGrid.base_sizes')
_THREE = ('KeepAspectRatioResizer.per_channel_pad_value', 'CenterNetFeatureExtractor.channel_means')


def _by_message(pairs: Iterable[tuple[str, Any]]) -> dict[str, list[tuple[str, Any]]]:
    """Return {message type: [(the rest of the name, value)]}."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for name, value in pairs:
        message, _, rest = name.partition('.')
        found.setdefault(message, []).append((rest, value))
    return found


_FIELDS = _by_message((name, bounds) for bounds, names in (*RANGES, *((Range(), names) for names in ANY.values()))
                      for name in names.split())
_PAIRS = _by_message((name, None) for name in (*_ORDERED.split(), *_EQUAL_LENGTHS.split()))


def faults(section: Message, path: str) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong) for each number of a section, and of the sections in it, that is out of its range.

    Fields that are not read are passed over, with all that is in them.
    """
    unread = unread_fields.table(unread_fields.NO_EFFECT) | unread_fields.table(unread_fields.REFUSED)
    yield from _section(section, path)
    for field, value in section.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        if f'{section.DESCRIPTOR.name}.{field.name}' not in unread:
            for place, part in unread_fields.entries(f'{path}.{field.name}' if path else field.name, value):
                yield from faults(part, place)


def _section(message: Message, path: str) -> Iterator[tuple[str, str]]:
    kind = message.DESCRIPTOR.name
    broken = False
    for name, bounds in _FIELDS.get(kind, ()):
        for place, number in _numbers(message, name):
            if fault := bounds.fault(number):
                broken = True
                yield f'{path}.{place}', fault
    for name in () if broken else [name.partition('.')[2] for name in _NEEDED if name.startswith(f'{kind}.')]:
        if not getattr(message, name):
            yield f'{path}.{name}', f'{MISSING}; without it there is no anchor'
    for name in [name.partition('.')[2] for name in _THREE if name.startswith(f'{kind}.')]:
        if len(getattr(message, name)) not in (0, 3):
            yield f'{path}.{name}', 'needs none or 3 numbers: red, green, blue'
    for pair, _ in () if broken else _PAIRS.get(kind, ()):
        one, other = pair.replace('=', '<').split('<')
        first, second = getattr(message, one), getattr(message, other)
        if '=' in pair and len(first) != len(second):
            yield f'{path}.{other}', f'has {len(second)} values, and {one} {len(first)}; they must have as many'
        elif '<' in pair and first > second:
            yield f'{path}.{one}', f'is {first:g}, more than {other}, {second:g}'


def _numbers(message: Message, name: str) -> list[tuple[str, float]]:
    """Return (field, number) of a field: one, those of a list, or those of a map."""
    value = getattr(message, name)
    if isinstance(value, (int, float)):
        return [(name, value)]
    return [(name, value[key]) for key in value] if isinstance(value, Mapping) else unread_fields.entries(name, value)


def anchors(generator: protos.AnchorGenerator) -> int:
    """Return how many anchors a generator has at a location, at most, without making them."""
    multiscale, grid, ssd = (getattr(generator, f'{kind}_anchor_generator') for kind in ('multiscale', 'grid', 'ssd'))
    flexible = generator.flexible_grid_anchor_generator.anchor_grid
    return max(len(multiscale.aspect_ratios) * multiscale.scales_per_octave,
               len(grid.scales) * len(grid.aspect_ratios), len(ssd.aspect_ratios) + 1,
               max((len(one.base_sizes) for one in flexible), default=0))


def crowded(section: Message, path: str) -> Iterator[tuple[str, str]]:
    """Yield anchor generators with too many anchors at a location."""
    for place, _, field, value in unread_fields.walk(section, path):
        if (field.message_type is not None and field.message_type.name == 'AnchorGenerator'
                and (count := anchors(value)) > MOST_ANCHORS):
            yield place, f'makes {count} anchors at each location; at most {MOST_ANCHORS}'


def images(config: Config, place: str) -> Iterator[tuple[str, str]]:
    """Yield the batch_size of train_config or eval_config if its images alone take more memory than any machine has."""
    name, model = architecture(config)
    if name == 'experimental_model' or model is None:
        return
    resizer, size = model.image_resizer, getattr(config, place).batch_size
    height, width = fixed_size(resizer) or (resizer.keep_aspect_ratio_resizer.max_dimension, ) * 2
    if (needed := size * height * width * 3 * 4) > MOST_BYTES and size <= _COUNT.high:
        yield f'{place}.batch_size', (f'is {size}: its images of {height}x{width} alone take {needed / 1e9:,.0f} GB; '
                                      f'lower it, or the size in model.{name}.image_resizer')
