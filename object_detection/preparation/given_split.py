"""A split that a data set has already: by folders, by lists of pictures, by a file of annotations for each part."""
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator

from object_detection.preparation import folders
from object_detection.preparation.annotations import data_yaml
from object_detection.preparation.annotations.entry import Unreadable, read_text
from object_detection.preparation.annotations.load import Drawn
from object_detection.preparation.options import Options
from object_detection.preparation.scan import Scan
from object_detection.utils import console
from object_detection.utils.errors import UserError

YAML_PARTS = {'train': 'train', 'val': 'validation', 'test': 'test'}
ANEW = '--split 0.8 splits anew'


def find(listing: Scan, drawn: Drawn, automatic: bool, options: Options) -> dict[str, str] | None:
    """Return {path: subset} of the split that is there, None to split anew.

    automatic: keep a split of which there are two parts at least, even if the user has not asked for it. UserError if
    the split contradicts itself, or if the user has asked for one that is not there.
    """
    if options.split_given is False or not (automatic or options.split_given):
        return None
    facts: dict[str, dict[str, str]] = defaultdict(dict)  # {path: {subset: where that stands}}
    for source in listing.sources:
        if part := folders.part_of(source.path):
            facts[source.path][part] = 'its folder'
    for path, part, where in [*_from_annotations(drawn), *_from_lists(listing, drawn), *_from_yaml(listing, drawn)]:
        facts[path].setdefault(part, where)
    if wrong := [path for path in sorted(facts) if len(facts[path]) > 1]:
        said = ', '.join(f'{part} ({where})' for part, where in facts[wrong[0]].items())
        raise UserError(f'the split of the data set contradicts itself for {len(wrong)} pictures: {wrong[0]} belongs '
                        f'to {said}; {ANEW}')
    parts = {path: next(iter(said)) for path, said in facts.items()}
    counts = Counter(parts.values())
    if not counts['train'] or (len(counts) < 2 and not options.split_given):
        if options.split_given:
            raise UserError(f'--split given: {options.dataset} has no part for training. Parts are folders named '
                            'train, valid and test, lists (train.txt, ImageSets/Main/val.txt), and annotation files '
                            'named after them')
        return None
    shown = ', '.join(f'{counts[part]} {part}' for part in ('train', 'validation', 'test') if counts[part])
    console.log(f'the split of the data set is kept: {shown} ({ANEW})')
    return parts


def _from_annotations(drawn) -> Iterator[tuple[str, str, str]]:
    for path, parts in drawn.parts.items():
        for part, file in parts.items():
            yield path, part, file


def _from_lists(listing, drawn):
    for source in listing.sides:
        folder, _, name = source.path.rpartition('/')
        known = [part for part in folder.lower().split('/') if part == 'imagesets']
        if folders.is_split_list(name) and not drawn.pictures.beside(source.path) and (
                not known or folder.lower().endswith(('imagesets', 'imagesets/main'))):
            yield from _read_list(source, folders.part(name[:-4]), drawn)


def _read_list(source, part, drawn):
    """Yield (path, part, file) for each line of a list; a line of VOC's may end in -1, 0 or 1."""
    try:
        lines = [line.strip() for line in read_text(source.file).splitlines() if line.strip()]
    except Unreadable as error:
        raise UserError(f'{source.file}: {error}') from error
    folder, lost = source.path.rpartition('/')[0], []
    for line in lines:
        name, _, mark = line.rpartition(' ')
        names = [line, name.strip()] if mark in ('-1', '0', '1') and name else [line]
        match = drawn.pictures.listed(names, folder, part)
        if match.paths:
            yield match.paths[0], part, source.path
        else:
            lost.append(line)
    if lost:
        console.warn(f'{len(lost)} of {len(lines)} pictures that {source.path} lists are not in the data set: '
                     f'{", ".join(lost[:3])}')


def _from_yaml(listing, drawn):
    sides = {source.path: source for source in listing.sides}
    for source in listing.sides:
        if not source.path.lower().endswith(('.yaml', '.yml')) or source.problem:
            continue
        try:
            values = data_yaml.read(read_text(source.file))
        except Unreadable:
            continue  # of another kind; as a list of class names it has been read
        top = posixpath.dirname(source.path)
        base = ''.join(data_yaml.texts(values.get('path'))[:1])
        for key, part in YAML_PARTS.items():
            for place in data_yaml.texts(values.get(key)):
                # Roboflow writes ../train/images for train/images.
                options = [posixpath.join(top, base, place), posixpath.join(top, place),
                           posixpath.join(top, place.lstrip('./'))]
                yield from _below(list(map(posixpath.normpath, options)), part, source, sides, listing, drawn)


def _below(places, part, source, sides, listing, drawn):
    """Yield (path, part, file) for the pictures in the first of the places, folders or lists, that is there."""
    for place in dict.fromkeys(places):
        if place in sides:
            yield from _read_list(sides[place], part, drawn)
            return
        inside = [other.path for other in listing.sources if other.path.startswith(f'{place}/')]
        if inside:
            yield from ((path, part, source.path) for path in inside)
            return
