"""What a run of prepare_data.py was asked for, in one frozen value that every stage reads."""
import dataclasses
from pathlib import Path

SIDES = ('train', 'validation', 'test')
MOST_DISTANCE = 8  # bits; distinct photographs differ in 10 or more, and bands (duplicates.py) stay long enough
LEAST_SCORE = 0.01  # of a detection that is kept; a run with another --min_score needs no second look


@dataclasses.dataclass(frozen=True)
class Options:
    """dataset, output, coco: folders. split: shares of train, validation and test, which add up to 1.

    coco: None for no detector. mindim, maxperlabel, max_boxes: None for no limit. near_duplicates: bits of 64, None for
    exact duplicates only.
    coco_class: names or ids, empty for any. boxes: 'best', 'all' or 'whole'. annotations: a COCO JSON or a folder laid
    out like the data set, None for what lies beside the pictures. workers: processes that decode.
    pipeline_config_path: of the model to be trained, whose anchors the report compares with the boxes.
    """
    dataset: Path
    output: Path
    coco: Path | None = None
    split: tuple = (0.8, 0.0, 0.2)
    maxperlabel: int | None = None
    mindim: int | None = None
    equalcounts: bool = False
    shards: int = 1
    seed: int = 0
    near_duplicates: int | None = 6
    keep_near_duplicates: bool = False
    group_by: str | None = None
    boxes: str = 'best'
    max_boxes: int | None = None
    coco_class: tuple = ()
    min_score: float = 0.3
    annotations: Path | None = None
    negatives: bool = False
    workers: int = 1
    detector_batch: int = 8
    pipeline_config_path: Path | None = None
