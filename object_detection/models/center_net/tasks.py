"""What a CenterNet predicts at each pixel, with the settings of its losses and of its decoding."""
import dataclasses
from collections.abc import Callable

CENTER, SCALE, OFFSET = 'object_center', 'box/scale', 'box/offset'


@dataclasses.dataclass(frozen=True)
class Head:
    """The convolutions of a head before its last one: their filters and kernel sizes."""
    filters: tuple[int, ...] = (256,)
    kernel_sizes: tuple[int, ...] = (3,)


@dataclasses.dataclass(frozen=True)
class ObjectCenter:
    """Heatmaps of object centers, one for each class.

    Attributes:
        loss: function of logits and targets, float32 [B, H, W, C] -> [B, H, W, C].
        bias: initial bias of the head's last convolution, a logit.
        min_iou: a box displaced within the peak of the target still has this IoU with the groundtruth box; see
            targets.peak_size.
        max_detections: D, detections per image.
        peak_kernel: a peak is the largest of peak_kernel x peak_kernel pixels.
        head: its convolutions.
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
    """Height and width of the box at each center (scale), and offset of the center from its pixel; all in cells.

    Attributes:
        loss: function of predictions and targets, float32 [..., 2], and weights, float32 [...] -> [...].
        scale_weight, offset_weight: factors of the two losses.
        scale_head, offset_head: their convolutions.
    """
    loss: Callable
    scale_weight: float = .1
    offset_weight: float = 1.
    scale_head: Head = Head()
    offset_head: Head = Head()


@dataclasses.dataclass(frozen=True)
class Keypoints:
    """Keypoints of one class: for each a heatmap, its offset from the heatmap's pixel, and its position relative to the
    object's center (regression). Decoding moves regressed keypoints to fitting peaks of the heatmaps, the candidates.

    Attributes:
        name: of the task, in front of the names of its predictions.
        class_id: from 0.
        indices: of its K keypoints among all keypoints of the groundtruth.
        std_dev: K factors of the size of the peaks in the heatmap targets.
        heatmap_loss: as ObjectCenter.loss.
        loss: as Boxes.loss, of offset and regression.
        heatmap_weight, offset_weight, regression_weight: factors of the three losses.
        bias: as ObjectCenter.bias, of the heatmaps.
        offset_radius: pixels within this radius of a keypoint (or center) learn its offset (or regression) too.
        per_keypoint_offset: each keypoint has offsets of its own.
        score_threshold: least score of a candidate.
        num_candidates: P, per keypoint.
        peak_kernel: as ObjectCenter.peak_kernel.
        unmatched_score: of keypoints that no candidate fits; they stay where they were regressed to.
        box_scale: a candidate must lie in the object's box scaled by this.
        search_scale: a candidate must lie this near the regressed keypoint, as a fraction of the scaled box's longer
            side.
        ranking: min_distance, score_distance_ratio, score_scaled_distance_ratio or gaussian_weighted.
        score_distance_offset, score_distance_multiplier, std_dev_multiplier: parameters of the second, third and
            fourth ranking.
        clip: clip keypoints outside the image to its border and set their scores to 0.
        rescore: multiply a detection's score by the mean of its keypoint scores above rescoring_threshold.
        heatmap_head, offset_head, regression_head: their convolutions.
    """
    name: str
    class_id: int
    indices: tuple[int, ...]
    std_dev: tuple[float, ...]
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
    def heatmap(self) -> str:
        return f'{self.name}/keypoint/heatmap'

    @property
    def offset(self) -> str:
        return f'{self.name}/keypoint/offset'

    @property
    def regression(self) -> str:
        return f'{self.name}/keypoint/regression'


@dataclasses.dataclass(frozen=True)
class Tasks:
    """All that a CenterNet predicts; it needs boxes or keypoints."""
    center: ObjectCenter
    boxes: Boxes | None = None
    keypoints: tuple[Keypoints, ...] = ()

    def heads(self, num_classes: int) -> dict[str, tuple[int, Head, float]]:
        """Return {name of a prediction: (channels, Head, initial bias)}."""
        heads = {CENTER: (num_classes, self.center.head, self.center.bias)}
        if self.boxes:
            heads |= {SCALE: (2, self.boxes.scale_head, 0.), OFFSET: (2, self.boxes.offset_head, 0.)}
        for task in self.keypoints:
            count = len(task.indices)
            heads |= {task.heatmap: (count, task.heatmap_head, task.bias),
                      task.regression: (2 * count, task.regression_head, 0.),
                      task.offset: (2 * count if task.per_keypoint_offset else 2, task.offset_head, 0.)}
        return heads
