"""One picture, or one frame of a video, on its way through the network."""
import dataclasses
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A picture, a video or a camera.

    Attributes:
        path: of the file.
        name: of the file relative to the input folder, with '/'; what annotation files call it.
        stem: the name under which results are written, without suffix; unique.
        is_video: a video or a camera.
        camera: its number; None for a file.
    """
    path: Path
    name: str
    stem: str
    is_video: bool = False
    camera: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """A picture or frame.

    Attributes:
        source: where it is from.
        name, stem: as those of Source; of a frame video/000001.jpg and video/000001.
        image: uint8 [H, W, 3], RGB, upright.
        size: (width, height) of the picture in its file, upright. The image is smaller only where no decoder of
            TensorFlow would take it whole.
        seconds: of a frame, since the start of the video; None for a picture.
        rate: frames per second of its video; 0 for a picture.
    """
    source: Source
    name: str
    stem: str
    image: np.ndarray
    size: tuple[int, int]
    seconds: float | None = None
    rate: float = 0.


@dataclasses.dataclass(frozen=True, slots=True)
class Broken:
    """A picture or frame that cannot be read, and why."""
    name: str
    reason: str
