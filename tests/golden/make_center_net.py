"""Writes center_net.json: what the reference makes of CenterNet configs, for tests/models/test_center_net*.py.

    python tests/golden/make_center_net.py          # in the reference environment (benchmarks/README.md)

types: for each feature extractor the number and SHA-256 of its checkpoint keys and shapes. networks: for some of them
every 61st logit of object_center for a picture, with the weights of fixture.py. modes: for each setting of the tasks
the losses and detections of drawn maps (`maps`, `groundtruth` below).
"""
import json
import tempfile
from pathlib import Path

import numpy as np

try:
    from tests.golden import fixture
except ImportError:  # run as a script, where object_detection is the reference's
    import fixture

SUFFIX = '/.ATTRIBUTES/VARIABLE_VALUE'
STRIDE, SIZE = 4, (16, 12)
SHAPES = ((64, 48, 3), (40, 48, 3))
LABELS = '''item { name: "person" id: 1 keypoints { id: 0 label: "nose" } keypoints { id: 1 label: "left" }
                   keypoints { id: 2 label: "right" } }
            item { name: "dog" id: 2 keypoints { id: 3 label: "snout" } keypoints { id: 4 label: "tail" } }'''
TYPES = ('hourglass_10', 'hourglass_20', 'hourglass_32', 'hourglass_52', 'hourglass_104', 'resnet_v2_50',
         'resnet_v2_101', 'resnet_v1_18_fpn', 'resnet_v1_34_fpn', 'resnet_v1_50_fpn', 'resnet_v1_101_fpn',
         'mobilenet_v2', 'mobilenet_v2_fpn', 'mobilenet_v2_fpn use_separable_conv: true',
         'mobilenet_v2_fpn depth_multiplier: 0.5')
NETWORKS = ('hourglass_20 channel_means: [104, 114, 119] channel_stds: [73, 69, 70] bgr_ordering: true', 'mobilenet_v2',
            'mobilenet_v2_fpn depth_multiplier: 0.5 upsampling_interpolation: "bilinear"', 'resnet_v1_18_fpn')
BOXES = 'object_detection_task { scale_loss_weight: 0.2 localization_loss { l1_localization_loss {} } }'
CENTER = '''object_center_params { object_center_loss_weight: 0.5 max_box_predictions: 6 %s classification_loss {
            penalty_reduced_logistic_focal_loss { alpha: 2 beta: 4 } } }'''
TASK = '''keypoint_estimation_task { task_name: "%s" keypoint_class_name: "%s" num_candidates_per_keypoint: 5
          loss { localization_loss { l1_localization_loss {} } classification_loss {
                 penalty_reduced_logistic_focal_loss { alpha: 2 beta: 4 } } } %s }'''
MODES = {
    'boxes': (3, CENTER % '' + BOXES),
    'single_class': (1, CENTER % '' + BOXES + TASK % ('pose', 'person', 'per_keypoint_offset: true '
                                                     'offset_peak_radius: 2 unmatched_keypoint_score: 0.05')),
    'two_tasks': (2, CENTER % 'peak_max_pool_kernel_size: 5' + BOXES + TASK % (
        'pose', 'person', 'clip_out_of_frame_keypoints: true per_keypoint_offset: true offset_peak_radius: 1 '
        'candidate_ranking_mode: "score_distance_ratio" task_loss_weight: 2') + TASK % (
        'dog_pose', 'dog', 'clip_out_of_frame_keypoints: true keypoint_label_to_std { key: "tail" value: 0.5 } '
        'keypoint_regression_loss_weight: 0.1 candidate_search_scale: 0.6')),
    'scaled_ratio': (2, CENTER % '' + BOXES + TASK % (
        'pose', 'person', 'candidate_ranking_mode: "score_scaled_distance_ratio" score_distance_multiplier: 0.3 '
        'rescore_instances: true rescoring_threshold: 0.3 box_scale: 2 offset_peak_radius: 1')),
    'gaussian': (1, CENTER % '' + BOXES + TASK % (
        'pose', 'person', 'candidate_ranking_mode: "gaussian_weighted" std_dev_multiplier: 3 '
        'keypoint_label_to_std { key: "left" value: 2 } keypoint_candidate_score_threshold: 0.05')),
    'without_boxes': (1, CENTER % '' + TASK % ('pose', 'person', 'per_keypoint_offset: true')),
}


def model_text(kind, num_classes, tasks, label_map=''):
    """A model section; kind: a type, perhaps with further fields of feature_extractor."""
    name, _, rest = kind.partition(' ')
    return f'''center_net {{ num_classes: {num_classes} feature_extractor {{ type: "{name}" {rest} }}
               image_resizer {{ fixed_shape_resizer {{ height: 128 width: 128 }} }}
               keypoint_label_map_path: "{label_map}" {tasks} }}'''


def maps(shapes):
    """{name: float32 array} for {name: shape}: the predictions of one output. Heatmaps have few high peaks."""
    values = {}
    for name, shape in shapes.items():
        r = fixture.rng(name)
        drawn = r.standard_normal(shape)
        if name.endswith(('object_center', 'heatmap')):
            drawn = 2.5 * drawn - 2.
        elif name.endswith('scale'):
            drawn = 5. + 2. * drawn
        elif name.endswith('regression'):
            drawn = 3. * drawn
        values[name] = drawn.astype(np.float32)
    return values


def groundtruth(num_classes):
    """boxes [2, 4, 4], classes [2, 4], weights [2, 4], keypoints [2, 4, 5, 2]; some unlabelled, some padding."""
    r = fixture.rng('center_net')
    boxes, classes = (np.stack(v) for v in fixture.groundtruth('center_net', 2, 4, num_classes))
    keypoints = np.stack(fixture.keypoints(list(boxes), 5))
    keypoints[r.random((2, 4, 5)) < .3] = np.nan
    weights = np.array([[1., .5, 1., 1.], [1., 1., 0., 0.]], np.float32)
    boxes[1, 2:] = 0.
    return boxes, classes, weights, keypoints


def picture():
    return fixture.images('test', 1, 120, 160).astype(np.float32)


def main():
    import reference_shim  # noqa: F401  (of the parity kit, on PYTHONPATH)
    import tensorflow as tf
    from google.protobuf import text_format
    from keras.applications import resnet
    from keras.src.applications import resnet as whole_resnet
    resnet.ResNet = whole_resnet.ResNet  # resnet_v1_18 and _34 look for it
    from object_detection.builders import model_builder
    from object_detection.protos import model_pb2

    scratch = Path(tempfile.mkdtemp())
    (scratch / 'labels.pbtxt').write_text(LABELS)

    def build(*arguments):
        message = text_format.Parse(model_text(*arguments, scratch / 'labels.pbtxt'), model_pb2.DetectionModel())
        return model_builder.build(message, is_training=False)

    def run(num_classes, tasks):
        model = build('hourglass_10', num_classes, tasks)
        inputs = tf.zeros([2, SIZE[0] * STRIDE, SIZE[1] * STRIDE, 3])
        shapes = {name: (2, *SIZE, int(head[0].layers[-1].filters)) for name, head in
                  model._prediction_head_dict.items()}
        predictions = {name: [tf.constant(value)] for name, value in maps(shapes).items()}
        predictions['preprocessed_inputs'] = inputs
        boxes, classes, weights, keypoints = groundtruth(num_classes)
        model.provide_groundtruth(
            groundtruth_boxes_list=list(tf.constant(boxes)), groundtruth_weights_list=list(tf.constant(weights)),
            groundtruth_classes_list=list(tf.one_hot(classes, num_classes)),
            groundtruth_keypoints_list=list(tf.constant(keypoints)))
        losses = model.loss(predictions, tf.constant(SHAPES))
        detections = model.postprocess(predictions, tf.constant(SHAPES))
        return {'num_classes': num_classes, 'tasks': tasks, 'shapes': shapes,
                'losses': {name: float(value) for name, value in losses.items()},
                'detections': {name: np.asarray(value, np.float64).round(5).tolist()
                               for name, value in detections.items()}}

    def checkpoint(model):
        """{key: value} of the variables."""
        reader = tf.train.load_checkpoint(tf.train.Checkpoint(model=model).save(str(scratch / 'ckpt')))
        return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()
                if key.endswith(SUFFIX) and not key.startswith('save_counter')}

    def keys(kind):
        model = build(kind, 3, CENTER % '' + BOXES)
        model.predict(*model.preprocess(tf.constant(picture())))
        return fixture.digest({key.removesuffix(SUFFIX): value.shape for key, value in checkpoint(model).items()})

    def logits(kind):
        model = build(kind, 3, CENTER % '' + BOXES)
        inputs = model.preprocess(tf.constant(picture()))
        model.predict(*inputs)
        variables = list({id(v): v for v in model.variables}.values())
        for number, variable in enumerate(variables):  # numbered, to see under which key each is saved
            variable.assign(tf.fill(variable.shape, float(number)))
        for key, value in checkpoint(model).items():
            variables[int(value.flat[0])].assign(fixture.weight(key, value.shape))
        values = model.predict(*inputs)['object_center'][-1].numpy().ravel()[::61]
        return [float(f'{value:.6g}') for value in values]

    golden = {'modes': {name: run(*mode) for name, mode in MODES.items()},
              'types': {kind: keys(kind) for kind in TYPES}, 'networks': {kind: logits(kind) for kind in NETWORKS}}
    Path(__file__).with_name('center_net.json').write_text(json.dumps(golden) + '\n')


if __name__ == '__main__':
    main()
