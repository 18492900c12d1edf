"""Export a trained model as a SavedModel."""
from pathlib import Path

from object_detection import checkpoints, protos
from object_detection.builders import checked
from object_detection.config import checks
from object_detection.export import INPUT_TYPES, output_folder, saved_model
from object_detection.models import build
from object_detection.utils.errors import UserError


def export_inference_graph(input_type: str, pipeline_config: protos.TrainEvalPipelineConfig,
                           trained_checkpoint_dir: str | Path, output_directory: str | Path,
                           use_side_inputs: bool = False, side_input_shapes: str = '', side_input_types: str = '',
                           side_input_names: str = '') -> None:
    """Write saved_model/, checkpoint/ckpt-0 and pipeline.config into a folder, as exporter_main_v2.py does.

    The SavedModel takes any batch size. It is loaded again and compared with the model before it appears.

    Args:
        input_type: image_tensor, float_image_tensor, encoded_image_string_tensor, or tf_example.
        trained_checkpoint_dir: a folder of checkpoints, of which the newest counts, or one checkpoint (.../ckpt-7).
        output_directory: new or empty; nothing is overwritten.
        use_side_inputs: not supported, nor are the arguments after it.
    Raises:
        ValueError: there is no such input_type.
        ConfigError: something in the model section is wrong or not supported.
        UserError: the checkpoint does not fit the model or is damaged, or the folder is not empty.
    """
    del side_input_shapes, side_input_types, side_input_names
    if input_type not in INPUT_TYPES:
        raise ValueError(f'Unrecognized `input_type` {input_type!r}; allowed: {", ".join(INPUT_TYPES)}')
    if use_side_inputs:
        raise UserError('use_side_inputs is for Context R-CNN, which is not supported; leave it out')
    checked.demand(checks.check_model(pipeline_config))
    output_folder.check(output_directory)
    checkpoint = checkpoints.load(trained_checkpoint_dir)
    model = build.build(pipeline_config.model)
    checkpoints.restore_model(model, checkpoint, pipeline_config.eval_config.use_moving_averages)
    saved_model.write(model, input_type, pipeline_config, output_directory)
