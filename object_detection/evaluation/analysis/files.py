"""The files of an analysis: MODEL_DIR/analysis/ckpt-7/. Imports no TensorFlow."""
import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from object_detection.evaluation.analysis.statistics import OneClass
from object_detection.utils import files

FOLDER, NAME, TABLE = 'analysis', 'analysis.json', 'classes.csv'
FORMAT = 1
COLUMNS = tuple(field.name for field in dataclasses.fields(OneClass))


def folder_of(model_dir: str | Path, checkpoint: str) -> Path:
    """Return where the analysis of a checkpoint (ckpt-7) lies."""
    return Path(model_dir) / FOLDER / checkpoint


def write(folder: Path, content: dict[str, Any], pictures: dict[str, np.ndarray]) -> None:
    """Write analysis.json, classes.csv and PNGs; what an earlier evaluation has written is replaced.

    Args:
        content: see analysis.Analysis.finish.
        pictures: {name without .png: uint8 [H, W, 3]}.
    """
    files.make_dir(folder)
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(content['classes'])
    files.write_text(folder / TABLE, table.getvalue())
    for name, pixels in pictures.items():
        temporary = folder / f'{name}.png.tmp'
        Image.fromarray(pixels).save(temporary, 'PNG', compress_level=3)  # as summaries.py
        files.replace(temporary, folder / f'{name}.png')
    files.write_text(folder / NAME, json.dumps({'format': FORMAT, **content}, indent=1, ensure_ascii=False) + '\n')


def read(model_dir: str | Path, checkpoint: str, step: int | None = None) -> dict[str, Any] | None:
    """Return the content of a checkpoint's analysis.json.

    Args:
        step: of the checkpoint, to pass over the analysis of another one that had its name; None for any.
    Returns:
        None if there is none that this version reads, of this step.
    """
    try:
        content = json.loads((folder_of(model_dir, checkpoint) / NAME).read_text('utf-8'))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get('format') != FORMAT or step not in (None, content.get('step')):
        return None
    return content
