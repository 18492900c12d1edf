"""Which label the name of a drawn box means."""
from collections import defaultdict
from collections.abc import Iterable, Mapping

from object_detection.preparation.scan import composed


class Labels:
    """The labels of a data set, to find the one that a name means.

    keypoints: {label: names of its keypoints}.
    """

    def __init__(self, labels: Iterable[str], keypoints: Mapping[str, list[str]] | None = None) -> None:
        self._exact = set(labels)
        self._folded: dict[str, list[str]] = defaultdict(list)
        for label in sorted(self._exact):
            self._folded[_fold(label)].append(label)
        known = ((self.find(name), points) for name, points in (keypoints or {}).items())
        self.keypoints = {label: points for label, points in known if label is not None}

    def find(self, name: str) -> str | None:
        """Return the label of this name, else the only one that differs in case, spaces or Unicode form, else None."""
        similar = self.similar(name)
        return name if name in self._exact else similar[0] if len(similar) == 1 else None

    def similar(self, name: str) -> list[str]:
        """Return the labels that differ from a name in case, outer spaces or Unicode form at most."""
        return self._folded.get(_fold(name), [])


def _fold(name):
    return composed(name).strip().casefold()
