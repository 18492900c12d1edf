"""The faster_rcnn section of a config."""
import numpy as np
import pytest
import tensorflow as tf

from object_detection import protos
from object_detection.boxes.samplers import BalancedSampler
from object_detection.config import checks, pipeline
from object_detection.layers import core
from object_detection.models import build, losses
from tests.golden import fixture
from tests.support import parity

COPIES = parity.HERE / 'configs'
PLAIN = 'zoo_faster_rcnn_resnet50_v1_640x640_coco17_tpu-8'
MASKS = 'mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8'
ZOO = (PLAIN, MASKS, 'zoo_faster_rcnn_inception_resnet_v2_640x640_coco17_tpu-8')


def section(name=PLAIN, changes=''):
    """The model section of a config of the zoo, with changes."""
    return pipeline.override(pipeline.read(COPIES / f'{name}.config'), f'model {{ faster_rcnn {{ {changes} }} }}').model


@pytest.mark.parametrize('name', ZOO)
def test_keys_are_those_of_the_released_checkpoint(name):
    found = parity.variables_by_key(model=build.build(section(name)))
    assert fixture.digest({key: variable.shape for key, variable in found.items()}) == parity.released(
        name.removeprefix('zoo_'))


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


def test_an_export_builds_with_more_samples_than_proposals():
    """Which training refuses, as in the reference."""
    config = section(changes='first_stage_max_proposals: 32 second_stage_batch_size: 64')
    checks.demand(checks.check_model(protos.TrainEvalPipelineConfig(model=config)))
    assert build.build(config)._first_stage.non_max_suppression.max_total == 32
