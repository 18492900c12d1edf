"""Categories in a CSV file, under the reference's name."""
import csv
import io
import os
from typing import Any

from object_detection.utils import gfile


def load_categories_from_csv_file(csv_path: str | os.PathLike) -> list[dict[str, Any]]:
    """Return [{'id', 'name'}] of the lines of a file: number, name.

    Raises:
        ValueError: a line has not two fields, or the first is no number.
    """
    categories = []
    for row in csv.reader(io.StringIO(gfile.read_text(csv_path))):
        if row and len(row) != 2:
            raise ValueError(f'Expected 2 fields per row in csv: {",".join(row)}')
        if row:
            categories.append({'id': int(row[0]), 'name': row[1]})
    return categories


def save_categories_to_csv_file(categories: list[dict[str, Any]], csv_path: str | os.PathLike) -> None:
    """Sort categories by id, in place, and write them as lines: number, name."""
    categories.sort(key=lambda category: category['id'])
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([category['id'], category['name']] for category in categories)
    gfile.write_text(csv_path, text.getvalue())
