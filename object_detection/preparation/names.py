"""File names of the written pictures: valid on every file system and unique."""
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from object_detection.preparation.scan import Source, composed

LONGEST = 120  # bytes; file systems allow 255, and some tools append to names
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
SUFFIXES = {'jpg', 'jpeg', 'jpe', 'jfif', 'png', 'gif', 'bmp', 'dib', 'tif', 'tiff', 'webp', 'avif', 'heic', 'heif',
            'jp2'}
RESERVED = re.compile(r'(con|prn|aux|nul|com\d|lpt\d)(\..*)?', re.IGNORECASE)


def jpg_names(sources: Iterable[Source]) -> dict[str, str]:
    """Return {source path: 'jpg/<label>/<name>.jpg'}, with the top folder for a label that is not known yet.

    Sources whose names would collide (a.png and a.jpg, or names that differ only by case or Unicode normalization,
    which some file systems ignore) each get eight digits of their path's hash. So a name depends only on the sources
    that share it.
    """
    tops = {source.path: composed(source.path.rpartition('/')[0].partition('/')[0]) for source in sources}
    labels = {source.path: source.label or tops[source.path] for source in sources}
    folders = distinct({label: safe(label) for label in labels.values()})
    plain = {}
    for source in sources:
        inner = source.path.partition('/')[2] if labels[source.path] == tops[source.path] else source.path
        inner = inner or source.path
        stem, dot, suffix = inner.rpartition('.')
        name = safe(stem if dot and suffix.lower() in SUFFIXES else inner)
        plain[source.path] = f'jpg/{folders[labels[source.path]]}/{name}'
    return {path: f'{name}.jpg' for path, name in distinct(plain).items()}


def safe(name: str) -> str:
    """Return a name of at most LONGEST bytes, in composed Unicode, without what any file system forbids."""
    clean = FORBIDDEN.sub('_', unicodedata.normalize('NFC', name)).strip(' .')
    clean = clean.encode()[:LONGEST].decode(errors='ignore').rstrip(' .')
    return f'_{clean}' if not clean or RESERVED.fullmatch(clean) else clean


def distinct(names: Mapping[str, str]) -> Mapping[str, str]:
    """Append digits of the key's hash to the names of {key: name} that collide: eight, or all if these collide too."""
    for digits in (8, 64):
        count = Counter(name.casefold() for name in names.values())
        names = {key: name if count[name.casefold()] == 1 else
                 f'{name}-{hashlib.sha256(key.encode()).hexdigest()[:digits]}' for key, name in names.items()}
    return names
