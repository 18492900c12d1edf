"""Which record stands at which position of the endless stream of samples; a pure function of the seed."""
import functools

import numpy as np

from object_detection.records import Records
from object_detection.utils.errors import UserError

_BLOCK = 1 << 16  # positions for which the data sets to draw from are chosen at once


class Stream:
    """The samples of an input_reader in order: position p holds record `records_at(p, 1)[0]`.

    Shuffled, every epoch is a full permutation of the records, another one for each (seed, epoch); otherwise the
    order is that of the files. `sample_1_of_n_examples: n` keeps records 0, n, 2n, ... With
    sample_from_datasets_weights each entry of input_path is a data set of its own, drawn from at random.
    So any position can be asked for without those before it, which makes a resume exact.
    """

    def __init__(self, reader, seed=0, epochs=None):
        """epochs: how often the stream passes over the records, 0 for endless; None: what the reader says."""
        self.records = Records(reader.tf_record_input_reader.input_path)
        self._seed, self._shuffle = seed, reader.shuffle
        kept = np.arange(0, len(self.records), max(reader.sample_1_of_n_examples, 1))
        weights = list(reader.sample_from_datasets_weights)
        if weights and len(weights) != len(self.records.groups):
            raise UserError(f'sample_from_datasets_weights has {len(weights)} values for '
                            f'{len(self.records.groups)} input_path entries; give one for each')
        ends = np.cumsum(self.records.groups) if weights else [len(self.records)]
        self._sets = np.split(kept, np.searchsorted(kept, ends[:-1]))
        self._shares = np.cumsum(weights) / np.sum(weights) if weights else None
        empty = [i for i, members in enumerate(self._sets) if not len(members)]
        if empty:
            raise UserError(f'{reader.tf_record_input_reader.input_path[empty[0]]} holds no records to draw from')
        epochs = reader.num_epochs if epochs is None else epochs
        self.size = len(kept)
        self.end = self.size * epochs if epochs else np.iinfo(np.int64).max
        self._drawn_before = [np.zeros(len(self._sets), np.int64)]
        self._permutation = functools.lru_cache(maxsize=2 * len(self._sets))(self._permutation)
        self._block = functools.lru_cache(maxsize=2)(self._block)

    def records_at(self, first, count):
        """Record indices (int64 [count]) of the positions from `first` on."""
        positions = np.arange(first, first + count)
        if self._shares is None:
            return self._visit(0, positions)
        found = np.empty(count, np.int64)
        which, visits = self._choices(positions)
        for number in range(len(self._sets)):
            found[which == number] = self._visit(number, visits[which == number])
        return found

    def read(self, first, count):
        """The bytes of `count` samples from position `first` on, as an array of objects."""
        return np.array([self.records[i] for i in self.records_at(first, count)], object)

    def _visit(self, number, visits):
        """Records that a data set hands out when it is asked for the visits-th time."""
        members = self._sets[number]
        epochs, places = np.divmod(visits, len(members))
        if not self._shuffle:
            return members[places]
        found = np.empty(len(visits), np.int64)
        for epoch in np.unique(epochs):
            mask = epochs == epoch
            found[mask] = members[self._permutation(number, int(epoch))[places[mask]]]
        return found

    def _permutation(self, number, epoch):
        """Sorting random bits rather than Generator.permutation: numpy promises that PCG64 never changes its bits."""
        bits = np.random.PCG64([self._seed, number, epoch])
        return np.argsort(bits.random_raw(len(self._sets[number])), kind='stable')

    def _choices(self, positions):
        """For each position: the data set drawn, and how often it had been drawn before."""
        blocks, places = np.divmod(positions, _BLOCK)
        which, visits = np.empty_like(positions), np.empty_like(positions)
        for block in np.unique(blocks):
            mask = blocks == block
            its_which, its_visits = self._block(int(block))
            which[mask], visits[mask] = its_which[places[mask]], its_visits[places[mask]]
        return which, visits

    def _block(self, block):
        """As _choices, for all positions of a block; the draws of the blocks before it are counted once."""
        while len(self._drawn_before) <= block:
            counts = np.bincount(self._draw(len(self._drawn_before) - 1), minlength=len(self._sets))
            self._drawn_before.append(self._drawn_before[-1] + counts)
        which = self._draw(block)
        visits = np.empty_like(which)
        for number, before in enumerate(self._drawn_before[block]):
            mask = which == number
            visits[mask] = before + np.arange(np.count_nonzero(mask))
        return which, visits

    def _draw(self, block):
        uniform = np.random.PCG64([self._seed, 1 << 32, block]).random_raw(_BLOCK) / 2.0**64
        return np.searchsorted(self._shares, uniform, side='right')
