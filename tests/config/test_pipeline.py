"""Reading, overriding and writing pipeline.config, and the errors for one that does not parse."""
from pathlib import Path

import pytest

from object_detection import protos
from object_detection.config import pipeline, textproto
from object_detection.utils.errors import UserError

COPIES = Path(__file__).parents[1] / 'golden/configs'
KIT = Path(__file__).parents[3] / 'shared/parity/configs'
CONFIGS = sorted((KIT if KIT.is_dir() else COPIES).rglob('*.config'))
TYPO = 'zoo_mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8.config'


def is_typo(path):
    return path.name == TYPO or path.match('zoo/mask_rcnn_*')


@pytest.mark.parametrize('path', [path for path in CONFIGS if not is_typo(path)], ids=lambda path: path.stem)
def test_configs_of_the_reference_survive_a_round_trip(path, tmp_path):
    config = pipeline.read(path)
    _, model = pipeline.architecture(config)
    assert model.num_classes in (1, 37, 90)
    pipeline.write(config, tmp_path / 'again.config')
    assert pipeline.read(tmp_path / 'again.config') == config


def test_values_of_a_zoo_config():
    """Read off the file by eye."""
    config = pipeline.read(COPIES / 'zoo_efficientdet_d0_coco17_tpu-32.config')
    kind, ssd = pipeline.architecture(config)
    assert kind == 'ssd' and ssd.num_classes == 90
    assert ssd.feature_extractor.type == 'ssd_efficientnet-b0_bifpn_keras'
    assert ssd.box_coder.faster_rcnn_box_coder.y_scale == 1.0
    assert ssd.box_predictor.weight_shared_convolutional_box_predictor.conv_hyperparams.activation == \
        protos.Hyperparams.SWISH
    assert config.train_config.batch_size == 128
    assert ssd.box_predictor.weight_shared_convolutional_box_predictor.kernel_size == 3
    assert not config.train_config.freeze_variables  # not in the file: the schema's default


def test_typing_error_of_the_mask_rcnn_tarball_is_located():
    with pytest.raises(UserError) as error:
        pipeline.read(COPIES / TYPO)
    message = str(error.value)
    assert message.startswith(f'{COPIES / TYPO}:153:40: ')
    assert "delete 's'" in message
    code, mark = message.splitlines()[1:]
    assert code[mark.index('^')] == 's' and code[:mark.index('^')].endswith('"PATH_TO_BE_CONFIGURED"')


@pytest.mark.parametrize(('text', 'place', 'words'), [
    ('model {\n ssd {\n  num_clases: 3\n }\n}', '3:3', "'num_clases' is not a field of Ssd; did you mean num_classes?"),
    ('model { num_classes: 3 }', '1:9', 'it is one of CenterNet, FasterRcnn, Ssd'),
    ('train_config { zzz: 3 }', '1:16', 'allowed: batch_size'),
    ('model { ssd { box_predictor { weight_shared_convolutional_box_predictor { conv_hyperparams {\n'
     'activation: RELU6 }}}}}', '2:13', 'did you mean RELU_6? allowed: NONE, RELU, RELU_6, SWISH'),
    ('model { ssd {} faster_rcnn {} }', '1:16', "'faster_rcnn' is given together with 'ssd'"),
    ('train_config {\n batch_size: 3\n batch_size: 4 }', '3:14', "'batch_size' is given twice"),
    ('train_config { batch_size: 3.5 }', '1:28', "'3.5' is not a whole number"),
    ('train_config { batch_size: -1 }', '1:28', '-1 is out of the range'),
    ('train_config { gradient_clipping_by_norm: ten }', '1:43', "'ten' is not a number"),
    ('train_config { sync_replicas: yes }', '1:31', 'true or false'),
    ('train_config { fine_tune_checkpoint: models/d0 }', '1:38', 'put it in quotes'),
    ('train_config { fine_tune_checkpoint: "models/d0 }\n', '1:38', 'quotes at both ends'),
    (r'train_config { fine_tune_checkpoint: "C:\x" }', '1:38', '/ instead of \\'),
    ('model {\n ssd {\n', '2:6', 'the file ends inside a section'),
    ('model { ssd { } } }', '1:19', 'there may be an extra brace above'),
    ('train_config 5', '1:14', 'write NAME { ... }'),
])
def test_syntax_errors_say_where_what_and_what_to_do(text, place, words, tmp_path):
    path = tmp_path / 'pipeline.config'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(UserError) as error:
        pipeline.read(path)
    assert str(error.value).startswith(f'{path}:{place}: ')
    assert words in str(error.value)


def test_independent_mistakes_are_reported_together():
    """One in every kind of value; nothing is checked behind a mistake in the structure."""
    text = '''
model { ssd {
  num_clases: 3
  image_resizer { fixed_shape_resizer { height: 3.5 width: 6 } }
  anchor_gen { x: 1 list: [1, 2] inner < text: "a }" 'b' > }
  box_predictor { convolutional_box_predictor { conv_hyperparams { activation: RELU6 } score_thresh: {} } }
} }
train_config {
  sync_replicas: yes batch_size: 3 batch_size: 4
  fine_tune_checkpoint: models/my dogs/d0
  num_stepps: 5
}'''
    with pytest.raises(UserError) as error:
        pipeline.parse(text, 'p')
    assert [finding.splitlines()[0] for finding in error.value.findings] == [
        "p:3:3: 'num_clases' is not a field of Ssd; did you mean num_classes?",
        "p:4:49: '3.5' is not a whole number",
        "p:5:3: 'anchor_gen' is not a field of Ssd; did you mean anchor_generator?",
        "p:6:80: 'RELU6' is not a value of Activation; did you mean RELU_6? allowed: NONE, RELU, RELU_6, SWISH",
        "p:6:88: 'score_thresh' is not a field of ConvolutionalBoxPredictor; allowed: " + ', '.join(
            field.name for field in protos.ConvolutionalBoxPredictor.DESCRIPTOR.fields),
        "p:9:18: expected true or false",
        "p:9:48: 'batch_size' is given twice in this section; delete one",
        "p:10:25: 'models' is given where text is expected; put it in quotes",
        "p:11:3: 'num_stepps' is not a field of TrainConfig; did you mean num_steps?"]
    assert error.value.findings[0].splitlines()[1:] == ['      num_clases: 3', '      ^']


@pytest.mark.parametrize('quoted', ['“a b.pbtxt”', '„a b.pbtxt“', '‘a b.pbtxt’', '‚a b.pbtxt‘', '«a b.pbtxt»',
                                    '‹a b.pbtxt›', '″a b.pbtxt″', '`a b.pbtxt`', '´a b.pbtxt´', '「a b.pbtxt」',
                                    '＂a b.pbtxt＂', '"a b.pbtxt”', "‘a b.pbtxt'", '“it\'s.pbtxt”'])
def test_typographic_quotes_are_named_once(quoted):
    text = f'train_config {{\n  batch_sze: 4\n}}\ntrain_input_reader {{\n  label_map_path: {quoted}\n}}\n' \
           f'eval_input_reader {{\n  label_map_path: {quoted}\n}}\n'
    with pytest.raises(UserError) as error:
        pipeline.parse(text, 'f')
    quotes, other = error.value.findings
    assert quotes.startswith('f:5:') and 'stand where straight ones belong; write " or \' (also on line 8)' in quotes
    assert all(mark in quotes for mark in quoted if not mark.isascii() and not mark.isalpha())
    assert other.startswith("f:2:3: 'batch_sze' is not a field of TrainConfig; did you mean batch_size?")


def test_typographic_quotes_within_straight_ones_and_comments_are_text():
    config = pipeline.parse('# “quoted”\ntrain_input_reader { label_map_path: "d’Artagnan «x».pbtxt" }')
    assert config.train_input_reader.label_map_path == 'd’Artagnan «x».pbtxt'


@pytest.mark.parametrize(('text', 'says'), [
    ('train_config { batch_size： 4 }', "f:1:26: '：' (fullwidth colon) stands where ':' belongs"),
    ('train_config { gradient_clipping_by_norm: –4 }', "f:1:43: '–' (en dash) stands where '-' belongs"),
    ('train_config {\u200b batch_size: 4 }', "f:1:15: '\\u200b' (zero width space) cannot be seen; delete it")])
def test_characters_that_look_like_others_are_named(text, says):
    with pytest.raises(UserError) as error:
        pipeline.parse(text, 'f')
    finding, = error.value.findings
    assert finding.startswith(says)


def test_a_missing_brace_is_one_mistake():
    text = 'model { ssd { num_classes: 3 } feature_extractor { type: "x" } box_coder {} } train_config { zzz: 1 }'
    with pytest.raises(UserError) as error:
        pipeline.parse(text)
    assert len(error.value.findings) == 1 and 'there may be a missing or an extra brace' in str(error.value)


def test_at_most_20_mistakes_are_reported():
    with pytest.raises(UserError) as error:
        pipeline.parse('zzz: 1\n' * 1000)
    assert len(error.value.findings) == 20


def test_missing_file_suggests_similar_names(tmp_path):
    (tmp_path / 'pipeline.config').touch()
    with pytest.raises(UserError, match=r'pipline.config: does not exist; did you mean .*pipeline\.config\?'):
        pipeline.read(tmp_path / 'pipline.config')


def test_encodings(tmp_path):
    path = tmp_path / 'pipeline.config'
    path.write_bytes('\ufefftrain_config { batch_size: 2 }'.encode())  # as Notepad saves it
    assert pipeline.read(path).train_config.batch_size == 2
    path.write_text('train_config { batch_size: 2 }', encoding='utf-16')
    with pytest.raises(UserError, match='UTF-16'):
        pipeline.read(path)
    path.write_bytes(b'train_config {\n fine_tune_checkpoint: "caf\xe9" }')
    with pytest.raises(UserError, match=r'pipeline.config:2: is not UTF-8'):
        pipeline.read(path)


def test_override_replaces_merges_and_adds():
    config = pipeline.parse('''
        model { ssd { num_classes: 3 image_resizer { fixed_shape_resizer { height: 5 width: 6 } } } }
        eval_input_reader { name: "a" }''')
    new = pipeline.override(config, '''
        model { ssd { num_classes: 4 image_resizer { fixed_shape_resizer { width: 7 } } } }
        eval_input_reader { name: "b" }''')
    resizer = new.model.ssd.image_resizer.fixed_shape_resizer
    assert (new.model.ssd.num_classes, resizer.height, resizer.width) == (4, 5, 7)
    assert [reader.name for reader in new.eval_input_reader] == ['a', 'b']
    assert config.model.ssd.num_classes == 3
    with pytest.raises(UserError, match=r'--config_override:1:15: .*num_classes'):
        pipeline.override(config, 'model { ssd { num_class: 4 } }')


def test_locate_counts_repeated_fields_sections_and_lists():
    text = '''# comment {
a { b: 1
 c: "x{" 'y'
 d: [1,
 2]
}
a: { b: 2 e: [ {f: 1},
 {f: 2} ] }
g < h: -1.5e-3 >'''
    assert textproto.locate(text) == {
        ('a', 0): 2, ('a', 0, 'b', 0): 2, ('a', 0, 'c', 0): 3, ('a', 0, 'd', 0): 4, ('a', 0, 'd', 1): 4,
        ('a', 1): 7, ('a', 1, 'b', 0): 7, ('a', 1, 'e', 0): 7, ('a', 1, 'e', 0, 'f', 0): 7,
        ('a', 1, 'e', 1): 7, ('a', 1, 'e', 1, 'f', 0): 8, ('g', 0): 9, ('g', 0, 'h', 0): 9}


def test_fields():
    config = pipeline.parse('''
        model { ssd { num_classes: 3 add_background_class: false loss { localization_loss { weighted_l2 {} } } } }
        train_config {
          data_augmentation_options { random_horizontal_flip {} }
          gradient_clipping_by_norm: 0.5
          update_trainable_variables: ["a", "b"]
        }
        eval_input_reader { input_type: TF_SEQUENCE_EXAMPLE }''')
    assert pipeline.fields(config) == {
        'model.ssd.num_classes': '3', 'model.ssd.add_background_class': 'False',
        'model.ssd.loss.localization_loss.weighted_l2': '{}',
        'train_config.data_augmentation_options[0].random_horizontal_flip': '{}',
        'train_config.gradient_clipping_by_norm': '0.5', 'train_config.update_trainable_variables[0]': 'a',
        'train_config.update_trainable_variables[1]': 'b', 'eval_input_reader[0].input_type': 'TF_SEQUENCE_EXAMPLE'}
