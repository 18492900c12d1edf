"""A backbone of a few convolutions, to be put into the registries as a new one would be, and configs that use it."""
import tensorflow as tf

from object_detection.config import pipeline
from object_detection.config.checks import extractors
from object_detection.layers import core, feature_extractors
from object_detection.layers.feature_extractors.base import FeatureExtractor, to_symmetric_range
from object_detection.layers.feature_extractors.faster_rcnn import SplitBackbone
from tests.support import parity, tiny

WIDTHS = (8, 8, 16, 16, 24)  # channels of levels 1 to 5


class Toy(FeatureExtractor):
    """For SSD: levels 3 and 4 as they are."""

    normalize = staticmethod(to_symmetric_range)

    def __init__(self, conv_hyperparams, pad_to_multiple=1, **options):
        super().__init__(pad_to_multiple)
        self.classification_backbone = levels(1, 4)
        self.channels = [WIDTHS[2], WIDTHS[3]]

    def _maps(self, inputs, training):
        return run(self.classification_backbone, inputs)[2:]


class ToySplitBackbone(SplitBackbone):
    """For Faster R-CNN: up to level 4, then level 5."""

    def __init__(self, freeze_batchnorm=True, **options):
        super().__init__(levels(1, 4), levels(5, 5), WIDTHS[3], WIDTHS[4])

    def normalize(self, images):
        return images / 255. - .5

    def feature_maps(self, inputs, training=False):
        return run(self.image_network, inputs)[-1:]

    def region_features(self, regions, training=False):
        return run(self.region_network, regions)[-1]


def register(set_item):
    """Call set_item(registry, 'toy', entry) for each registry of backbones, and of what configs must know of them."""
    set_item(feature_extractors.SSD, 'toy', Toy)
    set_item(feature_extractors.FASTER_RCNN, 'toy', ToySplitBackbone)
    set_item(extractors.TYPES['ssd'], 'toy', extractors.Extractor('fpn', levels=(3, 4)))
    set_item(extractors.TYPES['faster_rcnn'], 'toy', extractors.Extractor())


def train_phase(report, stopping, **arguments):
    """As train.train, for a process of its own: there nothing is registered."""
    from object_detection.training import train
    register(lambda registry, name, entry: registry.update({name: entry}))
    return train.train(report, stopping, **arguments)


def levels(first, last):
    """Return a network with a convolution of stride 2 for each level."""
    channels = (3, *WIDTHS)
    return core.Network([core.Conv2D(channels[level - 1], channels[level], 3, strides=2)
                         for level in range(first, last + 1)])


def run(network, x):
    """Return the feature maps of all levels."""
    maps = []
    for layer in network.first_layers(network.num_layers):
        x = tf.nn.relu(layer(x))
        maps.append(x)
    return maps


def ssd(folder):
    """Write tiny's records; return its config with the toy, as text."""
    text = tiny.write(folder).read_text().replace('"ssd_mobilenet_v2_fpn_keras"', '"toy"')
    return text.replace('fpn { min_level: 3 max_level: 4 additional_layer_depth: 16 }', '')


FASTER_RCNN = '''
model {{ faster_rcnn {{
  num_classes: 2 {resizer} feature_extractor {{ type: "toy" }}
  first_stage_anchor_generator {{ grid_anchor_generator {{ height: 32 width: 32 }} }}
  first_stage_box_predictor_depth: 16 first_stage_max_proposals: 24 second_stage_batch_size: 8
  first_stage_minibatch_size: 16 initial_crop_size: 6
  second_stage_post_processing {{ batch_non_max_suppression {{ max_detections_per_class: 5 max_total_detections: 5 }} }}
}} }}
train_config {{ batch_size: {batch_size} num_steps: 20 data_augmentation_options {{ random_horizontal_flip {{}} }} }}
'''
FIXED = 'image_resizer { fixed_shape_resizer { height: 64 width: 64 } }'
ANY_SIZE = '''image_resizer { keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 96
                                                          pad_to_max_dimension: false } }'''


def faster_rcnn(folder, resizer=FIXED, batch_size=2):
    """Write tiny's records; return a config of the zoo's Faster R-CNN with the toy and tiny's readers, as text."""
    base = pipeline.read(parity.HERE / 'configs' / 'zoo_faster_rcnn_resnet50_v1_640x640_coco17_tpu-8.config')
    base.train_config.ClearField('fine_tune_checkpoint')
    base.train_config.ClearField('data_augmentation_options')
    own = pipeline.read(tiny.write(folder))
    for name in ('train_input_reader', 'eval_input_reader', 'eval_config'):
        base.ClearField(name)
        getattr(base, name).MergeFrom(getattr(own, name))
    changes = FASTER_RCNN.format(resizer=resizer, batch_size=batch_size)
    return pipeline.to_text(pipeline.override(base, changes))
