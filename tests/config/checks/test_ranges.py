"""Each number that is read of a config has a range, and defaults and configs of the zoo are within."""
import time

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor

from object_detection import protos
from object_detection.config import checks, pipeline, unread_fields
from object_detection.config.checks import ranges
from object_detection.config.checks.ranges import ANY, ELSEWHERE, RANGES
from tests.support.findings import GOLDEN, changed

UNREAD = {**unread_fields.table(unread_fields.NO_EFFECT), **unread_fields.table(unread_fields.IGNORED),
          **unread_fields.table(unread_fields.REFUSED)}
NUMBERS = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT32,
           FieldDescriptor.CPPTYPE_UINT64, FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}
SSD, FASTER, CENTER = ('ssd_mobilenet_v2_fpnlite', 'faster_rcnn_resnet50_v1', 'centernet')


def numeric_fields():
    """{'Message.field': FieldDescriptor} of every number that can be set and is read."""
    found, seen, todo = {}, set(), [protos.TrainEvalPipelineConfig.DESCRIPTOR]
    while todo:
        message = todo.pop()
        if message.full_name in seen:
            continue
        seen.add(message.full_name)
        for field in message.fields:
            name = f'{message.name}.{field.name}'
            if name in UNREAD:
                continue
            if field.message_type is None:
                if field.cpp_type in NUMBERS:
                    found[name] = field
            elif field.message_type.GetOptions().map_entry:
                if field.message_type.fields_by_name['value'].cpp_type in NUMBERS:
                    found[name] = field
            else:
                todo.append(field.message_type)
    return found


def test_every_number_has_a_range_or_a_reason_why_not():
    listed = [name for names in (*(names for _, names in RANGES), *ANY.values(), *ELSEWHERE.values())
              for name in names.split()]
    assert sorted(set(listed)) == sorted(listed)
    assert set(listed) == set(numeric_fields())


def test_pairs_name_fields_of_the_schema():
    known = numeric_fields()
    for pair in (*ranges._ORDERED.split(), *ranges._EQUAL_LENGTHS.split()):
        message, _, names = pair.partition('.')
        assert {f'{message}.{name}' for name in names.replace('=', '<').split('<')} <= known.keys()


# One of the zoo's configs has a slip of the keyboard, as it came.
@pytest.mark.parametrize('path', sorted(path for path in GOLDEN.rglob('*.config') if 'zoo_mask_rcnn' not in path.name),
                         ids=lambda path: path.stem)
def test_configs_of_the_reference_are_within(path):
    config = pipeline.read(path)
    assert [*ranges.faults(config, ''), *ranges.crowded(config, ''), *ranges.images(config, 'train_config')] == []


def test_defaults_are_within():
    """But those that stand for a missing number, and those of sections that the checks want to be complete."""
    without = {'Ssd', 'FasterRcnn', 'CenterNet', 'AnchorGrid', 'RemapLabels', 'ResizeImage', 'RandomResizeMethod',
               'MultiscaleAnchorGenerator', 'GridAnchorGenerator', 'BidirectionalFeaturePyramidNetworks',
               'SSDRandomCropOperation', 'SSDRandomCropPadOperation', 'SSDRandomCropFixedAspectRatioOperation',
               'SSDRandomCropPadFixedAspectRatioOperation'}
    kinds = {field.containing_type.name: field.containing_type for field in numeric_fields().values()}
    wrong = {name: list(ranges.faults(message_factory.GetMessageClass(kind)(), name)) for name, kind in kinds.items()}
    assert {name for name, faults in wrong.items() if faults} == without


@pytest.mark.parametrize('value', ['nan', 'inf', '-inf'])
@pytest.mark.parametrize('field', [
    'model.ssd.box_coder.faster_rcnn_box_coder.y_scale', 'model.ssd.loss.classification_weight',
    'model.ssd.box_predictor.weight_shared_convolutional_box_predictor.class_prediction_bias_init',
    'model.ssd.post_processing.batch_non_max_suppression.score_threshold', 'train_config.gradient_clipping_by_norm',
    'train_config.optimizer.momentum_optimizer.momentum_optimizer_value'])
def test_not_a_number_and_infinity_are_found(field, value):
    *sections, name = field.split('.')
    text = ' { '.join(sections) + f' {{ {name}: {value} ' + '} ' * len(sections)
    assert (field, f'is {value}; it must be a finite number') in found(SSD, text)


COMPARED = [
    (SSD, 'model { ssd { anchor_generator { multiscale_anchor_generator { scales_per_octave: 0 } } } }',
     'scales_per_octave', 'is 0; it must be at least 1'),
    (SSD, 'model { ssd { anchor_generator { multiscale_anchor_generator { anchor_scale: -4 } } } }',
     'anchor_scale', 'is -4; it must be above 0'),
    (SSD, 'model { ssd { anchor_generator { multiscale_anchor_generator { aspect_ratios: -1 } } } }',
     'aspect_ratios[3]', 'is -1; it must be above 0'),
    (SSD, 'model { ssd { box_coder { faster_rcnn_box_coder { width_scale: 0 } } } }', 'width_scale', 'above 0'),
    (SSD, 'model { ssd { feature_extractor { conv_hyperparams { batch_norm { decay: 2 } } } } }', 'decay',
     'is 2; allowed: 0 to 1'),
    (SSD, 'model { ssd { feature_extractor { conv_hyperparams { regularizer { l2_regularizer { weight: -1 } } } } } }',
     'weight', 'is -1; it must be at least 0'),
    (SSD, 'model { ssd { num_classes: 2000000000 } }', 'num_classes', 'is 2000000000; it must be at most 100,000'),
    (SSD, 'model { ssd { anchor_generator { multiscale_anchor_generator { max_level: 2000000000 } } } }', 'max_level',
     'is 2000000000; it must be at most 12'),
    (SSD, 'model { ssd { feature_extractor { fpn { max_level: 2000000000 } } } }', 'max_level', 'at most 12'),
    (SSD, 'model { ssd { feature_extractor { fpn { min_level: -2 } } } }', 'min_level', 'is -2; it must be at least 2'),
    (SSD, 'model { ssd { feature_extractor { min_depth: 0 depth_multiplier: .01 } } }', 'min_depth', 'with depth_mult'),
    (SSD, 'model { ssd { box_predictor { weight_shared_convolutional_box_predictor { depth: 0 } } } }', 'depth',
     'is 0; it must be at least 1'),
    (FASTER, 'model { faster_rcnn { first_stage_minibatch_size: 0 } }', 'first_stage_minibatch_size', 'is 0; it must'),
    (FASTER, 'model { faster_rcnn { second_stage_balance_fraction: 1.5 } }', 'second_stage_balance_fraction',
     'is 1.5; allowed: 0 to 1'),
    (SSD, 'train_config { batch_size: 4000000000 }', 'batch_size', 'is 4000000000; it must be at most 100,000'),
    (SSD, 'train_config { batch_size: 90000 } model { ssd { image_resizer { fixed_shape_resizer { height: 16000 '
     'width: 16000 } } } }', 'batch_size', 'is 90000: its images of 16000x16000 alone take 276,480 GB'),
    (SSD, 'train_input_reader { max_number_of_boxes: 2000000000 }', 'max_number_of_boxes', 'at most 100,000'),
    (SSD, 'train_config { data_augmentation_options { random_adjust_contrast { min_delta: 2 max_delta: 1 } } }',
     'min_delta', 'is 2, more than max_delta, 1'),
    (SSD, 'train_config { data_augmentation_options { random_adjust_hue { max_delta: 1 } } }', 'max_delta',
     'is 1; it must be at most 0.5'),
    (SSD, 'eval_config { recall_lower_bound: .5 recall_upper_bound: .4 }', 'recall_lower_bound', 'more than recall_up'),
]


@pytest.mark.parametrize(('name', 'changes', 'field', 'words'), COMPARED)
def test_numbers_out_of_range(name, changes, field, words):
    begin = time.monotonic()
    matching = [message for place, message in found(name, changes) if place.rpartition('.')[2] == field]
    assert [words in message for message in matching] == [True]
    assert time.monotonic() - begin < 2


def test_too_many_anchors():
    ratios = ', '.join(['1'] * 1000)
    errors = found(SSD, f'model {{ ssd {{ anchor_generator {{ multiscale_anchor_generator {{ aspect_ratios: [{ratios}] '
                        'scales_per_octave: 100 } } } }')
    assert ('model.ssd.anchor_generator', 'makes 100300 anchors at each location; at most 1000') in errors


def test_lists_that_belong_together():
    grid = 'anchor_grid { base_sizes: [8, 9] aspect_ratios: 1 height_stride: 8 width_stride: 8 }'
    errors = found(SSD, f'model {{ ssd {{ anchor_generator {{ flexible_grid_anchor_generator {{ {grid} }} }} }} }}')
    assert ('model.ssd.anchor_generator.flexible_grid_anchor_generator.anchor_grid[0].aspect_ratios',
            'has 1 values, and base_sizes 2; they must have as many') in errors


def found(name, changes):
    """[(field, message)] of the errors in a config of the reference with changes."""
    return [(finding.field, finding.message) for finding in checks.check(changed(name, changes))
            if finding.severity == 'error']
