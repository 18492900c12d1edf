"""What tells whether the records of two runs are the same, and what changed.

Each record in a TFRecord file is followed by the checksum (CRC-32C) of its data, which is read together with the
lengths that every start reads anyway. So a fingerprint costs no further look at the data: nothing but lengths and
checksums is read. Data that were damaged without their checksum are found where they are used (Records).
"""
import base64
import collections
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from object_detection.config.label_map import LabelMap
from object_detection.records.tfrecord import Records

LISTED = 10_000  # records of a data set up to which each checksum is kept, to tell how many changed


def fingerprint(records: Records, labels: LabelMap | None) -> dict[str, Any]:
    """Return what is known of a data set, for JSON.

    Returns:
        {'digest': of the records in their order and the label map, wherever the files are; 'records', 'bytes';
        'files': [{'path', 'records', 'digest'}]; 'labels': {id: name}, empty without a label map; 'checksums': base64
        of uint32, little-endian, for up to LISTED records}
    """
    ends = np.cumsum(records.counts)
    files = [{'path': str(Path(name).absolute()), 'records': count,
              'digest': _digest(records.lengths[end - count:end], records.checksums[end - count:end])}
             for name, count, end in zip(records.files, records.counts, ends)]
    names = {str(item.id): item.name or item.display_name for item in labels.items} if labels else {}
    whole = hashlib.sha256(_digest(records.lengths, records.checksums).encode())
    whole.update(repr(sorted(names.items())).encode())
    found = {'digest': whole.hexdigest()[:16], 'records': len(records), 'bytes': int(records.lengths.sum()),
             'files': files, 'labels': names}
    if len(records) <= LISTED:
        found['checksums'] = base64.b64encode(records.checksums.astype('<u4').tobytes()).decode()
    return found


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Describe in a line each what differs between two fingerprints; an empty list if nothing does.

    A record at the same place of the data set with other data is changed; otherwise records are added or removed.
    """
    return [] if before['digest'] == now['digest'] else [*_records(before, now), *_labels(before, now)]


def _records(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    counts = f'{before["records"]} before, {now["records"]} now'
    old, new = _checksums(before), _checksums(now)
    if old is None or new is None:
        known = collections.Counter(file['digest'] for file in before['files'])
        fresh = [Path(file['path']).name for file in now['files'] if not known[file['digest']]]
        same = [file['digest'] for file in before['files']] == [file['digest'] for file in now['files']]
        if same:
            return []
        if not fresh and len(before['files']) == len(now['files']):
            return ['the same record files in another order']
        named = ', '.join(fresh[:3]) + (f' and {len(fresh) - 3} more' if len(fresh) > 3 else '')
        return [f'other records{f" in {named}" if fresh else ""} ({counts})']
    gone, come = collections.Counter(old), collections.Counter(new)
    gone, come = gone - come, come - gone
    if not gone and not come:
        return [] if old == new else ['the same records in another order']
    changed = sum(gone[one] > 0 and come[other] > 0 for one, other in zip(old, new)) if len(old) == len(new) else 0
    changed = min(changed, gone.total(), come.total())
    parts = {'changed': changed, 'added': come.total() - changed, 'removed': gone.total() - changed}
    described = [f'{count} {kind}' for kind, count in parts.items() if count]
    return [f'records: {", ".join(described)} ({counts})']


def _labels(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    old, new = before['labels'], now['labels']
    lines = [f'class {number} was {old[number]!r} and is {new[number]!r}' for number in old
             if number in new and new[number] != old[number]]
    lines += [f'class {number} {new[number]!r} is new' for number in new if number not in old]
    lines += [f'class {number} {old[number]!r} is gone' for number in old if number not in new]
    return [f'label map: {", ".join(lines[:4])}' + (f' and {len(lines) - 4} more' if len(lines) > 4 else '')
            ] if lines else []


def _checksums(known: dict[str, Any]) -> list[int] | None:
    encoded = known.get('checksums')
    return None if encoded is None else np.frombuffer(base64.b64decode(encoded), '<u4').tolist()


def _digest(lengths: np.ndarray, checksums: np.ndarray) -> str:
    return hashlib.sha256(lengths.astype('<i8').tobytes() + checksums.astype('<u4').tobytes()).hexdigest()[:16]
