"""What the create_*_tf_record scripts share: examples with exactly the reference's features, and sharded output."""
import contextlib
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

from object_detection import protos, records
from object_detection.utils import console, dataset_util, files, limits
from object_detection.utils.errors import UserError

BOX_SIDES = ('xmin', 'xmax', 'ymin', 'ymax')
# The list type of features that may be empty, by the end of their key; all others are of int64.
_BYTES, _FLOATS = {'text', 'view', 'mask'}, {*BOX_SIDES, 'area', 'x', 'y', 'u', 'v'}


def example(features: Mapping[str, Any]) -> protos.Example:
    """Return a tf.train.Example.

    Args:
        features: {key: value or list of values}: str and bytes become a bytes_list, floats a float_list, ints an
            int64_list. The key says which one an empty list becomes.
    """
    message = protos.Example()
    for key, value in features.items():
        values = value if isinstance(value, list) else [value]
        feature = message.features.feature[key]
        if not values:
            end = key.rpartition('/')[2]
            kind = 'bytes_list' if end in _BYTES else 'float_list' if end in _FLOATS else 'int64_list'
            getattr(feature, kind).SetInParent()
        elif isinstance(values[0], (str, bytes)):
            feature.bytes_list.value.extend(text.encode() if isinstance(text, str) else text for text in values)
        elif isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return message


def picture_features(path: Path, height: int, width: int, filename: str, source_id: str) -> dict[str, Any]:
    """Return the features of a picture.

    Args:
        height, width: as in the annotations; a picture of another size gets a warning, and its boxes are scaled.
    Raises:
        FileNotFoundError: with similar names.
        ValueError: the file is no picture.
    """
    if not path.is_file():
        raise FileNotFoundError(files.missing(path))
    data = path.read_bytes()
    with opened(data, path) as image:
        if image.size != (width, height):
            console.warn(f'{path}: is {image.width}x{image.height}, its annotations are for {width}x{height}')
        kind = (image.format or '').lower()
    return {'image/height': height, 'image/width': width, 'image/filename': filename, 'image/source_id': source_id,
            'image/key/sha256': hashlib.sha256(data).hexdigest(), 'image/encoded': data, 'image/format': kind}


@contextlib.contextmanager
def opened(data: bytes, path: Path) -> Iterator[Image.Image]:
    """Open a picture file that was read; ValueError if it is none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            yield image
    except OSError as error:
        raise ValueError(f'{path}: is not a picture: {error}') from error


def object_features(data: Mapping[str, Any], label_map_dict: Mapping[str, int], name: str | None,
                    box: Sequence[float] | None, ignore_difficult_instances: bool) -> dict[str, list]:
    """Return the features of the objects of an annotation in Pascal VOC's format.

    Args:
        data: the dict of an <annotation>.
        label_map_dict: {class name: id}.
        name: the class of all objects; None for each object's own.
        box: xmin, xmax, ymin, ymax in pixels, of all objects; None for each object's own.
    Raises:
        ValueError: a class has no id, or a box is incomplete.
    """
    width, height = int(data['size']['width']), int(data['size']['height'])
    features: dict[str, list] = {f'image/object/bbox/{side}': [] for side in BOX_SIDES}
    features |= {f'image/object/{key}': [] for key in ('class/text', 'class/label', 'difficult', 'truncated', 'view')}
    for item in data.get('object', ()):
        difficult = int(item.get('difficult') or 0)
        if ignore_difficult_instances and difficult:
            continue
        text = name or item['name']
        if text not in label_map_dict:
            known = ', '.join(list(label_map_dict)[:12])
            raise ValueError(f'class {text!r} is not in the label map, which has {known}')
        try:
            pixels = box or [float(item['bndbox'][side]) for side in BOX_SIDES]
        except (KeyError, TypeError, ValueError):
            raise ValueError(f'an object {text!r} has no bndbox with xmin, ymin, xmax and ymax') from None
        for side, pixel in zip(BOX_SIDES, pixels):
            features[f'image/object/bbox/{side}'].append(pixel / (width if side.startswith('x') else height))
        for key, value in (('class/text', text), ('class/label', label_map_dict[text]), ('difficult', difficult),
                           ('truncated', int(item.get('truncated') or 0)), ('view', item.get('pose') or '')):
            features[f'image/object/{key}'].append(value)
    return features


def read_annotation(path: Path) -> dict[str, Any]:
    """Return the <annotation> of a Pascal VOC XML as a dict.

    Raises:
        FileNotFoundError: with similar names.
        ValueError: it is not one, or lacks filename or size.
    """
    if not path.is_file():
        raise FileNotFoundError(files.missing(path))
    if message := limits.text_too_large(path.stat().st_size):
        raise ValueError(message)
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(f'is not XML: {error}') from error
    data = dataset_util.recursive_parse_xml_to_dict(root).get('annotation')
    if not isinstance(data, dict) or not data.get('filename'):
        raise ValueError('has no <annotation> with a <filename>')
    size = data.get('size')
    if not isinstance(size, dict) or not all((size.get(side) or '').isdigit() and int(size[side])
                                             for side in ('width', 'height')):
        raise ValueError('has no <size> with a width and a height above 0')
    return data


def write(path: Path, shards: int, examples: Iterator[protos.Example], total: int) -> None:
    """Write a data set, whole or not at all, as path-00000-of-00010, ...; with shards = 0 as the file path itself.

    Raises:
        UserError: a file is there already; nothing is overwritten.
    """
    names = [path] if not shards else [Path(f'{path}-{i:05d}-of-{shards:05d}') for i in range(shards)]
    if present := [name for name in names if name.exists()]:
        raise UserError(f'{present[0]}: is there already, and nothing is overwritten; delete it or name another output')
    files.make_dir(path.parent)
    with records.Writer(path if shards > 1 else names[0], max(1, shards)) as writer, \
            console.progress(path.name, total, 'pictures') as bar:
        for message in examples:
            writer.write(message.SerializeToString(deterministic=True))
            bar.update(writer.count)
    console.log(f'{path}: {writer.count} pictures in {len(names)} file{"s" if len(names) > 1 else ""}')
