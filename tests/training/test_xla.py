"""Steps compiled by XLA and steps in a loop of TensorFlow's: the same numbers as without."""
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints, records
from object_detection.boxes.nms import NonMaxSuppression
from object_detection.boxes.samplers import BalancedSampler
from object_detection.layers import core, randomness
from object_detection.models.faster_rcnn import regions
from object_detection.training.monitor import Monitor
from object_detection.utils import phases, tracing
from object_detection.utils.errors import UserError
from tests.support import tiny, toy_backbone
from tests.support.phase_runs import Log, run
from tests.training import test_center_net_keypoints, test_mask_rcnn

pytestmark = pytest.mark.usefixtures('toys')
SLOW = ('learning_rate_base: 0.05', 'learning_rate_base: 0.001'), ('warmup_learning_rate: 0.01',
                                                                  'warmup_learning_rate: 0.0001')


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return toy_backbone.ssd(tmp_path_factory.mktemp('toy'))


def weights(folder):
    return {key: value for key, value in checkpoints.load(folder).values.items()
            if 'save_counter' not in key and value.dtype != object}


@pytest.mark.parametrize('options', [{}, {'accumulate': 2}], ids=['whole', 'in parts'])
def test_ssd_compiled(options, tmp_path):
    """At a small rate, which does not amplify the rounding of sums; compiled steps run in a loop, too."""
    config = toy_backbone.ssd(tmp_path)
    for old, new in SLOW:
        config = config.replace(old, new)
    plain, _ = run(tmp_path / 'plain', config, 4, log_every_n=2, **options)
    log, _ = run(tmp_path / 'compiled', config, 4, log_every_n=2, xla=True, steps_per_loop=2, **options)
    assert log.losses() == pytest.approx(plain.losses(), rel=1e-5)
    other = weights(tmp_path / 'compiled')
    for key, value in weights(tmp_path / 'plain').items():
        np.testing.assert_allclose(other[key], value, rtol=0, atol=1e-6, err_msg=key)


def spread(shape, dtype):
    """Numbers in [0, 1), all different, without a generator."""
    count = tf.reduce_prod(shape)
    return tf.reshape(tf.cast(tf.range(count) * 7919 % 65537, dtype) / 65537, shape)


def test_faster_rcnn_compiled(tmp_path, monkeypatch):
    """With the same random numbers, the losses are close: the anchors of one row overlap equally, so rounding decides
    which are proposals. The parts that choose are equal; see below."""
    monkeypatch.setattr(randomness, 'uniform_share', lambda shape, seed, dtype=tf.float32: spread(shape, dtype))
    config = toy_backbone.faster_rcnn(tmp_path)
    plain, _ = run(tmp_path / 'plain', config, 1)
    compiled, _ = run(tmp_path / 'compiled', config, 1, xla=True)
    expected, values = (log.of('log')[0]['values'] for log in (plain, compiled))
    assert expected.keys() == values.keys()
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=2e-3), name


@pytest.mark.slow
@pytest.mark.parametrize('which', ['mobilenet', 'center_net', 'masks'])
def test_other_networks_compiled(which, tmp_path):
    """Their normalization, of batches of two images, amplifies rounding."""
    text = {'mobilenet': lambda folder: tiny.write(folder).read_text(), 'masks': test_mask_rcnn.write,
            'center_net': lambda folder: test_center_net_keypoints.write(folder).read_text()}[which](tmp_path)
    plain, _ = run(tmp_path / 'plain', text, 1)
    compiled, _ = run(tmp_path / 'compiled', text, 1, xla=True)
    assert compiled.losses()[1] == pytest.approx(plain.losses()[1], rel=5e-2 if which == 'masks' else 1e-3)


def equal_with_fixed_shapes(function, *arguments):
    """Assert that function(*arguments) is the same, bit by bit, plain, with fixed shapes, and compiled by XLA."""
    def fixed(*arguments):
        with tracing.fixed_shapes():
            return function(*arguments)
    expected = tf.nest.flatten(function(*arguments))
    for other in (fixed, tf.function(fixed, jit_compile=True, autograph=False)):
        for one, two in zip(expected, tf.nest.flatten(other(*arguments)), strict=True):
            np.testing.assert_array_equal(one, two)


def test_non_max_suppression():
    random = np.random.default_rng(0)
    corners = random.uniform(0., .8, (2, 60, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + random.uniform(.05, .3, (2, 60, 2)).astype(np.float32)], -1)
    scores = random.uniform(size=(2, 60, 1)).astype(np.float32)
    select = NonMaxSuppression(.1, .3, 20, 20, change_frame=False)
    arguments = tf.constant(boxes), tf.constant(scores), tf.constant([[0., 0., 1., 1.]] * 2)
    assert 5 < select(*arguments).count[0] <= 20
    equal_with_fixed_shapes(lambda *arguments: tuple(select(*arguments)), *arguments)


def test_samples():
    candidate = tf.constant(np.random.default_rng(0).uniform(size=(2, 50)) < .8)
    positive = tf.constant(np.random.default_rng(1).uniform(size=(2, 50)) < .3)
    equal_with_fixed_shapes(lambda *arguments: BalancedSampler(16, .25).sample(
        *arguments, lambda shape: spread(shape, tf.float64)), candidate, positive)


@pytest.mark.parametrize('clamp', [False, True])
@pytest.mark.parametrize('size', [(5, 3), (1, 1)])
def test_crops_and_their_gradient(clamp, size):
    maps = tf.constant(np.random.default_rng(0).normal(size=(2, 9, 11, 4)).astype(np.float32))
    boxes = tf.constant([[0., 0., 1., 1.], [.1, .2, .7, .9], [-.2, .3, .5, 1.3], [.6, .6, .4, .4], [.5, .5, .5, .5]])

    def crop(maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            crops = regions.crop(maps, boxes, tf.constant([0, 1, 1, 0, 1]), size, clamp)
            total = tf.reduce_sum(crops * crops)
        return crops, tape.gradient(total, maps)
    expected = crop(maps)
    with tracing.fixed_shapes():
        found = crop(maps)
    for one, other in zip(expected, found):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


def test_upsampling():
    equal_with_fixed_shapes(core.upsample, tf.constant(np.random.default_rng(0).normal(size=(2, 3, 4, 5))))


def test_what_xla_cannot_compile(config, tmp_path):
    with phases.Worker() as worker:
        outcome = worker.run(toy_backbone.train_phase, {
            'config_text': config, 'model_dir': str(tmp_path), 'num_steps': 1, 'cpus': 2, 'xla': True},
            tmp_path / 'outcome.json', Log())
    assert outcome.kind == phases.BAD_INPUT
    assert '--xla: compiles the step of one device, and there are 2' in outcome.message
    with pytest.raises(UserError, match='--xla: needs images of one size'):
        run(tmp_path, toy_backbone.faster_rcnn(tmp_path, toy_backbone.ANY_SIZE, batch_size=1), 1, xla=True)


def test_a_loop_of_steps_is_the_same_run(config, tmp_path):
    """Points in TensorBoard and checkpoints come at the same steps, and a resume in between changes nothing."""
    plain, _ = run(tmp_path / 'plain', config, 11, log_every_n=4)
    first, _ = run(tmp_path / 'loop', config, 100, log_every_n=4, steps_per_loop=3, checkpoint_every_n=6)
    second, _ = run(tmp_path / 'loop', config, 11, log_every_n=4, steps_per_loop=3, checkpoint_every_n=6)
    assert [values['step'] for values in first.of('saved')] == [0, 6]
    assert list(plain.losses()) == [4, 8, 11] and list(first.losses()) == [4, 6] and list(second.losses()) == [8, 11]
    for step, loss in plain.losses().items():
        assert {**first.losses(), **second.losses()}[step] == loss
    one, other = weights(tmp_path / 'plain'), weights(tmp_path / 'loop')
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key], key)


def test_a_broken_picture_in_a_loop_is_named(config, tmp_path):
    source = Path(config.split('label_map_path: "')[1].split('/label_map')[0])
    for name in ('label_map.pbtxt', 'test.tfrecords'):
        shutil.copy(source / name, tmp_path)
    good = records.Records([str(source / 'train.tfrecords')])
    with records.Writer(str(tmp_path / 'train.tfrecords')) as writer:
        for number in range(12):
            writer.write(good[number])
        writer.write(records.Example(b'no picture', 60, 80, filename='dog 7.jpg').to_bytes())
    text = config.replace(source.as_posix(), tmp_path.as_posix()).replace(
        'train_input_reader {', 'train_input_reader { shuffle: false')
    with pytest.raises(UserError, match=r'dog 7\.jpg'):
        run(tmp_path / 'model', text, 20, steps_per_loop=10, log_every_n=100)


class Writer:
    def scalars(self, step, values):
        self.values = step, dict(values)

    def flush(self):
        pass


def test_losses_are_read_seldom_and_the_first_bad_step_is_named(monkeypatch):
    """Ten steps between two points of the log, within a moment: nothing is read in between."""
    now = [0.]
    monkeypatch.setattr('object_detection.training.monitor.time.monotonic', lambda: now[0])
    log, writer = Log(), Writer()
    monitor = Monitor(log, writer, lambda step: tf.constant(.5), 10, 100)
    read = []
    monkeypatch.setattr(monitor, '_read', lambda: (read.append([step for step, _ in monitor._unseen]),
                                                   Monitor._read(monitor)))

    def after(step, value=1.):
        now[0] += .01
        monitor.after(step, {'Loss/total_loss': tf.constant(value)})
    now[0] = 10.
    for step in range(1, 21):
        after(step)
    assert read == [[1], [*range(2, 11)], [*range(11, 21)]]  # the first at once, for the terminal
    assert [values['step'] for values in log.of('log')] == [10, 20]
    assert writer.values == (20, {'Loss/total_loss': 1., 'learning_rate': .5, 'steps_per_sec': pytest.approx(100.)})
    after(21)
    after(22, np.nan)
    now[0] += 1.
    with pytest.raises(phases.NotFinite, match='loss of step 22 is not finite'):
        after(23, np.nan)


def test_points_of_the_log():
    monitor = Monitor(Log(), Writer(), lambda step: step, 10, 25)
    assert [monitor.until_log(step) for step in (0, 1, 9, 10, 20, 24)] == [10, 9, 1, 10, 5, 1]
