"""The manifest: the facts found in every source picture and the decisions on it, in one SQLite file.

Facts are kept from run to run as long as they hold. Decisions follow from them and are made again in each run. SQLite
commits are atomic, so the next run can continue from the manifest of a run that was killed.
"""
import dataclasses
import errno
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from object_detection.preparation.masks import Mask
from object_detection.utils import state
from object_detection.utils.errors import UserError

VERSION = 1
MANIFEST = 'manifest.sqlite'
BACKGROUND = '../'  # how paths of --background start; no path in a data set does
SCHEMA = '''
CREATE TABLE IF NOT EXISTS found (
    path TEXT PRIMARY KEY, label TEXT, size INTEGER, mtime_ns INTEGER, options TEXT,  -- the file, and how it was read
    problem TEXT, note TEXT, sha256 TEXT, format TEXT, width INTEGER, height INTEGER, turned INTEGER,
    hash INTEGER, thumbnail BLOB,
    jpg TEXT, jpg_size INTEGER, jpg_mtime_ns INTEGER, jpg_width INTEGER, jpg_height INTEGER, jpg_sha256 TEXT);
CREATE TABLE IF NOT EXISTS detections (  -- found: [[ymin, xmin, ymax, xmax, score, class], ...], best first
    jpg_sha256 TEXT, detector TEXT, found TEXT, PRIMARY KEY (jpg_sha256, detector)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS written (jpg TEXT PRIMARY KEY);  -- every jpg a run may have written: no other is deleted
CREATE TABLE IF NOT EXISTS tiles (  -- every tile a run may have written; key: what its bytes depend on
    jpg TEXT PRIMARY KEY, key TEXT, size INTEGER, mtime_ns INTEGER, sha256 TEXT);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS decided (
    path TEXT PRIMARY KEY, label TEXT, verdict TEXT, reason TEXT, side TEXT, grouped TEXT, boxes TEXT, review TEXT);
'''


@dataclasses.dataclass(slots=True)
class Box:
    """A box with its label; coordinates normalized to 0..1.

    origin: model, voc, yolo, coco, cvat, csv or whole. score, coco: the model's score and class id, None for other
    origins. keypoints: (y, x, visibility of COCO) of each; empty if the object has none.
    """
    ymin: float
    xmin: float
    ymax: float
    xmax: float
    label: str
    score: float | None
    origin: str
    coco: int | None = None
    difficult: bool = False
    mask: Mask | None = None
    keypoints: tuple[tuple[float, float, int], ...] = ()

    @property
    def corners(self) -> tuple[float, float, float, float]:
        return self.ymin, self.xmin, self.ymax, self.xmax


@dataclasses.dataclass(slots=True)
class Picture:
    """One source picture: the facts found in its file and, from `verdict` on, the decisions on it.

    Facts that need a readable file are 0 or empty without one. width, height, jpg_width, jpg_height: upright, pixels.
    turned: the EXIF orientation that was undone. hash: 64 bits as a signed integer, None for flat pictures. jpg:
    relative to the output folder.
    verdict: None while a picture is in, else skipped, duplicate, conflict, no box or surplus. subset: of the split.
    """
    path: str
    label: str
    size: int
    mtime_ns: int
    options: str
    problem: str | None = None
    note: str | None = None
    sha256: str = ''
    format: str = ''
    width: int = 0
    height: int = 0
    turned: int = 1
    hash: int | None = None
    thumbnail: bytes = b''
    jpg: str = ''
    jpg_size: int = 0
    jpg_mtime_ns: int = 0
    jpg_width: int = 0
    jpg_height: int = 0
    jpg_sha256: str = ''
    verdict: str | None = None
    reason: str | None = None
    subset: str | None = None
    group: str | None = None
    boxes: list[Box] = dataclasses.field(default_factory=list)
    review: list[str] = dataclasses.field(default_factory=list)

    @property
    def background(self) -> bool:
        """Whether it comes from --background and shows no object."""
        return self.path.startswith(BACKGROUND)


_ADVICE = 'delete it to start from scratch'
BOX_COLUMNS = ('ymin', 'xmin', 'ymax', 'xmax', 'label', 'score', 'origin', 'coco', 'difficult')  # kept in `decided`
FACTS = tuple(field.name for field in dataclasses.fields(Picture))
FACTS = FACTS[:FACTS.index('verdict')]


class Kept(Mapping[str, str]):
    """{jpg_sha256: JSON text} of the detections of a detector, read from the manifest one by one."""

    def __init__(self, database: sqlite3.Connection, detector: str) -> None:
        self._database, self._detector = database, detector

    def __getitem__(self, sha256: str) -> str:
        found = self._select('found', 'AND jpg_sha256 = ?', sha256).fetchone()
        if not found:
            raise KeyError(sha256)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        return (sha256 for sha256, in self._select('jpg_sha256'))

    def __len__(self) -> int:
        return self._select('COUNT(*)').fetchone()[0]

    def _select(self, what, where='', *values):
        return self._database.execute(f'SELECT {what} FROM detections WHERE detector = ? {where}',
                                      [self._detector, *values])


class Manifest:
    """The open manifest of an output folder, which this process has locked."""

    def __init__(self, output: Path) -> None:
        path = output / MANIFEST
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            version = self._db.execute('PRAGMA user_version').fetchone()[0]
            if version not in (0, VERSION):
                raise UserError(f'{path}: made by another version of prepare_data.py; {_ADVICE}')
            self._db.execute('PRAGMA journal_mode = WAL')
            self._db.execute('PRAGMA synchronous = NORMAL')
            self._db.executescript(SCHEMA)
            self._db.execute(f'PRAGMA user_version = {VERSION}')
        except sqlite3.DatabaseError as error:
            _raise_if_full(error)
            raise UserError(f'{path}: {error}; {_ADVICE}') from error
        self._path = path

    def __enter__(self) -> 'Manifest':
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._db.close()
        if isinstance(error, sqlite3.DatabaseError):  # damage in the middle of the file shows when that part is read
            raise UserError(f'{self._path}: {error}; {_ADVICE}') from error

    def facts(self) -> Iterator[Picture]:
        """Yield Pictures with the facts that earlier runs found, sorted by path, without their thumbnails."""
        columns = ', '.join("x''" if name == 'thumbnail' else name for name in FACTS)
        return (Picture(*row) for row in self._db.execute(f'SELECT {columns} FROM found ORDER BY path'))

    def thumbnail(self, path: str) -> bytes:
        """Return the thumbnail of a picture, empty if it is not known."""
        row = self._db.execute('SELECT thumbnail FROM found WHERE path = ?', [path]).fetchone()
        return row[0] if row else b''

    def keep_facts(self, pictures: Iterable[Picture]) -> None:
        """Keep the facts of pictures, with their thumbnails, in place of earlier ones."""
        values = ([getattr(picture, name) for name in FACTS] for picture in pictures)
        self._write(f'INSERT OR REPLACE INTO found VALUES ({", ".join("?" * len(FACTS))})', values)

    def forget(self, paths: Iterable[str]) -> None:
        """Delete the facts of sources that are no longer in the data set."""
        self._write('DELETE FROM found WHERE path = ?', ([path] for path in paths))

    def unwanted(self, wanted: Iterable[str], table: str = 'written') -> list[str]:
        """Return the jpgs that a run may have written, other than those that are wanted. table: 'written', 'tiles'."""
        self._db.execute('CREATE TEMP TABLE wanted (jpg TEXT PRIMARY KEY) WITHOUT ROWID')
        self._write('INSERT OR IGNORE INTO wanted VALUES (?)', ([jpg] for jpg in wanted))
        rows = self._db.execute(f'SELECT jpg FROM {table} EXCEPT SELECT jpg FROM wanted').fetchall()
        self._db.execute('DROP TABLE wanted')
        return [name for name, in rows]

    def will_write(self, jpgs: Iterable[str]) -> None:
        """Say that these jpgs are about to be written, so that a later run may delete them."""
        self._write('INSERT OR IGNORE INTO written VALUES (?)', ([jpg] for jpg in jpgs))

    def deleted(self, jpgs: Iterable[str]) -> None:
        """Say that these jpgs, once written, are gone."""
        self._write('DELETE FROM written WHERE jpg = ?', [[jpg] for jpg in jpgs])

    def tile(self, jpg: str) -> tuple[str, int, int, str] | None:
        """Return (what its bytes depend on, '' while it is written; size, mtime_ns, SHA-256) of a tile."""
        return self._db.execute('SELECT key, size, mtime_ns, sha256 FROM tiles WHERE jpg = ?', [jpg]).fetchone()

    def keep_tiles(self, tiles: Iterable[tuple[str, str, int, int, str]]) -> None:
        """tiles: jpg, and what `tile` returns."""
        self._write('INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?)', tiles)

    def forget_tiles(self, jpgs: Iterable[str]) -> None:
        """Say that these tiles, once written, are gone."""
        self._write('DELETE FROM tiles WHERE jpg = ?', [[jpg] for jpg in jpgs])

    def detections(self, detector: str) -> Kept:
        """Return {jpg_sha256: JSON text} of all detections of a detector, given by its digest; they stay on disk."""
        return Kept(self._db, detector)

    def keep_detections(self, detector: str, detections: Mapping[str, list[list[float]]]) -> None:
        """detections: {jpg_sha256: [[ymin, xmin, ymax, xmax, score, class], ...]}."""
        self._write('INSERT OR REPLACE INTO detections VALUES (?, ?, ?)',
                    [[sha, detector, json.dumps(boxes)] for sha, boxes in detections.items()])

    def value(self, name: str, shape: Any) -> Any:
        """Return the last value given to keep_value(name, ...), or None; shape: see state.read."""
        row = self._db.execute('SELECT value FROM kept WHERE name = ?', [name]).fetchone()
        return state.parse(row[0], shape, f'{self._path}: what is kept as {name}', _ADVICE) if row else None

    def keep_value(self, name: str, value: Any) -> None:
        """value: anything that JSON holds."""
        self._write('INSERT OR REPLACE INTO kept VALUES (?, ?)', [[name, json.dumps(value)]])

    def decide(self, pictures: Iterable[Picture]) -> None:
        """Replace all decisions by those of these pictures."""
        rows = ([p.path, p.label, p.verdict or 'in', p.reason, p.subset, p.group,
                 json.dumps([{name: getattr(box, name) for name in BOX_COLUMNS} for box in p.boxes]),
                 json.dumps(p.review)] for p in pictures)
        self._write('INSERT INTO decided VALUES (?, ?, ?, ?, ?, ?, ?, ?)', rows, first='DELETE FROM decided')

    def _write(self, statement, rows, first=None):
        try:
            self._db.execute('BEGIN IMMEDIATE')
            if first:
                self._db.execute(first)
            self._db.executemany(statement, rows)
            self._db.execute('COMMIT')
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute('ROLLBACK')
            _raise_if_full(error)
            raise


def parse_detections(text: str) -> list[list[float]]:
    """Return [[ymin, xmin, ymax, xmax, score, class], ...] of what `detections` has; UserError if it is damaged."""
    return state.parse(text, [[state.NUMBER]], f'{MANIFEST}: detections', _ADVICE)


def _raise_if_full(error):
    if 'disk is full' in str(error) or 'disk I/O' in str(error):
        raise OSError(errno.ENOSPC, 'no space left on the device', MANIFEST) from error
