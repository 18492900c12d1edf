"""Run a model in memory, or the model of a pipeline.config with the weights of a checkpoint."""
import tensorflow as tf

from object_detection import checkpoints, protos
from object_detection.export import saved_model as exporter
from object_detection.inference.saved_model import Signature, TensorFlowRunner
from object_detection.models import build
from object_detection.models.detector import Detector


def runner(saved: checkpoints.Saved, config: protos.TrainEvalPipelineConfig, labels: dict[int, str]
           ) -> TensorFlowRunner:
    """Return the Runner of a checkpoint, which gives the detections of its SavedModel.

    Args:
        saved: the checkpoint.
        config: its pipeline.config; eval_config.use_moving_averages is honored.
        labels: {label id: name}.
    """
    model = build.build(config.model)
    checkpoints.restore_model(model, saved, config.eval_config.use_moving_averages)
    return runner_of(model, saved.prefix, labels)


def runner_of(model: Detector, name: str, labels: dict[int, str]) -> TensorFlowRunner:
    """Return the Runner of a model in memory: the graph that an export writes."""
    detect = exporter.freeze(exporter.trace(model, 'image_tensor'), model.variables)
    return TensorFlowRunner(name, Signature(detect, tf.uint8, (None, None), True), labels)
