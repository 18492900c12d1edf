"""The CSV of the TFRecord tutorials, a line for each box: filename, width, height, class, xmin, ymin, xmax, ymax.

VoTT calls two of these columns image and label.
"""
import csv
import io

from object_detection.preparation.annotations.entry import Entry, Shape, Unknown, Unreadable, number, size_of
from object_detection.preparation.scan import composed

COLUMNS = ('filename', 'class', 'xmin', 'ymin', 'xmax', 'ymax')  # width and height may be missing
ALIASES = {'image': 'filename', 'label': 'class'}
DELIMITERS = ',;\t'  # spreadsheets of many countries save the second


def read(text: str, path: str) -> list[Entry]:
    """Return the Entries of all pictures of a table; Unknown if its first line does not name the columns.

    A line that cannot be read spoils its picture alone. path: of the file, relative to the folder it was found in.
    """
    first = text.partition('\n')[0]
    delimiter = max(DELIMITERS, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        header = [column if (column := ALIASES.get(name, name)) not in header else name for name in header]
        if 'region_shape_attributes' in header:
            raise Unknown('CSV of VGG Image Annotator')
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise Unknown(f'CSV without the columns {", ".join(missing)}' if len(missing) < 3 else '')
        entries: dict[str, Entry] = {}
        for line in lines:
            row = dict(zip(header, (cell.strip() for cell in line)))
            if delimiter != ',':  # 12,5 in the countries whose spreadsheets write semicolons
                row |= {side: row[side].replace(',', '.') for side in COLUMNS[2:] if side in row}
            if any(row.values()):
                _add(entries, row, path, lines.line_num)
    except csv.Error as error:
        raise Unreadable(f'line {lines.line_num}: {error}') from error
    return list(entries.values())


def _add(entries, row, path, line):
    name = row.get('filename', '')
    entry = entries.setdefault(name, Entry('csv', path, [name], [], where=f'line {line}'))
    if entry.shapes is None or not any(row.get(key) for key in COLUMNS[1:]):  # a picture without an object
        return
    corners = [number(row.get(side)) for side in COLUMNS[2:]]
    try:
        size = size_of(row.get('width'), row.get('height'))
        if any(value != value for value in corners):
            raise Unreadable(f'line {line} has no four numbers for the box')
        if entry.shapes and size != entry.size:
            raise Unreadable(f'line {line} gives the picture another size than line {entry.where[5:]}')
    except Unreadable as error:
        entry.shapes, entry.problem = None, str(error)
        return
    entry.size = size
    entry.shapes.append(Shape(composed(row.get('class', '')), (corners[0], corners[1], corners[2], corners[3])))
