"""The four calls of a CenterNet."""
import tensorflow as tf

from object_detection.layers.heads.center_net import PixelHead
from object_detection.models.center_net import decoding, keypoints, losses
from object_detection.models.center_net.tasks import CENTER, OFFSET, SCALE, Tasks
from object_detection.utils.errors import UserError


class CenterNet(tf.Module):
    """preprocess, predict, postprocess, loss.

    Args:
        resizer: from models/resizers.py.
        feature_extractor: has normalize(images), feature_maps(inputs, training), channels, stride,
            classification_backbone.
        tasks: Tasks.
        use_depthwise: separable convolutions in the heads.
    """

    def __init__(self, num_classes, resizer, feature_extractor, tasks: Tasks, use_depthwise=False):
        super().__init__()
        self.num_classes, self.resizer, self._tasks = num_classes, resizer, tasks
        self._feature_extractor = feature_extractor
        self._prediction_head_dict = {
            name: [PixelHead(channels, count, head.filters, head.kernel_sizes, bias, use_depthwise)
                   for channels in feature_extractor.channels]
            for name, (count, head, bias) in tasks.heads(num_classes).items()}

    def preprocess(self, images):
        """Float images [B, H, W, 3], 0..255, of one size -> network inputs [B, h, w, 3] and the size (height, width, 3)
        of the picture in each, int32 [B, 3]."""
        images, true_image_shapes = self.resizer.batch(images)
        return self.normalize(images, true_image_shapes), true_image_shapes

    def normalize(self, images, true_image_shapes):
        """Resized and padded images [B, h, w, 3], 0..255 -> network inputs. The padding is normalised too, as in the
        reference."""
        del true_image_shapes
        return self._feature_extractor.normalize(images)

    def predict(self, inputs, true_image_shapes, training=False, groundtruth=None):
        """What the network says of inputs [B, h, w, 3], in the names of the reference.

        Returns:
            preprocessed_inputs: the inputs.
            extracted_features and all others: list of [B, h / stride, w / stride, channels], one for each output of the
            feature extractor, the last of which makes the detections:
            object_center: logits [..., num_classes]; box/scale and box/offset: [..., 2], cells.
            TASK/keypoint/heatmap: logits [..., K]; TASK/keypoint/regression and .../offset: [..., 2K] (offset: or 2),
            cells.
        """
        del true_image_shapes, groundtruth  # two-stage detectors need them
        maps = self._feature_extractor.feature_maps(inputs, training)
        heads = {name: [head(x) for head, x in zip(heads, maps)] for name, heads in self._prediction_head_dict.items()}
        return {**heads, 'extracted_features': maps, 'preprocessed_inputs': inputs}

    def postprocess(self, predictions, true_image_shapes):
        """Detections of a batch, best first.

        Returns:
            detection_boxes: float32 [B, D, 4], fractions of the picture without its padding. Without a box task, the
                boxes around the keypoints.
            detection_boxes_strided: the same in cells (with a box task).
            detection_scores, detection_classes: float32 [B, D]; classes count from 0.
            num_detections: float32 [B], scores above 0.
            detection_multiclass_scores: float32 [B, D, C], of the center's pixel.
            detection_keypoints: float32 [B, D, K, 2], fractions, and detection_keypoint_scores [B, D, K] of all
                keypoint tasks together; 0 for objects of other classes.
        """
        center, boxes = self._tasks.center, None
        scores = tf.sigmoid(predictions[CENTER][-1])
        scores *= decoding.inside_image(true_image_shapes, _size(scores))
        found = decoding.best_peaks(scores, center.max_detections, center.peak_kernel)
        image_size = decoding.image_size(true_image_shapes, self._feature_extractor.stride)
        detections = {'detection_scores': found.scores, 'detection_classes': tf.cast(found.channels, tf.float32),
                      'num_detections': tf.reduce_sum(tf.cast(found.scores > 0., tf.float32), -1),
                      'detection_multiclass_scores': losses.at_pixels(scores, found.pixels)}
        if self._tasks.boxes:
            boxes = decoding.boxes_at(found.pixels, predictions[SCALE][-1], predictions[OFFSET][-1])
            normalized = boxes / tf.tile(image_size, [1, 2])[:, tf.newaxis]
            detections |= {'detection_boxes': tf.clip_by_value(normalized, 0., 1.), 'detection_boxes_strided': boxes}
        if self._tasks.keypoints:
            detections |= self._keypoints(predictions, found, boxes, image_size)
        return detections

    def _keypoints(self, predictions, found, boxes, image_size):
        """Those of `detections` that keypoints determine."""
        tasks, parts, order = self._tasks.keypoints, [], []
        for task in tasks:
            places, scores = keypoints.decode(predictions, task, found.pixels, boxes)
            if self.num_classes > 1:
                own = tf.logical_and(tf.equal(found.channels, task.class_id), found.scores > 0.)[..., tf.newaxis]
                places, scores = tf.where(own[..., tf.newaxis], places, 0.), tf.where(own, scores, 0.)
            parts.append(tf.concat([places, scores[..., tf.newaxis]], -1))
            order += task.indices
        # to their places in the groundtruth's order; a place that no task has takes the zeros put behind
        joined = tf.pad(tf.concat(parts, 2), [[0, 0], [0, 0], [0, 1], [0, 0]])
        joined = tf.gather(joined, [order.index(place) if place in order else len(order)
                                    for place in range(max(order) + 1)], axis=2)
        places, scores = keypoints.normalize(joined[..., :2], joined[..., 2], image_size, all(t.clip for t in tasks))
        detections = {'detection_keypoints': places, 'detection_keypoint_scores': scores}
        if boxes is None:
            detections['detection_boxes'] = tf.concat([tf.reduce_min(places, 2), tf.reduce_max(places, 2)], -1)
        rescored = found.scores
        for task in tasks:
            if task.rescore:
                rescored = keypoints.rescore(rescored, found.channels, scores, task)
        return detections | {'detection_scores': rescored}

    def loss(self, predictions, true_image_shapes, groundtruth):
        """Losses of a batch: {'Loss/object_center', 'Loss/box/scale', 'Loss/TASK/keypoint/heatmap', ...}, scalars.

        On several devices the mean over them is the loss of the whole batch.

        Args:
            groundtruth: groundtruth_boxes float32 [B, N, 4], fractions of the padded input; groundtruth_classes
                float32 one-hot [B, N, num_classes]; groundtruth_weights float32 [B, N]; num_groundtruth_boxes int32
                [B], the boxes beyond which are padding with weight 0. With a keypoint task also groundtruth_keypoints
                float32 [B, N, all keypoints, 2] (y, x), fractions of the padded input, NaN where not labelled, and
                perhaps groundtruth_keypoint_visibilities [B, N, all keypoints].
        """
        tasks, shape = self._tasks, _size(predictions[CENTER][-1])
        if tasks.keypoints and 'groundtruth_keypoints' not in groundtruth:
            raise UserError('the model has a keypoint_estimation_task but the records give no keypoints; set '
                            'num_keypoints in train_input_reader and write image/object/keypoint/... features')
        groundtruth = _without_padding(groundtruth)
        boxes = groundtruth['groundtruth_boxes'] * tf.cast([*shape, *shape], tf.float32)
        valid = losses.valid_pixels(true_image_shapes, self._feature_extractor.stride, shape)
        terms = {CENTER: losses.center_loss(predictions[CENTER], tasks.center, boxes, groundtruth, valid, shape)}
        if tasks.boxes:
            terms[SCALE], terms[OFFSET] = losses.box_losses(
                predictions[SCALE], predictions[OFFSET], tasks.boxes, boxes, groundtruth, shape)
        for task in tasks.keypoints:
            terms |= losses.keypoint_losses(predictions, task, boxes, groundtruth, valid, shape)
        return {f'Loss/{name}': term for name, term in terms.items()}

    def regularization_losses(self):
        """CenterNet has no weight decay."""
        return []

    def restore_map(self, fine_tune_checkpoint_type):
        """{name in the checkpoint: object to restore}: of a classifier its backbone (classification), of a detector the
        feature extractor (detection, or by its older name fine_tune) or everything (full)."""
        backbone = self._feature_extractor.classification_backbone
        if fine_tune_checkpoint_type == 'classification' and backbone is not None:
            return {'feature_extractor': backbone}
        if fine_tune_checkpoint_type in ('detection', 'fine_tune'):
            return {'model': tf.train.Checkpoint(_feature_extractor=self._feature_extractor)}
        if fine_tune_checkpoint_type == 'full':
            return {'model': self}
        allowed = 'detection, fine_tune, full' + (', classification' if backbone is not None else '')
        raise UserError(f'fine_tune_checkpoint_type is "{fine_tune_checkpoint_type}"; this center_net model allows '
                        f'{allowed}')


def _size(maps):
    """(H, W) of maps [B, H, W, C], ints where they are known."""
    return tuple(size or tf.shape(maps)[axis] for axis, size in ((1, maps.shape[1]), (2, maps.shape[2])))


def _without_padding(groundtruth):
    """The groundtruth up to the longest list of boxes in the batch, at least one."""
    count = tf.maximum(tf.reduce_max(groundtruth['num_groundtruth_boxes']), 1)
    per_box = ('groundtruth_boxes', 'groundtruth_classes', 'groundtruth_weights', 'groundtruth_keypoints',
               'groundtruth_keypoint_visibilities')
    return {name: groundtruth[name][:, :count] for name in per_box if name in groundtruth}
