"""COCO metrics of the keypoints of one class (faster-coco-eval), with the reference's names."""
import numpy as np

from object_detection.evaluation.metrics.coco import Annotations, Arrays, boxes_and_areas, table_mean

_DEFAULT_SIGMA = .05  # of keypoints that are not in keypoint_label_to_sigmas
# As coco.SUMMARY. COCO has ten metrics of keypoints, all for at most 20 detections per image. The last five are
# recalls: the mean over all thresholds, at .5 and at .75; the reference calls these AR@1, AR@10 and AR@100.
SUMMARY = {
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
    """The ten COCO metrics of keypoints, with object keypoint similarity (OKS) in place of IoU.

    As in the reference, only visible keypoints count, objects without any and crowds are ignored, and the area of an
    object is that of the records, or that of its box where they have none.

    Args:
        class_id: from 1.
        name: name of the class, for the tags.
        sigmas: {index of a keypoint in the arrays: its standard deviation relative to the object's size, or None for
            the default}.
    """

    def __init__(self, class_id: int, name: str, sigmas: dict[int, float | None]):
        self._name, self._annotations = name, Annotations({class_id: name})
        self._indices = sorted(sigmas)
        self._sigmas = np.array([sigmas[index] or _DEFAULT_SIGMA for index in self._indices])

    def add(self, groundtruth: Arrays, detections: Arrays) -> None:
        """Add one image; see evaluation.metrics for the arrays."""
        visible = np.asarray(groundtruth['keypoint_visibilities'])[:, self._indices]
        boxes = boxes_and_areas(groundtruth['boxes'])
        area = np.asarray(groundtruth['area'])
        objects = {'category_id': groundtruth['classes'], 'bbox': boxes['bbox'],
                   'area': np.where(area > 0, area, boxes['area']), 'iscrowd': groundtruth['is_crowd'],
                   'num_keypoints': np.count_nonzero(visible, -1),
                   'keypoints': self._flatten(groundtruth['keypoints'], visible)}
        found = {'category_id': detections['classes'], **boxes_and_areas(detections['boxes']),
                 'score': detections['scores'], 'keypoints': self._flatten(detections['keypoints'])}
        self._annotations.add_image(objects, found)

    def extend(self, other: 'Keypoints') -> None:
        """Add the images of another one after those of this one."""
        self._annotations.extend(other._annotations)

    def evaluate(self) -> list[tuple[str, float]]:
        """Return (name, value) of each metric; the names are TensorBoard tags."""
        evaluation = self._annotations.compare('keypoints', self._sigmas)
        return [(f'Keypoints_{name} ByCategory/{self._name}', table_mean(evaluation, *entry))
                for name, entry in SUMMARY.items()]

    def _flatten(self, keypoints: np.ndarray, visible: np.ndarray | bool = True) -> np.ndarray:
        """Return (x, y, whether visible) of this class's k keypoints, float64 [n, 3 k].

        Args:
            keypoints: float32 [n, K, 2] (y, x).
            visible: bool [n, k].
        """
        keypoints = np.asarray(keypoints, np.float64)[:, self._indices]
        flags = np.broadcast_to(visible, keypoints.shape[:2])
        flat = np.stack([keypoints[..., 1], keypoints[..., 0], flags], -1)
        return flat.reshape(len(keypoints), 3 * len(self._indices))
