"""How many pictures this machine trains on at once. Asks the driver (nvidia-smi) and never loads TensorFlow."""
import csv
import os
import re
import subprocess
from dataclasses import dataclass

from object_detection.config.pipeline import architecture

# GB that training takes for each megapixel of a picture, float32; the first pattern counts that is found in
# 'ARCHITECTURE FEATURE_EXTRACTOR'. Measured on a CPU, as the growth of the peak from one batch size to another:
# MobileNet V2, EfficientNet b0 and b3, ResNet50. The others are estimates from these, by depth and width.
_PER_MEGAPIXEL = (
    ('mobilenet', 1.5), ('hourglass_104', 7.), ('hourglass', 4.),
    ('efficientnet-b0', 2.7), ('efficientnet-b1', 3.5), ('efficientnet-b2', 4.4), ('efficientnet-b3', 5.6),
    ('efficientnet-b4', 7.2), ('efficientnet-b5', 9.2), ('efficientnet', 12.),
    ('inception_resnet', 6.), ('resnet.*152', 4.2), ('resnet.*101', 3.2), ('center_net resnet', 1.7), ('', 2.2),
)
_MODEL = 2.5  # GB for weights, optimizer and libraries
_USABLE = .8  # of the memory: the rest is for the screen, fragmentation and evaluation
_SUPPOSED = 8  # GB where the memory is not known
_CPU_LIMIT = 4  # a step takes long there as it is


@dataclass(frozen=True)
class Machine:
    """name: of the device. gpus: how many. memory: GB of one of them, or of the computer; None if not known."""
    name: str
    gpus: int
    memory: float | None


def look():
    """The Machine that this is."""
    if gpus := _gpus():
        name, memory = min(gpus, key=lambda gpu: gpu[1])
        return Machine(name, len(gpus), memory)
    return Machine('a CPU', 0, _main_memory())


def batch_size(config, records=None, machine=None):
    """The batch_size to train a config with instead of its own, and the reason.

    For each GPU a power of two that fits into its memory by a rough estimate, in all at most the batch_size of the
    config and the number of records.
    """
    machine = machine or look()
    devices = max(1, machine.gpus)
    height, width = _picture(architecture(config)[1].image_resizer)
    if not height:
        return devices, 'pictures keep their own sizes, so that they go one by one'
    each = picture_memory(config)
    memory = machine.memory or _SUPPOSED
    limit = min(config.train_config.batch_size, records or config.train_config.batch_size) // devices
    most = min(int((memory * _USABLE - _MODEL) / each), limit if machine.gpus else min(limit, _CPU_LIMIT))
    batch = devices * 2 ** (max(1, most).bit_length() - 1)
    several = f'{devices} x ' if devices > 1 else ''
    return batch, (f'for {several}{machine.name} with {memory:.0f} GB, at about {each:.2g} GB for each picture of '
                   f'{height}x{width}; --batch_size says it otherwise')


def picture_memory(config):
    """GB that training takes for one picture more in the batch, roughly."""
    name, model = architecture(config)
    height, width = _picture(model.image_resizer)
    kind = f'{name} {model.feature_extractor.type}'
    return next(value for pattern, value in _PER_MEGAPIXEL if re.search(pattern, kind)) * height * width / 1e6


def _picture(resizer):
    """(height, width) that an ImageResizer message gives to all pictures; (0, 0) if they keep their own."""
    fixed, kept = resizer.fixed_shape_resizer, resizer.keep_aspect_ratio_resizer
    if resizer.HasField('fixed_shape_resizer'):
        return fixed.height, fixed.width
    if kept.pad_to_max_dimension:
        return kept.max_dimension, kept.max_dimension
    return 0, 0


def _gpus():
    """[(name, GB)] of the GPUs that TensorFlow may use, by CUDA_VISIBLE_DEVICES."""
    try:
        done = subprocess.run(['nvidia-smi', '--query-gpu=name,memory.total', '--format=csv,noheader,nounits'],
                              capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    gpus = [(name, int(memory) * 2 ** 20 / 1e9) for name, memory in csv.reader(done.stdout.splitlines(),
                                                                              skipinitialspace=True)
            if memory.isdigit()]
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    if visible is None:
        return gpus
    chosen = [entry.strip() for entry in visible.split(',') if entry.strip()]
    if all(entry.isdigit() for entry in chosen):
        return [gpus[int(entry)] for entry in chosen if int(entry) < len(gpus)]
    return [] if chosen[0].startswith('-') else gpus[:len(chosen)]  # named by UUID


def _main_memory():
    """GB of this computer; None where the system does not say (Windows)."""
    try:
        return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9
    except (AttributeError, ValueError, OSError):
        return None
