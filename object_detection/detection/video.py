"""Read and write videos, and read cameras, with PyAV (FFmpeg)."""
import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from object_detection.detection.item import Broken, Item, Source
from object_detection.utils import files
from object_detection.utils.errors import UserError

TICKS = 90_000  # a second, in the videos that are written: frames of any rate keep their times
QUALITY = {'libx264': {'crf': '21', 'preset': 'veryfast'}, 'mpeg4': {'qscale': '3'}}  # the first encoder that is there
MISSING = "videos and cameras need PyAV: pip install 'object-detection[video]', or pip install av"
CAMERAS = {'linux': 'v4l2', 'darwin': 'avfoundation', 'win32': 'dshow'}
CORRUPT = 'is damaged'


def demand() -> Any:
    """Return PyAV; UserError if it is not installed."""
    try:
        import av
    except ImportError as error:
        raise UserError(MISSING) from error
    av.logging.set_level(None)  # FFmpeg's remarks on each frame; what matters becomes an exception
    return av


def count(source: Source, every: int) -> int | None:
    """Return how many items `read` yields, as far as the file tells; None if it does not, or is no video."""
    av = demand()
    if source.camera is not None:
        return None
    with contextlib.suppress(av.FFmpegError, IndexError, UserError), _open(av, source) as container:
        stream = container.streams.video[0]
        seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
        frames = stream.frames or round(seconds * float(stream.average_rate or 0))
        return -(-frames // every) or None
    return None


def read(source: Source, every: int = 1) -> Iterator[Item | Broken]:
    """Yield every n-th frame of a video or camera; Broken for each damaged frame, and for a file that is no video.

    Frames are upright, as the video's own display matrix says.
    """
    av = demand()
    try:
        with _open(av, source) as container:
            if not container.streams.video:
                yield Broken(source.name, 'holds no video')
                return
            yield from _frames(av, container, source, every)
    except UserError as error:
        yield Broken(source.name, str(error))
    except av.FFmpegError as error:
        if source.camera is not None:
            raise UserError(f'--input {source.camera}: {_reason(error)}; is there a camera of this number?') from error
        yield Broken(source.name, f'is no video that FFmpeg can read: {_reason(error)}')


def _open(av: Any, source: Source) -> Any:
    if source.camera is None:
        return av.open(str(files.existing_file(source.path)), metadata_errors='replace')
    kind = CAMERAS.get(sys.platform, 'v4l2')
    if kind == 'v4l2':
        return av.open(f'/dev/video{source.camera}', format=kind)
    if kind == 'avfoundation':
        return av.open(str(source.camera), format=kind, options={'framerate': '30', 'pixel_format': 'nv12'})
    names = [device.name for device in av.enumerate_input_devices(kind)]
    if source.camera >= len(names):
        raise UserError(f'--input {source.camera}: there is no such camera; there are {len(names)}')
    return av.open(f'video={names[source.camera]}', format=kind)


def _frames(av: Any, container: Any, source: Source, every: int) -> Iterator[Item | Broken]:
    stream = container.streams.video[0]
    stream.thread_type = 'AUTO'
    rate = float(stream.average_rate or stream.guessed_rate or 25) / every
    first, number, began = None, 0, time.monotonic()
    for packet in container.demux(stream):
        try:
            decoded = packet.decode()
        except (av.error.InvalidDataError, av.error.EOFError) as error:
            number += 1
            yield Broken(f'{source.name}, frame {number}', _reason(error))
            continue
        for frame in decoded:
            number += 1
            if frame.is_corrupt:
                yield Broken(f'{source.name}, frame {number}', CORRUPT)
            elif (number - 1) % every == 0:
                seconds = float(frame.time) if frame.time is not None else (number - 1) / (rate * every)
                if source.camera is not None:
                    seconds = time.monotonic() - began
                first = seconds if first is None else first
                yield _item(frame, source, number, seconds - first, rate)


def _item(frame: Any, source: Source, number: int, seconds: float, rate: float) -> Item:
    image = frame.to_ndarray(format='rgb24')
    if turns := round(frame.rotation / 90) % 4:  # degrees counterclockwise
        image = np.ascontiguousarray(np.rot90(image, turns))
    stem = f'{source.stem}/{number:06d}'
    return Item(source, f'{stem}.jpg', stem, image, (image.shape[1], image.shape[0]), seconds, rate)


def _reason(error: Any) -> str:
    return str(error.strerror or error).lower()


class Writer:
    """Write a video, MP4 with H.264, frame by frame; it appears under its name when it is complete.

    Args:
        path: of the file, .mp4.
        size: (width, height) of all frames; odd sides lose a pixel, which H.264 cannot have.
        rate: frames per second, for players that show one; frames keep their own times.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: float) -> None:
        av = demand()
        self._av, self._path, self._last = av, path, -1
        self._partial = path.with_name(f'.{path.name}.tmp')
        self._size = size[0] // 2 * 2 or 2, size[1] // 2 * 2 or 2
        self._container = av.open(str(self._partial), 'w', format='mp4', options={'movflags': 'faststart'})
        name = next(name for name in QUALITY if name in av.codecs_available)
        stream = self._container.add_stream(name, rate=Fraction(rate or 25).limit_denominator(1001),
                                            options=QUALITY[name])
        stream.width, stream.height, stream.pix_fmt = *self._size, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, TICKS)
        self._stream = stream

    def write(self, image: np.ndarray, seconds: float) -> None:
        """Append a frame, uint8 [H, W, 3]; one of another size is scaled to that of the first."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='rgb24')
        if (frame.width, frame.height) != self._size:
            if abs(frame.width - self._size[0]) < 2 and abs(frame.height - self._size[1]) < 2:
                cut = np.ascontiguousarray(image[:self._size[1], :self._size[0]])
                frame = self._av.VideoFrame.from_ndarray(cut, format='rgb24')
            else:
                frame = frame.reformat(*self._size)
        self._last = max(round(seconds * TICKS), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Complete the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        files.replace(self._partial, self._path)


def ahead(make: Callable[[], Iterator[Item | Broken]], number: int) -> Iterator[Item | Broken]:
    """Yield what an iterator yields, which runs in a thread of its own and is at most `number` items ahead."""
    waiting: queue.Queue = queue.Queue(number)
    ended, stopped = object(), threading.Event()

    def put(value: Any) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(value, timeout=.1)
                return True
        return False

    def work() -> None:
        try:
            with contextlib.closing(make()) as items:  # type: ignore[type-var]
                for item in items:
                    if not put(item):
                        return
            put(ended)
        except BaseException as error:
            put(error)
    thread = threading.Thread(target=work, name='decode', daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not ended:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
