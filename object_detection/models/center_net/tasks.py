"""What a CenterNet predicts at each pixel, with the settings of its losses and of how detections are read off."""
import dataclasses
from collections.abc import Callable

CENTER, SCALE, OFFSET = 'object_center', 'box/scale', 'box/offset'
RANKINGS = 'min_distance', 'score_distance_ratio', 'score_scaled_distance_ratio', 'gaussian_weighted'


@dataclasses.dataclass(frozen=True)
class Head:
    """Convolutions of a head before its last one."""
    filters: tuple = (256,)
    kernel_sizes: tuple = (3,)


@dataclasses.dataclass(frozen=True)
class ObjectCenter:
    """The heatmaps of object centers, one for each class.

    loss: function of logits and targets [B, H, W, C] -> [B, H, W, C].
    bias: start value of the head's last bias, a logit.
    min_iou: a box of the right size counts as found while its IoU is at least this, which sizes the target's peaks.
    max_detections: D, detections per image.
    peak_kernel: a peak is the largest of peak_kernel x peak_kernel pixels.
    """
    loss: Callable
    loss_weight: float = 1.
    bias: float = -2.19
    min_iou: float = .7
    max_detections: int = 100
    peak_kernel: int = 3
    head: Head = Head()


@dataclasses.dataclass(frozen=True)
class Boxes:
    """Height and width of the box at each center, and how far the center lies from its pixel; all in cells.

    loss: function of codes and targets [..., code size] and weights [...] -> [...].
    """
    loss: Callable
    scale_weight: float = .1
    offset_weight: float = 1.
    scale_head: Head = Head()
    offset_head: Head = Head()


@dataclasses.dataclass(frozen=True)
class Keypoints:
    """Keypoints of one class: a heatmap of each, its offset from the heatmap's pixel, and its place as seen from the
    object's center (regression). Detection moves regressed keypoints to fitting peaks of the heatmaps, the candidates.

    class_id: from 0.
    indices: K places in the groundtruth's keypoints.
    std_dev: K factors of the size of a keypoint's peak.
    heatmap_loss: as ObjectCenter.loss; loss: as Boxes.loss.
    offset_radius: pixels this near to a keypoint (or center) learn its offset (or regression) too.
    per_keypoint_offset: offsets for each keypoint on its own.
    score_threshold: a candidate needs at least this.
    unmatched_score: of keypoints that stay where they were regressed to.
    box_scale: candidates lie in the box made larger by this ...
    search_scale: ... and at most this times its longer side away from the regressed place.
    ranking: one of RANKINGS, with score_distance_offset, score_distance_multiplier and std_dev_multiplier of theirs.
    clip: keypoints outside the image go to its border, with score 0.
    rescore: a detection's score is multiplied by the mean score of its keypoints above rescoring_threshold.
    """
    name: str
    class_id: int
    indices: tuple
    std_dev: tuple
    heatmap_loss: Callable
    loss: Callable
    heatmap_weight: float = 1.
    offset_weight: float = 1.
    regression_weight: float = 1.
    bias: float = -2.19
    offset_radius: int = 0
    per_keypoint_offset: bool = False
    score_threshold: float = .1
    num_candidates: int = 100
    peak_kernel: int = 3
    unmatched_score: float = .1
    box_scale: float = 1.2
    search_scale: float = .3
    ranking: str = 'min_distance'
    score_distance_offset: float = 1.
    score_distance_multiplier: float = .1
    std_dev_multiplier: float = 1.
    clip: bool = False
    rescore: bool = False
    rescoring_threshold: float = 0.
    heatmap_head: Head = Head()
    offset_head: Head = Head()
    regression_head: Head = Head()

    @property
    def heatmap(self):
        return f'{self.name}/keypoint/heatmap'

    @property
    def offset(self):
        return f'{self.name}/keypoint/offset'

    @property
    def regression(self):
        return f'{self.name}/keypoint/regression'


@dataclasses.dataclass(frozen=True)
class Tasks:
    """All of them; boxes may be None, keypoints is a tuple."""
    center: ObjectCenter
    boxes: Boxes | None = None
    keypoints: tuple = ()

    def heads(self, num_classes):
        """{name of a prediction: (channels, Head, start value of the bias)}"""
        heads = {CENTER: (num_classes, self.center.head, self.center.bias)}
        if self.boxes:
            heads |= {SCALE: (2, self.boxes.scale_head, 0.), OFFSET: (2, self.boxes.offset_head, 0.)}
        for task in self.keypoints:
            count = len(task.indices)
            heads |= {task.heatmap: (count, task.heatmap_head, task.bias),
                      task.regression: (2 * count, task.regression_head, 0.),
                      task.offset: (2 * count if task.per_keypoint_offset else 2, task.offset_head, 0.)}
        return heads
