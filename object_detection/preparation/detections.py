"""The detectors that --coco and --check name: folder, classes, and detections, which the manifest keeps."""
import contextlib
import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from object_detection.config import label_map
from object_detection.preparation.columns import Index
from object_detection.preparation.detector import ASPECT_STEP, KEPT, SIDES, Detector, OnWorkers, OwnProcess
from object_detection.preparation.manifest import Manifest, Picture
from object_detection.preparation.options import Options
from object_detection.preparation.table import pick, select
from object_detection.preparation.workers import Workers
from object_detection.utils import console
from object_detection.utils.errors import UserError
from object_detection.utils.files import existing_dir, missing
from object_detection.zoo import table

BOX_SOURCES = (
    '--coco FOLDER names a detector that finds them (python -m object_detection.zoo download NAME brings one), '
    '--boxes whole takes whole pictures, and boxes drawn by hand are read (docs/data.md)')
_COCO = '''
person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant - stop_sign parking_meter bench
bird cat dog horse sheep cow elephant bear zebra giraffe - backpack umbrella - - handbag tie suitcase frisbee skis
snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle - wine_glass cup fork
knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed -
dining_table - - toilet - tv laptop mouse remote keyboard cell_phone microwave oven toaster sink refrigerator - book
clock vase scissors teddy_bear hair_drier toothbrush'''
COCO_NAMES = {number: name.replace('_', ' ') for number, name in enumerate(_COCO.split(), start=1) if name != '-'}


class Detections:
    """A detector and its detections.

    detector: the running Detector, None before `start`. names: {class id: name}.
    """

    def __init__(self, folder: Path | None, options: Options, manifest: Manifest, workers: Workers,
                 stack: contextlib.ExitStack, kept: int = KEPT, stretch: bool = True) -> None:
        """folder: of the SavedModel; None: nothing is ever detected. stack: ends the detector's process when it closes.

        kept: detections per picture. stretch: see Detector.
        """
        self._folder, self._options, self._manifest, self._stack = folder, options, manifest, stack
        self._workers = workers
        self._kept, self._stretch = kept, stretch
        self.detector: Detector | None = None
        self.names = class_names(folder) if folder else {}
        self._digest = digest(folder, kept, stretch) if folder else ''

    def start(self) -> None:
        """Start the detector; one in a process of its own loads the model while pictures are read."""
        if self._folder and not self.detector:
            settings = self._folder, self._options.detector_batch, self._kept, self._stretch
            self.detector = self._stack.enter_context(
                OnWorkers(self._workers, *settings) if self._workers.shared else OwnProcess(*settings))

    def detect(self, pictures: Sequence[Picture]) -> None:
        """Run the detector on the pictures that it has not seen yet; UserError if there are some but no detector."""
        if not self._folder:
            if pictures and self._options.boxes != 'whole':
                raise UserError(f'{len(pictures)} pictures have no box, {pictures[0].path} for example: {BOX_SOURCES}')
            return
        known = self.by_picture()
        unknown = select(pictures, lambda picture: picture.jpg_sha256 not in known)
        firsts = Index(len(unknown), lambda i: unknown[i].jpg_sha256).firsts()
        new = pick(unknown, np.flatnonzero(firsts == np.arange(len(firsts))))
        if not len(new):
            return
        self.start()
        assert self.detector
        with console.progress('loading the detector'):
            self.detector.ready()
        with console.progress('detecting', len(new), 'pictures') as bar:
            for batch in self.detector.detect(new, self._options.output):
                self._manifest.keep_detections(self._digest, batch)
                bar.update(self.detector.pictures, busy=f'{self.detector.utilization:.0%}')

    def by_picture(self) -> Mapping[str, str]:
        """Return {jpg_sha256: JSON text}, see Manifest.detections."""
        return self._manifest.detections(self._digest) if self._folder else {}


def saved_model(folder: Path, option: str) -> Path:
    """Return the folder of the SavedModel that an option (--coco) names: the folder itself or saved_model in it."""
    if not folder.exists() and (known := {model.name for model in table.models()}.intersection(folder.parts)):
        raise UserError(f'{missing(folder)}. It is a model of the zoo: python -m object_detection.zoo download '
                        f'{known.pop()}')
    folder = existing_dir(folder)
    for place in (folder, folder / 'saved_model'):
        if (place / 'saved_model.pb').is_file():
            return place
    raise UserError(f'{folder}: holds no SavedModel (saved_model.pb); {option} wants the saved_model folder of an '
                    'exported detector or of a model of the TF2 detection zoo')


def class_names(folder: Path) -> dict[int, str]:
    """Return {class id: name}: from a label_map.pbtxt in a SavedModel's folder or the one above, else COCO's."""
    for place in (folder, folder.parent):
        if (file := place / 'label_map.pbtxt').is_file():
            return {item.id: item.display_name or item.name for item in label_map.load(file).items}
    return COCO_NAMES


def class_ids(classes: Iterable[str], names: Mapping[int, str], option: str = '--coco_class') -> set[int] | None:
    """Return the ids of classes given as names, ids or 'any'; None for all classes, UserError for unknown ones.

    names: {class id: name} of the detector. option: that names the classes, for the message.
    """
    if not classes or 'any' in classes:
        return None
    ids, findings = set(), []
    by_name = {name.casefold().replace('_', ' '): number for number, name in names.items()}
    for text in classes:
        known = by_name.get(text.strip().casefold().replace('_', ' '))
        if known is None and text.strip().isdecimal() and int(text) in names:
            known = int(text)
        if known is None:
            close = difflib.get_close_matches(text.casefold(), by_name, n=3)
            advice = f'did you mean {" or ".join(close)}?' if close else f'it has {", ".join(list(by_name)[:12])} ...'
            findings.append(f'{option} {text}: the detector has no such class; {advice}')
        else:
            ids.add(known)
    if findings:
        raise UserError(findings)
    return ids


def digest(folder: Path, kept: int, stretch: bool) -> str:
    """Return what identifies a detector: a hash of its files, and the constants its detections depend on."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob('*') if path.is_file()):
        total.update(f'{file.relative_to(folder).as_posix()} {file.stat().st_size}\n'.encode())
        with file.open('rb') as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    sizes = f'sides={SIDES} step={ASPECT_STEP}' if stretch else 'own sizes'
    return f'{total.hexdigest()[:32]} {sizes} kept={kept}'
