"""The models of the TF2 Detection Zoo, from models.csv.

Speed and COCO mAP are those of the reference's page g3doc/tf2_detection_zoo.md (without ExtremeNet, which has no
training config). The page gives no download sizes; the known ones come from FiftyOne's list of models.
"""
import csv
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from object_detection.utils.errors import UserError


@dataclass(frozen=True)
class Model:
    """One line of models.csv.

    name: also that of the tarball and of its folder.
    date: of the release, the folder of the tarball.
    input: height x width of the images it was trained on.
    speed_ms: milliseconds per image on the reference's GPU.
    coco_map: of boxes; of masks or keypoints after a slash. For centernet_mobilenetv2fpn_..._kpts the page gives one
        number without saying of what.
    outputs: boxes, boxes+masks or boxes+keypoints.
    megabytes: of the download, rounded; '' if not known.
    """
    name: str
    date: str
    input: str
    speed_ms: int
    coco_map: str
    outputs: str
    megabytes: str

    @property
    def path(self) -> str:
        """Path of the tarball below the zoo's address."""
        return f'{self.date}/{self.name}.tar.gz'


def models() -> list[Model]:
    """Return all models, in the order of the reference's page."""
    with Path(__file__).with_name('models.csv').open(encoding='utf-8', newline='') as file:
        return [Model(**dict[str, Any](row, speed_ms=int(row['speed_ms']))) for row in csv.DictReader(file)]


def find(name: str) -> Model:
    """Return the model of this name; UserError with similar names if there is none."""
    known = {model.name: model for model in models()}
    if name in known:
        return known[name]
    close = [other for other in known if name and name.lower() in other] or difflib.get_close_matches(name, known, n=3)
    advice = f'did you mean {" or ".join(close[:5])}?' if close else 'python -m object_detection.zoo list shows all'
    raise UserError(f'the zoo has no model {name!r}; {advice}')
