"""Names of the pictures written: safe on every file system, and never the same for two sources."""
import hashlib
import re
import unicodedata
from collections import Counter

LONGEST = 120  # bytes; file systems allow 255, tools that add to a name need some of it
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
SUFFIXES = {'jpg', 'jpeg', 'jpe', 'jfif', 'png', 'gif', 'bmp', 'dib', 'tif', 'tiff', 'webp', 'avif', 'heic', 'heif',
            'jp2'}
RESERVED = re.compile(r'(con|prn|aux|nul|com\d|lpt\d)(\..*)?', re.IGNORECASE)


def jpg_names(sources):
    """{source path: 'jpg/<label>/<name>.jpg'} for Sources.

    A name that would stand for two sources (a.png and a.jpg; also when they differ by case or Unicode spelling only,
    which some file systems take for the same) gets eight digits of its path's hash, for each of them. So a name depends
    on the sources of that name alone.
    """
    folders = _distinct({source.label: safe(source.label) for source in sources})
    plain = {}
    for source in sources:
        inner = source.path.partition('/')[2] or source.path
        stem, dot, suffix = inner.rpartition('.')
        name = safe(stem if dot and suffix.lower() in SUFFIXES else inner)
        plain[source.path] = f'jpg/{folders[source.label]}/{name}'
    return {path: f'{name}.jpg' for path, name in _distinct(plain).items()}


def safe(name):
    """`name` with what some file system forbids replaced, composed Unicode, and at most LONGEST bytes long."""
    clean = FORBIDDEN.sub('_', unicodedata.normalize('NFC', name)).strip(' .')
    clean = clean.encode()[:LONGEST].decode(errors='ignore').rstrip(' .')
    return f'_{clean}' if not clean or RESERVED.fullmatch(clean) else clean


def _distinct(names):
    """{key: name}, with as much of the key's hash added to names that collide as makes them differ."""
    for digits in (8, 64):
        count = Counter(name.casefold() for name in names.values())
        names = {key: name if count[name.casefold()] == 1 else f'{name}-{_digest(key)[:digits]}'
                 for key, name in names.items()}
    return names


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()
