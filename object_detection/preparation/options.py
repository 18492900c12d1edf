"""The options of a run of prepare_data.py, in one frozen value that every stage reads."""
import dataclasses
from pathlib import Path

SUBSETS = ('train', 'validation', 'test')
MOST_DISTANCE = 8  # bits; distinct photographs differ in 10 or more, and the bands of duplicates.py need some length
MOST_OVERLAP = 0.9
LEAST_SCORE = 0.01  # detections below are not kept; a run with another --min_score does not repeat the detection


@dataclasses.dataclass(frozen=True)
class Options:
    """The command line of prepare_data.py; `--help` describes each option.

    background: a folder of pictures without objects. images: the folder of the pictures, None if it is dataset.
    coco: None for no detector. labels: 'auto', 'folders' or 'annotations'. split: shares of train, validation and
    test, which add up to 1. split_given: whether to keep a split that is there; None: if labels are not the top
    folders. mindim, maxperlabel, max_boxes: None for no limit. bits: used of 16, None for what each picture uses.
    tile: pixels a side, None for whole pictures. overlap: share of a tile. min_visible: share of a box.
    shards: files of the training records. shard_size: bytes of each file of records, None for `shards`.
    near_duplicates: bits of 64; None for exact duplicates only. boxes: 'best', 'all' or 'whole'. coco_class: names
    or ids, 'any' among them or nothing for all. annotations: files and folders; none for those in the data set.
    pipeline_config_path: of the model to train, whose anchors the report compares with the boxes. check: SavedModel
    of a detector to hold the boxes against. scheduler: address of a Dask scheduler, whose workers do the work; None for
    `workers` processes of this machine.
    """
    dataset: Path
    output: Path
    images: Path | None = None
    background: Path | None = None
    coco: Path | None = None
    labels: str = 'auto'
    split: tuple[float, float, float] = (0.8, 0.0, 0.2)
    split_given: bool | None = None
    maxperlabel: int | None = None
    mindim: int | None = None
    bits: int | None = None
    equalcounts: bool = False
    shards: int = 1
    shard_size: int | None = None
    seed: int = 0
    near_duplicates: int | None = 6
    keep_near_duplicates: bool = False
    group_by: str | None = None
    boxes: str = 'best'
    max_boxes: int | None = None
    coco_class: tuple[str, ...] = ()
    min_score: float = 0.3
    tile: int | None = None
    overlap: float = 0.2
    min_visible: float = 0.3
    annotations: tuple[Path, ...] = ()
    keep_crowds: bool = False
    masks: bool = False
    keypoints: bool = False
    negatives: bool = False
    workers: int = 1
    scheduler: str | None = None
    detector_batch: int = 8
    pipeline_config_path: Path | None = None
    check: Path | None = None
