"""What the formats for other runtimes cannot hold, said of a config before the work begins. Imports no TensorFlow."""
from collections.abc import Iterator

from object_detection import protos
from object_detection.config import checks
from object_detection.config.pipeline import Config, architecture
from object_detection.export.description import METHODS


def lite(config: Config) -> list[checks.Finding]:
    """Return what keeps a model from becoming a .tflite.

    Args:
        config: in which checks.check_model finds no error.
    """
    kind, section = architecture(config)
    if kind == 'faster_rcnn':
        return [checks.error('model.faster_rcnn', 'cannot be a .tflite: LiteRT has no operators for the NMS and the '
                             'crops between its two stages. export_onnx.py exports it; for phones, train an SSD, '
                             'EfficientDet or CenterNet')]
    return [*_ssd(section if kind == 'ssd' else protos.Ssd()), *one_size(config)]


def onnx(config: Config, any_size: bool, nms: bool) -> list[checks.Finding]:
    """Return what keeps a model from becoming an .onnx file.

    Args:
        config: in which checks.check_model finds no error.
        any_size: see onnx_file.Options.
        nms: the file has its NMS.
    """
    kind, section = architecture(config)
    found = [] if any_size else list(one_size(config))
    if kind == 'center_net':
        return found if nms else [*found, checks.error('model.center_net', 'has no NMS; leave --nms none out')]
    if not nms and kind == 'faster_rcnn':
        return [*found, checks.error('model.faster_rcnn', 'has an NMS between its two stages; leave --nms none out')]
    name = 'second_stage_post_processing' if kind == 'faster_rcnn' else 'post_processing'
    suppression = getattr(section, name).batch_non_max_suppression
    path = f'model.{kind}.{name}.batch_non_max_suppression'
    if nms and suppression.soft_nms_sigma > 0.:
        found.append(checks.error(f'{path}.soft_nms_sigma', f'is {suppression.soft_nms_sigma:g}, and ONNX has no '
                                  'Soft-NMS; set it to 0, in the file or with --config_override, or take --nms none'))
    if nms and suppression.use_class_agnostic_nms:
        found.append(checks.error(f'{path}.use_class_agnostic_nms', 'is not possible in ONNX, whose NMS keeps classes '
                                  'apart; set it to false, or take --nms none'))
    return found


def _ssd(section: protos.Ssd) -> Iterator[checks.Finding]:
    coder = section.box_coder.WhichOneof('box_coder_oneof')
    if coder not in (None, 'faster_rcnn_box_coder'):
        yield checks.error(f'model.ssd.box_coder.{coder}', 'LiteRT\'s operator decodes only faster_rcnn_box_coder')
    sigma = section.post_processing.batch_non_max_suppression.soft_nms_sigma
    if sigma > 0.:
        yield checks.error('model.ssd.post_processing.batch_non_max_suppression.soft_nms_sigma',
                           f'is {sigma:g}, and LiteRT\'s operator has no Soft-NMS; set it to 0, in the file or with '
                           '--config_override')


def one_size(config: Config) -> Iterator[checks.Finding]:
    """Yield what keeps the image_resizer from being described by export.description.Input."""
    kind, section = architecture(config)
    resizer, path = section.image_resizer, f'model.{kind}.image_resizer'
    name = resizer.WhichOneof('image_resizer_oneof')
    fields = getattr(resizer, name)
    if name == 'identity_resizer' or (name == 'keep_aspect_ratio_resizer' and not fields.pad_to_max_dimension):
        yield checks.error(path, 'gives images of many sizes, and this format takes one; use fixed_shape_resizer, or '
                           'keep_aspect_ratio_resizer with pad_to_max_dimension: true')
        return
    if name == 'keep_aspect_ratio_resizer' and fields.min_dimension != fields.max_dimension:
        yield checks.error(f'{path}.{name}.min_dimension', f'is {fields.min_dimension} and max_dimension is '
                           f'{fields.max_dimension}, and this format scales pictures to fit into a square; '
                           'make them equal, in the file or with --config_override')
    method = protos.enum_name(fields, 'resize_method').lower()
    if {'nearest_neighbor': 'nearest'}.get(method, method) not in METHODS:
        yield checks.error(f'{path}.{name}.resize_method', f'is {method.upper()}; programs that call the model have '
                           'BILINEAR and NEAREST_NEIGHBOR. Train with one of them')
