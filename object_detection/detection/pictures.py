"""From picture files to items, decoded by threads ahead of the network."""
import collections
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from object_detection.detection.item import Broken, Item, Source
from object_detection.preparation.decode import Unusable, decode_array
from object_detection.utils import files
from object_detection.utils.errors import UserError


def read(sources: Sequence[Source], threads: int, ahead: int) -> Iterator[Item | Broken]:
    """Yield the pictures in order.

    Args:
        threads: that decode.
        ahead: pictures that are decoded before they are asked for.
    """
    with ThreadPoolExecutor(threads, 'decode') as pool:
        waiting: collections.deque[Future[Item | Broken]] = collections.deque()
        try:
            for source in sources:
                waiting.append(pool.submit(_read, source))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read(source: Source) -> Item | Broken:
    try:
        image, width, height = decode_array(files.read_bytes(source.path))
    except UserError as error:
        return Broken(source.name, str(error).removeprefix(f'{source.path}: '))
    except Unusable as error:
        return Broken(source.name, str(error))
    return Item(source, source.name, source.stem, image, (width, height))
