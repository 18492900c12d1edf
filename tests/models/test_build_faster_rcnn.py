"""The faster_rcnn section of a config."""
import json

import numpy as np
import pytest
import tensorflow as tf

from object_detection.boxes.samplers import BalancedSampler
from object_detection.config import pipeline as config
from object_detection.layers import core
from object_detection.models import build, losses
from object_detection.utils.errors import UserError
from tests.support import parity

COPIES = parity.HERE / 'configs'
PLAIN = 'zoo_faster_rcnn_resnet50_v1_640x640_coco17_tpu-8'
PYRAMID = 'faster_rcnn_resnet50_v1_fpn_640x640_coco17_tpu-8'
MASKS = 'mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8'
ZOO = (PLAIN, MASKS, 'zoo_faster_rcnn_inception_resnet_v2_640x640_coco17_tpu-8')


def section(name=PLAIN, changes=''):
    """The model section of a config of the zoo, with changes."""
    return config.override(config.read(COPIES / f'{name}.config'), f'model {{ faster_rcnn {{ {changes} }} }}').model


@pytest.mark.parametrize('name', ZOO)
def test_keys_are_those_of_the_released_checkpoint(name):
    path = parity.KIT / 'zoo_keys' / f'{name.removeprefix("zoo_")}.json'
    if not path.exists():
        pytest.skip('the parity kit is not here')
    keys = {key.removesuffix(parity.SUFFIX): shape for key, shape in json.loads(path.read_text()).items()}
    found = parity.variables_by_key(model=build.build(section(name)))
    assert {key: variable.shape.as_list() for key, variable in found.items()} == {
        key: shape for key, shape in keys.items() if key.startswith('model/')}


def test_what_the_config_says_reaches_the_model():
    model = build.build(section(changes='''
        num_classes: 3 initial_crop_size: 9 maxpool_kernel_size: 3 maxpool_stride: 2 first_stage_minibatch_size: 99
        first_stage_positive_balance_fraction: .25 first_stage_nms_iou_threshold: .5 second_stage_batch_size: 7
        second_stage_classification_loss { weighted_sigmoid {} } clip_anchors_to_image: false
        feature_extractor { batch_norm_trainable: false }
        second_stage_post_processing { score_converter: SIGMOID logit_scale: 2
                                       batch_non_max_suppression { change_coordinate_frame: false } }
        second_stage_box_predictor { mask_rcnn_box_predictor { use_dropout: true dropout_keep_probability: .75
                                     fc_hyperparams { batch_norm {} } } }'''))
    assert model._pooling.size == 4 and model._pooling.clamp
    assert model._first_stage.sampler == BalancedSampler(99, .25) and not model._first_stage.clip_anchors
    assert model._first_stage.non_max_suppression.iou_threshold == .5 and model._first_stage.localization_weight == 2.
    assert model._second_stage.sampler == BalancedSampler(7, .25)
    assert model._second_stage.non_max_suppression.change_frame
    assert model._second_stage.classification is losses.sigmoid
    np.testing.assert_allclose(model._second_stage.score_converter(2. * np.log([[3.]])), [[.75]], rtol=1e-6)
    norms = [layer for layer in model._feature_extractor_for_proposal_features.submodules
             if isinstance(layer, core.BatchNorm)]
    assert norms and all(norm.frozen for norm in norms)
    keys = parity.variables_by_key(model=model)
    assert keys['model/_mask_rcnn_box_predictor/_class_prediction_head/_class_predictor_layers/2/kernel'].shape[1] == 4
    assert 'model/_mask_rcnn_box_predictor/_class_prediction_head/_class_predictor_layers/3/beta' in keys
    assert float(tf.add_n(model.regularization_losses())) == 0.  # all weights of regularizers are


def test_hard_example_miner_takes_all_proposals():
    model = build.build(section(changes='hard_example_miner { num_hard_examples: 8 loss_type: CLASSIFICATION }'))
    assert model._second_stage.sampler is None
    assert model._second_stage.hard_example_miner == losses.HardExampleMiner(
        8, np.float32(.7), 1., 0., max_negatives_per_positive=None, min_negatives_per_image=0)


@pytest.mark.parametrize(('name', 'changes', 'message'), [
    (PLAIN, 'num_classes: 0', r'faster_rcnn\.num_classes is 0'),
    (PLAIN, 'number_of_stages: 1', 'number_of_stages is 1; supported: 2'),
    (PLAIN, 'number_of_stages: 3', 'predict_instance_masks is not set; without masks there are 2 stages'),
    (PLAIN, 'second_stage_box_predictor { rfcn_box_predictor {} }', 'holds rfcn_box_predictor; supported: mask_rcnn'),
    (PLAIN, 'first_stage_max_proposals: 32', 'second_stage_batch_size is 64, more than first_stage_max_proposals, 32'),
    (PLAIN, 'initial_crop_size: 1', 'maxpool_kernel_size is 2, more than initial_crop_size, 1'),
    (PLAIN, 'maxpool_stride: 0', 'maxpool_stride is 0; it must be at least 1'),
    (PLAIN, 'feature_extractor { first_stage_features_stride: 8 }', 'features_stride is 8; supported: 16'),
    (PLAIN, 'feature_extractor { type: "faster_rcnn_nas" }', '"faster_rcnn_nas"; supported for faster_rcnn: faster'),
    (PLAIN, 'feature_extractor { fpn {} }', 'does not support fpn_min_level'),
    (PLAIN, 'context_config {} output_final_box_features: true',
     'context_config is not supported: .*\n.*output_final_box_features is not supported: no model'),
    (PLAIN, 'first_stage_anchor_generator { ssd_anchor_generator {} }', 'holds ssd_anchor_generator; use grid_anch'),
    (PLAIN, 'first_stage_anchor_generator { flexible_grid_anchor_generator {} }', 'normalize_coordinates is true'),
    (PLAIN, 'first_stage_nms_iou_threshold: 2', 'first_stage_nms_iou_threshold is 2; allowed: 0 to 1'),
    (PLAIN, 'first_stage_minibatch_size: 0', 'first_stage_minibatch_size is 0; it must be at least 1'),
    (PLAIN, 'second_stage_balance_fraction: 1.5', 'second_stage_balance_fraction is 1.5; allowed: 0 to 1'),
    (PYRAMID, 'first_stage_anchor_generator { multiscale_anchor_generator { normalize_coordinates: true } }',
     'normalize_coordinates is true; it must be false'),
    (PYRAMID, 'feature_extractor { fpn { max_level: 5 } }', '^first_stage_anchor_generator is for 5 feature maps; '
     'feature_extractor has 4; .*multiscale_anchor_generator.*; or change feature_extractor.fpn.min_level or max_l'),
    (PYRAMID, 'first_stage_anchor_generator { grid_anchor_generator {} }',
     'is for 1 feature maps; feature_extractor has 5; make them equal: use multiscale_anchor_generator; or'),
    (PLAIN, 'first_stage_anchor_generator { multiscale_anchor_generator { normalize_coordinates: false } }',
     r'is for 5 feature maps; feature_extractor has 1; .*change multiscale_anchor_generator\.min_level or max_level$'),
])
def test_mistakes(name, changes, message):
    with pytest.raises(UserError, match=message):
        build.build(section(name, changes))
