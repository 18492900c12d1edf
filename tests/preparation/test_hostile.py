"""Every kind of file gets its verdict, and every picture becomes an upright sRGB JPEG with a unique name."""
import io

import numpy as np
import pytest
from PIL import Image

from object_detection.preparation.decode import Unusable, decode
from object_detection.records import Example, Records
from tests.support.hostile import HEIGHT, WIDTH, encoded, make, orientation, scene, swapped_profile
from tests.support.prepared import contents, decisions


def test_verdicts(run, tmp_path):
    expected = make(tmp_path / 'pictures')
    before = contents_of(tmp_path / 'pictures')
    output = run(tmp_path / 'pictures', near_duplicates=None, workers=2)
    found = decisions(output)
    assert found.keys() == expected.keys()
    wrong = {path: (found[path], reason) for path, reason in expected.items()
             if (reason is None) != (found[path][0] == 'in') or not (found[path][1] or '').startswith(reason or '')}
    assert not wrong
    assert len(expected) > 100  # kinds of file
    fine = [path for path, reason in expected.items() if reason is None]
    jpgs = sorted(path.relative_to(output).as_posix() for path in (output / 'jpg').rglob('*') if path.is_file())
    assert len(jpgs) == len({name.casefold() for name in jpgs}) == len(fine)
    assert all(len(name.rpartition('/')[2].encode()) < 160 for name in jpgs)
    records = Records([str(output / 'train.tfrecords'), str(output / 'test.tfrecords')])
    examples = [Example.from_bytes(records[i]) for i in range(len(records))]
    assert sorted(example.source_id for example in examples) == sorted(fine)
    for example in examples:
        with Image.open(io.BytesIO(example.encoded)) as image:
            assert (image.format, image.mode, image.size) == ('JPEG', 'RGB', (example.width, example.height))
            assert not image.getexif() and 'icc_profile' not in image.info
    assert contents_of(tmp_path / 'pictures') == before  # the data set is only read


def contents_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*') if path.is_file()} | contents(folder / 'a')


@pytest.mark.parametrize('turned', range(1, 9))
def test_orientation(turned):
    """`decode` undoes what a camera held in each of the eight orientations stores."""
    undo = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}  # upright -> stored
    upright = scene(5)
    stored = upright if turned == 1 else upright.transpose(undo[turned])
    decoded = decode(encoded(stored, 'PNG', exif=orientation(turned)))
    assert (decoded.width, decoded.height) == (WIDTH, HEIGHT)
    np.testing.assert_array_equal(np.asarray(decoded.image), np.asarray(upright))


def test_embedded_profile_is_converted():
    red = Image.new('RGB', (32, 32), (200, 0, 0))
    pixel = decode(encoded(red, 'PNG', icc_profile=swapped_profile())).image.getpixel((5, 5))
    assert pixel[1] > 190 and pixel[0] < 20 and pixel[2] < 20  # red and green are swapped in this profile


def test_transparent_is_white():
    clear = Image.new('RGBA', (32, 32), (10, 20, 30, 0))
    assert decode(encoded(clear, 'PNG')).image.getpixel((3, 3)) == (255, 255, 255)
    half = Image.new('RGBA', (32, 32), (0, 0, 0, 128))
    assert decode(encoded(half, 'PNG')).image.getpixel((3, 3)) == (127, 127, 127)


def test_sixteen_bits():
    ramp = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    image = decode(encoded(Image.fromarray(ramp), 'PNG')).image
    np.testing.assert_allclose(np.asarray(image, int)[..., 1], ramp // 257, atol=1)


def test_first_frame():
    frames = [Image.new('RGB', (32, 32), color) for color in ('red', 'blue')]
    for kind, options in (('GIF', {}), ('WEBP', {'lossless': True})):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert decode(data).image.getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize(('size', 'mindim', 'expected'), [
    ((96, 64), None, (96, 64)), ((96, 64), 64, (96, 64)), ((96, 64), 100, (96, 64)), ((96, 64), 32, (48, 32)),
    ((64, 97), 32, (32, 48)), ((3000, 2000), 640, (960, 640))])
def test_mindim_shrinks_the_shorter_side_and_never_enlarges(size, mindim, expected):
    assert decode(encoded(scene(1, size=size), 'JPEG'), mindim).image.size == expected


def test_shrinking_looks_like_lanczos():
    photo = encoded(scene(3, size=(1600, 1200)), 'JPEG', quality=95)
    plain = Image.open(io.BytesIO(photo)).resize((400, 300), Image.Resampling.LANCZOS)
    difference = np.asarray(plain, np.float64) - np.asarray(decode(photo, 300).image)
    assert 10 * np.log10(255 ** 2 / (difference ** 2).mean()) > 35


def test_end_of_the_file():
    whole = encoded(scene(4), 'JPEG', quality=95)
    assert decode(whole).note is None
    assert decode(whole[:-2]).note
    for odd in (whole + b'rubbish', whole[:-2]):
        assert decode(odd).image.tobytes() == decode(whole).image.tobytes()
    with pytest.raises(Unusable, match='truncated'):
        decode(whole[:-40])
