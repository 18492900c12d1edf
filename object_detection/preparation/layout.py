"""How a data set is laid out: whether folders or annotations hold the labels, and a split that is there already."""
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping

from object_detection.preparation import given_split
from object_detection.preparation.annotations.labels import Labels
from object_detection.preparation.annotations.load import Drawn
from object_detection.preparation.columns import Categories
from object_detection.preparation.folders import is_structure
from object_detection.preparation.options import Options
from object_detection.preparation.scan import Files, Scan, by_path, composed
from object_detection.utils import console
from object_detection.utils.errors import UserError

NO_LABEL = "lies in no label's folder"
SHOWN = 8  # names in a message


@dataclasses.dataclass
class Layout:
    """The decisions about a data set.

    labels: sorted. sources: sorted by path; their labels are '' if these come from the annotations. parts: {path:
    subset} of a split that is kept, None to split anew.
    """
    labels: list[str]
    sources: Files
    from_annotations: bool = False
    parts: Mapping[str, str] | None = None


def resolve(listing: Scan, drawn: Drawn, options: Options) -> Layout:
    """Decide where labels and split come from; UserError if there are no labels, or if folders and boxes contradict.

    Labels are the top folders, unless all of these are named like `images` or `train`. Then they are the folders below,
    if all drawn boxes are named like these, else the names of the boxes.
    """
    sources = by_path(listing.sources, _idle(listing, drawn))
    names = drawn.names(options.keep_crowds)
    structure = all(map(is_structure, listing.labels))
    below = _below(sources) if structure else []
    if options.labels == 'annotations' or (options.labels == 'auto' and names and structure
                                           and not (below and all(map(Labels(below).find, names)))):
        layout = _from_annotations(sources, names, options)
    else:
        layout = _from_folders(below or listing.labels, sources, bool(below), options)
        _check_folders(layout, drawn, bool(below))
        if structure and not below:
            console.warn(f'the labels are {", ".join(layout.labels)}, which are names of parts of a data set, but each '
                         'folder must be a label. Put the pictures of each label together first; --split divides them '
                         'again')
    layout.parts = given_split.find(listing, drawn, layout.from_annotations or bool(below), options)
    if listing.masks:
        console.log(f'{len(listing.masks)} files in SegmentationClass and SegmentationObject are masks, not pictures')
    return layout


def _idle(listing, drawn) -> Files:
    """Return the files beside pictures that might have been annotations and are none: nothing is passed over."""
    idle = Files()
    folders = {listing.sources.path(i).rpartition('/')[0] for i in range(len(listing.sources))} if drawn.idle else ()
    idle.extend(listing.sides, (
        i for i, source in enumerate(listing.sides if drawn.idle else ())
        if source.file in drawn.idle and (folder := source.path.rpartition('/')[0]) and folder in folders))
    return idle


def _below(sources: Files) -> list[str]:
    """Return the labels that the folders below `images`, `train` and the like hold; none if most pictures have none."""
    labels = Counter(_label_below(sources.path(i)) for i in range(len(sources)))
    return sorted(labels.keys() - {''}) if (labels.total() - labels['']) * 2 > labels.total() else []


def _label_below(path: str) -> str:
    return next((composed(name) for name in path.split('/')[:-1] if not is_structure(name)), '')


def _from_folders(labels, sources, below, options):
    if not labels:
        raise UserError(f'{options.images or options.dataset}: holds {len(sources)} files but no folders; it needs one '
                        'folder per label, which holds the pictures of that label, or annotations that name what is '
                        'on the pictures')
    for i, source in enumerate(sources):
        label = _label_below(source.path) if below else source.label
        if not label == source.label != '':
            sources.label(i, label, source.problem if label else NO_LABEL)
    return Layout(list(labels), sources)


def _from_annotations(sources, names: Counter[str], options) -> Layout:
    if not names:
        raise UserError(f'{options.dataset}: --labels annotations: no annotation names an object')
    alike = defaultdict(list)
    for name in sorted(names):
        alike[name.casefold()].append(f'{name} ({names[name]} boxes)')
    for group in alike.values():
        if len(group) > 1:
            console.warn(f'labels that differ in upper and lower case alone: {", ".join(group)}; if they are one, give '
                         'them one name')
    folders = sorted({sources.labels.values[code] for code in set(sources.labels.codes)} - {''})
    console.log(f'the labels come from the annotations: {_counted(names)}' +
                (f'; the folders ({", ".join(folders[:SHOWN])}) are none' if folders else ''))
    if options.coco or options.boxes == 'whole':
        console.warn('pictures that are not annotated are left out: no folder names a label for boxes from '
                     f'{"the detector" if options.coco else "--boxes whole"}')
    sources.labels = Categories(len(sources), '')
    return Layout(sorted(names), sources, from_annotations=True)


def _check_folders(layout: Layout, drawn: Drawn, below: bool) -> None:
    """Raise UserError for folders on whose pictures several boxes are drawn, and none has the name of the folder."""
    labels = Labels(layout.labels)
    names: Mapping[str, Counter[str]] = defaultdict(Counter)
    pictures: Counter[str] = Counter()
    for path, entry in drawn.entries.items():
        folder = _label_below(path) if below else composed(path.rpartition('/')[0].partition('/')[0])
        if entry.shapes and folder:
            names[folder].update(shape.name for shape in entry.shapes)
            pictures[folder] += 1
    right = {label for label in names if label in {labels.find(name) for name in names[label]}}
    wrong = [label for label in names if label not in right and pictures[label] > 1]
    if not wrong:
        return
    every = sum(names.values(), Counter())
    ways_out = ('If the boxes are right: --labels annotations takes the labels from them. If the folders are: correct '
                'the names in the annotations')
    if drawn.class_files:
        ways_out += f' (class numbers have their names from {", ".join(drawn.class_files[:3])})'
    if not any(map(labels.find, every)):
        shown = ', '.join(layout.labels[:SHOWN])
        raise UserError(f'no drawn box is named like a folder: the folders are {shown}, '
                        f'the boxes {_counted(every)}. {ways_out}')
    raise UserError([f'{label}: all {names[label].total()} boxes drawn on {pictures[label]} pictures of this folder '
                     f'are named {_counted(names[label])}, none {label}. {ways_out}' for label in wrong[:SHOWN]])


def _counted(names: Counter[str]) -> str:
    shown = ', '.join(f'{name} ({count})' for name, count in names.most_common(SHOWN))
    return shown + (f' and {len(names) - SHOWN} more' if len(names) > SHOWN else '')
