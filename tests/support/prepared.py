"""Read what a preparation wrote."""
import hashlib
import sqlite3


def contents(output):
    """Return {file name: SHA-256} of all files that equal runs write equally: all but the manifest and the lock."""
    return {path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(output.rglob('*'))
            if path.is_file() and not path.name.startswith('manifest') and path.name != '.lock'}


def decisions(output):
    """Return {path: (verdict, reason)} from the manifest."""
    database = sqlite3.connect(output / 'manifest.sqlite')
    rows = {path: (verdict, reason) for path, verdict, reason in
            database.execute('SELECT path, verdict, reason FROM decided')}
    database.close()
    return rows
