"""The names of YOLO's class numbers: from the file that lists them, never from a guess."""
import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from object_detection.preparation.annotations import data_yaml
from object_detection.preparation.annotations.entry import Unreadable, read_json, read_text
from object_detection.preparation.scan import composed
from object_detection.utils import console
from object_detection.utils.errors import UserError

# Lists of one name a line: of LabelImg and Label Studio, CVAT (darknet), Roboflow, and people.
LISTS = ('classes.txt', 'obj.names', '_darknet.labels', 'labels.txt', 'class_names.txt', 'names.txt')
LIST_SUFFIXES = ('.names', '.labels')
DEFAULTS = 'predefined_classes.txt'  # LabelImg's; counts where there is no other list
NOTES = 'notes.json'  # Label Studio's
YAML = ('.yaml', '.yml')


@dataclasses.dataclass(frozen=True)
class Known:
    """The class names that hold for a folder.

    names: {class number: name}. file: where they stand. keypoints: the number of keypoints of each object, 0 for none,
    each of keypoint_values numbers: x, y and perhaps visibility. keypoint_names: {class number: names}, if they have
    some.
    """
    names: dict[int, str]
    file: Path
    keypoints: int = 0
    keypoint_values: int = 3
    keypoint_names: dict[int, list[str]] = dataclasses.field(default_factory=dict)

    def name(self, index: int, line: int) -> str:
        """Return the name of a class number; Unreadable, with the line of the number, if it has none."""
        if not self.names.get(index):
            listed = ', '.join(list(self.names.values())[:8])
            raise Unreadable(f'line {line}: class {index}, but there are {len(self.names)} ({listed}) in '
                             f'{self.file.name}')
        return self.names[index]


class ClassNames:
    """Finds the class names for annotation files: in the nearest folder above that lists some."""

    def __init__(self, roots: Sequence[Path]) -> None:
        """roots: the folders above which nothing is looked for; the later ones also hold for files in the earlier."""
        self._roots = [root.absolute() for root in roots]
        self._here: dict[Path, Known | None] = {}  # {folder: what the files in it say}
        self._known: dict[Path, Known] = {}  # {folder: what holds for files in it}

    def of(self, file: str) -> Known:
        """Return what holds for an annotation file; UserError if nothing does."""
        folder = Path(file).parent
        if folder not in self._known:
            self._known[folder] = self._find(folder, file)
        return self._known[folder]

    def used(self) -> list[Known]:
        """Return the class names that some file has asked for."""
        return list({known.file: known for known in self._known.values()}.values())

    def _find(self, folder, file):
        found = [known for place in self._places(folder.absolute()) if (known := self._read(place))]
        if not found:
            raise UserError(f'{file}: holds class numbers, and no file says which names they have. Put a classes.txt '
                            'with one name a line, the first for class 0, beside the files or at the top of the data '
                            'set (data.yaml, obj.names, _darknet.labels and notes.json are read, too)')
        if other := next((known for known in found if known.names != found[0].names), None):
            console.warn(f'{found[0].file} and {other.file} give class numbers different names; the first counts for '
                         f'the files in {folder}')
        return found[0]

    def _places(self, folder):
        """Return the folder and those above it, up to a root; then the roots."""
        places = [folder]
        for root in self._roots:
            if root in folder.parents:
                places += [place for place in folder.parents if root == place or root in place.parents]
        return list(dict.fromkeys([*places, *self._roots]))

    def _read(self, folder):
        """Return what the files of one folder say; UserError if they contradict one another or cannot be read."""
        if folder not in self._here:
            files = sorted(file for file in folder.iterdir() if is_class_list(file.name)) if folder.is_dir() else []
            found = [known for file in files if file.name.lower() != DEFAULTS and (known := _known(file))]
            found = found or [known for file in files if file.name.lower() == DEFAULTS and (known := _known(file))]
            if other := next((known for known in found if known.names != found[0].names), None):
                raise UserError(f'{found[0].file} and {other.file} give class numbers different names '
                                f'({_shown(found[0])}; {_shown(other)}); delete the wrong one')
            found.sort(key=lambda known: not known.keypoints)
            for known in found[:1]:
                _warn_of_equal_names(known)
            self._here[folder] = found[0] if found else None
        return self._here[folder]


def is_class_list(name: str) -> bool:
    """Return whether a file of this name may list class names."""
    name = name.lower()
    return name in (*LISTS, DEFAULTS, NOTES) or name.endswith((*LIST_SUFFIXES, *YAML))


def _known(file: Path) -> Known | None:
    """Read one file; None for a YAML or JSON file without class names, UserError if it cannot be read."""
    try:
        if file.name.lower().endswith(YAML):
            return _from_yaml(file)
        if file.name.lower() == NOTES:
            return _from_notes(file)
        lines = [composed(line.strip()) for line in read_text(file).splitlines()]
    except Unreadable as error:
        raise UserError(f'{file}: {error}') from error
    while lines and not lines[-1]:
        lines.pop()
    return Known(dict(enumerate(lines)), file) if lines else None


def _from_yaml(file):
    data = data_yaml.read(read_text(file))
    names = {number: composed(name.strip()) for number, name in data_yaml.class_names(data).items()}
    count, values = data_yaml.keypoint_shape(data) if names else (0, 3)
    return Known(names, file, count, values, data_yaml.keypoint_names(data, names, count)) if names else None


def _from_notes(file):
    data = read_json(file)
    categories = data.get('categories') if isinstance(data, dict) else None
    if not isinstance(categories, list) or not all(isinstance(item, dict) for item in categories):
        return None
    return Known({item['id']: composed(str(item['name']).strip()) for item in categories
                  if isinstance(item.get('id'), int) and 'name' in item}, file)


def _warn_of_equal_names(known):
    twice = [name for name, count in Counter(known.names.values()).items() if name and count > 1]
    if twice:
        console.warn(f'{known.file} gives several class numbers the name {" or ".join(twice)}; they count as one class')


def _shown(known):
    return f'{known.file.name}: {", ".join(list(known.names.values())[:6])}'
