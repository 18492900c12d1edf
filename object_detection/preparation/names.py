"""File names of the written pictures: valid on every file system and unique."""
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from object_detection.preparation.columns import Index, Texts
from object_detection.preparation.scan import Files, composed

DIGITS = (8, 64)  # of the hash of its path, appended to a name that collides; the second if this collides, too
LONGEST = 120  # bytes; file systems allow 255, and some tools append to names
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
SUFFIXES = {'jpg', 'jpeg', 'jpe', 'jfif', 'png', 'gif', 'bmp', 'dib', 'tif', 'tiff', 'webp', 'avif', 'heic', 'heif',
            'jp2'}
RESERVED = re.compile(r'(con|prn|aux|nul|com\d|lpt\d)(\..*)?', re.IGNORECASE)


def jpg_names(sources: Files) -> Texts:
    """Return 'jpg/<label>/<name>.jpg' for each source, with the top folder for a label that is not known yet.

    Sources whose names would collide (a.png and a.jpg, or names that differ only by case or Unicode normalization,
    which some file systems ignore) each get eight digits of their path's hash. So a name depends only on the sources
    that share it.
    """
    folders: dict[str, str] = {}
    for i in range(len(sources)):
        label = sources.labels[i] or _top(sources.path(i))
        folders.setdefault(label, safe(label))
    folders = dict(distinct(folders))
    names = Texts()
    for i in range(len(sources)):
        path = sources.path(i)
        label, top = sources.labels[i] or _top(path), _top(path)
        inner = path.partition('/')[2] if label == top else path
        inner = inner or path
        stem, dot, suffix = inner.rpartition('.')
        name = safe(stem if dot and suffix.lower() in SUFFIXES else inner)
        names.append(f'jpg/{folders[label]}/{name}.jpg')
    for digits in DIGITS:
        same = Index(len(names), lambda i: names[i].casefold()).repeated()
        for i in [i for rows in same for i in rows]:
            names[i] = f'{names[i][:-len(".jpg")]}-{_digest(sources.path(i))[:digits]}.jpg'
    return names


def _top(path: str) -> str:
    return composed(path.rpartition('/')[0].partition('/')[0])


def safe(name: str) -> str:
    """Return a name of at most LONGEST bytes, in composed Unicode, without what any file system forbids."""
    clean = FORBIDDEN.sub('_', unicodedata.normalize('NFC', name)).strip(' .')
    clean = clean.encode()[:LONGEST].decode(errors='ignore').rstrip(' .')
    return f'_{clean}' if not clean or RESERVED.fullmatch(clean) else clean


def distinct(names: Mapping[str, str]) -> Mapping[str, str]:
    """Append digits of the key's hash to the names of {key: name} that collide: eight, or all if these collide too."""
    for digits in DIGITS:
        count = Counter(name.casefold() for name in names.values())
        names = {key: name if count[name.casefold()] == 1 else f'{name}-{_digest(key)[:digits]}'
                 for key, name in names.items()}
    return names


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
