"""The manifest: for every source picture, what was found in it and what was decided about it, in one SQLite file.

Found facts are kept from run to run and used again while they hold. Decisions follow from them and are made anew each
time. SQLite makes each commit whole or not at all, so a run that is killed leaves a manifest the next one carries on
from.
"""
import dataclasses
import errno
import json
import sqlite3

from object_detection.utils.errors import UserError

VERSION = 1
NAME = 'manifest.sqlite'
SCHEMA = '''
CREATE TABLE IF NOT EXISTS found (
    path TEXT PRIMARY KEY, label TEXT, size INTEGER, mtime_ns INTEGER, options TEXT,  -- the file, and how it was read
    problem TEXT, note TEXT, sha256 TEXT, format TEXT, width INTEGER, height INTEGER, turned INTEGER,
    hash INTEGER, thumbnail BLOB,
    jpg TEXT, jpg_size INTEGER, jpg_mtime_ns INTEGER, jpg_width INTEGER, jpg_height INTEGER, jpg_sha256 TEXT);
CREATE TABLE IF NOT EXISTS detections (  -- found: [[ymin, xmin, ymax, xmax, score, class], ...], best first
    jpg_sha256 TEXT, detector TEXT, found TEXT, PRIMARY KEY (jpg_sha256, detector)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS written (jpg TEXT PRIMARY KEY);  -- every jpg we may have made, so that we delete no other
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS decided (
    path TEXT PRIMARY KEY, label TEXT, verdict TEXT, reason TEXT, side TEXT, grouped TEXT, boxes TEXT, review TEXT);
'''


@dataclasses.dataclass(slots=True)
class Box:
    """Coordinates normalised to 0..1. origin: model, voc, yolo, coco or whole.

    score, coco: the model's score and class id; None where it was not the model.
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

    @property
    def corners(self):
        return self.ymin, self.xmin, self.ymax, self.xmax


@dataclasses.dataclass(slots=True)
class Picture:
    """One source picture. The first part is what was found in the file; from `verdict` on, what was decided.

    width, height, jpg_width, jpg_height: upright, pixels. turned: the EXIF orientation that was undone. hash: 64 bits
    as a signed integer, None for flat pictures. jpg: relative to the output folder.
    verdict: None while a picture is in, else skipped, duplicate, conflict, no box or surplus. side: of the split.
    """
    path: str
    label: str
    size: int
    mtime_ns: int
    options: str
    problem: str | None = None
    note: str | None = None
    sha256: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    turned: int | None = None
    hash: int | None = None
    thumbnail: bytes | None = None
    jpg: str | None = None
    jpg_size: int | None = None
    jpg_mtime_ns: int | None = None
    jpg_width: int | None = None
    jpg_height: int | None = None
    jpg_sha256: str | None = None
    verdict: str | None = None
    reason: str | None = None
    side: str | None = None
    group: str | None = None
    boxes: list = dataclasses.field(default_factory=list)
    review: list = dataclasses.field(default_factory=list)


FOUND = tuple(field.name for field in dataclasses.fields(Picture))[:20]


class Manifest:
    """The open manifest of an output folder; one process at a time (see object_detection.utils.files.lock)."""

    def __init__(self, output):
        path = output / NAME
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            version = self._db.execute('PRAGMA user_version').fetchone()[0]
            if version not in (0, VERSION):
                raise UserError(f'{path}: made by another version of prepare_data.py; delete it to start anew')
            self._db.execute('PRAGMA journal_mode = WAL')
            self._db.execute('PRAGMA synchronous = NORMAL')
            self._db.executescript(SCHEMA)
            self._db.execute(f'PRAGMA user_version = {VERSION}')
        except sqlite3.DatabaseError as error:
            _raise_if_full(error)
            raise UserError(f'{path}: {error}; delete it to start anew') from error

    def close(self):
        self._db.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def found(self):
        """{path: Picture} with the found facts of earlier runs."""
        rows = self._db.execute(f'SELECT {", ".join(FOUND)} FROM found')
        return {row[0]: Picture(*row) for row in rows}

    def keep_found(self, pictures):
        values = ([getattr(picture, name) for name in FOUND] for picture in pictures)
        self._write(f'INSERT OR REPLACE INTO found VALUES ({", ".join("?" * len(FOUND))})', values)

    def forget(self, paths):
        """Sources that are no longer in the data set."""
        self._write('DELETE FROM found WHERE path = ?', [[path] for path in paths])

    def written(self):
        return {name for name, in self._db.execute('SELECT jpg FROM written')}

    def will_write(self, jpgs):
        self._write('INSERT OR IGNORE INTO written VALUES (?)', [[jpg] for jpg in jpgs])

    def deleted(self, jpgs):
        self._write('DELETE FROM written WHERE jpg = ?', [[jpg] for jpg in jpgs])

    def detections(self, detector):
        """{jpg_sha256: JSON text} of what this detector (its digest) has seen."""
        return dict(self._db.execute('SELECT jpg_sha256, found FROM detections WHERE detector = ?', [detector]))

    def keep_detections(self, detector, found):
        """found: {jpg_sha256: [[ymin, xmin, ymax, xmax, score, class], ...]}."""
        self._write('INSERT OR REPLACE INTO detections VALUES (?, ?, ?)',
                    [[sha, detector, json.dumps(boxes)] for sha, boxes in found.items()])

    def value(self, name):
        """What keep_value(name, ...) was given last; None at first."""
        row = self._db.execute('SELECT value FROM kept WHERE name = ?', [name]).fetchone()
        return json.loads(row[0]) if row else None

    def keep_value(self, name, value):
        self._write('INSERT OR REPLACE INTO kept VALUES (?, ?)', [[name, json.dumps(value)]])

    def decide(self, pictures):
        """Replace all decisions by those of these pictures."""
        rows = ([p.path, p.label, p.verdict or 'in', p.reason, p.side, p.group,
                 json.dumps([dataclasses.asdict(box) for box in p.boxes]), json.dumps(p.review)] for p in pictures)
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


def _raise_if_full(error):
    if 'disk is full' in str(error) or 'disk I/O' in str(error):
        raise OSError(errno.ENOSPC, 'no space left on the device', NAME) from error
