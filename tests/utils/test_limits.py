"""One limit for pictures in all rooms: where TensorFlow stops decoding, what records.examine says, what is written."""
import struct
import zlib

import pytest
import tensorflow as tf

from object_detection import protos, records
from object_detection.inputs.decode import decode_picture, decoder
from object_detection.preparation.annotations.entry import Unreadable, read_bytes
from object_detection.utils import endings, limits
from object_detection.utils.errors import UserError
from tests.support import hostile
from tests.support.findings import GOLDEN


def test_the_number_is_where_tensorflow_stops():
    """The sizes are those of headers: nothing of that size is decoded."""
    assert limits.MOST_PIXELS * 3 < limits.MOST_JPEG_BYTES <= (limits.MOST_PIXELS + 1) * 3
    assert limits.MOST_PIXELS == 178_956_970 and limits.MOST_PIXELS < limits.MOST_PIXELS_OPENED


def jpeg(width, height):
    """A JPEG whose header says this size, whatever its data."""
    data = hostile.encoded(hostile.scene(1), 'JPEG')
    at = data.index(b'\xff\xc0') + 5
    return data[:at] + struct.pack('>HH', height, width) + data[at + 4:]


def rgb_png(width, height):
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = (hostile.chunk(b'IHDR', header), hostile.chunk(b'IDAT', zlib.compress(bytes(1000))),
              hostile.chunk(b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


@pytest.mark.parametrize('picture', [jpeg(40_000, 30_000), rgb_png(40_000, 30_000), rgb_png(2 ** 31 - 1, 2 ** 31 - 1)],
                         ids=['JPEG', 'PNG', 'largest PNG'])
def test_the_input_pipeline_refuses_what_is_above_it_and_the_look_at_the_records_says_so(picture):
    """TensorFlow decides by the header, before it takes the memory."""
    data = records.Example(picture, 30_000, 40_000, filename='bomb.jpg', labels=[1], texts=['a'],
                           boxes=[(0., 0., 1., 1.)]).to_bytes()
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoder(protos.InputReader())(tf.constant(data))
    faults = records.examine(data).faults
    assert any(fault.fatal and 'cannot be decoded' in fault.kind for fault in faults), faults


def gif(width, height):
    return b'GIF89a' + struct.pack('<HH', width, height) + bytes(9)


@pytest.mark.parametrize('make', [rgb_png, gif])
def test_the_number_is_the_same_for_formats_that_tensorflow_would_decode(make):
    """A PNG of 5 MB can hold 400 megapixels. One within the limit fails for its missing data alone."""
    said = {}
    for width in (14_000, 13_000):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            decode_picture(tf.constant(make(width, 13_000)), 3)
        said[width] = str(error.value)
    assert 'more than 179.0 megapixels' in said[14_000] and 'megapixels' not in said[13_000]
    small = hostile.encoded(hostile.scene(2), 'PNG')
    assert decode_picture(tf.constant(small), 3).shape == (hostile.HEIGHT, hostile.WIDTH, 3)
    for short in (b'', b'\x89', b'GIF8'):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_picture(tf.constant(short), 3)


def test_text_that_memory_cannot_hold_is_not_read(tmp_path, monkeypatch):
    large = tmp_path / 'instances.json'
    with large.open('wb') as file:
        file.truncate(limits.SMALL_TEXT + 1)  # takes no disk
    monkeypatch.setattr(endings, 'memory_limit', lambda: 10 * limits.SMALL_TEXT)
    with pytest.raises(Unreadable, match=r'has 67 MB, and reading it takes about 0\.7 GB of memory, of 0\.7 GB here'):
        read_bytes(large)
    monkeypatch.setattr(endings, 'memory_limit', lambda: 20 * limits.SMALL_TEXT)
    assert len(read_bytes(large)) == limits.SMALL_TEXT + 1
    assert limits.text_too_large(1000) == ''


def test_a_record_file_given_as_a_config_is_not_parsed(tmp_path):
    from object_detection.config import label_map, pipeline
    (large := tmp_path / 'pipeline.config').write_bytes((GOLDEN / 'ssd_mobilenet_v2.config').read_bytes())
    assert pipeline.read(large).model.HasField('ssd')
    with large.open('ab') as file:
        file.truncate(limits.SMALL_TEXT + 1)
    for read in (pipeline.read, label_map.load):
        with pytest.raises(UserError, match='has 67 MB; a pipeline'):
            read(large)
