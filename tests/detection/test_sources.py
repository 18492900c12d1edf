"""Which files --input means, and the names of what is written for them."""
import pytest

from object_detection.detection import sources
from object_detection.utils.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ('in/a/1.jpg', 'in/a/1.png', 'in/b/deep/2.JPG', 'in/clip.mp4', 'in/notes.txt', 'in/.hidden.jpg',
                 'in/Thumbs.db', 'in/.cache/3.jpg', 'other/1.jpg'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b'x')
    return tmp_path


def test_a_folder_means_all_that_lies_below_it(folder):
    found = sources.find([str(folder / 'in')])
    assert [one.name for one in found.pictures] == ['a/1.jpg', 'a/1.png', 'b/deep/2.JPG']
    assert [one.stem for one in found.pictures] == ['a/1.jpg', 'a/1.png', 'b/deep/2']  # a/1 would be two files
    assert [(one.name, one.stem) for one in found.videos] == [('clip.mp4', 'clip')]
    assert found.others == 1


def test_names_of_several_inputs_start_at_the_folder_they_share_and_a_file_counts_once(folder):
    found = sources.find([str(folder / 'in/a'), str(folder / 'other'), str(folder / 'other/1.jpg')])
    assert [one.name for one in found.pictures] == ['in/a/1.jpg', 'in/a/1.png', 'other/1.jpg']


def test_globs_files_and_cameras(folder, monkeypatch):
    found = sources.find([str(folder / 'in' / '**' / '*.[jJ][pP][gG]')])
    assert {'a/1.jpg', 'b/deep/2.JPG'} <= {one.name for one in found.pictures}
    assert [one.name for one in sources.find([str(folder / 'in/a/1.png')]).pictures] == ['1.png']
    monkeypatch.chdir(folder / 'in')
    assert [one.name for one in sources.find(['a/*.png']).pictures] == ['1.png']
    camera, = sources.find(['0']).videos
    assert (camera.camera, camera.name, camera.is_video) == (0, 'camera0', True)


def test_all_that_is_not_there_is_said_at_once(folder):
    (folder / 'empty').mkdir()
    with pytest.raises(UserError) as raised:
        sources.find([str(folder / 'inn'), str(folder / 'empty'), str(folder / 'in/*.gif')])
    assert len(raised.value.findings) == 3
    assert 'did you mean' in raised.value.findings[0]
    assert all('holds no picture and no video' in finding for finding in raised.value.findings[1:])
