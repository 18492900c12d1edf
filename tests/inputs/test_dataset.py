"""Batches of inputs.train_dataset and eval_dataset.

golden/inputs.npz has the batches of the reference's train_input for golden/inputs.tfrecords, without augmentation, with
at most five boxes and the two usual resizers; of the images every 13th value. The records are four drawn scenes: one
plain, one with a crowd, areas and weights, one without objects, one without class texts.
"""
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import inputs, protos, records
from object_detection.config.label_map import Item, LabelMap
from object_detection.models import resizers
from object_detection.utils.errors import UserError

GOLDEN = Path(__file__).parents[1] / 'golden'
LABELS = LabelMap((Item(1, 'circle'), Item(2, 'square'), Item(3, 'triangle')))
RESIZERS = {'fixed': 'fixed_shape_resizer { height: 80 width: 80 }',
            'pad': 'keep_aspect_ratio_resizer { min_dimension: 96 max_dimension: 96 pad_to_max_dimension: true }'}
AUGMENTED = """data_augmentation_options { random_horizontal_flip { } }
    data_augmentation_options { random_crop_image { min_object_covered: 0.0 min_area: 0.5 } }
    data_augmentation_options { random_adjust_hue { } }"""


def pipeline(records_path=GOLDEN / 'inputs.tfrecords', resizer=RESIZERS['fixed'], train='', reader=''):
    return text_format.Parse(f"""
        model {{ ssd {{ num_classes: 3 image_resizer {{ {resizer} }} }} }}
        train_config {{ batch_size: 4 {train} }}
        eval_config {{ batch_size: 3 }}
        train_input_reader {{ max_number_of_boxes: 5 {reader}
            tf_record_input_reader {{ input_path: "{Path(records_path).as_posix()}" }} }}
    """, protos.TrainEvalPipelineConfig())


def train(config, **options):
    return inputs.train_dataset(config, resizers.build(config.model.ssd.image_resizer), LABELS, **options)


def flat(batch):
    return {name: value.numpy() for part in batch for name, value in part.items()}


@pytest.mark.parametrize('kind', RESIZERS)
def test_batches_equal_those_of_the_reference(kind):
    config = pipeline(resizer=RESIZERS[kind], reader='shuffle: false')
    batch = flat(next(iter(train(config))))
    golden = np.load(GOLDEN / 'inputs.npz')
    assert batch['filename'].astype('S').tolist() == golden[f'{kind}/source_id'].astype('S').tolist()
    batch['image'] = batch['image'].ravel()[::13]
    names = [name.removeprefix(f'{kind}/') for name in golden.files if name.startswith(f'{kind}/')]
    compared = [name for name in names if name in batch]
    assert len(compared) == 11
    for name in compared:
        np.testing.assert_allclose(batch[name], golden[f'{kind}/{name}'], rtol=0, atol=1e-4, err_msg=name)


def test_a_resumed_run_gets_the_same_batches():
    config = pipeline(train=AUGMENTED)
    one_thread = tf.data.Options()
    one_thread.threading.private_threadpool_size = 1
    whole = [flat(batch) for batch in train(config, seed=3).with_options(one_thread).take(6)]
    resumed = [flat(batch) for batch in train(config, seed=3, start_step=4).take(2)]
    for batch, again in zip(whole[4:], resumed):
        for name in batch:
            np.testing.assert_array_equal(again[name], batch[name], err_msg=name)
    assert (whole[0]['image'] != whole[1]['image']).any()


def test_num_epochs_and_incomplete_batches():
    def sizes(reader, batch_size):
        return [len(groundtruth['num_groundtruth_boxes'])
                for _, groundtruth in train(pipeline(reader=reader), batch_size=batch_size)]

    assert sizes('num_epochs: 2', 3) == [3, 3]
    assert sizes('num_epochs: 2 drop_remainder: false', 3) == [3, 3, 2]


def test_evaluation_drops_nothing_and_ends():
    config = pipeline(reader='shuffle: false')
    resizer = resizers.build(config.model.ssd.image_resizer)
    batches = inputs.eval_dataset(config, config.train_input_reader, resizer, LABELS)
    names = [features['filename'].numpy().tolist() for features, _ in batches]
    assert [len(batch) for batch in names] == [3, 1]
    assert len({*names[0], *names[1]}) == 4


def with_objects(tmp_path, **changes):
    index = records.Records(GOLDEN / 'inputs.tfrecords')
    with records.Writer(tmp_path / 'x.tfrecords') as writer:
        for i in range(len(index)):
            item = records.Example.from_bytes(index[i])
            for name, value in changes.items() if i == 1 else ():
                setattr(item, name, value)
            writer.write(item.to_bytes())
    return pipeline(tmp_path / 'x.tfrecords', reader='shuffle: false')


def test_unusable_objects_are_dropped_with_all_their_entries(tmp_path):
    config = with_objects(tmp_path, boxes=[(0, 0, 1, 1), (0, 0, float('nan'), 1), (0.25, 0.5, 0.5, 0.75)],
                          texts=['hexagon', 'circle', 'square'], labels=[1, 1, 1], weights=[1.0, 2.0, 3.0],
                          area=[4.0, 5.0, 6.0], is_crowd=[0, 0, 1], difficult=[], group_of=[])
    batch = flat(next(iter(train(config))))
    assert batch['num_groundtruth_boxes'][1] == 1
    assert batch['groundtruth_boxes'][1].tolist() == [[0.25, 0.5, 0.5, 0.75]] + [[0] * 4] * 4
    assert batch['groundtruth_classes'][1].argmax(1).tolist() == [1, 0, 0, 0, 0]
    assert batch['groundtruth_weights'][1].tolist() == [3, 0, 0, 0, 0]
    assert batch['groundtruth_area'][1].tolist() == [6, 0, 0, 0, 0]
    assert batch['groundtruth_is_crowd'][1].tolist() == [True] + [False] * 4


@pytest.mark.parametrize('explicit', [[], [0.0, 0.25]])
def test_masks_have_weight_0_only_where_the_record_has_none(tmp_path, explicit):
    """The record's own image/object/mask/weight is not read, as in the reference."""
    mask = tf.io.encode_png(np.ones((166, 165, 1), np.uint8)).numpy()
    config = with_objects(tmp_path, boxes=[(0, 0, 1, 1), (0, 0, 0.5, 1)], texts=['circle', 'square'], labels=[],
                          weights=[], area=[], is_crowd=[], difficult=[], group_of=[], masks=[mask, mask],
                          mask_weights=explicit)
    config.train_input_reader.load_instance_masks, config.train_input_reader.mask_type = True, 2
    batch = flat(next(iter(train(config))))
    assert batch['groundtruth_instance_mask_weights'][1].tolist() == [1, 1, 0, 0, 0]
    assert batch['num_groundtruth_boxes'][0] > 0
    assert not batch['groundtruth_instance_mask_weights'][[0, 2, 3]].any()


def test_boxes_beyond_max_number_of_boxes_are_cut_off(tmp_path):
    config = with_objects(tmp_path, boxes=[(0, 0, i / 10, 1) for i in range(1, 8)], texts=['circle'] * 7, labels=[],
                          weights=[], area=[], is_crowd=[], difficult=[], group_of=[])
    batch = flat(next(iter(train(config))))
    assert batch['num_groundtruth_boxes'][1] == 5
    np.testing.assert_allclose(batch['groundtruth_boxes'][1, :, 2], [0.1, 0.2, 0.3, 0.4, 0.5])


def test_keypoints_and_masks_follow_the_resize(tmp_path):
    mask = np.zeros((166, 165), np.uint8)  # the picture is 166 high and 165 wide; its upper left quarter
    mask[:83, :82] = 255
    config = with_objects(tmp_path, keypoints=[[(0.5, 0.25), (0.5, 0.5)]], keypoint_visibility=[2, 0],
                          masks=[tf.io.encode_png(mask[..., np.newaxis]).numpy()])
    config.model.ssd.image_resizer.CopyFrom(
        text_format.Parse(RESIZERS['pad'], type(config.model.ssd.image_resizer)()))
    reader = config.train_input_reader
    reader.num_keypoints, reader.load_instance_masks, reader.mask_type = 2, True, 2
    batch = flat(next(iter(train(config))))
    assert not batch['groundtruth_keypoint_visibilities'][0].any()  # a record with a box, but without keypoints
    assert not batch['groundtruth_instance_mask_weights'][0].any()
    second = {name: value[1] for name, value in batch.items()}
    height, width, _ = second['true_image_shape']
    assert (height, width) == (96, 95)
    np.testing.assert_allclose(second['groundtruth_keypoints'][0, 0], [0.5, 0.25 * 95 / 96], rtol=1e-6)
    assert np.isnan(second['groundtruth_keypoints'][0, 1]).all()
    assert second['groundtruth_keypoint_visibilities'][0].tolist() == [True, False]
    masks = second['groundtruth_instance_masks']
    assert masks.shape == (5, 96, 96)
    assert masks[0].sum() == masks[0, :48, :48].sum() == pytest.approx(48 * 48, rel=0.03)
    assert second['groundtruth_instance_mask_weights'].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(('changes', 'message'), [
    ({'encoded': b'\xff\xd8\xff\xe0 broken', 'filename': 'b.jpg'}, "picture 'b.jpg': the picture cannot be decoded"),
    ({'boxes': [(0.5, 0.0, 0.25, 1.0)], 'filename': 'b.jpg'}, "picture 'b.jpg': a box has its maximum before"),
])
def test_a_broken_record_is_named(tmp_path, changes, message):
    config = with_objects(tmp_path, **changes)
    batches = iter(train(config, batch_size=1))
    take(config, batches, 0)
    with pytest.raises(UserError) as error:
        take(config, batches, 1)
    assert message in str(error.value)
    assert 'x.tfrecords, record 1 at byte' in str(error.value)


def take(config, batches, step):
    with inputs.naming_broken_records(config.train_input_reader, LABELS, step, batch_size=1):
        return next(batches)


def test_a_wrong_checksum_is_found_when_the_record_is_read(tmp_path):
    config = with_objects(tmp_path, filename='b.jpg')
    path = tmp_path / 'x.tfrecords'
    data = bytearray(path.read_bytes())
    data[-500] ^= 1  # in the picture of the last record, which is read in one go with the first
    path.write_bytes(data)
    with pytest.raises(UserError, match=r'the data has a wrong checksum.*x\.tfrecords, record 3 at byte'):
        take(config, iter(train(config, batch_size=1)), 0)


def test_an_error_that_is_no_record_s_fault_stays_what_it_is(tmp_path):
    config = with_objects(tmp_path)
    with pytest.raises(tf.errors.InvalidArgumentError, match='other'), \
            inputs.naming_broken_records(config.train_input_reader, LABELS, 0, 1):
        raise tf.errors.InvalidArgumentError(None, None, 'other')
