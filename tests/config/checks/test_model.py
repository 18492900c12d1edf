"""Rules about the model section: field, line and message of what is wrong, found without TensorFlow."""
import subprocess
import sys

import pytest

from object_detection.config import checks, pipeline
from tests.golden import make_center_net as made
from tests.support.findings import GOLDEN, changed, errors

SSD, LITE, EFFICIENTDET = 'ssd_mobilenet_v2', 'ssd_mobilenet_v2_fpnlite', 'efficientdet_d0'
PLAIN = 'configs/zoo_faster_rcnn_resnet50_v1_640x640_coco17_tpu-8'
PYRAMID = 'configs/faster_rcnn_resnet50_v1_fpn_640x640_coco17_tpu-8'
ANCHORS = 'anchor_generator.ssd_anchor_generator'
NMS = 'post_processing.batch_non_max_suppression'
KINDS = 'use one of weighted_sigmoid_focal, weighted_sigmoid, weighted_softmax'


def one(architecture, name, changes, field, words, folder, check=checks.check_model):
    (place, message), = errors(changed(name, f'model {{ {architecture} {{ {changes} }} }}'), check, folder)
    assert place == f'model.{architecture}.{field}'.rstrip('.') and words in message


@pytest.mark.parametrize(('name', 'changes', 'field', 'words'), [
    (SSD, 'num_classes: 0', 'num_classes', 'is 0; it is the number of labels, at least 1'),
    (SSD, 'feature_extractor { type: "ssd_inception_v2" }', 'feature_extractor.type',
     'is "ssd_inception_v2"; supported for ssd: ssd_mobilenet_v1_keras, ssd_mobilenet_v2_keras'),
    (SSD, 'image_resizer { keep_aspect_ratio_resizer {} }', 'image_resizer.keep_aspect_ratio_resizer',
     'makes images of different sizes, and this model takes one size: use fixed_shape_resizer'),
    (SSD, 'image_resizer { identity_resizer {} }', 'image_resizer.identity_resizer', 'use one of fixed_shape_resizer'),
    (SSD, 'image_resizer { pad_to_multiple_resizer {} }', 'image_resizer.pad_to_multiple_resizer',
     'is not supported: use fixed_shape_resizer or keep_aspect_ratio_resizer'),
    (SSD, 'image_resizer {keep_aspect_ratio_resizer { pad_to_max_dimension: true min_dimension: 9 max_dimension: 5 }}',
     'image_resizer.keep_aspect_ratio_resizer.min_dimension', 'is 9, more than max_dimension, 5'),
    (SSD, 'explicit_background_class: true', 'explicit_background_class', 'is not supported: no model of the zoo'),
    (SSD, 'loss { random_example_sampler {} }', 'loss.random_example_sampler', 'is not supported: no model of the zoo'),
    (SSD, 'loss { classification_loss { weighted_dice_classification_loss {} } }',
     'loss.classification_loss.weighted_dice_classification_loss', 'is not supported: no model of the zoo uses it'),
    (SSD, 'loss { classification_loss { penalty_reduced_logistic_focal_loss {} } }',
     'loss.classification_loss.penalty_reduced_logistic_focal_loss', f'is not supported in Ssd; {KINDS}'),
    (SSD, 'loss { localization_loss { l1_localization_loss {} } }', 'loss.localization_loss.l1_localization_loss',
     'is not supported in Ssd; use one of weighted_smooth_l1, weighted_l2'),
    (SSD, 'matcher { bipartite_matcher {} }', 'matcher.bipartite_matcher', 'is not supported: .*use argmax_matcher'),
    (SSD, 'box_coder { keypoint_box_coder {} }', 'box_coder.keypoint_box_coder', 'is not supported: a box has four'),
    (SSD, 'similarity_calculator { thresholded_iou_similarity {} }', 'similarity_calculator.thresholded_iou_similarity',
     'is not supported: no model of the zoo uses it; use iou_similarity'),
    (SSD, 'box_predictor { rfcn_box_predictor {} }', 'box_predictor.rfcn_box_predictor', 'is not supported'),
    (SSD, 'box_predictor { mask_rcnn_box_predictor {} }', 'box_predictor.mask_rcnn_box_predictor',
     'use one of convolutional_box_predictor, weight_shared_convolutional_box_predictor'),
    (SSD, 'box_predictor { weight_shared_convolutional_box_predictor {} }',
     'box_predictor.weight_shared_convolutional_box_predictor', 'anchor_generator gives [3, 6, 6, 6, 6, 6]'),
    (SSD, 'post_processing { batch_non_max_suppression { iou_threshold: 2 } }', f'{NMS}.iou_threshold',
     'is 2; allowed: 0 to 1'),
    (SSD, 'post_processing { batch_non_max_suppression { max_detections_per_class: 200 } }',
     f'{NMS}.max_detections_per_class', 'is 200, more than max_total_detections, 100'),
    (SSD, 'post_processing { batch_non_max_suppression { soft_nms_sigma: 1 use_hard_nms: true } }',
     f'{NMS}.soft_nms_sigma', 'is 1; allowed: at least 0, and 0 with use_hard_nms'),
    (SSD, 'post_processing { batch_non_max_suppression { use_class_agnostic_nms: true max_classes_per_detection: 2 } }',
     f'{NMS}.max_classes_per_detection', 'is 2; allowed: 1'),
    (SSD, 'post_processing { logit_scale: 0 }', 'post_processing.logit_scale', 'is 0; it must be above 0'),
    (SSD, 'anchor_generator { ssd_anchor_generator { min_scale: 0 } }', f'{ANCHORS}.min_scale', 'it must be above 0'),
    (SSD, 'box_predictor { convolutional_box_predictor { kernel_size: -1 } }',
     'box_predictor.convolutional_box_predictor.kernel_size', 'is -1; it must be at least 1'),
    (SSD, 'post_processing { batch_non_max_suppression { use_combined_nms: true } }', f'{NMS}.use_combined_nms',
     'is not supported'),
    (SSD, 'feature_extractor { fpn {} }', 'feature_extractor.fpn',
     'does not belong to type "ssd_mobilenet_v2_keras"; remove it'),
    (LITE, 'feature_extractor { bifpn { num_iterations: 1 num_filters: 8 } }', 'feature_extractor.bifpn',
     'does not belong to type "ssd_mobilenet_v2_fpn_keras"; remove it; fpn gives its feature maps'),
    (LITE, 'feature_extractor { num_layers: 4 }', 'feature_extractor.num_layers',
     'does not belong to type "ssd_mobilenet_v2_fpn_keras"; remove it; fpn gives its feature maps'),
    ('configs/ssd_resnet50_v1_fpn_640x640_coco17_tpu-8', 'feature_extractor { use_depthwise: true }',
     'feature_extractor.use_depthwise', 'does not belong to type "ssd_resnet50_v1_fpn_keras"; remove it'),
    (EFFICIENTDET, 'feature_extractor { depth_multiplier: .5 }', 'feature_extractor.depth_multiplier', 'remove it'),
    (EFFICIENTDET, 'feature_extractor { bifpn { combine_method: "max" } }', 'feature_extractor.bifpn.combine_method',
     "is 'max'; use one of fast_attention, attention, weighted_sum, sum"),
    (SSD, 'feature_extractor { conv_hyperparams { group_norm {} } }', 'feature_extractor.conv_hyperparams.group_norm',
     'is not supported: no model of the zoo uses it; use batch_norm or sync_batch_norm'),
    (SSD, 'feature_extractor { conv_hyperparams { initializer { keras_initializer_by_name: "kaiming" } } }',
     'feature_extractor.conv_hyperparams.initializer.keras_initializer_by_name',
     "is 'kaiming'; use one of zeros, ones, glorot_normal, glorot_uniform, he_normal"),
    (LITE, 'image_resizer { fixed_shape_resizer { height: 200 width: 160 } } feature_extractor { pad_to_multiple: 1 }',
     'image_resizer', 'makes images of 200x160, which do not fit the feature pyramid; choose multiples of 32, or set '
     'feature_extractor.pad_to_multiple: 32'),
    (SSD, f'{ANCHORS.replace(".", " { ")} {{ num_layers: 5 }} }}', ANCHORS,
     'is for 5 feature maps; feature_extractor has 6; make them equal: change its num_layers, or the number of its '
     'scales if it has any; or change feature_extractor.num_layers'),
    (SSD, 'feature_extractor { num_layers: 4 }', ANCHORS, 'is for 6 feature maps; feature_extractor has 4'),
    (SSD, 'anchor_generator { ssd_anchor_generator { scales: [.2, .5, .9] } }', ANCHORS, 'is for 3 feature maps; '),
    (LITE, 'feature_extractor { fpn { max_level: 6 } }', 'anchor_generator.multiscale_anchor_generator',
     'is for 5 feature maps; feature_extractor has 4; make them equal: change its min_level or max_level; or change '
     'feature_extractor.fpn.min_level or max_level'),
    (EFFICIENTDET, 'anchor_generator { multiscale_anchor_generator { min_level: 2 } }',
     'anchor_generator.multiscale_anchor_generator', 'is for 6 feature maps; feature_extractor has 5; make them equal: '
     'change its min_level or max_level; or change feature_extractor.bifpn.min_level or max_level'),
    (LITE, 'anchor_generator { flexible_grid_anchor_generator { anchor_grid { base_sizes: 8 aspect_ratios: 1 '
     'height_stride: 8 width_stride: 8 } } }',
     'anchor_generator.flexible_grid_anchor_generator', 'give it one anchor_grid for each'),
])
def test_ssd(name, changes, field, words, tmp_path):
    one('ssd', name, changes, field, words.partition('.*')[0], tmp_path)


@pytest.mark.parametrize(('name', 'changes', 'field', 'words'), [
    (PLAIN, 'num_classes: 0', 'num_classes', 'is 0'),
    (PLAIN, 'number_of_stages: 1', 'number_of_stages', 'is 1; supported: 2'),
    (PLAIN, 'number_of_stages: 3', 'number_of_stages', 'predict_instance_masks is not set; without masks there are 2'),
    (PLAIN, 'second_stage_box_predictor { rfcn_box_predictor {} }', 'second_stage_box_predictor.rfcn_box_predictor',
     'is not supported: no model of the zoo uses it; use mask_rcnn_box_predictor'),
    (PLAIN, 'second_stage_classification_loss { penalty_reduced_logistic_focal_loss {} }',
     'second_stage_classification_loss.penalty_reduced_logistic_focal_loss', KINDS),
    (PLAIN, 'initial_crop_size: 1', 'maxpool_kernel_size', 'is 2, more than initial_crop_size, 1'),
    (PLAIN, 'first_stage_box_predictor_depth: 0', 'first_stage_box_predictor_depth', 'is 0; it must be at least 1'),
    (PLAIN, 'maxpool_stride: 0', 'maxpool_stride', 'is 0; it must be at least 1'),
    (PLAIN, 'feature_extractor { first_stage_features_stride: 8 }', 'feature_extractor.first_stage_features_stride',
     'is 8; supported: 16'),
    (PLAIN, 'feature_extractor { type: "faster_rcnn_nas" }', 'feature_extractor.type',
     'is "faster_rcnn_nas"; supported for faster_rcnn: faster_rcnn_resnet50_keras'),
    (PLAIN, 'feature_extractor { fpn {} }', 'feature_extractor.fpn',
     'does not belong to type "faster_rcnn_resnet50_keras"; remove it'),
    (PLAIN, 'context_config {}', 'context_config', 'is not supported: models see one picture'),
    (PLAIN, 'output_final_box_features: true', 'output_final_box_features', 'is not supported: no model'),
    (PLAIN, 'first_stage_anchor_generator { ssd_anchor_generator {} }',
     'first_stage_anchor_generator.ssd_anchor_generator', 'use one of grid_anchor_generator, multiscale_anchor_gen'),
    (PLAIN, 'first_stage_anchor_generator { flexible_grid_anchor_generator { anchor_grid { base_sizes: 8 '
     'aspect_ratios: 1 height_stride: 8 width_stride: 8 } } }',
     'first_stage_anchor_generator.flexible_grid_anchor_generator.normalize_coordinates',
     'is true; it must be false: proposals are in pixels'),
    (PLAIN, 'first_stage_nms_iou_threshold: 2', 'first_stage_nms_iou_threshold', 'is 2; allowed: 0 to 1'),
    (PYRAMID, 'first_stage_anchor_generator { multiscale_anchor_generator { normalize_coordinates: true } }',
     'first_stage_anchor_generator.multiscale_anchor_generator.normalize_coordinates', 'is true; it must be false'),
    (PYRAMID, 'feature_extractor { fpn { max_level: 5 } }', 'first_stage_anchor_generator.multiscale_anchor_generator',
     'is for 5 feature maps; feature_extractor has 4; make them equal: change its min_level or max_level; or change '
     'feature_extractor.fpn.min_level or max_level'),
    (PYRAMID, 'first_stage_anchor_generator { grid_anchor_generator {} }',
     'first_stage_anchor_generator.grid_anchor_generator', 'is for 1 feature maps; feature_extractor has 5; make them '
     'equal: use multiscale_anchor_generator; or change feature_extractor.fpn'),
    (PLAIN, 'first_stage_anchor_generator { multiscale_anchor_generator { normalize_coordinates: false } }',
     'first_stage_anchor_generator.multiscale_anchor_generator',
     'is for 5 feature maps; feature_extractor has 1; make them equal: change its min_level or max_level'),
])
def test_faster_rcnn(name, changes, field, words, tmp_path):
    one('faster_rcnn', name, changes, field, words, tmp_path)


def test_anchors_may_differ_in_number_between_the_maps_of_a_faster_rcnn(tmp_path):
    grids = ' '.join(f'anchor_grid {{ base_sizes: {[8.] * n} aspect_ratios: {[1.] * n} height_stride: 8 '
                     'width_stride: 8 }' for n in range(1, 6))
    config = changed(PYRAMID, f'''model {{ faster_rcnn {{ first_stage_anchor_generator {{
        flexible_grid_anchor_generator {{ {grids} normalize_coordinates: false }} }} }} }}''')
    assert errors(config, checks.check_model, tmp_path) == []


def test_a_pyramid_needs_hyperparams(tmp_path):
    config = changed(PYRAMID, '')
    config.model.faster_rcnn.feature_extractor.ClearField('conv_hyperparams')
    assert errors(config, checks.check_model, tmp_path) == [
        ('model.faster_rcnn.feature_extractor.conv_hyperparams', 'is missing; a feature pyramid needs it')]


@pytest.mark.parametrize(('architecture', 'name', 'changes', 'field', 'words'), [
    ('faster_rcnn', PLAIN, 'first_stage_max_proposals: 32', 'second_stage_batch_size',
     'is 64, more than first_stage_max_proposals, 32'),
    ('ssd', SSD, 'matcher { argmax_matcher { unmatched_threshold: .7 } }', 'matcher.argmax_matcher.unmatched_threshold',
     'is 0.7, more than matched_threshold, 0.5'),
    ('ssd', SSD, 'loss { hard_example_miner {} }', 'loss.hard_example_miner', 'does not go with weighted_sigm'),
])
def test_what_only_training_needs(architecture, name, changes, field, words, tmp_path):
    def check(config):
        return [finding for finding in checks.check_training(config) if finding.field.startswith('model.')]

    one(architecture, name, changes, field, words, tmp_path, check)
    assert errors(changed(name, f'model {{ {architecture} {{ {changes} }} }}'), checks.check_model, tmp_path) == []


BOXES = made.CENTER % '' + made.BOXES
POSE = made.TASK % ('pose', 'person', '')
TASK = 'keypoint_estimation_task'


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / 'labels.pbtxt'
    path.write_text(made.LABELS)
    return path


def center_net(kind, tasks, labels):
    return pipeline.parse(f'model {{ {made.model_text(kind, 2, tasks, labels)} }}')


@pytest.mark.parametrize(('kind', 'tasks', 'field', 'says'), [
    ('hourglass_11', BOXES, 'feature_extractor.type',
     'is "hourglass_11"; did you mean hourglass_10? supported for center_net: hourglass_10'),
    ('hourglass_10 depth_multiplier: 0.5', BOXES, 'feature_extractor.depth_multiplier',
     'does not belong to type "hourglass_10"; remove it'),
    ('mobilenet_v2 upsampling_interpolation: "bilinear"', BOXES, 'feature_extractor.upsampling_interpolation',
     'does not belong to type "mobilenet_v2"'),
    ('mobilenet_v2_fpn upsampling_interpolation: "cubic"', BOXES, 'feature_extractor.upsampling_interpolation',
     "is 'cubic'; use one of nearest, bilinear"),
    ('hourglass_10', made.CENTER % '', '', 'has neither object_detection_task nor keypoint_estimation_task'),
    ('hourglass_10', BOXES + 'mask_estimation_task {}', 'mask_estimation_task', 'is not supported'),
    ('hourglass_10', made.BOXES, 'object_center_params.classification_loss',
     'no kind is set; choose penalty_reduced_logistic_focal_loss'),
    ('hourglass_10', BOXES.replace('l1_localization_loss', 'weighted_giou'),
     'object_detection_task.localization_loss.weighted_giou', 'use one of l1_localization_loss, weighted_smooth_l1'),
    ('hourglass_10', made.CENTER % 'center_head_params { num_filters: 8 }' + made.BOXES,
     'object_center_params.center_head_params', 'has 1 num_filters and 0 kernel_sizes; there must be one of each'),
    ('hourglass_10', BOXES + made.TASK % ('pose', 'cat', ''), f'{TASK}[0].keypoint_class_name', 'is "cat"; classes'),
    ('hourglass_10', BOXES + made.TASK % ('pose', 'cat', ''), f'{TASK}[0].keypoint_class_name', ': person, dog'),
    ('hourglass_10', BOXES + made.TASK % ('pose', 'person', 'keypoint_label_to_std { key: "ear" value: 1 }'),
     f'{TASK}[0].keypoint_label_to_std', 'has ear, which class person'),
    ('hourglass_10', BOXES + made.TASK % ('pose', 'person', 'candidate_ranking_mode: "best"'),
     f'{TASK}[0].candidate_ranking_mode', "is 'best'; use one of min_distance"),
    ('hourglass_10', made.CENTER % '' + made.TASK % ('pose', 'person', 'candidate_ranking_mode: "gaussian_weighted"'),
     f'{TASK}[0].candidate_ranking_mode', 'needs boxes: add object_detection_task'),
    ('hourglass_10', BOXES + made.TASK.replace('l1_localization_loss', 'weighted_iou') % ('pose', 'person', ''),
     f'{TASK}[0].loss.localization_loss.weighted_iou', 'use one of l1_localization_loss'),
])
def test_center_net(kind, tasks, field, says, labels, tmp_path):
    (place, message), = errors(center_net(kind, tasks, labels), checks.check_model, tmp_path)
    assert place == f'model.center_net.{field}'.rstrip('.') and says in message


def test_keypoint_tasks_do_not_share(labels, tmp_path):
    found = errors(center_net('hourglass_10', BOXES + POSE + POSE, labels), checks.check_model, tmp_path)
    assert found == [(f'model.center_net.{TASK}', f'more than one has {words}') for words in (
        'task_name pose', 'keypoint_class_name person', 'keypoint 0, 1, 2')]


def test_a_keypoint_task_needs_a_label_map(tmp_path):
    field = 'model.center_net.keypoint_label_map_path'
    (place, message), = errors(center_net('hourglass_10', BOXES + POSE, ''), checks.check_model, tmp_path)
    assert place == field and 'is not set; it must name a label map whose class "person" has keypoints {' in message
    (place, message), = errors(center_net('hourglass_10', BOXES + POSE, 'lost.pbtxt'), checks.check_model, tmp_path)
    assert place == field and 'lost.pbtxt: does not exist' in message


def test_image_size_of_a_center_net(labels, tmp_path):
    config = center_net('resnet_v2_50', BOXES, labels)
    config.model.center_net.image_resizer.fixed_shape_resizer.height = 100
    assert errors(config, checks.check_model, tmp_path) == [
        ('model.center_net.image_resizer', 'makes images of 100x128; for "resnet_v2_50" height and width must be '
         'multiples of 32')]


@pytest.mark.parametrize(('text', 'field', 'words'), [
    ('', 'model', 'no kind is set; choose one of faster_rcnn, ssd, center_net'),
    ('model { experimental_model {} }', 'model.experimental_model', 'is not supported: no model of the zoo uses it'),
])
def test_no_architecture(text, field, words):
    finding, = checks.check_model(pipeline.parse(text))
    assert (finding.severity, finding.field) == ('error', field) and words in finding.message


def test_everything_is_found_without_tensorflow():
    code = f"""
import sys
from object_detection.config import checks, pipeline
path = {str(GOLDEN / 'ssd_mobilenet_v2.config')!r}
config = pipeline.override(pipeline.read(path), 'model {{ ssd {{ feature_extractor {{ type: "ssd_mobilnet_v2" }} }} }}')
errors = [str(finding) for finding in checks.check(config, path) if finding.severity == 'error']
print(errors[0], 'tensorflow' in sys.modules)
"""
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    number = (GOLDEN / 'ssd_mobilenet_v2.config').read_text().split("type: 'ssd_")[0].count('\n') + 1
    assert said.startswith(f'{GOLDEN}/ssd_mobilenet_v2.config:{number}: model.ssd.feature_extractor.type: is '
                           '"ssd_mobilnet_v2"; did you mean ssd_mobilenet_v2_keras? ')
    assert said.endswith('False\n')


def test_keypoints_of_coco_are_taken_with_a_note():
    config = center_net('hourglass_10', BOXES + made.TASK % ('pose', '/m/01g317', ''), 'PATH_TO_BE_CONFIGURED')
    note, = (found for found in checks.check_model(config) if found.field.endswith('keypoint_label_map_path'))
    assert note.severity == 'hint' and 'PATH_TO_BE_CONFIGURED; the keypoints of COCO are taken: nose, ' in note.message
