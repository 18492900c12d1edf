"""The demo's drawn pictures are the same every time, and the object is where its box is."""
import hashlib

import numpy as np
import pytest
from PIL import Image

from demo import make_scenes


def _files(folder):
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob('*.jpg'))}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    for name, seed in (('first', 0), ('second', 0), ('other', 1)):
        assert make_scenes.write_pictures(tmp_path / name, per_label=2, seed=seed) == 8
    first, second, other = (_files(tmp_path / name) for name in ('first', 'second', 'other'))
    assert list(first) == [f'{label}/00{n}.jpg' for label in make_scenes.LABELS for n in range(2)]
    assert first == second
    assert len({*first.values(), *other.values()}) == 16


def test_more_pictures_keep_the_first_ones(tmp_path):
    make_scenes.write_pictures(tmp_path / 'few', per_label=1)
    make_scenes.write_pictures(tmp_path / 'more', per_label=2)
    assert _files(tmp_path / 'few').items() <= _files(tmp_path / 'more').items()


@pytest.mark.parametrize('label', make_scenes.LABELS)
def test_the_box_fits_the_painted_object_tightly(label, monkeypatch):
    # black background, white object, no noise
    monkeypatch.setattr(make_scenes, '_background', lambda rng, h, w: np.zeros((h, w, 3), np.float32))
    monkeypatch.setattr(make_scenes, '_paint', lambda rng, image, cover: np.full(image.shape, 255, np.float32))
    for seed in range(5):
        image, box = make_scenes.scene(np.random.default_rng(seed), label)
        rows, columns = np.nonzero(image.min(-1) > 100)
        height, width = image.shape[:2]
        found = (rows.min() / height, columns.min() / width, (rows.max() + 1) / height, (columns.max() + 1) / width)
        np.testing.assert_allclose(box, found, atol=2.5 / 160)
        assert min(box) >= 0 and max(box) <= 1


def test_pictures_are_color_jpegs_of_many_sizes(tmp_path):
    make_scenes.write_pictures(tmp_path, per_label=3)
    pictures = [Image.open(p) for p in sorted(tmp_path.rglob('*.jpg'))]
    assert {(p.format, p.mode) for p in pictures} == {('JPEG', 'RGB')}
    assert len({p.size for p in pictures}) > 6
    assert all(160 <= side <= 280 for p in pictures for side in p.size)
