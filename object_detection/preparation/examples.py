"""Write the records: one tf.train.Example for each picture that is in, with its boxes."""
import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from object_detection import records
from object_detection.preparation import masks
from object_detection.preparation.manifest import Manifest, Picture
from object_detection.preparation.options import SUBSETS, Options
from object_detection.preparation.split import stable_random
from object_detection.utils import console

RECORD_FILE = re.compile(rf'({"|".join(SUBSETS)})\.tfrecords(-\d{{5}}-of-\d{{5}})?')


def write(pictures: Iterable[Picture], labels: Sequence[str], keypoints: Mapping[str, Sequence[str]],
          manifest: Manifest, options: Options) -> None:
    """Write OUTPUT/train.tfrecords (in shards), validation.tfrecords and test.tfrecords.

    Nothing is written if the files there come from the same pictures and boxes. The order is random, so that labels
    mix. The files appear together when all of them are complete. keypoints: {label: names}; empty to write none.
    """
    subsets = {subset: sorted((picture for picture in pictures if picture.subset == subset),
                              key=lambda picture: (stable_random(options.seed, 'order', picture.sha256), picture.path))
               for subset in SUBSETS}
    subsets = {subset: members for subset, members in subsets.items() if members}
    shards = min(options.shards, len(subsets.get('train', ())))  # training refuses files without records
    if 0 < shards < options.shards:
        console.warn(f'--shards {options.shards} is more than there are pictures to train on ({shards}); the records '
                     f'are {records.shard_pattern("train.tfrecords", shards)}')
    ids = {label: number for number, label in enumerate(labels, start=1)}
    content: list[Any] = [labels, shards, {
        subset: [(p.jpg, p.jpg_sha256, [(b.corners, b.label, b.difficult) for b in p.boxes]) for p in members]
        for subset, members in subsets.items()}]
    if options.masks or keypoints:
        content += [keypoints, [(b.mask and b.mask.digest(), b.keypoints) for members in subsets.values()
                                for p in members for b in p.boxes]]
    recipe = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    if manifest.value('records', list) == [recipe, _stats(options.output)]:
        return
    with contextlib.ExitStack() as stack:
        writers = {subset: stack.enter_context(records.Writer(options.output / f'{subset}.tfrecords',
                                                              shards if subset == 'train' else 1))
                   for subset in subsets}
        bar = stack.enter_context(console.progress('writing records', sum(map(len, subsets.values())), 'pictures'))
        done = 0
        for subset, members in subsets.items():
            for picture in members:
                writers[subset].write(example(picture, ids, options.output, keypoints).to_bytes())
                done += 1
                bar.update(done)
    written = {Path(name).name for writer in writers.values() for name in writer.names}
    for file in options.output.iterdir():
        if RECORD_FILE.fullmatch(file.name) and file.name not in written:
            file.unlink()  # of other shards or subsets: a pattern in a pipeline.config would match them, too
    manifest.keep_value('records', [recipe, _stats(options.output)])


def example(picture: Picture, ids: Mapping[str, int], output: Path,
            keypoints: Mapping[str, Sequence[str]] | None = None) -> records.Example:
    """Return the record of a picture, whose jpg is in `output`; source_id is its path.

    It has masks if each of its boxes has one. ids: {label: id}. keypoints: {label: names}, as in label_map.write.
    """
    boxes, width, height = picture.boxes, picture.jpg_width, picture.jpg_height
    filled = [box.mask.pixels(width, height) for box in boxes if box.mask]
    filled = filled if len(filled) == len(boxes) else []
    made = records.Example(
        encoded=(output / picture.jpg).read_bytes(), height=height, width=width,
        filename=picture.jpg.partition('/')[2], source_id=picture.path, sha256=picture.jpg_sha256,
        boxes=[box.corners for box in boxes], labels=[ids[box.label] for box in boxes],
        texts=[box.label for box in boxes], difficult=[int(box.difficult) for box in boxes],
        area=[(box.ymax - box.ymin) * (box.xmax - box.xmin) * width * height for box in boxes],
        is_crowd=[0] * len(boxes))
    if filled:
        made.masks, made.area = [masks.png(mask) for mask in filled], [float(mask.sum()) for mask in filled]
    if keypoints:
        points = [_all_keypoints(box, keypoints) for box in boxes]
        made.keypoints = [[(y, x) for y, x, _ in each] for each in points]
        made.keypoint_visibility = [visible for each in points for *_, visible in each]
    return made


def _all_keypoints(box, keypoints):
    """Return (y, x, visibility) for the keypoints of all labels; those of other labels are not labeled."""
    return [point for label, names in keypoints.items()
            for point in (box.keypoints if box.label == label and box.keypoints else [(0.0, 0.0, 0)] * len(names))]


def _stats(output):
    """Return name, size and time of the record files, which change if anything else writes them."""
    return sorted([file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in output.iterdir()
                  if RECORD_FILE.fullmatch(file.name))
