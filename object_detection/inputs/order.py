"""The order of the records in training and evaluation: a pure function of the seed."""
import functools
from collections.abc import Iterable

import numpy as np

from object_detection import protos
from object_detection.records import Records
from object_detection.utils.errors import UserError

_BLOCK = 1 << 16  # positions whose data sets are drawn at once


class Stream:
    """The sequence of records of an input_reader; any position can be asked for, which makes a resume exact.

    With shuffle every epoch is a full permutation of the records, another one for each (seed, epoch); without, the
    order is that of the files. `sample_1_of_n_examples: n` keeps records 0, n, 2n, ... With
    sample_from_datasets_weights each entry of input_path is a data set of its own, drawn at random with its weight.

    Args:
        epochs: passes over the records, 0 for endless; None: reader.num_epochs.
        skipped: indices of records that are not read. Wherever one would come, the next record of its data set comes
            instead, so all other positions stay as they are.
        left_out: indices of records that the sequence does not have; those behind them move up.
    """

    def __init__(self, reader: protos.InputReader, seed: int = 0, epochs: int | None = None,
                 skipped: Iterable[int] = (), left_out: Iterable[int] = ()) -> None:
        self.records = Records(reader.tf_record_input_reader.input_path)
        self._seed, self._shuffle = seed, reader.shuffle
        kept = np.arange(0, len(self.records), max(reader.sample_1_of_n_examples, 1))
        kept = np.setdiff1d(kept, list(left_out))
        weights = list(reader.sample_from_datasets_weights)
        ends = np.cumsum(self.records.groups) if weights else [len(self.records)]
        self._sets = np.split(kept, np.searchsorted(kept, ends[:-1]))
        self._shares = np.cumsum(weights) / np.sum(weights) if weights else None
        empty = [i for i, members in enumerate(self._sets) if not len(members)]
        if empty:
            raise UserError(f'{reader.tf_record_input_reader.input_path[empty[0]]} holds no records to draw from')
        self._stand_ins = {bad: good for members in self._sets for bad, good in _stand_ins(members, set(skipped))}
        epochs = reader.num_epochs if epochs is None else epochs
        self.size = len(kept)
        self.end: int = self.size * epochs if epochs else np.iinfo(np.int64).max
        self._drawn_before: list[np.ndarray] = [np.zeros(len(self._sets), np.int64)]
        self._permutation = functools.lru_cache(maxsize=2 * len(self._sets))(self._draw_permutation)
        self._block = functools.lru_cache(maxsize=2)(self._draw_block)

    def records_at(self, first: int, count: int) -> np.ndarray:
        """Return the record indices (int64 [count]) of positions first, first + 1, ..."""
        return self.at(np.arange(first, first + count))

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the record indices (int64 [n]) of any positions (int64 [n])."""
        indices: np.ndarray = np.empty(len(positions), np.int64)
        if self._shares is None:
            indices[:] = self._members(0, positions)
        else:
            which, turns = self._choices(positions)
            for number in range(len(self._sets)):
                indices[which == number] = self._members(number, turns[which == number])
        drawn = indices.copy()
        for bad, good in self._stand_ins.items():
            indices[drawn == bad] = good
        return indices

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return the bytes of the records at positions (int64 [n]): object [n]."""
        return np.array([self.records[i] for i in self.at(positions)], object)

    def _members(self, number, turns):
        """Return the record indices that data set `number` gives when it is drawn for the turns-th time."""
        members = self._sets[number]
        epochs, positions = np.divmod(turns, len(members))
        if not self._shuffle:
            return members[positions]
        indices = np.empty(len(turns), np.int64)
        for epoch in np.unique(epochs):
            mask = epochs == epoch
            indices[mask] = members[self._permutation(number, int(epoch))[positions[mask]]]
        return indices

    def _draw_permutation(self, number, epoch):
        """Sort random bits; numpy promises that those of PCG64 never change, not so for Generator.permutation."""
        bits = np.random.PCG64([self._seed, number, epoch])
        return np.argsort(bits.random_raw(len(self._sets[number])), kind='stable')

    def _choices(self, positions):
        """Return for each position the data set drawn there, and how often it was drawn before."""
        blocks, offsets = np.divmod(positions, _BLOCK)
        which, turns = np.empty_like(positions), np.empty_like(positions)
        for block in np.unique(blocks):
            mask = blocks == block
            block_which, block_turns = self._block(int(block))
            which[mask], turns[mask] = block_which[offsets[mask]], block_turns[offsets[mask]]
        return which, turns

    def _draw_block(self, block):
        """Return the _choices of all positions of a block. Draws in earlier blocks are counted once and kept."""
        while len(self._drawn_before) <= block:
            counts = np.bincount(self._draw(len(self._drawn_before) - 1), minlength=len(self._sets))
            self._drawn_before.append(self._drawn_before[-1] + counts)
        which = self._draw(block)
        turns = np.empty_like(which)
        for number, before in enumerate(self._drawn_before[block]):
            mask = which == number
            turns[mask] = before + np.arange(np.count_nonzero(mask))
        return which, turns

    def _draw(self, block):
        """Return the data set drawn at each position of a block: int64 [_BLOCK]."""
        uniform = np.random.PCG64([self._seed, 1 << 32, block]).random_raw(_BLOCK) / 2.0**64
        return np.searchsorted(self._shares, uniform, side='right')


def _stand_ins(members, skipped):
    """Yield (skipped record, the next of its data set that is not) for the records `members` of a data set."""
    for place in np.flatnonzero(np.isin(members, list(skipped))):
        good = next((int(i) for i in np.roll(members, -place) if int(i) not in skipped), None)
        if good is None:
            raise UserError(f'all {len(members)} records of a data set would be skipped')
        yield int(members[place]), good
