"""Data sets of drawn annotations, read without opening their pictures."""
import pytest

from object_detection.preparation import run
from object_detection.preparation.annotations import fit
from object_detection.preparation.manifest import Picture
from object_detection.preparation.options import Options
from tests.support.drawn import HEIGHT, WIDTH


@pytest.fixture
def pets(tmp_path):
    """pets({path: text, bytes, or None for a picture}) writes a data set and returns its folder."""
    def pets(files, name='pets'):
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            data = b'x' if content is None else content if isinstance(content, bytes) else content.encode()
            (tmp_path / name / path).write_bytes(data)
        return tmp_path / name
    return pets


@pytest.fixture
def annotated():
    """annotated(folder, size, turned, **options) -> {path: Annotation}; pictures are 200 x 100 upright."""
    def annotated(folder, size=(WIDTH, HEIGHT), turned=1, **options):
        options = Options(folder, folder.parent / 'out', **options)
        layout, drawn = run.find(options)
        pictures = [Picture(s.path, s.label, 1, 1, '', width=size[0], height=size[1], turned=turned)
                    for s in layout.sources if not s.problem]
        return fit.fit_all(pictures, drawn, layout, options)
    return annotated
