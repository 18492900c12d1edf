"""Every field of the schema is read or listed as not read; refused fields are rejected; the docs list them."""
import re
from pathlib import Path

import pytest
from google.protobuf import message_factory

from object_detection import protos
from object_detection.config import pipeline, textproto, unread_fields
from object_detection.config.unread_fields import IGNORED, NO_EFFECT, REFUSED
from object_detection.models import build
from tests.support.recorder import Recorder

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / 'tests' / 'golden'
TYPES = {message.name: message for message
         in textproto.message_types(protos.TrainEvalPipelineConfig.DESCRIPTOR).values()}
TABLES = [unread_fields.table(table) for table in (NO_EFFECT, IGNORED, REFUSED)]
LISTED = set().union(*TABLES)


def test_fields_of_the_tables_exist_and_are_listed_once():
    known = {f'{message.name}.{field.name}' for message in TYPES.values() for field in message.fields}
    assert known >= LISTED
    assert len(LISTED) == sum(map(len, TABLES))


def test_every_field_is_named_somewhere_or_listed():
    """By name, in the source; a member of a oneof that nothing names is rejected where its family is built."""
    tables = Path(unread_fields.__file__)
    sources = [path.read_text(encoding='utf-8') for path in tables.parents[1].rglob('*.py') if path != tables]
    words = set(re.findall(r'\w+', '\n'.join(sources)))
    silent, seen, todo = [], set(), [protos.TrainEvalPipelineConfig.DESCRIPTOR]
    while todo:
        message = todo.pop()
        if message.full_name in seen:
            continue
        seen.add(message.full_name)
        for field in message.fields:
            if f'{message.name}.{field.name}' in LISTED:
                continue
            if field.name not in words and field.containing_oneof is None:
                silent.append(f'{message.name}.{field.name}')
            elif field.name in words and field.message_type:
                todo.append(field.message_type)
    assert silent == []


# Not read, because only another field that is not set here makes use of it, or only config/checks reads it.
DEPENDENT = {'BatchNonMaxSuppression': {'max_classes_per_detection', 'use_hard_nms'}, 'BoxEncodingsClipRange': {
    'min', 'max'}, 'FasterRcnnFeatureExtractor': {'first_stage_features_stride'},
             'FasterRcnn': {'second_stage_mask_prediction_loss_weight'}, 'CenterNet': {'keypoint_label_map_path'}}
# Kinds of which an architecture takes some; tests/models builds each of those.
KINDS = {'classification_loss', 'localization_loss', 'box_predictor_oneof'}
MASKS = {'conv_hyperparams', 'predict_instance_masks', 'mask_prediction_conv_depth', 'mask_height', 'mask_width',
         'mask_prediction_num_conv_layers', 'masks_are_class_agnostic', 'convolve_then_upsample_masks'}
for predictor in ('ConvolutionalBoxPredictor', 'WeightSharedConvolutionalBoxPredictor', 'MaskRCNNBoxPredictor'):
    DEPENDENT[predictor] = {'dropout_keep_probability', *(MASKS if predictor.startswith('Mask') else ())}


@pytest.mark.parametrize('name', ['ssd_mobilenet_v2', 'ssd_mobilenet_v2_fpnlite', 'efficientdet_d0',
                                  'faster_rcnn_resnet50_v1', 'centernet_mobilenetv2_fpn'])
def test_building_a_model_reads_every_field(name):
    read = {}
    build.build(Recorder(pipeline.read(GOLDEN / f'{name}.config').model, read))
    unread = {f'{message}.{field.name}' for message, used in read.items() for field in TYPES[message].fields
              if field.name not in used | DEPENDENT.get(message, set())
              and (field.containing_oneof is None or field.containing_oneof.name not in KINDS)}
    assert unread - LISTED == set()


@pytest.mark.parametrize('name', unread_fields.table(REFUSED))
def test_refused(name):
    kind, field = name.split('.')
    message = message_factory.GetMessageClass(TYPES[kind])()
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    if descriptor.message_type:
        getattr(message, field).SetInParent()
    elif descriptor.enum_type:
        setattr(message, field, max(descriptor.enum_type.values_by_number))
    elif hasattr(getattr(message, field), 'append'):
        getattr(message, field).append(7)
    else:
        setattr(message, field, 7)
    found = unread_fields.unread(message, 'here')
    assert [(place, table) for place, _, table, _ in found] == [(f'here.{field}', 'REFUSED')]


def test_defaults_are_not_refused():
    message = protos.InputReader()
    message.num_additional_channels = 0
    message.load_context_features = False
    assert list(unread_fields.unread(message, 'train_input_reader')) == []


@pytest.mark.parametrize('path', sorted([*GOLDEN.glob('*.config'), *GOLDEN.glob('configs/*.config')]),
                         ids=lambda path: path.stem)
def test_no_config_of_the_reference_is_refused(path):
    if 'zoo_mask_rcnn' not in path.name:  # its typo is tested in test_pipeline
        kinds = {kind for _, _, kind, _ in unread_fields.unread(pipeline.read(path))}
        assert kinds <= {'NO_EFFECT'}


def test_the_documentation_is_up_to_date():
    said = (ROOT / 'docs' / 'options.md').read_text(encoding='utf-8')
    assert said == unread_fields.markdown(), 'python -m object_detection.config.unread_fields > docs/options.md'
