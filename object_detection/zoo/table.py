"""The models of the TF2 Detection Zoo, from models.csv.

Speed and COCO mAP are those of the reference's page g3doc/tf2_detection_zoo.md (ExtremeNet, which has no training
config, is left out). The page gives no download sizes; those that are known come from FiftyOne's list of models.
"""
import csv
import difflib
from dataclasses import dataclass
from pathlib import Path

from object_detection.utils.errors import UserError


@dataclass(frozen=True)
class Model:
    """input: height x width of the pictures it was trained on. speed_ms: of one picture, on the reference's GPU.

    coco_map: of boxes, of masks or keypoints behind a slash; except for centernet_mobilenetv2fpn_..._kpts, whose one
    number the page gives without saying what of. megabytes: of the download, rounded, '' if unknown.
    """
    name: str
    date: str
    input: str
    speed_ms: int
    coco_map: str
    outputs: str
    megabytes: str

    @property
    def path(self):
        """Of the tarball, below the zoo's address."""
        return f'{self.date}/{self.name}.tar.gz'


def models():
    """All models, in the order of the reference's page."""
    with Path(__file__).with_name('models.csv').open(encoding='utf-8', newline='') as file:
        return [Model(**row | {'speed_ms': int(row['speed_ms'])}) for row in csv.DictReader(file)]


def find(name):
    """The Model of that name; UserError with similar names if there is none."""
    known = {model.name: model for model in models()}
    if name in known:
        return known[name]
    close = [other for other in known if name and name.lower() in other] or difflib.get_close_matches(name, known, n=3)
    advice = f'did you mean {" or ".join(close[:5])}?' if close else 'python -m object_detection.zoo list shows all'
    raise UserError(f'the zoo has no model {name!r}; {advice}')
