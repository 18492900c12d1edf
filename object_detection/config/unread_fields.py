"""Fields of pipeline.config that this engine does not read, and the reason for each.

NO_EFFECT: numbers are the same whatever they say, here and in the reference under TensorFlow 2.
IGNORED: they ask for additional output that is not produced; numbers are the same.
REFUSED: numbers would differ from the reference's, so a config that sets them is rejected.

tests/config/test_unread_fields.py checks that every other field is read and that docs/options.md is up to date:

    python -m object_detection.config.unread_fields > docs/options.md
"""
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from object_detection.config import metrics_set

_TF1_CLUSTER = 'it controls the parameter servers of TensorFlow 1'
_QUEUES = 'it sizes the queues and threads of the reference; this input pipeline sizes itself'
_TF1 = 'it is for TensorFlow 1 only'
_SHAPES = 'it selects another way to compute the same numbers, for TPUs'
_DRAWING = 'it is for the drawings of the TensorFlow 1 evaluation'
_EVAL_LOOP = 'it controls the TensorFlow 1 evaluation loop'

NO_EFFECT = {
    _TF1_CLUSTER: '''TrainConfig.sync_replicas TrainConfig.startup_delay_steps TrainConfig.replicas_to_aggregate''',
    _QUEUES: '''TrainConfig.batch_queue_capacity TrainConfig.num_batch_queue_threads
        TrainConfig.prefetch_queue_capacity InputReader.queue_capacity InputReader.min_after_dequeue
        InputReader.prefetch_size InputReader.num_parallel_map_calls InputReader.num_parallel_batches
        InputReader.num_prefetch_batches InputReader.num_readers InputReader.read_block_length''',
    'every epoch is one permutation of all records, so no buffer is needed':
        'InputReader.shuffle_buffer_size InputReader.filenames_shuffle_buffer_size',
    'padding has weight 0 here, so it need not be removed': 'TrainConfig.unpad_groundtruth_tensors',
    'all variables exist before the checkpoint is restored': 'TrainConfig.run_fine_tune_checkpoint_dummy_computation',
    'max_number_of_boxes of the input_reader is used': 'TrainConfig.max_number_of_boxes',
    '--checkpoint_max_to_keep decides which checkpoints are kept': 'TrainConfig.keep_checkpoint_every_n_hours',
    _TF1: '''TrainConfig.summarize_gradients Ssd.inplace_batchnorm_update FasterRcnn.inplace_batchnorm_update
        TrainEvalPipelineConfig.graph_rewriter SsdFeatureExtractor.replace_preprocessor_with_placeholder
        Hyperparams.regularize_depthwise WeightedL2LocalizationLoss.anchorwise_output
        WeightedSmoothL1LocalizationLoss.anchorwise_output WeightedSigmoidClassificationLoss.anchorwise_output
        SigmoidFocalClassificationLoss.anchorwise_output WeightedSoftmaxClassificationLoss.anchorwise_output
        WeightedSoftmaxClassificationAgainstLogitsLoss.anchorwise_output
        BootstrappedSigmoidClassificationLoss.anchorwise_output ConvolutionalBoxPredictor.apply_sigmoid_to_scores
        MaskRCNNBoxPredictor.predict_keypoints Ssd.mask_head_config Loss.equalization_loss Hyperparams.op''',
    _SHAPES: '''ArgMaxMatcher.use_matmul_gather BipartiteMatcher.use_matmul_gather
        BatchNonMaxSuppression.use_static_shapes BatchNonMaxSuppression.use_cpu_nms
        BatchNonMaxSuppression.use_partitioned_nms
        FasterRcnn.use_matmul_gather_in_matcher FasterRcnn.use_static_balanced_label_sampler
        FasterRcnn.use_static_shapes FasterRcnn.use_static_shapes_for_eval
        FasterRcnn.use_partitioned_nms_in_first_stage CenterNet.compute_heatmap_sparse''',
    _EVAL_LOOP: '''EvalConfig.eval_interval_secs EvalConfig.max_evals EvalConfig.num_examples EvalConfig.save_graph
        EvalConfig.eval_master EvalConfig.ignore_groundtruth EvalConfig.use_dummy_loss_in_eval''',
    _DRAWING: '''EvalConfig.visualization_export_dir EvalConfig.skip_scores EvalConfig.skip_labels
        EvalConfig.visualize_groundtruth_boxes EvalConfig.groundtruth_box_visualization_color
        EvalConfig.keep_image_id_for_visualization_export''',
    'pictures are kept whenever they are drawn':
        'TrainConfig.retain_original_images EvalConfig.retain_original_images',
    'masks always have the size of the image that the model gets': 'FasterRcnn.resize_masks',
    'metrics_set decides': 'EvalConfig.eval_instance_masks',
    'both names and display names of the label map are accepted': 'InputReader.use_display_name',
    'no number depends on the id of a picture': 'InputReader.include_source_id',
    'it sets weights that no model reads; a keypoint counts if it is labeled':
        'InputReader.keypoint_type_weight',
    'detections before non-max suppression are always returned':
        'Ssd.return_raw_detections_during_predict FasterRcnn.return_raw_detections_during_predict',
    'image-level labels are not read': 'EvalConfig.image_classes_field_map_empty_to_ones',
    'pictures have three channels': 'EvalConfig.retain_original_image_additional_channels',
    'only input_type TF_SEQUENCE_EXAMPLE reads it, which is refused': 'InputReader.frame_index',
    'only use_confidences_as_targets reads it, which is refused': 'Ssd.implicit_example_weight',
    'only a feature extractor that is not supported reads it': 'SsdFeatureExtractor.spaghettinet_arch_name',
    'only expected_loss_weights reads it, which is refused':
        'Loss.min_num_negative_samples Loss.desired_negative_sampling_ratio',
    'only predict_depth reads it, which is refused':
        'KeypointEstimation.per_keypoint_depth KeypointEstimation.keypoint_depth_loss_weight',
    'only argmax_postprocessing reads it, which is refused': 'KeypointEstimation.gaussian_denom_ratio',
}

IGNORED = {
    'detections are not written to a file': 'EvalConfig.export_path',
    'there are metrics over all labels and for each label, none for groups of labels': 'EvalConfig.super_categories',
}

_NO_ZOO_MODEL = 'no model of the zoo uses it; remove it'
_FOUR = 'a box has four numbers; remove it'
_LABELS = 'an object has exactly one label here; remove it'
_COLORS = 'networks take three channels; remove it'
_TASKS = 'center_net models detect boxes and keypoints only; remove it'
_FEATURES = 'models see one picture at a time; remove it'

REFUSED = {
    _LABELS: '''TrainConfig.merge_multiple_label_boxes TrainConfig.use_multiclass_scores
        InputReader.load_multiclass_scores InputReader.expand_labels_hierarchy
        PreprocessingStep.convert_class_logits_to_softmax EvalConfig.skip_predictions_for_unlabeled_class
        ObjectCenterParams.use_labeled_classes''',
    _FEATURES: '''InputReader.load_context_features InputReader.load_context_image_ids InputReader.load_track_id
        InputReader.input_type FasterRcnn.context_config CenterNet.track_estimation_task
        CenterNet.temporal_offset_task''',
    _TASKS: '''InputReader.load_dense_pose InputReader.load_keypoint_depth_features InputReader.use_keypoint_label_map
        CenterNet.mask_estimation_task CenterNet.densepose_estimation_task CenterNet.deepmac_mask_estimation
        KeypointEstimation.predict_depth''',
    _COLORS: '''InputReader.num_additional_channels FixedShapeResizer.convert_to_grayscale
        KeepAspectRatioResizer.convert_to_grayscale''',
    _FOUR: '''ConvolutionalBoxPredictor.box_code_size MaskRCNNBoxPredictor.box_code_size
        WeightSharedConvolutionalBoxPredictor.box_code_size BoxCoder.square_box_coder BoxCoder.keypoint_box_coder''',
    _NO_ZOO_MODEL: '''DetectionModel.experimental_model Ssd.explicit_background_class Ssd.use_confidences_as_targets
        Loss.random_example_sampler Loss.expected_loss_weights PostProcessing.calibration_config
        BatchNonMaxSuppression.use_combined_nms FasterRcnn.use_combined_nms_in_first_stage
        FasterRcnn.output_final_box_features FasterRcnn.output_final_box_rpn_features CenterNet.post_processing
        CenterNet.output_prediction_dict ObjectCenterParams.keypoint_weights_for_center
        KeypointEstimation.argmax_postprocessing ClassificationLoss.weighted_dice_classification_loss''',
    'no model of the zoo uses it; use batch_norm or sync_batch_norm': 'Hyperparams.group_norm',
    'no model of the zoo uses it; use argmax_matcher': 'Matcher.bipartite_matcher',
    'no model of the zoo uses it; use iou_similarity': 'RegionSimilarityCalculator.thresholded_iou_similarity',
    'no model of the zoo uses it; use mask_rcnn_box_predictor': 'BoxPredictor.rfcn_box_predictor',
    'use fixed_shape_resizer or keep_aspect_ratio_resizer':
        'ImageResizer.conditional_shape_resizer ImageResizer.pad_to_multiple_resizer',
    'records are read by tf_record_input_reader': 'InputReader.external_input_reader',
    'pictures are evaluated as they are trained on; remove it': 'EvalConfig.force_no_resize',
    'it is for TensorFlow 1 only; remove it and set fine_tune_checkpoint_type':
        'TrainConfig.load_all_detection_checkpoint_vars',
}


def table(reasons: Mapping[str, str]) -> dict[str, str]:
    """Return {'Message.field': reason} of NO_EFFECT, IGNORED or REFUSED."""
    return {name: reason for reason, names in reasons.items() for name in names.split()}


def walk(message: Message, path: str = '') -> Iterator[tuple[str, Message, FieldDescriptor, Any]]:
    """Yield (path, owner, field, value) for every field that is set, sections before their content."""
    for field, value in message.ListFields():
        here = f'{path}.{field.name}' if path else field.name
        yield here, message, field, value
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for name, part in entries(here, value):
            yield from walk(part, name)


def entries(path: str, value: Any) -> list[tuple[str, Any]]:
    """Return (path, value) of a single field; (path[0], value), ... of a repeated one."""
    if hasattr(value, 'append'):  # the descriptor's `label` and `is_repeated` are each missing in some protobuf version
        return [(f'{path}[{index}]', entry) for index, entry in enumerate(value)]
    return [(path, value)]


def unread(message: Message, path: str = '') -> Iterator[tuple[str, FieldDescriptor, str, str]]:
    """Yield (path, field, name of the table, reason) for every field in a message that is set and in a table."""
    tables = {'NO_EFFECT': table(NO_EFFECT), 'IGNORED': table(IGNORED), 'REFUSED': table(REFUSED)}
    for place, owner, field, value in walk(message, path):
        if field.message_type is None and value == field.default_value:
            continue
        for kind, reasons in tables.items():
            if reason := reasons.get(f'{owner.DESCRIPTOR.name}.{field.name}'):
                yield place, field, kind, reason


def markdown() -> str:
    """Return the text of docs/options.md."""
    metrics: dict[str, str] = {}
    for name, reason in metrics_set.LEFT_OUT.items():
        metrics[reason] = f'{metrics.get(reason, "")} {name}'
    sections = (
        ('Refused', 'With these set, numbers would differ from those of the reference, so using one is an error that '
         'names the field and its line.', REFUSED),
        ('Metrics that are refused', 'In `eval_config.metrics_set`.', metrics),
        ('Ignored, with a warning', 'They ask for additional output that is not produced.', IGNORED),
        ('Without effect', 'The reference under TensorFlow 2 computes the same numbers whatever they say.', NO_EFFECT))
    text = '# Options that are not read\n\nEvery field of the schema is read, or listed here.\n'
    for title, introduction, table in sections:
        text += f'\n## {title}\n\n{introduction}\n\n'
        text += ''.join(f'- {", ".join(f"`{name}`" for name in names.split())}: {reason}\n'
                        for reason, names in table.items())
    return text


if __name__ == '__main__':
    print(markdown(), end='')
