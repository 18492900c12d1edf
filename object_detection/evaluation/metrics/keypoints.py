"""COCO metrics of the keypoints of one class (pycocotools), with the reference's names."""
import numpy as np

from object_detection.evaluation.metrics.coco import Annotations, corners_and_areas, mean

_SIGMA = .05  # of keypoints that no keypoint_label_to_sigmas knows
# As _SUMMARY in coco.py. COCO has ten numbers of keypoints, all for at most 20 detections in a picture, and the last
# five are recalls over all thresholds, at .5 and at .75; AR@1, AR@10 and AR@100 are what the reference calls them.
_SUMMARY = {
    'Precision/mAP': ('precision', None, 0, 0),
    'Precision/mAP@.50IOU': ('precision', .5, 0, 0),
    'Precision/mAP@.75IOU': ('precision', .75, 0, 0),
    'Precision/mAP (medium)': ('precision', None, 1, 0),
    'Precision/mAP (large)': ('precision', None, 2, 0),
    'Recall/AR@1': ('recall', None, 0, 0),
    'Recall/AR@10': ('recall', .5, 0, 0),
    'Recall/AR@100': ('recall', .75, 0, 0),
    'Recall/AR@100 (medium)': ('recall', None, 1, 0),
    'Recall/AR@100 (large)': ('recall', None, 2, 0),
}


class Keypoints:
    """Ten numbers, in which object keypoint similarity takes the place of IoU.

    As in the reference: only keypoints with a visibility count, objects without any are ignored, crowds too, and the
    area of an object is that of the records, or of its box where they do not say.

    Args:
        class_id: from 1.
        name: of the class, for the tags.
        sigmas: {place of a keypoint in the arrays: its standard deviation, relative to the object's size, or None}.
    """

    def __init__(self, class_id, name, sigmas):
        self._name, self._annotations = name, Annotations({class_id: name})
        self._places = sorted(sigmas)
        self._sigmas = np.array([sigmas[place] or _SIGMA for place in self._places])

    def add(self, truth, found):
        """One picture (training/metrics); needs keypoints."""
        there, detected = corners_and_areas(truth['boxes']), corners_and_areas(found['boxes'])
        visible = np.asarray(truth['keypoint_visibilities'])[:, self._places]
        there |= {'area': np.where(np.asarray(truth['area']) > 0, truth['area'], there['area']),
                  'iscrowd': truth['is_crowd'], 'num_keypoints': np.count_nonzero(visible, -1),
                  'keypoints': self._listed(truth['keypoints'], visible)}
        detected |= {'score': found['scores'], 'keypoints': self._listed(found['keypoints'])}
        self._annotations.add_picture(None, truth['classes'], there, found['classes'], detected)

    def evaluate(self):
        """[(name, value)], the names as in TensorBoard."""
        evaluation = self._annotations.compare('keypoints', kpt_oks_sigmas=self._sigmas)
        return [(f'Keypoints_{name} ByCategory/{self._name}', mean(evaluation, *which))
                for name, which in _SUMMARY.items()]

    def _listed(self, points, visible=True):
        """Keypoints [n, K, 2] -> [n, 3 k], x, y, whether it counts, of those places that the class has."""
        points = np.asarray(points, np.float64)[:, self._places]
        counts = np.broadcast_to(visible, points.shape[:2])
        listed = np.stack([points[..., 1], points[..., 0], counts], -1)
        return listed.reshape(len(points), 3 * len(self._places))
