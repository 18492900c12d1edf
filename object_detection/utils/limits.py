"""Limits that several rooms share."""
from object_detection.utils import endings, machine

# TensorFlow decodes a JPEG only if its pixels take less than 2**29 bytes. This is the limit of pictures of all formats:
# none with more pixels is written into a record, or accepted in one.
MOST_JPEG_BYTES = 1 << 29
MOST_PIXELS = (MOST_JPEG_BYTES - 1) // 3  # 178.9 megapixels with three channels
# A file with more pixels is a decompression bomb, and not opened. Phones have up to 200 megapixels, which are shrunk.
MOST_PIXELS_OPENED = 256_000_000

# Text that is parsed as a whole takes so many times its size of memory: 2 for itself, and 5 as the JSON of COCO, 9 as
# the XML of CVAT.
MEMORY_OF_TEXT = 11
SMALL_TEXT = 64 << 20  # bytes; is parsed in any case


def text_too_large(size: int) -> str:
    """Return why a JSON, XML or CSV file of `size` bytes is not read, because memory would run out; else ''."""
    memory = endings.memory_limit() or (machine.main_memory() or float('inf')) * 1e9
    if size <= SMALL_TEXT or size * MEMORY_OF_TEXT <= memory:
        return ''
    return (f'has {size / 1e6:.0f} MB, and reading it takes about {size * MEMORY_OF_TEXT / 1e9:.1f} GB of memory, of '
            f'{memory / 1e9:.1f} GB here; divide it')
