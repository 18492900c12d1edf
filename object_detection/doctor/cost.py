"""What a training takes: time, and disk for its checkpoints."""
import math
import shutil
from pathlib import Path

import numpy as np

from object_detection.config.checks import Finding, hint, warning
from object_detection.doctor.data import Look

_SLOW_INPUT = .25  # share of the time waiting for input from which it is worth a look


def disk(num_steps: int, every_n: int, max_to_keep: int, keep_optimizer: int, checkpoint: int, slots: int
         ) -> tuple[int, int]:
    """Return (number of checkpoints that are kept, bytes that they take, best/ included).

    Args:
        every_n, max_to_keep, keep_optimizer: --checkpoint_every_n, --checkpoint_max_to_keep, --keep_optimizer.
        checkpoint: bytes of one. slots: bytes of the optimizer's state in it.
    """
    kept = min(max_to_keep, 1 + math.ceil(num_steps / every_n))  # ckpt-1 is of step 0
    whole = min(keep_optimizer, kept)
    return kept, (whole + 1) * checkpoint + (kept - whole) * max(checkpoint - slots, 0)


def check_disk(needed: int, kept: int, folder: Path) -> list[Finding]:
    """Return a finding if the checkpoints do not fit on the disk of `folder`, which exists."""
    free = shutil.disk_usage(folder).free
    if needed < .9 * free:
        return []
    return [warning('--checkpoint_max_to_keep', f'{kept} checkpoints and best/ take {needed / 1e9:.1f} GB, and '
                    f'{free / 1e9:.1f} GB are free on the disk of {folder}; keep fewer, or fewer with the state of the '
                    'optimizer (--keep_optimizer)')]


def check_waiting(waiting: float) -> list[Finding]:
    """Return a finding if training waits long for its input. waiting: share of the time, 0..1."""
    if waiting < _SLOW_INPUT:
        return []
    return [hint('train_input_reader', f'training waits for input {waiting:.0%} of the time; smaller pictures decode '
                 'faster (prepare_data.py --mindim, a little above the size of the image_resizer), and so do fewer '
                 'augmentations')]


def worst(looks: list[Look], batch_size: int, most_boxes: int) -> list[int]:
    """Return the indices of the records that take the most memory: half with the most boxes, half the largest.

    Args:
        most_boxes: max_number_of_boxes of the reader; more are not read.
    """
    if not looks:
        return []
    boxes = np.array([min(len(look.boxes), most_boxes) for look in looks])
    pixels = np.array([look.size[0] * look.size[1] for look in looks])
    crowded, large = np.argsort(-boxes, kind='stable'), np.argsort(-pixels, kind='stable')
    half = [*crowded[:-(-batch_size // 2)], *large[:batch_size // 2]]
    return [looks[half[i % len(half)]].index for i in range(batch_size)]
