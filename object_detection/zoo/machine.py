"""The batch size that fits this machine. Asks the driver (nvidia-smi) and never loads TensorFlow."""
import re
from dataclasses import dataclass

from object_detection import protos
from object_detection.config.pipeline import architecture, fixed_size
from object_detection.utils import machine as this

# GB of memory that training takes per megapixel of input, in float32; the first pattern that matches
# 'ARCHITECTURE FEATURE_EXTRACTOR' counts. MobileNet V2, EfficientNet b0 and b3, and ResNet50 were measured on a CPU, as
# the growth of the peak from one batch size to the next; the others are estimated from these by depth and width.
_PER_MEGAPIXEL = (
    ('mobilenet', 1.5), ('hourglass_104', 7.), ('hourglass', 4.),
    ('efficientnet-b0', 2.7), ('efficientnet-b1', 3.5), ('efficientnet-b2', 4.4), ('efficientnet-b3', 5.6),
    ('efficientnet-b4', 7.2), ('efficientnet-b5', 9.2), ('efficientnet', 12.),
    ('inception_resnet', 6.), ('resnet.*152', 4.2), ('resnet.*101', 3.2), ('center_net resnet', 1.7), ('', 2.2),
)
_MODEL = 2.5  # GB for weights, optimizer and libraries
_USABLE = .8  # fraction of the memory; the rest is for the screen, fragmentation and evaluation
_DEFAULT_MEMORY = 8  # GB, where the memory is not known
_CPU_LIMIT = 4  # a larger batch fits, but a step takes long


@dataclass(frozen=True)
class Machine:
    """name: of the device. gpus: their number. memory: GB of one GPU, or of the computer without one; None: unknown."""
    name: str
    gpus: int
    memory: float | None


def look() -> Machine:
    """Return this machine, with the GPU that has the least memory."""
    if gpus := this.gpus():
        name, memory = min(gpus, key=lambda gpu: gpu[1])
        return Machine(name, len(gpus), memory)
    return Machine('a CPU', 0, this.main_memory())


def batch_size(config: protos.TrainEvalPipelineConfig, records: int | None = None,
               machine: Machine | None = None) -> tuple[int, str]:
    """Return a batch_size for this machine in place of the config's, and the reason.

    Per GPU it is a power of two that fits into the memory by a rough estimate, in all at most the config's batch_size
    and the number of records.
    """
    machine = machine or look()
    devices = max(1, machine.gpus)
    height, width = fixed_size(architecture(config)[1].image_resizer) or (0, 0)
    if not height:
        return devices, 'pictures keep their own sizes, so each is a batch of its own'
    per_picture = picture_memory(config)
    memory = machine.memory or _DEFAULT_MEMORY
    limit = min(config.train_config.batch_size, records or config.train_config.batch_size) // devices
    most = min(int((memory * _USABLE - _MODEL) / per_picture), limit if machine.gpus else min(limit, _CPU_LIMIT))
    batch = devices * 2 ** (max(1, most).bit_length() - 1)
    several = f'{devices} x ' if devices > 1 else ''
    return batch, (f'for {several}{machine.name} with {memory:.0f} GB, at about {per_picture:.2g} GB per picture of '
                   f'{height}x{width}; --batch_size overrides it')


def picture_memory(config: protos.TrainEvalPipelineConfig) -> float:
    """Estimate the GB of memory that one more picture in the batch takes in training."""
    name, model = architecture(config)
    height, width = fixed_size(model.image_resizer) or (0, 0)
    kind = f'{name} {model.feature_extractor.type}'
    return next(value for pattern, value in _PER_MEGAPIXEL if re.search(pattern, kind)) * height * width / 1e6
