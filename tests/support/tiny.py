"""A detector of a quarter of MobileNetV2 at 64 pixels and a dozen drawn pictures: trains in seconds."""
import io

import numpy as np
from PIL import Image

from object_detection import records
from object_detection.config import label_map

CONFIG = """
model {{ ssd {{
  num_classes: 2
  image_resizer {{ fixed_shape_resizer {{ height: 64 width: 64 }} }}
  feature_extractor {{
    type: "ssd_mobilenet_v2_fpn_keras" depth_multiplier: 0.25 min_depth: 8 use_depthwise: true
    fpn {{ min_level: 3 max_level: 4 additional_layer_depth: 16 }}
    conv_hyperparams {{
      regularizer {{ l2_regularizer {{ weight: 4e-05 }} }}
      initializer {{ random_normal_initializer {{ stddev: 0.01 }} }}
      activation: RELU_6
      batch_norm {{ decay: 0.9 scale: true epsilon: 0.001 }}
    }}
    override_base_feature_extractor_hyperparams: true
  }}
  box_coder {{ faster_rcnn_box_coder {{ y_scale: 10 x_scale: 10 height_scale: 5 width_scale: 5 }} }}
  matcher {{ argmax_matcher {{ matched_threshold: 0.5 unmatched_threshold: 0.5 force_match_for_each_row: true }} }}
  similarity_calculator {{ iou_similarity {{ }} }}
  box_predictor {{ weight_shared_convolutional_box_predictor {{
    depth: 16 num_layers_before_predictor: 1 class_prediction_bias_init: -2 use_depthwise: true
    conv_hyperparams {{
      regularizer {{ l2_regularizer {{ weight: 4e-05 }} }}
      initializer {{ random_normal_initializer {{ stddev: 0.01 }} }}
      activation: RELU_6
      batch_norm {{ decay: 0.9 scale: true epsilon: 0.001 }}
    }}
  }} }}
  anchor_generator {{ multiscale_anchor_generator {{
    min_level: 3 max_level: 4 anchor_scale: 4 aspect_ratios: 1 scales_per_octave: 1
  }} }}
  post_processing {{
    batch_non_max_suppression {{
      score_threshold: 1e-8 iou_threshold: 0.6 max_detections_per_class: 10 max_total_detections: 10
    }}
    score_converter: SIGMOID
  }}
  normalize_loss_by_num_matches: true
  normalize_loc_loss_by_codesize: true
  encode_background_as_zeros: true
  loss {{
    classification_loss {{ weighted_sigmoid_focal {{ alpha: 0.25 gamma: 2 }} }}
    localization_loss {{ weighted_smooth_l1 {{ }} }}
  }}
}} }}
train_config {{
  batch_size: 4
  num_steps: 40
  data_augmentation_options {{ random_horizontal_flip {{ }} }}
  optimizer {{
    momentum_optimizer {{
      learning_rate {{ cosine_decay_learning_rate {{
        learning_rate_base: 0.05 total_steps: 400 warmup_learning_rate: 0.01 warmup_steps: 10
      }} }}
      momentum_optimizer_value: 0.9
    }}
    use_moving_average: false
  }}
}}
train_input_reader {{
  label_map_path: "{folder}/label_map.pbtxt"
  tf_record_input_reader {{ input_path: "{folder}/train.tfrecords" }}
}}
eval_config {{ metrics_set: "coco_detection_metrics" num_visualizations: 2 }}
eval_input_reader {{
  label_map_path: "{folder}/label_map.pbtxt"
  shuffle: false
  tf_record_input_reader {{ input_path: "{folder}/test.tfrecords" }}
}}
"""


def write(folder, extra=''):
    """Records, label map and pipeline.config in `folder`; returns the path of the config."""
    label_map.write(folder / 'label_map.pbtxt', ['square', 'bar'])
    random = np.random.default_rng(7)
    for name, count in (('train', 13), ('test', 5)):
        with records.Writer(str(folder / f'{name}.tfrecords')) as writer:
            for number in range(count):
                writer.write(example(random, f'{name}{number}.jpg', number % 4).to_bytes())
    path = folder / 'pipeline.config'
    path.write_text(CONFIG.format(folder=folder.as_posix()) + extra)
    return path


def example(random, name, objects, rows=60, columns=80):
    """A picture with light rectangles on dark ground; the first of them without any."""
    picture = np.full((rows, columns, 3), 40, np.uint8) + random.integers(0, 30, (rows, columns, 3), np.uint8)
    boxes, labels = [], []
    for _ in range(objects):
        label = int(random.integers(1, 3))
        height, width = (24, 24) if label == 1 else (12, 40)
        top, left = int(random.integers(0, rows - height)), int(random.integers(0, columns - width))
        picture[top:top + height, left:left + width] = random.integers(150, 255, 3, np.uint8)
        boxes.append((top / rows, left / columns, (top + height) / rows, (left + width) / columns))
        labels.append(label)
    data = io.BytesIO()
    Image.fromarray(picture).save(data, 'JPEG', quality=95)
    return records.Example(data.getvalue(), rows, columns, filename=name, source_id=name, boxes=boxes, labels=labels,
                           texts=[('square', 'bar')[label - 1] for label in labels])
