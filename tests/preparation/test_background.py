"""--background: pictures without objects, from a folder of their own."""
import json

import pytest
from PIL import Image

from object_detection.records import Example, Records
from object_detection.utils.errors import UserError
from tests.support.hostile import encoded, scene
from tests.support.prepared import contents, decisions


@pytest.fixture
def folders(tmp_path):
    """A data set of ten pictures in two labels, and ten pictures of background in nested folders."""
    for i in range(10):
        for file in (tmp_path / 'd' / 'ab'[i % 2] / f'{i}.jpg', tmp_path / 'fields' / 'deep' / f'{i}.jpg'):
            file.parent.mkdir(parents=True, exist_ok=True)
            seed = i if 'd' in file.parts else 100 + i
            file.write_bytes(encoded(scene(seed, size=(160, 120)), 'JPEG', quality=95))
    return tmp_path / 'd', tmp_path / 'fields'


def subsets(output):
    """Return {source_id: (subset, number of boxes)}."""
    found = {}
    for subset in ('train', 'validation', 'test'):
        if (file := output / f'{subset}.tfrecords').exists():
            records = Records(str(file))
            examples = [Example.from_bytes(records[i]) for i in range(len(records))]
            found |= {example.source_id: (subset, len(example.boxes)) for example in examples}
    return found


def test_split_with_the_same_shares(run, folders):
    dataset, fields = folders
    output = run(dataset, background=fields, split=(0.6, 0.2, 0.2), maxperlabel=5)
    found = subsets(output)
    for background in (False, True):
        members = [subset for path, (subset, _) in found.items() if path.startswith('../fields/deep/') == background]
        assert [members.count(subset) for subset in ('train', 'validation', 'test')] == [6, 2, 2]
    assert all(boxes == (not path.startswith('../')) for path, (_, boxes) in found.items())
    numbers = json.loads((output / 'stats.json').read_text())
    assert numbers['totals']['negatives'] == 10 and numbers['labels'][-1]['label'] == '(background)'
    assert '(background)' in (output / 'report.html').read_text()
    before = contents(output)
    assert contents(run(dataset, background=fields, split=(0.6, 0.2, 0.2), maxperlabel=5)) == before
    without = run(dataset, split=(0.6, 0.2, 0.2), maxperlabel=5)
    assert subsets(without) == {path: value for path, value in found.items() if not path.startswith('../')}


def test_copies_of_the_data_set_are_left_out(run, folders):
    """An object that the data set has is no background; copies among the background are duplicates."""
    dataset, fields = folders
    with Image.open(dataset / 'a' / '0.jpg') as image:
        image.reduce(2).resize((160, 120)).save(fields / 'copy.png')
    (fields / 'again.jpg').write_bytes((fields / 'deep' / '3.jpg').read_bytes())
    found = decisions(run(dataset, background=fields))
    assert found['../fields/copy.png'] == ('conflict', 'background, but the same picture as a/0.jpg')
    assert found['a/0.jpg'] == ('in', None)
    assert sorted(found[path][0] for path in ('../fields/again.jpg', '../fields/deep/3.jpg')) == ['duplicate', 'in']


def test_no_detector_and_no_negatives_needed(run, folders):
    """Background stays without --negatives, drawn boxes or not, and is cut into tiles with the rest."""
    dataset, fields = folders
    (dataset / 'classes.txt').write_text('a\nb')
    for i in range(10):
        (dataset / 'ab'[i % 2] / f'{i}.txt').write_text(f'{i % 2} .5 .5 .2 .2')
    found = subsets(run(dataset, boxes='best', background=fields, tile=100, overlap=0.0))
    tiles = [path for path, (_, boxes) in found.items() if path.startswith('../')]
    assert len(tiles) == 10 * 4 and not any(found[path][1] for path in tiles)
    assert all(boxes for path, (_, boxes) in found.items() if not path.startswith('../'))


def test_a_split_that_is_kept(run, folders, tmp_path):
    """Train and test are there already; the background is divided as the pictures are."""
    _, fields = folders
    for part, count in (('train', 8), ('test', 2)):
        for i in range(count):
            for label in 'ab':
                file = tmp_path / 'given' / part / label / f'{i}.jpg'
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(encoded(scene(200 + 20 * (part == 'test') + 2 * i + (label == 'b'), size=(160, 120)),
                                         'JPEG'))
    found = subsets(run(tmp_path / 'given', background=fields))
    assert [sum(path.startswith('../') and value[0] == subset for path, value in found.items())
            for subset in ('train', 'test')] == [8, 2]


def test_mistakes(run, folders, capsys):
    dataset, fields = folders
    (fields / 'deep' / '3.xml').write_text('<annotation/>')
    run(dataset, background=fields)
    assert '1 files beside pictures look like annotations (3.xml' in ''.join(capsys.readouterr())
    with pytest.raises(UserError, match='does not exist'):
        run(dataset, background=fields / 'nowhere')
    (fields.parent / 'empty').mkdir()
    with pytest.raises(UserError, match='no picture among them'):
        run(dataset, background=fields.parent / 'empty')
    with pytest.raises(UserError, match='need a folder of their own'):
        run(dataset, background=dataset / 'a')
