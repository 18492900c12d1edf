"""Videos are read upright and in time, damaged frames are named, and what is written can be read."""
import struct
from fractions import Fraction

import numpy as np
import pytest

from object_detection.detection import video
from object_detection.detection.item import Broken, Item, Source
from object_detection.utils.errors import UserError
from tests.support.colors import scene

av = pytest.importorskip('av')


def write(path, frames=20, size=(160, 120), seconds=None):
    """Write a video whose red rectangle moves by 4 pixels a frame."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10, options={'preset': 'ultrafast', 'g': '5'})
        stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        if seconds:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(scene({1: (4 * i, 20, 4 * i + 30, 60)}, size), format='rgb24')
            if seconds:
                frame.pts, frame.time_base = round(seconds[i] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Source(path, path.name, path.stem, True)


def left(image):
    """Column of the first red pixel."""
    return int(np.nonzero((image[..., 0] > 180) & (image[..., 1] < 90))[1].min())


def test_frames_come_in_order_with_name_time_and_rate(tmp_path):
    source = write(tmp_path / 'clip.mp4')
    items = list(video.read(source))
    assert [item.name for item in items] == [f'clip/{i:06d}.jpg' for i in range(1, 21)]
    np.testing.assert_allclose([item.seconds for item in items], np.arange(20) / 10, atol=1e-3)
    assert {item.rate for item in items} == {10.} and {item.size for item in items} == {(160, 120)}
    assert [abs(left(item.image) - 4 * i) <= 2 for i, item in enumerate(items)] == [True] * 20
    assert video.count(source, 1) == 20 and video.count(source, 3) == 7
    assert [item.stem for item in video.read(source, 3)] == [f'clip/{i:06d}' for i in range(1, 21, 3)]


@pytest.mark.parametrize('matrix,clockwise', [((0, 1, -1, 0), 1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 3)])
def test_frames_are_upright(tmp_path, matrix, clockwise):
    """A phone that is held upright writes (0, 1, -1, 0) into the header of the track: turn by 90 degrees clockwise."""
    source = write(tmp_path / 'turned.mp4', 3)
    plain = next(video.read(source)).image
    data = bytearray(source.path.read_bytes())
    start = data.index(b'tkhd') + 44  # ISO/IEC 14496-12: the matrix a b u, c d v, x y w
    a, b, c, d = (value << 16 for value in matrix)
    data[start:start + 24] = struct.pack('>6i', a, b, 0, c, d, 0)
    source.path.write_bytes(data)
    item = next(video.read(source))
    np.testing.assert_array_equal(item.image, np.rot90(plain, -clockwise))
    assert item.size == (item.image.shape[1], item.image.shape[0])


def test_damaged_frames_are_named_and_the_others_come(tmp_path):
    source = write(tmp_path / 'clip.mp4', 30)
    whole = len(list(video.read(source)))
    data = bytearray(source.path.read_bytes())
    with av.open(str(source.path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    start, size = packets[12]
    data[start + 5:start + size] = b'\xff' * (size - 5)
    source.path.write_bytes(data)
    items = list(video.read(source))
    broken = [item for item in items if isinstance(item, Broken)]
    assert broken and all(item.name.startswith('clip.mp4, frame ') for item in broken)
    assert whole - 5 <= sum(isinstance(item, Item) for item in items) < whole


@pytest.mark.parametrize('content', [b'', b'no video' * 100])
def test_a_file_that_is_no_video_is_one_broken_item(tmp_path, content):
    path = tmp_path / 'torn.mp4'
    path.write_bytes(content)
    item, = video.read(Source(path, 'torn.mp4', 'torn', True))
    assert isinstance(item, Broken) and item.name == 'torn.mp4' and 'no video that FFmpeg can read' in item.reason
    assert video.count(Source(path, 'torn.mp4', 'torn', True), 1) is None


def test_a_camera_that_is_not_there_is_an_error():
    with pytest.raises(UserError, match='--input 97'):
        list(video.read(Source(None, 'camera97', 'camera97', True, 97)))


def test_written_videos_keep_times_and_sizes(tmp_path):
    writer = video.Writer(tmp_path / 'out.mp4', (161, 121), 12.5)
    times = [0., .1, .15, .15, 1.]  # two at one time: the second comes a tick later
    for i, seconds in enumerate(times):
        writer.write(scene({1: (4 * i, 20, 4 * i + 30, 60)}, (161, 121)), seconds)
    assert not (tmp_path / 'out.mp4').exists()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ['out.mp4']
    with av.open(str(tmp_path / 'out.mp4')) as container:
        frames = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.name == 'h264'
    np.testing.assert_allclose([frame.time for frame in frames], times, atol=1e-4)
    assert [(frame.width, frame.height) for frame in frames] == [(160, 120)] * 5
    assert [abs(left(frame.to_ndarray(format='rgb24')) - 4 * i) <= 2 for i, frame in enumerate(frames)] == [True] * 5


def test_times_of_uneven_videos_survive_reading_and_writing(tmp_path):
    times = [0., .04, .5, .52, 2.]
    items = list(video.read(write(tmp_path / 'uneven.mp4', 5, seconds=times)))
    np.testing.assert_allclose([item.seconds for item in items], times, atol=1e-3)


def test_ahead_raises_what_the_thread_raises_and_ends_with_its_reader():
    def failing():
        yield Broken('1', '')
        raise OSError('gone')
    with pytest.raises(OSError, match='gone'):
        list(video.ahead(failing, 2))
    closed = []

    def endless():
        try:
            while True:
                yield Broken('1', '')
        finally:
            closed.append(True)
    reader = video.ahead(endless, 2)
    next(reader)
    reader.close()
    assert closed == [True]


def test_without_pyav_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'av', None)
    with pytest.raises(UserError, match=r"pip install 'object-detection\[video\]'"):
        video.demand()
