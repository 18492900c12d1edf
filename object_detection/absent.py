"""What takes the place of the reference's modules, and of names in its modules, that are not here."""
from collections.abc import Mapping
from typing import NoReturn

_TF1 = 'it belongs to TensorFlow 1; model_main_tf2 trains and exporter_main_v2 exports'
_LAYERS = 'networks are in object_detection.layers; object_detection.builders.model_builder builds a whole model'
_BUILDERS = 'object_detection.builders.model_builder builds a whole model, from the parts in object_detection.models'
_RECORDS = 'prepare_data.py writes records from folders of pictures, object_detection.records from your own code'
_OTHER_METRICS = 'object_detection.metrics.coco_evaluation and utils.object_detection_evaluation have the metrics'
_OPEN_IMAGES = 'the detection metrics of Open Images V2 are in object_detection.utils.object_detection_evaluation'
_BOX_LISTS = 'object_detection.boxes.ops takes plain tensors, object_detection.utils.np_box_list_ops NumPy arrays'
_CONTEXT = 'Context R-CNN and sequences of pictures are not supported'

# What takes the place -> modules, without object_detection.; of packages that are not here, the package's name.
_MODULES = {
    'use object_detection.boxes.anchors': 'anchor_generators core.anchor_generator',
    'use object_detection.boxes.coders': 'box_coders core.box_coder',
    'use object_detection.boxes.matchers and object_detection.boxes.targets':
        'matchers core.matcher core.target_assigner core.region_similarity_calculator utils.target_assigner_utils',
    'use object_detection.boxes.samplers': 'core.minibatch_sampler core.balanced_positive_negative_sampler',
    'use object_detection.boxes.nms': 'core.post_processing',
    'use object_detection.models.losses': 'core.losses',
    'use object_detection.inputs.augmentation': 'core.preprocessor_cache utils.autoaugment_utils',
    'use object_detection.data_decoders.tf_example_decoder': 'core.data_decoder builders.decoder_builder',
    'use object_detection.training.schedules': 'utils.learning_schedules',
    'keypoints are augmented by object_detection.inputs.augmentation': 'core.keypoint_ops core.densepose_ops',
    'object_detection.models has the architectures, and object_detection.builders.model_builder builds them':
        'meta_architectures.deepmac_meta_arch meta_architectures.rfcn_meta_arch',
    'use object_detection.checkpoints': 'utils.model_util',
    'the command export_tflite_graph_tf2 writes a .tflite and a SavedModel that tf.lite.TFLiteConverter reads':
        'export_tflite_graph_lib_tf2',
    _BUILDERS: 'builders.anchor_generator_builder builders.box_coder_builder builders.box_predictor_builder '
               'builders.hyperparams_builder builders.losses_builder builders.matcher_builder '
               'builders.post_processing_builder builders.region_similarity_calculator_builder '
               'builders.target_assigner_builder',
    'calibration of scores is not supported': 'builders.calibration_builder metrics.calibration_evaluation '
                                              'metrics.calibration_metrics',
    _LAYERS: 'predictors core.box_predictor core.freezable_batch_norm core.freezable_sync_batch_norm utils.bifpn_utils '
             'models.bidirectional_feature_pyramid_generators models.center_net_hourglass_feature_extractor '
             'models.center_net_mobilenet_v2_feature_extractor models.center_net_mobilenet_v2_fpn_feature_extractor '
             'models.center_net_resnet_feature_extractor models.center_net_resnet_v1_fpn_feature_extractor '
             'models.faster_rcnn_inception_resnet_v2_keras_feature_extractor '
             'models.faster_rcnn_resnet_keras_feature_extractor '
             'models.faster_rcnn_resnet_v1_fpn_keras_feature_extractor models.feature_map_generators '
             'models.keras_models models.ssd_efficientnet_bifpn_feature_extractor '
             'models.ssd_mobilenet_v1_fpn_keras_feature_extractor models.ssd_mobilenet_v1_keras_feature_extractor '
             'models.ssd_mobilenet_v2_fpn_keras_feature_extractor models.ssd_mobilenet_v2_keras_feature_extractor '
             'models.ssd_resnet_v1_fpn_keras_feature_extractor utils.spatial_transform_ops utils.patch_ops',
    _TF1: 'builders.graph_rewriter_builder builders.input_reader_builder core.batcher core.prefetcher '
          'export_inference_graph export_tflite_ssd_graph export_tflite_ssd_graph_lib exporter legacy '
          'inference.infer_detections '
          'model_hparams model_main model_tpu_main tpu_exporters utils.context_manager '
          'models.embedded_ssd_mobilenet_v1_feature_extractor models.faster_rcnn_inception_resnet_v2_feature_extractor '
          'models.faster_rcnn_inception_v2_feature_extractor models.faster_rcnn_mobilenet_v1_feature_extractor '
          'models.faster_rcnn_nas_feature_extractor models.faster_rcnn_pnas_feature_extractor '
          'models.faster_rcnn_resnet_v1_feature_extractor models.ssd_inception_v2_feature_extractor '
          'models.ssd_inception_v3_feature_extractor models.ssd_mobiledet_feature_extractor '
          'models.ssd_mobilenet_edgetpu_feature_extractor models.ssd_mobilenet_v1_feature_extractor '
          'models.ssd_mobilenet_v1_fpn_feature_extractor models.ssd_mobilenet_v1_ppn_feature_extractor '
          'models.ssd_mobilenet_v2_feature_extractor models.ssd_mobilenet_v2_fpn_feature_extractor '
          'models.ssd_mobilenet_v2_mnasfpn_feature_extractor models.ssd_mobilenet_v3_feature_extractor '
          'models.ssd_pnasnet_feature_extractor models.ssd_resnet_v1_fpn_feature_extractor '
          'models.ssd_resnet_v1_ppn_feature_extractor models.ssd_spaghettinet_feature_extractor',
    _RECORDS: 'dataset_tools.create_kitti_tf_record dataset_tools.create_oid_tf_record '
              'dataset_tools.create_ava_actions_tf_record dataset_tools.oid_hierarchical_labels_expansion '
              'dataset_tools.oid_tfrecord_creation',
    _CONTEXT: 'dataset_tools.context_rcnn dataset_tools.seq_example_util data_decoders.tf_sequence_example_decoder '
              'meta_architectures.context_rcnn_lib meta_architectures.context_rcnn_lib_tf2 '
              'meta_architectures.context_rcnn_meta_arch',
    _OTHER_METRICS: 'metrics.io_utils metrics.lvis_evaluation metrics.lvis_tools metrics.offline_eval_map_corloc '
                    'utils.metrics utils.per_image_evaluation',
    _OPEN_IMAGES: 'metrics.oid_challenge_evaluation metrics.oid_challenge_evaluation_utils '
                  'metrics.oid_vrd_challenge_evaluation metrics.oid_vrd_challenge_evaluation_utils '
                  'utils.per_image_vrd_evaluation utils.vrd_evaluation',
    _BOX_LISTS: 'core.box_list core.box_list_ops',
    'it serves the tests of the reference': 'utils.test_case utils.test_utils',
}
MODULES = {module: place for place, modules in _MODULES.items() for module in modules.split()}


class AbsentModule(ModuleNotFoundError):
    """A module of the reference that is not here; the message says what takes its place."""


def explain_module(name: str) -> None:
    """Raise AbsentModule if the reference has a module of this name (without object_detection.) and we have not."""
    if name in MODULES:
        # With the package's name instead of the module's: `from package import module` drops the message of an error
        # that has the module's, and `python -m package.module.other` prints a traceback of one that has neither.
        raise AbsentModule(f'object_detection.{name} of the TF2 Object Detection API is not here: {MODULES[name]} '
                           '(docs/api.md)', name=f'object_detection.{name}'.rpartition('.')[0])


def explain_name(module: str, name: str, reasons: Mapping[str, str]) -> NoReturn:
    """Raise an AttributeError with the reason why a name of the reference's module is not here, if there is one."""
    reason = f': {reasons[name]} (docs/api.md)' if name in reasons else ''
    raise AttributeError(f'module {module!r} has no attribute {name!r}{reason}', name=name)
