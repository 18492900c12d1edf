"""The schema of a record: one picture with its objects, as a tf.train.Example with the keys of the reference."""
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from object_detection import protos
from object_detection.utils.errors import UserError

BOX_KEYS = tuple(f'image/object/bbox/{side}' for side in ('ymin', 'xmin', 'ymax', 'xmax'))
KEYPOINT_KEYS = ('image/object/keypoint/y', 'image/object/keypoint/x')
PNG_MASKS = protos.input_reader_pb2.PNG_MASKS  # InputReader.mask_type; the default is numerical masks
# Field of Example -> feature key in the reference's decoder and its list type; those of boxes and keypoints are above.
KEYS = {
    'encoded': ('image/encoded', 'bytes_list'),
    'format': ('image/format', 'bytes_list'),
    'filename': ('image/filename', 'bytes_list'),
    'source_id': ('image/source_id', 'bytes_list'),
    'sha256': ('image/key/sha256', 'bytes_list'),
    'height': ('image/height', 'int64_list'),
    'width': ('image/width', 'int64_list'),
    'labels': ('image/object/class/label', 'int64_list'),
    'texts': ('image/object/class/text', 'bytes_list'),
    'area': ('image/object/area', 'float_list'),
    'is_crowd': ('image/object/is_crowd', 'int64_list'),
    'difficult': ('image/object/difficult', 'int64_list'),
    'group_of': ('image/object/group_of', 'int64_list'),
    'weights': ('image/object/weight', 'float_list'),
    'keypoint_visibility': ('image/object/keypoint/visibility', 'int64_list'),
    'masks': ('image/object/mask', 'bytes_list'),
    'mask_weights': ('image/object/mask/weight', 'float_list'),
}
_SCALARS = ('encoded', 'format', 'filename', 'source_id', 'sha256', 'height', 'width')
_TEXT = ('format', 'filename', 'source_id', 'sha256', 'texts')


class Feature(NamedTuple):
    """A feature that the input pipeline reads.

    kind: its list in a tf.train.Feature. values: how many it has for each box; None if it has one value in all.
    """

    kind: str
    values: int | None


def features_read(reader: protos.InputReader | None = None) -> dict[str, Feature]:
    """Return {key: Feature} of what the input pipeline reads with an input_reader; every feature may be missing.

    Args:
        reader: input_reader; None for one that loads neither keypoints nor masks.
    """
    names = ['labels', 'texts', 'weights', 'area', 'is_crowd', 'difficult', 'group_of']
    found = {KEYS[name][0]: Feature(KEYS[name][1], None) for name in ('encoded', 'filename')}
    found |= {key: Feature('float_list', 1) for key in BOX_KEYS}
    found |= {KEYS[name][0]: Feature(KEYS[name][1], 1) for name in names}
    if reader is not None and reader.num_keypoints:
        found |= {key: Feature('float_list', reader.num_keypoints) for key in KEYPOINT_KEYS}
        found[KEYS['keypoint_visibility'][0]] = Feature('int64_list', reader.num_keypoints)
    if reader is not None and reader.load_instance_masks:
        found[KEYS['masks'][0]] = Feature('bytes_list' if reader.mask_type == PNG_MASKS else 'float_list', 1)
    return found


@dataclasses.dataclass
class Example:
    """One picture and its N objects; empty lists are features that the record lacks.

    Attributes:
        encoded: the picture file, of size height x width.
        boxes: N times (ymin, xmin, ymax, xmax), normalized to 0..1.
        labels: N class ids, from 1.
        texts: N class names, as in the label map.
        area: N areas of the objects, in square pixels.
        is_crowd, difficult, group_of: N times 0 or 1.
        weights: N weights of the boxes in the loss.
        keypoints: N times K times (y, x), normalized.
        keypoint_visibility: N * K values of COCO: 0 not labeled, 1 hidden, 2 visible.
        masks: N encoded PNGs of the picture's size, nonzero where the object is.
        mask_weights: N weights of the masks in the loss.
    """
    encoded: bytes
    height: int
    width: int
    format: str = 'jpeg'
    filename: str = ''
    source_id: str = ''
    sha256: str = ''
    boxes: list[Sequence[float]] = dataclasses.field(default_factory=list)
    labels: list[int] = dataclasses.field(default_factory=list)
    texts: list[str] = dataclasses.field(default_factory=list)
    area: list[float] = dataclasses.field(default_factory=list)
    is_crowd: list[int] = dataclasses.field(default_factory=list)
    difficult: list[int] = dataclasses.field(default_factory=list)
    group_of: list[int] = dataclasses.field(default_factory=list)
    weights: list[float] = dataclasses.field(default_factory=list)
    keypoints: list[Sequence[Sequence[float]]] = dataclasses.field(default_factory=list)
    keypoint_visibility: list[int] = dataclasses.field(default_factory=list)
    masks: list[bytes] = dataclasses.field(default_factory=list)
    mask_weights: list[float] = dataclasses.field(default_factory=list)

    def to_bytes(self) -> bytes:
        """Serialize as a tf.train.Example; equal examples give equal bytes."""
        message = protos.Example()
        features = message.features.feature
        for name, (key, kind) in KEYS.items():
            values = getattr(self, name)
            values = [values] if name in _SCALARS else values
            if name in _TEXT:
                values = [text.encode() for text in values]
            getattr(features[key], kind).value.extend(values)
        for keys, points in ((BOX_KEYS, self.boxes), (KEYPOINT_KEYS, [p for k in self.keypoints for p in k])):
            for i, key in enumerate(keys):
                features[key].float_list.value.extend(point[i] for point in points)
        for key in [key for key, feature in features.items() if not getattr(feature, feature.WhichOneof('kind')).value]:
            if key not in BOX_KEYS:  # a picture without objects has empty boxes, not missing ones
                del features[key]
        return message.SerializeToString(deterministic=True)

    @classmethod
    def from_bytes(cls, data: bytes) -> 'Example':
        """Parse one record.

        Numerical masks (float_list) are left out: only the input pipeline reads them.

        Raises:
            UserError: data is not an Example, or has unequal numbers of coordinates.
        """
        try:
            features = protos.Example.FromString(data).features.feature
        except DecodeError as error:
            raise UserError('not a tf.train.Example') from error
        values: dict[str, Any] = {'encoded': b'', 'height': 0, 'width': 0}
        for name, (key, kind) in KEYS.items():
            if key in features:
                found = list(getattr(features[key], kind).value)
                if name in _TEXT:
                    found = [text.decode('utf-8', 'replace') for text in found]
                if name not in _SCALARS:
                    values[name] = found
                elif found:
                    values[name] = found[0]
        for name, keys in (('boxes', BOX_KEYS), ('keypoints', KEYPOINT_KEYS)):
            columns = [list(features[key].float_list.value) if key in features else [] for key in keys]
            if len({len(column) for column in columns}) != 1:
                counts = ', '.join(f'{len(column)} of {key.rsplit("/")[-1]}' for key, column in zip(keys, columns))
                raise UserError(f'its {name} have unequal numbers of coordinates: {counts}')
            values[name] = list(zip(*columns))
        per_box = len(values['keypoints']) // max(len(values['boxes']), 1)
        if per_box:
            points = values['keypoints']
            values['keypoints'] = [points[i:i + per_box] for i in range(0, len(points), per_box)]
        return cls(**values)
