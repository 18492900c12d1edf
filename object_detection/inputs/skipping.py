"""Broken records that a run goes on without, up to a number."""
from collections.abc import Collection

from object_detection.inputs.dataset import BrokenRecords
from object_detection.utils.errors import UserError
from object_detection.utils.phases import Report


class Skipping:
    """The records of an input_reader that are not read.

    Args:
        reader: its name, for the event skipped(reader, records: {index: reason}).
        indices: of records that are skipped from the beginning.
        most: the number of records that may be skipped, those of the beginning included.
    Attributes:
        indices: of all records that are skipped so far.
    """

    def __init__(self, reader: str, indices: Collection[int], most: int, report: Report) -> None:
        self.indices = set(indices)
        self._reader, self._most, self._report = reader, most, report

    def add(self, broken: BrokenRecords) -> None:
        """Skip these, too, and report it; raise `broken` if none may be skipped, a UserError if these are too many."""
        if not self._most:
            raise broken
        if len(self.indices | broken.faults.keys()) > self._most:
            skipped = f'{len(self.indices)} of {self._reader} are skipped already; ' if self.indices else ''
            raise UserError([*broken.findings, f'--skip_bad_records {self._most}: {skipped}with the above there would '
                             f'be {len(self.indices | broken.faults.keys())}. Write the records again, or allow more'
                             ]) from broken
        self.indices |= broken.faults.keys()
        self._report('skipped', reader=self._reader,
                     records={str(index): '; '.join(lines) for index, lines in broken.faults.items()})
