"""The evaluation phase, on a tiny detector and on a model that the reference trained."""
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection import checkpoints, records
from object_detection.config import pipeline
from object_detection.evaluation import evaluator
from object_detection.evaluation.samples import samples
from object_detection.training import screen
from object_detection.utils import phases
from object_detection.utils.errors import UserError
from tests.support import toy_backbone
from tests.support.phase_runs import evaluated, events, run

REFERENCE = Path(__file__).parents[3] / 'shared' / 'parity'


@pytest.fixture(scope='module')
def trained(toys, tmp_path_factory):
    """(model_dir, config) after two steps."""
    folder = tmp_path_factory.mktemp('trained')
    config = toy_backbone.ssd(folder).replace('use_moving_average: false', 'use_moving_average: true')
    run(folder / 'model', config, 2)
    return folder / 'model', config


def test_numbers_and_images(trained):
    folder, config = trained
    _, data = evaluated(folder, config)
    assert data['step'] == 2 and data['pictures'] == 5 and data['checkpoint'] == str(folder / 'ckpt-2')
    values = dict(data['metrics'])
    assert list(values)[:3] == ['DetectionBoxes_Precision/mAP', 'DetectionBoxes_Precision/mAP@.50IOU',
                                'DetectionBoxes_Precision/mAP@.75IOU']
    assert values['Loss/total_loss'] == pytest.approx(sum(
        values[f'Loss/{name}_loss'] for name in ('localization', 'classification', 'regularization')), rel=1e-5)
    found = events(folder / 'eval')
    assert found['DetectionBoxes_Precision/mAP', 2][0] == 'scalars'
    pictures = [tag for tag, _ in found if tag.startswith('eval_side_by_side')]
    assert sorted(pictures) == ['eval_side_by_side_0_0', 'eval_side_by_side_1_0']  # num_visualizations: 2


def test_several_metrics(trained):
    folder, config = trained
    wanted = ('coco_detection_metrics', 'pascal_voc_detection_metrics', 'weighted_pascal_voc_detection_metrics',
              'precision_at_recall_detection_metrics', 'oid_V2_detection_metrics', 'pascal_voc_detection_metrics')
    config = config.replace('"coco_detection_metrics"', ' '.join(f'metrics_set: "{name}"' for name in wanted)[13:])
    names = [name for name, _ in evaluated(folder, config)[1]['metrics']]
    assert len(set(names)) == len(names)
    assert screen.leading_metrics(names) == [
        'DetectionBoxes_Precision/mAP', *(f'{name}_Precision/mAP@0.5IOU' for name in (
            'PascalBoxes', 'WeightedPascalBoxes', 'PrecisionAtRecallBoxes', 'OpenImagesV2'))]
    assert 'PascalBoxes_PerformanceByCategory/AP@0.5IOU/square' in names
    assert {name for name, _ in events(folder / 'eval')} >= set(names)


def test_batches_do_not_change_the_numbers(trained, monkeypatch):
    folder, config = trained
    together = dict(evaluated(folder, config)[1]['metrics'])
    monkeypatch.setattr(evaluator, 'PIXELS_AT_ONCE', 1)
    alone = dict(evaluated(folder, config)[1]['metrics'])
    assert alone == pytest.approx(together, rel=1e-5)


def limit_memory(monkeypatch, images):
    """Let TensorFlow run out of memory on more than `images` images at once.

    It waits 10 s for memory before it gives up, so only a single image asks for more than there is; for several of them
    TensorFlow raises the same error at once.
    """
    trace = evaluator._traced

    def take(count):
        if count > max(images, 1):
            raise MemoryError  # TensorFlow makes a ResourceExhaustedError of it
        return np.int64(2 ** 45 * (count > images))

    def traced(model, add_regularization_loss, spec):
        run = trace(model, add_regularization_loss, spec)

        def limited(features, groundtruth):
            size = tf.numpy_function(take, [tf.shape(features['filename'])[0]], tf.int64)
            losses, detections = run(features, groundtruth)
            too_large = tf.fill([size], losses['Loss/total_loss'][0])
            losses['Loss/total_loss'] += tf.reduce_sum(too_large)
            return losses, detections
        return tf.function(limited, input_signature=spec, autograph=False)
    monkeypatch.setattr(evaluator, '_traced', traced)


def test_batches_that_do_not_fit_into_memory_are_halved(trained, monkeypatch):
    folder, config = trained
    config = config.replace('num_visualizations: 2', 'num_visualizations: 5')
    together = dict(evaluated(folder, config)[1]['metrics'])
    limit_memory(monkeypatch, 1)
    log, data = evaluated(folder, config)
    assert [event['text'].split(',')[0] for event in log.of('warning') if 'memory' in event['text']] == [
        'memory ran out at batch size 5; evaluation continues at batch size 2',
        'memory ran out at batch size 2; evaluation continues at batch size 1']
    assert data['pictures'] == 5 and [event['pictures'] for event in log.of('evaluated')] == [1, 2, 3, 4, 5]
    assert dict(data['metrics']) == pytest.approx(together, rel=1e-5)


def test_out_of_memory_names_the_batch_size_that_was_used(trained, monkeypatch):
    folder, config = trained
    limit_memory(monkeypatch, 0)
    with pytest.raises(phases.OutOfMemory, match=r'at batch size 1 \(.*OOM when allocating.*Make the image_resizer'):
        evaluated(folder, config.replace('num_visualizations: 2', 'batch_size: 4'))


def test_training_pictures_and_samples(trained):
    folder, config = trained
    _, data = evaluated(folder, config, on_train_data=True, sample_1_of_n=5)
    assert data['pictures'] == 3  # of 13: 0, 5, 10
    assert events(folder / 'eval_train')


def test_each_picture_once_despite_sampling_weights(trained, monkeypatch):
    """Sampling by weights would take nine of ten pictures from the second data set, some of them twice."""
    folder, config = trained
    config = pipeline.parse(config)
    reader = config.eval_input_reader[0]
    reader.tf_record_input_reader.MergeFrom(config.train_input_reader.tf_record_input_reader)
    reader.sample_from_datasets_weights.extend([.1, .9])
    seen = []

    def spied(features, *arguments, **keywords):
        seen.extend(name.decode() for name in features['filename'].numpy())
        return samples(features, *arguments, **keywords)

    monkeypatch.setattr(evaluator, 'samples', spied)
    _, data = evaluated(folder, pipeline.to_text(config))
    assert seen == [*(f'test{i}.jpg' for i in range(5)), *(f'train{i}.jpg' for i in range(13))]
    assert data['pictures'] == 18


def test_a_known_checkpoint_is_not_evaluated(trained):
    folder, config = trained
    assert evaluated(folder, config, known=['ckpt-2'])[1] == {}


def test_step_0_is_evaluated_only_on_request(trained, tmp_path):
    folder, config = trained
    for path in folder.glob('ckpt-1.*'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert evaluated(tmp_path, config)[1] == {}
    assert evaluated(tmp_path, config, checkpoint_path=tmp_path / 'ckpt-1')[1]['step'] == 0


def test_moving_averages(trained):
    folder, config = trained
    _, plain = evaluated(folder, config)
    _, averaged = evaluated(folder, config.replace('num_visualizations: 2', 'use_moving_averages: true'))
    key = 'Loss/regularization_loss'
    assert dict(averaged['metrics'])[key] != dict(plain['metrics'])[key]


def test_no_pictures(trained, tmp_path):
    folder, config = trained
    with records.Writer(str(tmp_path / 'empty.tfrecords')):
        pass
    parts = config.rsplit('input_path: "', 1)
    with pytest.raises(UserError, match=r'empty\.tfrecords'):
        evaluated(folder, f'{parts[0]}input_path: "{tmp_path}/empty.tfrecords" }} }}')


@pytest.mark.slow
@pytest.mark.skipif(not REFERENCE.exists(), reason='needs the parity kit beside the project')
class TestReferenceRun:
    """A model that the reference trained for 3000 steps: its metrics, and its next ten steps."""

    @pytest.fixture(autouse=True)
    def in_its_folder(self):
        before = Path.cwd()
        os.chdir(REFERENCE)  # paths in its configs are relative
        yield
        os.chdir(before)

    def test_metrics(self, tmp_path):
        expected = json.loads((REFERENCE / 'reference_run/expected.json').read_text())
        config = (REFERENCE / 'reference_run/pipeline.config').read_text()
        _, data = evaluated(tmp_path, config, checkpoint_path=REFERENCE / 'reference_run/model_dir')
        assert data['step'] == expected['global_step']
        assert dict(data['metrics']) == pytest.approx(expected['metrics'], abs=1e-3)

    def test_trajectory(self, tmp_path):
        folder = REFERENCE / 'reference_run/trajectory'
        expected = json.loads((folder / 'expected.json').read_text())
        log, data = run(tmp_path, (folder / 'pipeline.config').read_text(), 10)
        for name, by_step in expected['loss'].items():
            for step, loss in by_step.items():
                assert log.of('log')[int(step) - 1]['values'][name] == pytest.approx(loss, rel=2e-3), (name, step)
        values = checkpoints.Saved(data['checkpoint']).values
        for key, (norm, _) in expected['final'].items():
            ours = float((values[key].numpy().astype(float) ** 2).sum() ** .5)
            assert ours == pytest.approx(norm, rel=1e-3, abs=1e-4), key


def test_broken_records_are_left_out_and_counted(trained, tmp_path, monkeypatch):
    """Batches of two: it is met after others have been evaluated. The numbers are those of the other pictures."""
    folder, config = trained
    path = tmp_path / 'test.tfrecords'
    kept = list(records.Records(folder.parent / 'test.tfrecords'))
    for name, wanted in (('others', [0, 1, 2, 4]), ('test', range(5))):
        with records.Writer(path.with_stem(name)) as writer:
            for number in wanted:
                writer.write(kept[number])
    data = bytearray(path.read_bytes())
    data[int(records.Records(path)._offsets[3]) + 500] ^= 1
    path.write_bytes(data)
    before = (folder.parent / 'test.tfrecords').as_posix()
    monkeypatch.setattr(evaluator, 'PIXELS_AT_ONCE', 2 * 64 * 64)
    broken, others = (config.replace(before, file.as_posix()) for file in (path, path.with_stem('others')))
    log, found = evaluated(folder, broken, most_skipped=1)
    assert (found['pictures'], found['skipped']) == (4, 1) and list(log.of('skipped')[0]['records']) == ['3']
    assert log.of('skipped')[0]['reader'] == 'eval_input_reader[0]'
    assert dict(found['metrics']) == dict(evaluated(folder, others)[1]['metrics'])
    assert evaluated(folder, broken, skipped=[3])[1]['metrics'] == found['metrics']
    with pytest.raises(UserError, match='wrong checksum'):
        evaluated(folder, broken)
