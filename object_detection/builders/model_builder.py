"""Build a model from the model section of a pipeline.config.

    configs = config_util.get_configs_from_pipeline_file('pipeline.config')
    detection_model = model_builder.build(model_config=configs['model'], is_training=False)
    tf.train.Checkpoint(model=detection_model).restore('checkpoint/ckpt-0').expect_partial()

    image, shapes = detection_model.preprocess(tf.constant(image_np[None], tf.float32))
    detections = detection_model.postprocess(detection_model.predict(image, shapes), shapes)
"""
import tensorflow as tf

from object_detection import protos
from object_detection.builders import checked, variable_names
from object_detection.config import checks
from object_detection.meta_architectures.center_net_meta_arch import CenterNetMetaArch
from object_detection.meta_architectures.detector_model import DetectorModel
from object_detection.meta_architectures.faster_rcnn_meta_arch import FasterRCNNMetaArch
from object_detection.meta_architectures.ssd_meta_arch import SSDMetaArch
from object_detection.models import build as models

_CLASSES: dict[str, type[DetectorModel]] = {
    'ssd': SSDMetaArch, 'faster_rcnn': FasterRCNNMetaArch, 'center_net': CenterNetMetaArch}


def build(model_config: protos.DetectionModel, is_training: bool, add_summaries: bool = True) -> DetectorModel:
    """Build a model with all its variables; their initial values follow tf.random.set_seed.

    Args:
        model_config: a DetectionModel message, such as configs['model'] of config_util.
        is_training: the model is to be trained; see DetectorModel.
        add_summaries: accepted; the models write no summaries.
    Raises:
        ValueError: model_config is no DetectionModel message.
        ConfigError: everything in it that is wrong or not supported.
    """
    del add_summaries
    if not isinstance(model_config, protos.DetectionModel):
        raise ValueError('model_config not of type model_pb2.DetectionModel.')
    checked.demand(checks.check_model(protos.TrainEvalPipelineConfig(model=model_config), is_training))
    seed = int(tf.random.uniform([], maxval=2 ** 31 - 1, dtype=tf.int32))
    detector = models.build(model_config, seed)
    variable_names.apply(detector)
    return _CLASSES[model_config.WhichOneof('model')](detector, is_training)
