"""Fields of pipeline.config that parse and do nothing here: the one place that knows them.

NO_EFFECT: the reference under TensorFlow 2 computes the same numbers whatever they say, and so does this engine.
IGNORED: they say something that this engine does not do. Kinds and values that cannot be built (a loss, an
augmentation, an extractor) are not listed: whoever builds them raises a UserError. A test looks that every other field
is read somewhere.
"""

_TF1_CLUSTER = 'it steers the parameter servers of TensorFlow 1'
_QUEUES = 'it sizes the queues and threads of the reference; this input pipeline sizes itself'
_TF1 = 'TensorFlow 1 only'
_SHAPES = 'it chooses another way to compute the same numbers, for TPUs'
_DRAWING = 'drawing of the TensorFlow 1 evaluation'
_EVAL_LOOP = 'it steers the TensorFlow 1 evaluation loop'

NO_EFFECT = {
    _TF1_CLUSTER: '''TrainConfig.sync_replicas TrainConfig.startup_delay_steps TrainConfig.replicas_to_aggregate''',
    _QUEUES: '''TrainConfig.batch_queue_capacity TrainConfig.num_batch_queue_threads
        TrainConfig.prefetch_queue_capacity InputReader.queue_capacity InputReader.min_after_dequeue
        InputReader.prefetch_size InputReader.num_parallel_map_calls InputReader.num_parallel_batches
        InputReader.num_prefetch_batches InputReader.num_readers InputReader.read_block_length''',
    'every epoch is one permutation of all records, so no buffer is needed':
        'InputReader.shuffle_buffer_size InputReader.filenames_shuffle_buffer_size',
    'it is for TPUs; elsewhere the reference trains in float32 too': 'TrainConfig.use_bfloat16',
    'padding has weight 0 here, so it need not be taken off': 'TrainConfig.unpad_groundtruth_tensors',
    'variables exist before anything is restored': 'TrainConfig.run_fine_tune_checkpoint_dummy_computation',
    'input_reader.max_number_of_boxes counts': 'TrainConfig.max_number_of_boxes',
    '--checkpoint_max_to_keep decides which checkpoints stay': 'TrainConfig.keep_checkpoint_every_n_hours',
    _TF1: '''TrainConfig.summarize_gradients Ssd.inplace_batchnorm_update FasterRcnn.inplace_batchnorm_update
        TrainEvalPipelineConfig.graph_rewriter SsdFeatureExtractor.replace_preprocessor_with_placeholder
        Hyperparams.regularize_depthwise WeightedL2LocalizationLoss.anchorwise_output
        WeightedSmoothL1LocalizationLoss.anchorwise_output WeightedSigmoidClassificationLoss.anchorwise_output
        SigmoidFocalClassificationLoss.anchorwise_output WeightedSoftmaxClassificationLoss.anchorwise_output
        WeightedSoftmaxClassificationAgainstLogitsLoss.anchorwise_output
        BootstrappedSigmoidClassificationLoss.anchorwise_output ConvolutionalBoxPredictor.apply_sigmoid_to_scores
        MaskRCNNBoxPredictor.predict_keypoints Ssd.mask_head_config''',
    _SHAPES: '''ArgMaxMatcher.use_matmul_gather BipartiteMatcher.use_matmul_gather
        BatchNonMaxSuppression.use_static_shapes BatchNonMaxSuppression.use_cpu_nms
        BatchNonMaxSuppression.use_partitioned_nms FasterRcnn.use_matmul_crop_and_resize
        FasterRcnn.use_matmul_gather_in_matcher FasterRcnn.use_static_balanced_label_sampler
        FasterRcnn.use_static_shapes FasterRcnn.use_static_shapes_for_eval
        FasterRcnn.use_partitioned_nms_in_first_stage CenterNet.compute_heatmap_sparse''',
    _EVAL_LOOP: '''EvalConfig.eval_interval_secs EvalConfig.max_evals EvalConfig.num_examples EvalConfig.save_graph
        EvalConfig.eval_master EvalConfig.ignore_groundtruth EvalConfig.use_dummy_loss_in_eval''',
    _DRAWING: '''EvalConfig.visualization_export_dir EvalConfig.skip_scores EvalConfig.skip_labels
        EvalConfig.visualize_groundtruth_boxes EvalConfig.groundtruth_box_visualization_color
        EvalConfig.keep_image_id_for_visualization_export''',
    'pictures are kept where they are drawn, whatever it says':
        'TrainConfig.retain_original_images EvalConfig.retain_original_images',
    'masks come in the size of the picture that the model gets': 'FasterRcnn.resize_masks',
    'metrics_set decides': 'EvalConfig.eval_instance_masks',
    'names and display names of the label map are both known': 'InputReader.use_display_name',
}

IGNORED = {
    'it is not supported': '''TrainConfig.merge_multiple_label_boxes TrainConfig.use_multiclass_scores
        EvalConfig.export_path EvalConfig.force_no_resize EvalConfig.retain_original_image_additional_channels
        EvalConfig.super_categories EvalConfig.skip_predictions_for_unlabeled_class
        EvalConfig.image_classes_field_map_empty_to_ones InputReader.include_source_id InputReader.frame_index
        InputReader.external_input_reader Loss.equalization_loss Ssd.implicit_example_weight
        Ssd.return_raw_detections_during_predict FasterRcnn.return_raw_detections_during_predict
        SsdFeatureExtractor.spaghettinet_arch_name''',
    'a box has four numbers': '''ConvolutionalBoxPredictor.box_code_size MaskRCNNBoxPredictor.box_code_size
        WeightSharedConvolutionalBoxPredictor.box_code_size''',
    'only expected_loss_weights reads it, which is not supported':
        'Loss.min_num_negative_samples Loss.desired_negative_sampling_ratio',
    'only predict_depth reads it, which is not supported':
        'KeypointEstimation.per_keypoint_depth KeypointEstimation.keypoint_depth_loss_weight',
    'only argmax_postprocessing reads it, which is not supported': 'KeypointEstimation.gaussian_denom_ratio',
}


def table(fields):
    """{'Message.field': reason} of NO_EFFECT or IGNORED."""
    return {name: reason for reason, names in fields.items() for name in names.split()}
