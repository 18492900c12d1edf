"""The reference's numbers for anchors, targets and NMS (golden/boxes.npz, made by golden/make_boxes.py)."""
from pathlib import Path

import numpy as np

_ARRAYS = np.load(Path(__file__).parents[1] / 'golden' / 'boxes.npz')


def case(name):
    """Return (inputs, outputs) of one case: dicts of arrays."""
    return tuple({key.removeprefix(prefix): _ARRAYS[key] for key in _ARRAYS.files if key.startswith(prefix)}
                 for prefix in (f'{name}/in/', f'{name}/out/'))


def names(kind):
    """Return the names of the cases of a kind: 'nms plain' is the case 'plain' of 'nms'."""
    return sorted({key.split('/')[0].removeprefix(f'{kind} ') for key in _ARRAYS.files if key.startswith(f'{kind} ')})
