"""The records: each picture that is in, with its boxes, as a tf.train.Example."""
import contextlib
import hashlib
import json
import re

from object_detection import records
from object_detection.preparation.options import SIDES
from object_detection.preparation.split import lot
from object_detection.utils import console

RECORD_FILE = re.compile(rf'({"|".join(SIDES)})\.tfrecords(-\d{{5}}-of-\d{{5}})?')


def write(pictures, labels, manifest, options, progress):
    """Write OUTPUT/train.tfrecords (in shards), validation.tfrecords, test.tfrecords; returns the names written.

    Nothing is written when the files there are the result of the same pictures and boxes. The order is by lot, so that
    labels mix; the files appear together, when all is written.
    """
    sides = {side: _in_order(pictures, side, options.seed) for side in SIDES}
    sides = {side: members for side, members in sides.items() if members}
    shards = min(options.shards, len(sides.get('train', ())))  # training refuses files without records
    if 0 < shards < options.shards:
        console.warn(f'--shards {options.shards} is more than there are pictures to train on ({shards}); the records '
                     f'are {records.shard_pattern("train.tfrecords", shards)}')
    ids = {label: number for number, label in enumerate(labels, start=1)}
    recipe = hashlib.sha256(json.dumps([labels, shards, {
        side: [(p.jpg, p.jpg_sha256, [(b.corners, b.label, b.difficult) for b in p.boxes]) for p in members]
        for side, members in sides.items()}]).encode()).hexdigest()
    if manifest.value('records') == [recipe, _stats(options.output)]:
        return []
    with contextlib.ExitStack() as stack:
        writers = {side: stack.enter_context(records.Writer(options.output / f'{side}.tfrecords',
                                                    shards if side == 'train' else 1)) for side in sides}
        bar = stack.enter_context(progress('writing records', sum(map(len, sides.values())), 'pictures'))
        done = 0
        for side, members in sides.items():
            for picture in members:
                writers[side].write(example(picture, ids, options.output).to_bytes())
                done += 1
                bar.update(done)
    written = {name.rpartition('/')[2] for writer in writers.values() for name in map(_posix, writer.names)}
    for file in options.output.iterdir():
        if RECORD_FILE.fullmatch(file.name) and file.name not in written:
            file.unlink()  # of earlier shards or sides: a pattern in pipeline.config would read both
    manifest.keep_value('records', [recipe, _stats(options.output)])
    return sorted(written)


def example(picture, ids, output):
    """The Example of a Picture. ids: {label: id}. filename and source_id are the source's path in the data set."""
    boxes = picture.boxes
    pixels = picture.jpg_width * picture.jpg_height
    return records.Example(
        encoded=(output / picture.jpg).read_bytes(), height=picture.jpg_height, width=picture.jpg_width,
        filename=picture.jpg.partition('/')[2], source_id=picture.path, sha256=picture.jpg_sha256,
        boxes=[box.corners for box in boxes], labels=[ids[box.label] for box in boxes],
        texts=[box.label for box in boxes], difficult=[int(box.difficult) for box in boxes],
        area=[(box.ymax - box.ymin) * (box.xmax - box.xmin) * pixels for box in boxes],
        is_crowd=[0] * len(boxes))


def _in_order(pictures, side, seed):
    return sorted((picture for picture in pictures if picture.side == side),
                  key=lambda picture: (lot(seed, 'order', picture.sha256), picture.path))


def _stats(output):
    """What tells whether the record files are still those that were written."""
    return sorted([file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in output.iterdir()
                  if RECORD_FILE.fullmatch(file.name))


def _posix(name):
    return str(name).replace('\\', '/')
