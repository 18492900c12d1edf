"""From records with masks or keypoints to metrics and images, with a model whose detections are always the same."""
import io
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw

from object_detection import protos, records
from object_detection.evaluation import evaluator
from object_detection.models import resizers
from object_detection.models.detector import Detector
from object_detection.utils.errors import UserError
from tests.support.phase_runs import evaluated, events

SIZES = (120, 160), (240, 200)  # height and width; both are padded to a square
BOXES = np.array([[.1, .1, .5, .6], [.4, .5, .9, .9]], np.float32)
POINTS = np.array([[[.15, .2], [.3, .5], [.45, .15]], [[.5, .55], [.6, .8], [.85, .7]]], np.float32)
LABEL_MAP = '''item { id: 1 name: "person" keypoints { id: 0 label: "nose" } keypoints { id: 2 label: "foot" } }
    item { id: 2 name: "dog" }'''
CONFIG = '''
model {{ {model} }}
train_config {{}}
train_input_reader {{}}
eval_config {{ {evaluation} num_visualizations: 2 }}
eval_input_reader {{ label_map_path: "{folder}/label_map.pbtxt" {reader}
  tf_record_input_reader {{ input_path: "{folder}/{records}.tfrecords" }} }}
'''
RESIZER = '''num_classes: 2
    image_resizer { keep_aspect_ratio_resizer { min_dimension: 96 max_dimension: 96 pad_to_max_dimension: true } }'''
MASKS = {'model': f'faster_rcnn {{ number_of_stages: 3 {RESIZER} }}',
         'evaluation': '''metrics_set: "coco_mask_metrics" metrics_set: "pascal_voc_instance_segmentation_metrics"
             metrics_set: "weighted_pascal_voc_detection_metrics"'''}
KEYPOINTS = {'model': f'center_net {{ keypoint_estimation_task {{}} {RESIZER} }}', 'reader': 'num_keypoints: 3',
             'records': 'png', 'evaluation': '''metrics_set: "coco_detection_metrics"
                 parameterized_metric { coco_keypoint_metrics { class_label: "person"
                     keypoint_label_to_sigmas { key: "nose" value: 0.1 }
                     keypoint_label_to_sigmas { key: "foot" value: 0.1 } } } keypoint_edge { start: 0 end: 2 }'''}


class Fixed(Detector):
    """Returns `found`, {name: [N, ...]}, for every image."""

    def __init__(self, found):
        super().__init__(num_classes=2, resizer=resizers.KeepAspectRatio(96, 96, pad=True))  # as RESIZER
        self._found = found

    def normalize(self, images, true_image_shapes):
        return images

    def predict(self, inputs, true_image_shapes, training=False):
        return {'inputs': inputs}

    def loss(self, predictions, true_image_shapes, groundtruth):
        return {'Loss/nothing': tf.reduce_sum(predictions['inputs']) * 0.}

    def postprocess(self, predictions, true_image_shapes):
        batch = tf.shape(true_image_shapes)[0]
        found = self._found | {'detection_scores': np.array([.9, .8], np.float32),
                               'detection_classes': np.array([0, 1], np.float32)}
        return {name: tf.tile(value[np.newaxis], [batch] + [1] * np.ndim(value)) for name, value in found.items()} | {
            'num_detections': tf.fill([batch], 2.)}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Records of the same pictures with masks as PNG and as numbers."""
    folder = tmp_path_factory.mktemp('records')
    (folder / 'label_map.pbtxt').write_text(LABEL_MAP)
    with records.Writer(str(folder / 'png.tfrecords')) as png, records.Writer(str(folder / 'numbers.tfrecords')) as raw:
        for number, size in enumerate(SIZES):
            example, masks = _example(number, *size)
            png.write(example.to_bytes())
            message = protos.Example.FromString(example.to_bytes())
            column = message.features.feature['image/object/mask']
            column.Clear()
            column.float_list.value.extend(masks.astype(np.float32).ravel())
            raw.write(message.SerializeToString(deterministic=True))
    return folder


def _example(number, height, width):
    """Return a record with an ellipse in each box, and the masks of the ellipses."""
    picture, masks, pngs = Image.new('RGB', (width, height), '#404858'), [], []
    for box, color in zip(BOXES * [height, width, height, width], ('#c0a080', '#80b0a0')):
        corners = tuple(float(box[i]) for i in (1, 0, 3, 2))
        mask = Image.new('L', picture.size)
        ImageDraw.Draw(mask).ellipse(corners, fill=255)
        ImageDraw.Draw(picture).ellipse(corners, fill=color)
        masks.append(np.asarray(mask) > 0)
        pngs.append(_png(mask))
    name = f'{number}.png'
    return records.Example(
        _png(picture), height, width, format='png', filename=name, source_id=name, boxes=BOXES.tolist(), labels=[1, 2],
        texts=['person', 'dog'], masks=pngs, keypoints=POINTS.tolist(),
        keypoint_visibility=[2, 0, 1, 2, 2, 2]), np.stack(masks)


def _png(picture):
    data = io.BytesIO()
    picture.save(data, 'PNG')
    return data.getvalue()


def values(monkeypatch, folder, model_dir, found, **config):
    saved = SimpleNamespace(prefix='ckpt-1', step=1)
    monkeypatch.setattr(evaluator.checkpoints, 'newest', lambda *_: saved)
    monkeypatch.setattr(evaluator.checkpoints, 'restore_model', lambda *_: 1)
    monkeypatch.setattr(evaluator.build, 'build', lambda _: Fixed(found))
    _, data = evaluated(model_dir, CONFIG.format(folder=folder.as_posix(), **config))
    assert data['pictures'] == 2
    return dict(data['metrics'])


def ellipse(size=33):
    y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    return (1.5 - (y * y + x * x)).clip(0, 1).astype(np.float32)  # .5 on the ellipse


def test_masks_as_png_and_as_numbers(monkeypatch, tmp_path, folder):
    found = {'detection_boxes': BOXES, 'detection_masks': np.stack([ellipse(), ellipse() * 0])}
    both = [values(monkeypatch, folder, tmp_path / kind, found, records=kind,
                   reader=f'load_instance_masks: true mask_type: {name}', **MASKS)
            for kind, name in (('png', 'PNG_MASKS'), ('numbers', 'NUMERICAL_MASKS'))]
    assert both[0] == both[1]
    assert both[0]['DetectionMasks_Precision/mAP@.75IOU'] == pytest.approx(.5)  # of the second class nothing is found
    assert both[0]['PascalMasks_PerformanceByCategory/AP@0.5IOU/person'] == 1.
    assert both[0]['PascalMasks_PerformanceByCategory/AP@0.5IOU/dog'] == 0.
    assert both[0]['WeightedPascalBoxes_Precision/mAP@0.5IOU'] == 1.
    pictures = [pixels(tmp_path / kind, 0) for kind in ('png', 'numbers')]
    np.testing.assert_array_equal(*pictures)
    left, right = pictures[0][:, :480], pictures[0][:, -480:]  # the first picture, three times as large
    assert np.abs(left[120, 120].astype(int) - right[120, 120]).max() < 3  # the person tinted alike on both sides
    assert np.abs(left[240, 336].astype(int) - right[240, 336]).max() > 20  # the dog has a mask on the right only


def test_the_other_kind_of_masks(monkeypatch, tmp_path, folder):
    found = {'detection_boxes': BOXES, 'detection_masks': np.stack([ellipse()] * 2)}
    for kind, name, other in (('png', 'NUMERICAL_MASKS', 'PNG_MASKS'), ('numbers', 'PNG_MASKS', 'NUMERICAL_MASKS')):
        with pytest.raises(UserError, match=f'0.png.*set mask_type: {other} in the input_reader'):
            values(monkeypatch, folder, tmp_path, found, records=kind,
                   reader=f'load_instance_masks: true mask_type: {name}', **MASKS)


# The same part of the height is farther, for the object's size, in the higher second picture: .72 ** 1.6 is .59. So
# both persons are right for 2 of the 10 thresholds, and the first alone, recall one half, for 3.
@pytest.mark.parametrize(('similarity', 'expected'), [(1., 1.), (.72, .2 + .3 * 51 / 101), (.3, 0.)])
def test_keypoints(monkeypatch, tmp_path, folder, similarity, expected):
    points = POINTS.copy()
    points[0, :, 0] += np.sqrt(-np.log(similarity) * 2 * .2 * 160 / 120) * 2 * .1  # exp(-d^2 / (2 area (2 sigma)^2))
    found = {'detection_boxes': BOXES, 'detection_keypoints': points,
             'detection_keypoint_scores': np.ones((2, 3), np.float32)}
    numbers = values(monkeypatch, folder, tmp_path, found, **KEYPOINTS)
    assert numbers['DetectionBoxes_Precision/mAP'] == pytest.approx(1.)
    assert numbers['Keypoints_Precision/mAP ByCategory/person'] == pytest.approx(expected)
    assert 'Keypoints_Precision/mAP ByCategory/dog' not in numbers
    assert events(tmp_path / 'eval')['Keypoints_Recall/AR@10 ByCategory/person', 1][0] == 'scalars'


def pixels(folder, number):
    """Return a side-by-side image as TensorBoard shows it."""
    _, content = events(folder / 'eval')[f'eval_side_by_side_{number}_0', 1]
    return np.asarray(Image.open(io.BytesIO(content[2])))
