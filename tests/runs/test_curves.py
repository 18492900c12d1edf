"""Curves from TensorBoard files, as TensorFlow writes them: several starts, and a file that is being written."""
from object_detection.evaluation import summaries
from object_detection.runs import curves


def write(folder, second, points, tag='Loss/total_loss'):
    """An event file of a start at this second."""
    before = set(folder.glob('*'))
    with summaries.Writer(folder) as writer:
        for step, value in points:
            writer.scalars(step, [(tag, value)])
    new, = set(folder.glob('*')) - before
    return new.rename(folder / f'events.out.tfevents.{second}.host')


def test_a_later_start_replaces_what_it_trains_anew(tmp_path):
    write(tmp_path, 1000, [(1, .5), (2, .25), (3, .125)])
    write(tmp_path, 900, [(1, 9.), (2, 9.)], 'other')
    assert curves.scalars(tmp_path) == {'Loss/total_loss': [(1, .5), (2, .25), (3, .125)]}
    write(tmp_path, 1001, [(2, .75)])
    write(tmp_path, 2000, [])
    assert curves.scalars(tmp_path) == {'Loss/total_loss': [(1, .5), (2, .75)]}


def test_only_what_is_whole_is_read(tmp_path):
    path = write(tmp_path, 1000, [(1, .5), (2, .25)])
    content = path.read_bytes()
    for length in range(len(content) - 30, len(content), 7):
        path.write_bytes(content[:length])
        assert curves.scalars(tmp_path) == {'Loss/total_loss': [(1, .5)]}
    path.write_bytes(content[:5])
    assert curves.scalars(tmp_path) == {} == curves.scalars(tmp_path / 'nothing')
