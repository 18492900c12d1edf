import bz2
import gzip
import lzma
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image

from object_detection import protos, records
from object_detection.config.label_map import Item, LabelMap
from object_detection.records import tfrecord
from object_detection.utils.errors import UserError

LABELS = LabelMap((Item(1, 'cat'), Item(2, 'dog', 'Dog')))


def jpeg(width=20, height=10, **options):
    encoded = BytesIO()
    Image.fromarray(np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3)).save(
        encoded, 'JPEG', **options)
    return encoded.getvalue()


def example(**changes):
    values = {'encoded': jpeg(), 'height': 10, 'width': 20, 'filename': 'a.jpg', 'source_id': '7',
              'boxes': [(0.1, 0.2, 0.5, 0.75), (0.0, 0.0, 1.0, 1.0)], 'labels': [1, 2], 'texts': ['cat', 'dog']}
    return records.Example(**(values | changes))


def write(path, examples, shards=1):
    with records.Writer(path, shards) as writer:
        for item in examples:
            writer.write(item.to_bytes() if isinstance(item, records.Example) else item)


class TestChecksum:
    def test_known_value(self):
        crc = 0xE3069283  # CRC-32C of these digits, in every catalogue
        assert tfrecord.masked_crc32c(b'123456789') == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    @pytest.mark.parametrize('length', [0, 4, 5, 1023, 1024, 1025, 70000])
    def test_tensorflow_accepts_every_length(self, tmp_path, length):
        data = np.random.default_rng(length).bytes(length)
        write(tmp_path / 'x', [data])
        assert next(tf.data.TFRecordDataset(str(tmp_path / 'x')).as_numpy_iterator()) == data
        assert records.Records(tmp_path / 'x').intact(0)


class TestExample:
    def test_round_trip(self):
        full = example(area=[3.0, 4.5], is_crowd=[0, 1], difficult=[1, 0], group_of=[0, 0], weights=[1.0, 0.5],
                       keypoints=[[(0.25, 0.5), (0.75, 0.125)], [(0.0, 1.0), (0.5, 0.5)]],
                       keypoint_visibility=[2, 1, 0, 2], masks=[b'png1', b'png2'], mask_weights=[1.0, 1.0])
        again = records.Example.from_bytes(full.to_bytes())
        np.testing.assert_allclose(again.boxes, full.boxes, rtol=1e-7)
        again.boxes = full.boxes  # float32 in the record
        again.keypoints = [list(points) for points in again.keypoints]
        assert again == full

    def test_tensorflow_reads_the_keys_of_the_reference(self):
        features = tf.train.Example.FromString(example().to_bytes()).features.feature
        assert features['image/object/class/text'].bytes_list.value[:] == [b'cat', b'dog']
        assert features['image/object/class/label'].int64_list.value[:] == [1, 2]
        assert features['image/object/bbox/xmax'].float_list.value[:] == [0.75, 1.0]
        assert features['image/height'].int64_list.value[:] == [10]
        assert features['image/format'].bytes_list.value[:] == [b'jpeg']
        assert 'image/object/area' not in features

    def test_same_example_same_bytes(self):
        assert example().to_bytes() == records.Example.from_bytes(example().to_bytes()).to_bytes()

    def test_without_objects(self):
        empty = example(boxes=[], labels=[], texts=[])
        assert vars(records.Example.from_bytes(empty.to_bytes())) == vars(empty)

    def test_not_an_example(self):
        with pytest.raises(UserError, match='not a tf'):
            records.Example.from_bytes(b'\x0a\xff\xff')

    def test_unequal_numbers_of_coordinates(self):
        message = tf.train.Example.FromString(example().to_bytes())
        message.features.feature['image/object/bbox/ymin'].float_list.value.append(0.5)
        with pytest.raises(UserError, match='its boxes have unequal numbers of coordinates: 3 of ymin, 2 of xmin'):
            records.Example.from_bytes(message.SerializeToString())


class TestFiles:
    def test_shards_take_turns(self, tmp_path):
        write(tmp_path / 'x.tfrecords', [bytes([i]) * 4 for i in range(5)], shards=2)
        assert sorted(path.name for path in tmp_path.iterdir()) == ['x.tfrecords-00000-of-00002',
                                                                    'x.tfrecords-00001-of-00002']
        index = records.Records(tmp_path / 'x.tfrecords-?????-of-00002')
        assert [index[i][0] for i in range(len(index))] == [0, 2, 4, 1, 3]
        assert index.groups == [5]

    def test_groups_follow_the_patterns(self, tmp_path):
        write(tmp_path / 'b', [b'bbbb'])
        write(tmp_path / 'a', [b'aaaa', b'cccc'], shards=2)
        index = records.Records([tmp_path / 'b', tmp_path / 'a-*'])
        assert index.groups == [1, 2]
        assert [index[i] for i in range(3)] == [b'bbbb', b'aaaa', b'cccc']

    def test_nothing_appears_when_writing_fails(self, tmp_path):
        with pytest.raises(ZeroDivisionError), records.Writer(tmp_path / 'x') as writer:
            writer.write(b'data' + bytes([1 // 0]))
        assert not list(tmp_path.iterdir())

    def test_an_old_file_stays_when_writing_fails(self, tmp_path):
        write(tmp_path / 'x', [b'old!'])
        with pytest.raises(ZeroDivisionError), records.Writer(tmp_path / 'x') as writer:
            writer.write(b'new!' + bytes([1 // 0]))
        assert records.Records(tmp_path / 'x')[0] == b'old!'

    def test_more_shards_than_open_files(self, tmp_path):
        write(tmp_path / 'x', [struct.pack('<I', i) for i in range(140)], shards=70)
        index = records.Records(tmp_path / 'x-*')
        order = np.random.default_rng(0).permutation(140).tolist()
        assert [index[i] for i in order] == [struct.pack('<I', i // 2 + 70 * (i % 2)) for i in order]

    def test_shards_in_a_folder_with_brackets(self, tmp_path):
        write(tmp_path / 'dogs [2024]' / 'x', [b'aaaa', b'bbbb'], shards=2)
        data = records.Records(tmp_path / 'dogs [2024]' / 'x-?????-of-00002')
        assert [data[i] for i in range(2)] == [b'aaaa', b'bbbb']

    def test_no_file(self, tmp_path):
        with pytest.raises(UserError) as error:
            records.Records([tmp_path / 'x*', tmp_path / 'y'])
        assert len(error.value.findings) == 2

    def test_empty_file(self, tmp_path):
        (tmp_path / 'x').touch()
        with pytest.raises(UserError, match='no records in'):
            records.Records(tmp_path / 'x')

    @pytest.mark.parametrize(('cut', 'message'), [(1, 'record 1 at byte 24 needs 24 bytes, 23 are left'),
                                                  (20, 'record 1 at byte 24 needs 12 bytes, 4 are left')])
    def test_truncated(self, tmp_path, cut, message):
        write(tmp_path / 'x', [b'12345678'] * 2)
        data = (tmp_path / 'x').read_bytes()
        (tmp_path / 'x').write_bytes(data[:-cut])
        with pytest.raises(UserError, match=f'x is truncated: {message}'):
            records.Records(tmp_path / 'x')

    def test_corrupt_length(self, tmp_path):
        write(tmp_path / 'x', [b'12345678'] * 3)
        data = bytearray((tmp_path / 'x').read_bytes())
        data[24] ^= 16
        (tmp_path / 'x').write_bytes(data)
        with pytest.raises(UserError, match='x: not a TFRecord file, or corrupt: record 1 at byte 24'):
            records.Records(tmp_path / 'x')

    def test_not_records_at_all(self, tmp_path):
        (tmp_path / 'x').write_bytes(jpeg())
        with pytest.raises(UserError, match='not a TFRecord file'):
            records.Records(tmp_path / 'x')

    @pytest.mark.parametrize(('kind', 'compress', 'unpack'), [
        ('gzip', gzip.compress, 'gzip -dc FILE > NEW_FILE'), ('zlib', zlib.compress, 'zlib.decompress'),
        ('bzip2', bz2.compress, 'unpack it'), ('xz', lzma.compress, 'unpack it')])
    def test_compressed_files_are_named(self, tmp_path, kind, compress, unpack):
        write(tmp_path / 'x', [b'12345678'])
        (tmp_path / 'x').write_bytes(compress((tmp_path / 'x').read_bytes()))
        with pytest.raises(UserError, match=rf'x: is compressed \({kind}\).*{unpack}.*write the records without'):
            records.Records(tmp_path / 'x')

    def test_tensorflows_own_compression_is_named(self, tmp_path):
        for kind in ('GZIP', 'ZLIB'):
            with tf.io.TFRecordWriter(str(tmp_path / 'x'), kind) as writer:
                writer.write(bytes(1000))
            with pytest.raises(UserError, match=rf'is compressed \({kind.lower()}\)'):
                records.Records(tmp_path / 'x')

    def test_a_wrong_checksum_of_data_is_an_error(self, tmp_path):
        write(tmp_path / 'x', [b'12345678'] * 2)
        data = bytearray((tmp_path / 'x').read_bytes())
        data[-5] ^= 1
        (tmp_path / 'x').write_bytes(data)
        index = records.Records(tmp_path / 'x')
        assert index[0] == b'12345678' and index.intact(0) and not index.intact(1)
        assert index.read(1) == (b'12345679', False)
        with pytest.raises(UserError, match='x, record 1 at byte 24: the data has a wrong checksum'):
            index[1]


class TestCheck:
    def check(self, tmp_path, *examples, **options):
        write(tmp_path / 'x', examples)
        return records.check(tmp_path / 'x', LABELS, **options)

    def test_all_well(self, tmp_path):
        report = self.check(tmp_path, example(), example(texts=['Dog', 'dog'], labels=[2, 2]),
                            example(boxes=[], labels=[], texts=[]))
        assert (report.records, report.checked, report.without_boxes) == (3, 3, 1)
        assert report.boxes_of == {'cat': 1, 'dog': 2, 'Dog': 1}
        assert not report.errors
        assert not report.warnings

    def test_labels_missing_from_the_map(self, tmp_path):
        report = self.check(tmp_path, example(), example(filename='b.jpg', texts=['cow', 'cow']),
                            example(filename='c.jpg', texts=[], labels=[3, 1]))
        assert len(report.errors) == 2
        assert report.errors[0].startswith("label 'cow' is not in the label map: b.jpg (")
        assert 'x, record 1 at byte' in report.errors[0]
        assert report.errors[0].endswith('; 2 boxes)')
        assert report.errors[1].startswith('label 3 is not in the label map: c.jpg')

    def test_broken_pictures_are_reported(self, tmp_path):
        report = self.check(tmp_path, example(encoded=jpeg()[:-200], filename='cut.jpg'),
                            example(encoded=b'', filename='none.jpg'), example())
        line, = report.errors
        assert line.startswith('the picture cannot be decoded: cut.jpg (')
        assert 'none.jpg (' in line

    def test_boxes(self, tmp_path):
        def one(name, *box):
            return example(filename=name, boxes=[box], labels=[1], texts=['cat'])

        report = self.check(tmp_path, one('pixels', 1, 2, 300, 400), one('inverted', 0.5, 0.1, 0.4, 0.2),
                            one('outside', 0.5, 0.1, 1.4, 0.2), one('flat', 0.5, 0.1, 0.5, 0.2),
                            one('nan', 0.5, 0.1, float('nan'), 0.2))
        assert [line.split(': ')[1].split(' ')[0] for line in report.errors] == ['pixels', 'inverted']
        assert [line.split(': ')[1].split(' ')[0] for line in report.warnings] == ['outside', 'flat', 'nan']

    def test_orientation_size_and_format(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        webp = BytesIO()
        Image.new('RGB', (20, 10)).save(webp, 'TIFF')
        report = self.check(tmp_path, example(encoded=jpeg(exif=exif)), example(height=20, width=10),
                            example(encoded=webp.getvalue()))
        assert len(report.warnings) == 2
        assert report.errors[0].startswith('the picture is TIFF; TensorFlow decodes JPEG')

    def test_masks_and_keypoints_as_the_reader_loads_them(self, tmp_path):
        def errors(fields, **more):
            reader = text_format.Parse(fields, protos.TrainEvalPipelineConfig().train_input_reader)
            return self.check(tmp_path, example(), example(filename='b.jpg', **more), reader=reader).errors

        def mask(width=20):
            encoded = BytesIO()
            Image.new('L', (width, 10), 255).save(encoded, 'PNG')
            return encoded.getvalue()

        boxes = len(example().boxes)
        png, numbers = 'load_instance_masks: true mask_type: PNG_MASKS', 'load_instance_masks: true'
        assert errors(png, masks=[mask()] * boxes) == []
        assert errors('', masks=[b'png'] * (boxes + 1), keypoints=[[(.1, .2)] * 2] * boxes) == []  # not loaded
        assert errors(numbers, masks=[b'png'] * boxes)[0].startswith(
            'its masks are PNGs; set mask_type: PNG_MASKS in the input_reader: b.jpg (')
        error, = errors(png, masks=[mask()] * (boxes + 1))
        assert error.startswith('there are not as many masks as boxes: b.jpg') and f'{boxes + 1} and {boxes}' in error
        error, = errors(png, masks=[mask(21)] * boxes)
        assert error.startswith('a mask has another size than its picture: b.jpg') and '(21, 10) and (20, 10)' in error
        error, = errors(png, masks=[mask(), mask()[:-9]])
        assert error.startswith('a mask cannot be decoded: b.jpg') and 'the PNG is truncated' in error
        assert errors('num_keypoints: 2', keypoints=[[(.1, .2)] * 2] * boxes) == []
        error, = errors('num_keypoints: 3', keypoints=[[(.1, .2)] * 2] * boxes)
        assert error.startswith('there are not 3 keypoints (num_keypoints of the input_reader) for each box: b.jpg')

    def test_changed_data(self, tmp_path):
        write(tmp_path / 'x', [example(sha256='abcdef')])
        data = (tmp_path / 'x').read_bytes()
        (tmp_path / 'x').write_bytes(data.replace(b'abcdef', b'abcdeg'))
        assert records.check(tmp_path / 'x', LABELS).errors[0].startswith('the data has a wrong checksum: a.jpg')

    def test_sample(self, tmp_path):
        report = self.check(tmp_path, *[example() for _ in range(10)], sample=3)
        assert (report.records, report.checked) == (10, 3)
