"""Runs of the whole preparation without a detector, and what they wrote."""
import hashlib
import sqlite3

import pytest

from object_detection.preparation.options import Options
from object_detection.preparation.run import prepare


@pytest.fixture
def run(tmp_path):
    """run(dataset, name='out', **options) prepares, with --boxes whole unless told otherwise; the output folder."""
    def run(dataset, name='out', **options):
        output = tmp_path / name
        prepare(Options(dataset, output, **({'boxes': 'whole'} | options)))
        return output
    return run


def contents(output):
    """{file name: SHA-256} of all that a run promises to be the same each time: everything but manifest and lock."""
    return {path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(output.rglob('*'))
            if path.is_file() and not path.name.startswith('manifest') and path.name != '.lock'}


def decisions(output):
    """{path: (verdict, reason)} of the manifest."""
    database = sqlite3.connect(output / 'manifest.sqlite')
    rows = {path: (verdict, reason) for path, verdict, reason in
            database.execute('SELECT path, verdict, reason FROM decided')}
    database.close()
    return rows
