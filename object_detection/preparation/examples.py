"""Write the records: one tf.train.Example for each picture that is in, with its boxes, in files that workers write."""
import contextlib
import dataclasses
import hashlib
import json
import re
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

from object_detection import records
from object_detection.preparation import masks
from object_detection.preparation.manifest import Manifest, Picture
from object_detection.preparation.options import SUBSETS, Options
from object_detection.preparation.split import in_random_order
from object_detection.preparation.table import Pictures
from object_detection.preparation.workers import Crashed, Workers
from object_detection.records.tfrecord import PARTIAL
from object_detection.utils import console
from object_detection.utils.errors import UserError
from object_detection.utils.files import naming_file

RECORD_FILE = re.compile(rf'({"|".join(SUBSETS)})\.tfrecords(-\d{{5}}-of-\d{{5}})?')
PICTURES = 256  # that a worker writes at a time
MEASURED = 256  # pictures whose records are measured, to know how many files --shard_size makes


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Records to write at a byte of a file. output: the folder with the jpgs. ids, keypoints: see example."""
    file: str
    offset: int
    pictures: list[Picture]
    ids: Mapping[str, int]
    output: str
    keypoints: Mapping[str, Sequence[str]]


def write(pictures: Pictures, labels: Sequence[str], keypoints: Mapping[str, Sequence[str]],
          manifest: Manifest, options: Options, workers: Workers) -> None:
    """Write OUTPUT/train.tfrecords, validation.tfrecords and test.tfrecords, in shards.

    Nothing is written if the files there come from the same pictures and boxes. The order is random, so that labels
    mix; picture i goes to shard i % shards, whoever writes it. The files appear together when all of them are complete.
    keypoints: {label: names}; empty to write none.
    """
    subsets = {}
    for subset in SUBSETS:
        rows = array('q', (i for i, picture in enumerate(pictures) if picture.subset == subset))
        if rows:
            subsets[subset] = in_random_order(pictures, rows, options.seed, 'order')
    ids = {label: number for number, label in enumerate(labels, start=1)}
    counts = _shards(pictures, subsets, ids, keypoints, options)
    recipe = _recipe(pictures, subsets, labels, counts, keypoints)
    if manifest.value('records', list) == [recipe, _stats(options.output)]:
        return
    names = {subset: [Path(name) for name in records.shard_names(options.output / f'{subset}.tfrecords', count)]
             for subset, count in counts.items()}
    shards = [(name, subsets[subset][i::len(files)]) for subset, files in names.items()
              for i, name in enumerate(files)]
    with _partial([name for name, _ in shards]) as partial, \
            console.progress('writing records', sum(map(len, subsets.values())), 'pictures') as bar:
        offsets, done = dict.fromkeys(partial, 0), 0
        for start in range(0, max((len(members) for _, members in shards), default=0), PICTURES):
            # The files grow side by side: of each, one part at a time, behind the one before.
            parts = [(file, members[start:start + PICTURES])
                     for file, (_, members) in zip(partial, shards) if len(members) > start]
            tasks = (Part(file, offsets[file], [pictures[i].value() for i in members], ids, str(options.output),
                          keypoints) for file, members in parts)
            for part, end in workers.unordered(write_part, tasks, len(parts)):
                if isinstance(end, Crashed):
                    raise UserError(f'{part.file}: the process that writes it has died twice; if memory ran out, fewer '
                                    '--workers need less')
                offsets[part.file] = end
                done += len(part.pictures)
                bar.update(done)
    written = {name.name for name, _ in shards}
    for file in options.output.iterdir():
        if RECORD_FILE.fullmatch(file.name) and file.name not in written:
            file.unlink()  # of other shards or subsets: a pattern in a pipeline.config would match them, too
    manifest.keep_value('records', [recipe, _stats(options.output)])


def write_part(part: Part) -> int:
    """Write records into a file that is there, in a worker; return the byte behind the last one.

    A part that is written again, or by two workers at once, gives the same bytes at the same places.
    """
    with naming_file(part.file), Path(part.file).open('r+b') as file:
        file.seek(part.offset)
        for picture in part.pictures:
            file.writelines(records.framed(example(picture, part.ids, Path(part.output), part.keypoints).to_bytes()))
        return file.tell()


@contextlib.contextmanager
def _partial(names):
    """Make empty files beside those with `names`, and yield their paths; give them the names if the block ends well."""
    partial = [f'{name}{PARTIAL}' for name in names]
    try:
        for file in partial:
            Path(file).write_bytes(b'')
        yield partial
        for file, name in zip(partial, names):
            Path(file).replace(name)
    finally:
        for file in partial:
            Path(file).unlink(missing_ok=True)


def _shards(pictures, subsets, ids, keypoints, options) -> dict[str, int]:
    """Return {subset: number of its files}."""
    if options.shard_size:
        return {subset: _files_of_size(pictures, members, ids, keypoints, options)
                for subset, members in subsets.items()}
    counts = dict.fromkeys(subsets, 1)
    if 'train' in counts:
        counts['train'] = min(options.shards, len(subsets['train']))  # training refuses files without records
        if counts['train'] < options.shards:
            console.warn(f'--shards {options.shards} is more than there are pictures to train on ({counts["train"]}); '
                         f'the records are {records.shard_pattern("train.tfrecords", counts["train"])}')
    return counts


def _files_of_size(pictures, members, ids, keypoints, options) -> int:
    """Return into how many files of about options.shard_size bytes records go that are dealt out evenly.

    What a record holds beside its jpg is measured on some of them.
    """
    measured = members[::-(-len(members) // MEASURED)]
    beside = sum(len(example(pictures[i], ids, None, keypoints).to_bytes()) for i in measured) / len(measured)
    total = sum(pictures[i].jpg_size for i in members) + beside * len(members)
    return min(-int(-total // options.shard_size), len(members))


def _recipe(pictures, subsets, labels, counts, keypoints) -> str:
    """Return a hash of all that the records depend on."""
    total = hashlib.sha256(json.dumps([labels, counts, keypoints]).encode())
    for subset, members in subsets.items():
        for picture in (pictures[i] for i in members):
            boxes = [(box.corners, box.label, box.difficult, box.mask and box.mask.digest(), box.keypoints)
                     for box in picture.boxes]
            total.update(json.dumps([subset, picture.jpg, picture.jpg_sha256, boxes]).encode())
    return total.hexdigest()


def example(picture: Picture, ids: Mapping[str, int], output: Path | None,
            keypoints: Mapping[str, Sequence[str]] | None = None) -> records.Example:
    """Return the record of a picture, whose jpg is in `output`; source_id is its path. Without output, all but the jpg.

    It has masks if each of its boxes has one. ids: {label: id}. keypoints: {label: names}, as in label_map.write.
    """
    boxes, width, height = picture.boxes, picture.jpg_width, picture.jpg_height
    filled = [box.mask.pixels(width, height) for box in boxes if box.mask]
    filled = filled if len(filled) == len(boxes) else []
    made = records.Example(
        encoded=(output / picture.jpg).read_bytes() if output else b'', height=height, width=width,
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
